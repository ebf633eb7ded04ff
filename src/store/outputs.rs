//! The two-way street with VMs: they read features and put outputs. Writes are atomic, limited, and
//! go only into the folder of a machine that is current.

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use super::error::at;
use super::{Mode, Proof, PutOutcome, StatePath, Store, StoreError, layout, locked};
use crate::model::{MachineName, SpaceName, Timestamp};

/// The name with a meaning to us.
const SHUTDOWN_MESSAGE: &str = "shutdown_message";
/// A machine's last words are one line; the rest is not read.
const LONGEST_MESSAGE: usize = 1024;
/// Most files that a machine may have, so that it cannot use up the inodes with empty ones.
const MOST_FILES: usize = 1000;

/// The name of a file that a machine puts. Parsed once, where it comes in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(String);

impl OutputName {
    /// At most 100 letters, digits and `._-+@=,:`, not beginning with a dot. `None`: not a name.
    pub fn parse(text: &str) -> Option<Self> {
        let portable = |c: char| c.is_ascii_alphanumeric() || "._-+@=,:".contains(c);
        let valid =
            (1..=100).contains(&text.len()) && !text.starts_with('.') && text.chars().all(portable);
        valid.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The two directories of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// `$MACHINEFEATURES`.
    Machine,
    /// `$JOBFEATURES`.
    Job,
}

impl FeatureKind {
    /// The name of the directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machine => layout::MACHINEFEATURES,
            Self::Job => layout::JOBFEATURES,
        }
    }
}

/// Why an output was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// There is no such machine now.
    #[error("there is no machine of this name")]
    UnknownMachine,
    /// It would have more in all than it may.
    #[error("the outputs of the machine would be {would_be} bytes, and {limit} are allowed")]
    MachineLimit {
        /// With this file.
        would_be: u64,
        /// Allowed.
        limit: u64,
    },
    /// It has as many files as it may.
    #[error("the machine has put {MOST_FILES} files, and no more are allowed")]
    TooManyFiles,
    /// The state directory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keys are the note's alphabet and capitals (`allocated_CPU`, `mem_limit_MB`).
