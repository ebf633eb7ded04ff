//! What people and other managers read and ask: snapshots, requests, heartbeat lists, managers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::codec::{self, Unreadable};
use super::error::at;
use super::outputs::OutputName;
use super::{Mode, Proof, PutOutcome, StatePath, Store, StoreError, layout};
use crate::model::{
    ConfigStatus, MachinetypeName, ManagerName, OperatorRequest, RequestId, SpaceName,
    SpaceSnapshot, Timestamp,
};

/// Formats of `plan.json`, of requests, and of `managers/NAME.json`.
const FORMAT: u32 = 1;

impl ManagerInfo {
    /// Whether it lives, for people: by when its file was last written, on the file server's clock.
    pub fn life(&self, written: Option<Timestamp>, now: Timestamp) -> &'static str {
        let patience = std::time::Duration::from_secs(self.ttl_secs);
        match written {
            _ if self.stopped.is_some() => "stopped",
            // An older version writes only when something changes.
            _ if self.run.is_empty() => "unknown",
            Some(written) if now.since(written) <= patience => "alive",
            Some(_) | None => "silent",
        }
    }
}

/// One manager, as it shows itself to the others and to people. Who takes a space first follows from
/// it, never whether two may have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerInfo {
    /// Version of this format: 1.
    pub format: u32,
    /// Its name.
    pub name: ManagerName,
    /// Version of its program.
    pub version: String,
    /// When it started, by its own clock.
    pub started: Timestamp,
    /// Grows with each writing, so that others can see that it lives.
    pub counter: u64,
    /// The spaces that it owns, by name.
    pub spaces: Vec<SpaceName>,
    /// Where its server for people listens.
    pub address: Option<SocketAddr>,
    /// Where it answers machines: the address that those are given which it makes.
    #[serde(default)]
    pub base_url: String,
    /// The host that it runs on.
    #[serde(default)]
    pub host: String,
    /// Which process wrote this: no two have the same. Empty: an older version did.
    #[serde(default)]
    pub run: String,
    /// The spaces of its configuration; `None`: it does not say, so any.
    #[serde(default)]
    pub serves: Option<Vec<SpaceName>>,
    /// How many times it has given a space back: when it changes the others look at once.
    #[serde(default)]
    pub given_back: u64,
    /// How long it may be silent before others take its spaces.
    #[serde(default)]
    pub ttl_secs: u64,
    /// Which configuration it uses, and why it refuses a newer one. `None`: its version does not tell.
    #[serde(default)]
    pub config: Option<ConfigStatus>,
    /// The spaces that it does not work on, by name.
    #[serde(default)]
    pub idle: BTreeMap<SpaceName, IdleSpace>,
    /// When it ended in an orderly way; `None`: it runs, or was killed.
    #[serde(default)]
    pub stopped: Option<Timestamp>,
}

/// A space that a manager does not work on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleSpace {
    /// Since when, by the manager's own clock.
    pub since: Timestamp,
    /// Why, for people.
    pub why: String,
}

