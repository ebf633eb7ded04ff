//! The files of the generation log: `NNNNNNNN` made once by put-if-absent, `NNNNNNNN.renew` written by
//! its owner alone.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Farewell;
use super::machine::{Renewal, Seen};
use crate::model::{Generation, ManagerName, SpaceName, Timestamp};
use crate::store::error::at;
use crate::store::{Mode, PutOutcome, Store, StoreError, codec, layout};

const FORMAT: u32 = 1;

/// Old generations that are kept, for people, and so that a look that is a minute old cannot show a
/// log whose next number is free again: sixteen changes of owner take longer.
const KEPT: u64 = 16;

/// The content of `NNNNNNNN`.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    format: u32,
    manager: ManagerName,
    /// Makes the content unique to one attempt.
    attempt: String,
    /// By the manager's clock, for people.
    at: Timestamp,
    /// For how long a renewal lasts under this generation: managers may be configured differently, and
    /// an observer must be as patient as the owner believes. Absent: written by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
}

/// The content of `NNNNNNNN.renew`.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    format: u32,
    counter: u64,
    released: bool,
    /// When it was given back.
    #[serde(default)]
    farewell: Farewell,
}

/// Makes the directories that an owner writes into.
pub(super) async fn prepare(store: &Store, space: &SpaceName) -> Result<(), StoreError> {
    for dir in layout::long_lived(space) {
        store.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
    }
    Ok(())
}

/// The highest generation in the log.
pub(super) async fn highest(
    store: &Store,
    space: &SpaceName,
) -> Result<Option<Generation>, StoreError> {
    Ok(generations(store, space).await?.into_iter().max())
}

async fn generations(store: &Store, space: &SpaceName) -> Result<Vec<Generation>, StoreError> {
    let dir = layout::owner(space);
    let names = store.fs().list(&dir).await.map_err(at("list", &dir))?;
    let numbers = names.iter().filter(|name| name.len() >= 8).filter_map(|name| name.parse().ok());
    Ok(numbers.map(Generation).collect())
}

/// What the log shows now. The listing comes first: where names are cached (FUSE), it makes them anew, and the renewal
/// that is then read is the last one.
pub(super) async fn look(store: &Store, space: &SpaceName) -> Result<Option<Seen>, StoreError> {
    let Some(generation) = highest(store, space).await? else { return Ok(None) };
    let claim = claim_of(store, space, generation).await?;
    let life = store.read_optional(&layout::renewal(space, generation)).await?;
    let renewal = match life {
        None => Renewal::None,
        Some(text) => match codec::decode(&text, FORMAT) {
            Ok(Life { released: true, farewell, .. }) => Renewal::Released(farewell),
            Ok(Life { counter, .. }) => Renewal::Counter(counter),
            Err(_) => Renewal::Unreadable(text),
        },
    };
    let ttl = claim.as_ref().and_then(|claim| claim.ttl_ms).map(Duration::from_millis);
    let manager = claim.map(|claim| claim.manager);
    Ok(Some(Seen { generation, manager, ttl, renewal }))
}

/// Who made a generation; `None`: its file is gone, or cannot be read.
async fn claim_of(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
) -> Result<Option<Claim>, StoreError> {
    let text = store.read_optional(&layout::generation(space, generation)).await?;
    Ok(text.and_then(|text| codec::decode(&text, FORMAT).ok()))
}

/// When the last renewal was written, by the file server's clock.
pub(super) async fn renewed_at(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
) -> Option<Timestamp> {
    let path = layout::renewal(space, generation);
    match store.fs().modified(std::slice::from_ref(&path)).await {
        Ok(times) => times.into_iter().next().flatten(),
        Err(error) => {
            tracing::warn!(%path, %error, "the file server did not tell the time of our renewal");
            None
        }
    }
}