fn is_feature_key(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Store {
    /// Takes a file from a machine: atomically, so that nobody ever sees a part of it, replacing
    /// the one of the same name. Only the content counts against the limits, not what it replaces.
    ///
    /// # Errors
    /// See [`PutError`]; then nothing has changed, except that a failing filesystem may have taken it.
    pub async fn put_output(
        &self,
        space: &SpaceName,
        machine: &MachineName,
        name: &OutputName,
        content: &[u8],
        machine_limit: u64,
    ) -> Result<(), PutError> {
        let turn = self.turn_of(space, machine);
        let _turn = turn.lock().await;
        let dir = layout::outputs(space, machine);
        let path = dir.join(name.as_str());
        let names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        let others: Vec<StatePath> = names
            .iter()
            .filter(|other| *other != name.as_str())
            .map(|other| dir.join(other))
            .collect();
        if others.len() >= MOST_FILES {
            return Err(PutError::TooManyFiles);
        }
        let sizes = self.fs().sizes(&others).await.map_err(at("measure", &dir))?;
        let would_be = sizes.into_iter().flatten().fold(content.len() as u64, u64::saturating_add);
        if would_be > machine_limit {
            return Err(PutError::MachineLimit { would_be, limit: machine_limit });
        }
        match self.fs().write(&path, content, Mode::Public).await {
            Ok(()) => Ok(()),
            // The folder is made with the record and goes with it; it is never made here.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PutError::UnknownMachine),
            Err(error) => Err(at("write", &path)(error).into()),
        }
    }

    /// One turn at a time for a machine within this process.
    fn turn_of(&self, space: &SpaceName, machine: &MachineName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = locked(&self.0.puts);
        let key = format!("{space}/{machine}");
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }

    /// When files of machines last arrived, by the file server's clock, in the order asked. `None`:
    /// there is no such file (or the name is not one).
    ///
    /// # Errors
    /// What the filesystem said; then nothing is known of any of them.
    pub async fn heartbeats(
        &self,
        space: &SpaceName,
        wanted: &[(MachineName, String)],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let paths: Vec<Option<StatePath>> = wanted
            .iter()
            .map(|(machine, file)| {
                let name = OutputName::parse(file)?;
                Some(layout::outputs(space, machine).join(name.as_str()))
            })
            .collect();
        let asked: Vec<StatePath> = paths.iter().flatten().cloned().collect();
        let current = layout::current(space);
        let mut times =
            self.fs().modified(&asked).await.map_err(at("look at", &current))?.into_iter();
        Ok(paths.iter().map(|path| path.as_ref().and_then(|_| times.next().flatten())).collect())
    }

    /// The first kilobyte of a machine's last words, if it has said any. Strange bytes become `\u{fffd}`.
    ///
    /// # Errors
    /// What the filesystem said; then nothing is known.
    pub async fn shutdown_message(
        &self,
        space: &SpaceName,
        machine: &MachineName,
    ) -> Result<Option<String>, StoreError> {
        let path = layout::outputs(space, machine).join(SHUTDOWN_MESSAGE);
        let content = self.read_optional(&path).await?;
        Ok(content.map(|content| {
            let end = content.len().min(LONGEST_MESSAGE);
            String::from_utf8_lossy(&content[..end]).into_owned()
        }))
    }

    /// Says last words in a machine's place, unless it has said some itself (trap 7.8): then
    /// nothing changes. No error when the machine has no folder any more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn leave_shutdown_message(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
        text: &str,
    ) -> Result<(), StoreError> {
        proof.allow().await?;
        let path = layout::outputs(proof.space(), machine).join(SHUTDOWN_MESSAGE);
        match self.fs().put_if_absent(&path, text.as_bytes(), Mode::Public).await {
            Ok(PutOutcome::Ours | PutOutcome::Theirs) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(at("write", &path)(error)),
        }
    }

    /// Keys of a current machine's features, sorted. `None`: there is no such machine now.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn feature_keys(
        &self,
        space: &SpaceName,
        machine: &MachineName,
        kind: FeatureKind,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let folder = layout::machine(space, machine);
        let dir = folder.join(kind.as_str());
        let mut keys = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        if keys.is_empty() {
            return Ok(None);
        }
        keys.retain(|key| is_feature_key(key));
        keys.sort();
        Ok(Some(keys))
    }

    /// The value of a feature of a current machine. `None`: no such machine, or no such key.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn feature(
        &self,
        space: &SpaceName,
        machine: &MachineName,
        kind: FeatureKind,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if !is_feature_key(key) {
            return Ok(None);
        }
        self.read_optional(&layout::machine(space, machine).join(kind.as_str()).join(key)).await
    }

    /// Tells a machine something about itself, for example `shutdowntime_job`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn set_job_feature(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        self.set_feature(proof, machine, (FeatureKind::Job, key), value).await
    }

    /// Tells a machine something about its surroundings, for example `shutdowntime`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said.
    pub async fn set_machine_feature(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        self.set_feature(proof, machine, (FeatureKind::Machine, key), value).await
    }

    async fn set_feature(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
        (kind, key): (FeatureKind, &str),
        value: &str,
    ) -> Result<(), StoreError> {
        if !is_feature_key(key) {
            return Err(StoreError::InvalidName { kind: "feature key", text: key.to_owned() });
        }
        proof.allow().await?;
        let path = layout::machine(proof.space(), machine).join(kind.as_str()).join(key);
        self.fs().write(&path, value.as_bytes(), Mode::Public).await.map_err(at("write", &path))
    }

    /// The content of a file that need not be there.
    pub(super) async fn read_optional(
        &self,
        path: &StatePath,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.fs().read(path).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_outputs_stay_in_their_folder_and_are_portable() {
        for good in ["heartbeat", "shutdown_message", "job.log.gz", "a@b+c=d,e:f", &"x".repeat(100)]
        {
            assert!(OutputName::parse(good).is_some(), "{good:?}");
        }
        let long = "x".repeat(101);
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "/a",
            "../a",
            "a\\b",
            "a b",
            "a\nb",
            "a\0b",
            "é",
            "a%2fb",
            "a*b",
            "-\u{202e}x",
            &long,
        ] {
            assert!(OutputName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