impl Store {
    /// Writes the last plan with its reasons for people.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn save_snapshot(
        &self,
        proof: &Proof<'_>,
        snapshot: &SpaceSnapshot,
    ) -> Result<(), StoreError> {
        proof.allow().await?;
        let path = layout::plan(proof.space());
        let content = codec::encode(snapshot);
        self.fs().write(&path, &content, Mode::Public).await.map_err(at("write", &path))
    }

    /// The last plan of a space, if one was made.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], or what the filesystem said.
    pub async fn load_snapshot(
        &self,
        space: &SpaceName,
    ) -> Result<Option<SpaceSnapshot>, StoreError> {
        let path = layout::plan(space);
        let Some(content) = self.read_optional(&path).await? else { return Ok(None) };
        codec::decode(&content, FORMAT).map(Some).map_err(|unreadable| unreadable.at(&path))
    }

    /// Standing requests, oldest first. One that cannot be read is said in the log and left alone.
    ///
    /// # Errors
    /// What the filesystem said; then nothing is known.
    pub async fn requests(&self, space: &SpaceName) -> Result<Vec<OperatorRequest>, StoreError> {
        let dir = layout::requests(space);
        let mut requests = Vec::new();
        for name in self.fs().list(&dir).await.map_err(at("list", &dir))? {
            let path = dir.join(&name);
            // Closed since it was listed: no error.
            let Some(content) = self.read_optional(&path).await? else { continue };
            match codec::decode::<OperatorRequest>(&content, FORMAT)
                .and_then(|r| in_place(r, &name))
            {
                Ok(request) => requests.push(request),
                Err(unreadable) => {
                    tracing::warn!(%space, problem = %unreadable.at(&path), "a request is not followed");
                }
            }
        }
        requests.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(requests)
    }

    /// The ids of standing requests, unread.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn request_ids(&self, space: &SpaceName) -> Result<BTreeSet<RequestId>, StoreError> {
        let dir = layout::requests(space);
        let names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json"));
        Ok(ids.map(|id| RequestId(id.to_owned())).collect())
    }

    /// Leaves a request for the owner of a space. The same request may be put again.
    ///
    /// # Errors
    /// [`StoreError::Io`] when another request has this id, or what the filesystem said.
    pub async fn put_request(
        &self,
        space: &SpaceName,
        request: &OperatorRequest,
    ) -> Result<(), StoreError> {
        let path = request_path(space, &request.id)?;
        let dir = layout::requests(space);
        self.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
        let content = codec::encode(request);
        match self.fs().put_if_absent(&path, &content, Mode::Public).await {
            Ok(PutOutcome::Ours) => Ok(()),
            Ok(PutOutcome::Theirs) => {
                Err(at("make", &path)(std::io::ErrorKind::AlreadyExists.into()))
            }
            Err(error) => Err(at("make", &path)(error)),
        }
    }

    /// Takes a request away, as done or as cancelled. No error when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn close_request(&self, proof: &Proof<'_>, id: &RequestId) -> Result<(), StoreError> {
        let path = request_path(proof.space(), id)?;
        proof.allow().await?;
        self.fs().remove(&path).await.map_err(at("remove", &path))
    }

    /// Writes the list by which machines of a machinetype find each other (FIELD.md 1.4).
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn save_heartbeat_list(
        &self,
        proof: &Proof<'_>,
        machinetype: &MachinetypeName,
        text: &str,
    ) -> Result<(), StoreError> {
        proof.allow().await?;
        let dir = layout::heartbeat_lists(proof.space());
        self.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
        let path = layout::heartbeat_list(proof.space(), machinetype);
        self.fs().write(&path, text.as_bytes(), Mode::Public).await.map_err(at("write", &path))
    }

    /// The list of a machinetype, if one was written.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn heartbeat_list(
        &self,
        space: &SpaceName,
        machinetype: &MachinetypeName,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_optional(&layout::heartbeat_list(space, machinetype)).await
    }

    /// Shows this manager to the others. Only the manager itself writes its file.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn save_manager(&self, manager: &ManagerInfo) -> Result<(), StoreError> {
        let dir = layout::managers();
        self.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
        let path = layout::manager(&manager.name);
        let content = codec::encode(manager);
        self.fs().write(&path, &content, Mode::Public).await.map_err(at("write", &path))
    }

    /// One manager, if it has ever shown itself.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], or what the filesystem said.
    pub async fn manager(&self, name: &ManagerName) -> Result<Option<ManagerInfo>, StoreError> {
        let path = layout::manager(name);
        let Some(content) = self.read_optional(&path).await? else { return Ok(None) };
        codec::decode(&content, FORMAT).map(Some).map_err(|unreadable| unreadable.at(&path))
    }

    /// When managers last showed themselves, by the file server's clock, in the order asked.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn manager_signs(
        &self,
        managers: &[ManagerInfo],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let paths: Vec<_> = managers.iter().map(|info| layout::manager(&info.name)).collect();
        self.fs().modified(&paths).await.map_err(at("look at", &layout::managers()))
    }

    /// All managers that have ever shown themselves, by name. One that cannot be read is said in
    /// the log.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn managers(&self) -> Result<Vec<ManagerInfo>, StoreError> {
        let dir = layout::managers();
        let mut names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        names.retain(|name| name.ends_with(".json"));
        names.sort_unstable();
        let mut managers = Vec::new();
        for name in names {
            let path = dir.join(&name);
            let Some(content) = self.read_optional(&path).await? else { continue };
            match codec::decode(&content, FORMAT) {
                Ok(manager) => managers.push(manager),
                Err(unreadable) => {
                    tracing::warn!(problem = %unreadable.at(&path), "a manager cannot be shown");
                }
            }
        }
        Ok(managers)
    }
}

fn in_place(request: OperatorRequest, name: &str) -> Result<OperatorRequest, Unreadable> {
    if name == format!("{}.json", request.id.0) {
        return Ok(request);
    }
    Err(Unreadable::Corrupt(format!("it is the request {}", request.id.0)))
}

pub(super) fn request_path(space: &SpaceName, id: &RequestId) -> Result<StatePath, StoreError> {
    // The id becomes a file name; the rule for outputs is the rule for every name from outside.
    match OutputName::parse(&id.0) {
        Some(_) => Ok(layout::request(space, id)),
        None => Err(StoreError::InvalidName { kind: "request id", text: id.0.clone() }),
    }
}