/// Who owns a space, for people: what the files say, without a judgement of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The space.
    pub space: SpaceName,
    /// The highest generation.
    pub generation: Generation,
    /// Who made it; `None`: its file cannot be read.
    pub manager: Option<ManagerName>,
    /// When, by that manager's clock.
    pub since: Option<Timestamp>,
    /// When it was last renewed, by the file server's clock.
    pub renewed: Option<Timestamp>,
    /// It was given back, and nobody has taken it yet.
    pub is_given_back: bool,
}

impl Store {
    /// The owners of all spaces that have ever had one, by name.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        let mut owners = Vec::new();
        for space in self.spaces().await? {
            owners.extend(owner_of(self, space).await?);
        }
        Ok(owners)
    }
}

async fn owner_of(store: &Store, space: SpaceName) -> Result<Option<Owner>, StoreError> {
    let Some(generation) = highest(store, &space).await? else { return Ok(None) };
    let claim = claim_of(store, &space, generation).await?;
    let life = store.read_optional(&layout::renewal(&space, generation)).await?;
    let life: Option<Life> = life.and_then(|text| codec::decode(&text, FORMAT).ok());
    let renewed = renewed_at(store, &space, generation).await;
    Ok(Some(Owner {
        space,
        generation,
        since: claim.as_ref().map(|claim| claim.at),
        manager: claim.map(|claim| claim.manager),
        renewed,
        is_given_back: life.is_some_and(|life| life.released),
    }))
}

/// Tries to make a generation. `false`: somebody else did.
pub(super) async fn claim(
    store: &Store,
    space: &SpaceName,
    (manager, ttl): (&ManagerName, Duration),
    generation: Generation,
) -> Result<bool, StoreError> {
    let path = layout::generation(space, generation);
    let content = codec::encode(&Claim {
        format: FORMAT,
        manager: manager.clone(),
        attempt: uuid::Uuid::new_v4().to_string(),
        at: store.clock().now(),
        ttl_ms: Some(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
    });
    match store.fs().put_if_absent(&path, &content, Mode::Public).await {
        Ok(PutOutcome::Ours) => Ok(true),
        Ok(PutOutcome::Theirs) => Ok(false),
        // The reply was lost, perhaps not the deed.
        Err(error) => match store.fs().read(&path).await {
            Ok(there) => Ok(there == content),
            Err(_) => Err(at("claim", &path)(error)),
        },
    }
}

/// Shows that the owner lives.
pub(super) async fn renew(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    counter: u64,
) -> Result<(), StoreError> {
    let farewell = Farewell::default();
    write(store, space, generation, &Life { format: FORMAT, counter, released: false, farewell })
        .await
}

/// Gives the generation back.
pub(super) async fn release(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    (counter, farewell): (u64, Farewell),
) -> Result<(), StoreError> {
    write(store, space, generation, &Life { format: FORMAT, counter, released: true, farewell })
        .await
}

async fn write(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    life: &Life,
) -> Result<(), StoreError> {
    let path = layout::renewal(space, generation);
    store.fs().write(&path, &codec::encode(life), Mode::Public).await.map_err(at("renew", &path))
}

/// Makes our next listings of the machines' folders true: they may be a minute old, and lack the intents that our
/// predecessor wrote in its last minute, whose calls may still be under way. A cache forgets a
/// directory that its own host has changed.
pub(super) async fn refresh(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
) -> Result<(), StoreError> {
    for dir in [layout::current(space), layout::deleted(space)] {
        let path = layout::touched(&dir);
        let content = format!("{generation}\n");
        let written = store.fs().write(&path, content.as_bytes(), Mode::Public).await;
        written.map_err(at("write", &path))?;
    }
    Ok(())
}

/// Removes generations that are long past. What cannot be removed stays: it does no harm.
pub(super) async fn clean(store: &Store, space: &SpaceName, ours: Generation) {
    let Ok(all) = generations(store, space).await else { return };
    for old in all.into_iter().filter(|old| old.0.saturating_add(KEPT) < ours.0) {
        for path in [layout::renewal(space, old), layout::generation(space, old)] {
            if let Err(error) = store.fs().remove(&path).await
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%path, %error, "an old generation stays");
                return;
            }
        }
    }
}
