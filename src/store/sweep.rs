//! What a new owner tidies up: folders whose create call was never made, rests of expired ones,
//! files in the making of writers that died. Nothing that can stand for a VM is ever removed here.

use std::io;

use super::error::at;
use super::machines::{Folder, TOMBSTONE};
use super::{Mode, Proof, PutOutcome, StatePath, Store, StoreError, layout};
use crate::model::{Generation, MachineName, SpaceName};

/// What [`Store::sweep`] removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Folders that never got a record.
    pub machines: Vec<MachineName>,
    /// Files in the making of writers that died.
    pub temporary_files: usize,
}

impl Store {
    /// Removes what crashes left. [`super::Ownership::take_vacant`] does this for a new owner.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the filesystem said; it can be repeated.
    pub async fn sweep(&self, proof: &Proof<'_>) -> Result<Swept, StoreError> {
        proof.allow().await?;
        let space = proof.space();
        let mut swept = Swept::default();
        for folder in self.load_folders(space, layout::current(space)).await? {
            if let Folder::Unfinished(machine) = folder
                && self.sweep_machine(proof, &machine).await?
            {
                swept.machines.push(machine);
            }
        }
        for folder in self.load_folders(space, layout::deleted(space)).await? {
            if let Folder::Unfinished(machine) = folder {
                self.expire(proof, &machine).await?;
            }
        }
        for dir in layout::long_lived(space) {
            swept.temporary_files += self.fs().sweep(&dir).await.map_err(at("sweep", &dir))?;
        }
        Ok(swept)
    }

    /// Removes the folder of a machine that has no record. Its absence is not believed (look-ups may
    /// be old, and its maker may only be paused): the place of the record is taken first, exclusively.
    async fn sweep_machine(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
    ) -> Result<bool, StoreError> {
        let folder = layout::machine(proof.space(), machine);
        let path = folder.join(layout::RECORD);
        let mut tombstone = TOMBSTONE.to_vec();
        let by = format!("{} as generation {}\n", proof.manager(), proof.generation());
        tombstone.extend_from_slice(by.as_bytes());
        match self.fs().put_if_absent(&path, &tombstone, Mode::Public).await {
            Ok(PutOutcome::Ours) => {}
            Ok(PutOutcome::Theirs) if self.is_tombstone(&path).await? => {}
            Ok(PutOutcome::Theirs) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(at("sweep", &path)(error)),
        }
        self.fs().remove(&folder).await.map_err(at("remove", &folder))?;
        Ok(true)
    }

    async fn is_tombstone(&self, path: &StatePath) -> Result<bool, StoreError> {
        let content = self.read_optional(path).await?;
        Ok(content.is_some_and(|content| content.starts_with(TOMBSTONE)))
    }

    /// The highest generation that any record of a space was written under.
    pub(super) async fn highest_written(
        &self,
        space: &SpaceName,
    ) -> Result<Generation, StoreError> {
        let mut highest = Generation::default();
        for dir in [layout::current(space), layout::deleted(space)] {
            for folder in self.load_folders(space, dir).await? {
                if let Folder::Record(record) = folder {
                    highest = highest.max(record.written_by).max(record.tags.generation);
                }
            }
        }
        Ok(highest)
    }
}
