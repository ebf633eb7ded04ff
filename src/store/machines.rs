//! Machines: folder, record, archive. The record is the last file of a new folder, so a folder
//! without one never reached the cloud; whoever makes or sweeps it does so by put-if-absent on the
//! record's name, so that never both can succeed.

use std::collections::BTreeSet;
use std::io;

use futures::{StreamExt, TryStreamExt, stream};

use super::codec::{self, CorruptRecord, Unreadable};
use super::error::at;
use super::{
    Fault, MachineFiles, Mode, NewFile, Proof, PutOutcome, StatePath, Store, StoreError, layout,
    locked,
};
use crate::model::{MachineName, MachineRecord, SpaceName, SpaceTenancy, Timestamp};
use vcycle_api::UserData;

/// Files that are read at once: enough to hide the latency of a file server.
const PARALLEL: usize = 32;

/// What the sweeper puts in the place of a record that was never written.
pub(super) const TOMBSTONE: &[u8] = b"swept by ";

/// Everything that the folder of a space holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadedSpace {
    /// Records of machines that are not archived, by name.
    pub records: Vec<MachineRecord>,
    /// Current machines whose record cannot be read: each may stand for a VM.
    pub corrupt: Vec<CorruptRecord>,
    /// Machines proven gone whose folders are still kept, by name.
    pub archived: Vec<Archived>,
    /// Archived machines whose record cannot be read: of no consequence, kept for people.
    pub archived_corrupt: Vec<CorruptRecord>,
    /// Folders without a record: a create that never reached the cloud, or one that is under way.
    pub unfinished: Vec<MachineName>,
    /// Names among the machines that are not machine names: left alone.
    pub strange: Vec<String>,
    /// The tenancy that the machines are in, once it is known.
    pub tenancy: Option<SpaceTenancy>,
}

/// A machine that is proven gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its name.
    pub machine: MachineName,
    /// When it was proven gone; if its record does not say, when the record was last written.
    pub at: Timestamp,
    /// Its record.
    pub record: MachineRecord,
}

/// One folder, read.
pub(super) enum Folder {
    Record(Box<MachineRecord>),
    Corrupt(CorruptRecord),
    Unfinished(MachineName),
    Strange(String),
}

impl Store {
    /// Reads all records of a space, current and archived. A record that cannot be read is
    /// reported, never skipped. A space without a folder is empty.
    ///
    /// # Errors
    /// What the filesystem said (also for a single file, unless it is the file itself that is
    /// at fault): then nothing is known, and nothing may follow from it.
    pub async fn load_space(&self, space: &SpaceName) -> Result<LoadedSpace, StoreError> {
        let tenancy = self.tenancy(space).await?;
        let mut loaded = LoadedSpace { tenancy, ..LoadedSpace::default() };
        for folder in self.load_folders(space, layout::current(space)).await? {
            match folder {
                Folder::Record(record) => loaded.records.push(*record),
                Folder::Corrupt(corrupt) => loaded.corrupt.push(corrupt),
                Folder::Unfinished(machine) => loaded.unfinished.push(machine),
                Folder::Strange(name) => loaded.strange.push(name),
            }
        }
        let mut archived = Vec::new();
        for folder in self.load_folders(space, layout::deleted(space)).await? {
            match folder {
                Folder::Record(record) => archived.push(*record),
                Folder::Corrupt(corrupt) => loaded.archived_corrupt.push(corrupt),
                Folder::Unfinished(_) => {}
                Folder::Strange(name) => loaded.strange.push(name),
            }
        }
        // In both after a restore: the current one counts.
        let current: BTreeSet<&MachineName> =
            loaded.records.iter().map(MachineRecord::machine).collect();
        archived.retain(|record| !current.contains(record.machine()));
        loaded.archived = self.dated(space, archived).await?;
        Ok(loaded)
    }

    pub(super) async fn load_folders(
        &self,
        space: &SpaceName,
        dir: StatePath,
    ) -> Result<Vec<Folder>, StoreError> {
        let mut names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        names.sort_unstable();
        stream::iter(names)
            .map(|name| self.load_folder(space, dir.join(&name), name))
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    async fn load_folder(
        &self,
        space: &SpaceName,
        folder: StatePath,
        name: String,
    ) -> Result<Folder, StoreError> {
        let Ok(machine) = MachineName::parse(&name) else { return Ok(Folder::Strange(name)) };
        let path = folder.join(layout::RECORD);
        let content = match self.fs().read(&path).await {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Folder::Unfinished(machine));
            }
            // This file is at fault, and stays so; the others can be read.
            Err(error) if matches!(Fault::of(&error), Fault::Permission | Fault::Conflict) => {
                return Ok(Folder::Corrupt(CorruptRecord { machine, why: error.to_string() }));
            }
            Err(error) => return Err(at("read", &path)(error)),
        };
        if content.starts_with(TOMBSTONE) {
            return Ok(Folder::Unfinished(machine));
        }
        Ok(match self.understand(space, &machine, &content) {
            Ok(record) => Folder::Record(Box::new(record)),
            Err(unreadable) => {
                let why = unreadable.at(&path).to_string();
                Folder::Corrupt(CorruptRecord { machine, why })
            }
        })
    }

    /// Decodes a record and checks that it lies in its own place.
    fn understand(
        &self,
        space: &SpaceName,
        machine: &MachineName,
        content: &[u8],
    ) -> Result<MachineRecord, Unreadable> {
        let (record, extras) = codec::decode_record(content)?;
        if record.machine() != machine || record.space() != space {
            let why = format!("it is the record of {} in {}", record.machine(), record.space());
            return Err(Unreadable::Corrupt(why));
        }
        let key = (space.clone(), machine.clone());
        let mut known = locked(&self.0.extras);
        if extras.is_empty() {
            known.remove(&key);
        } else {
            known.insert(key, extras);
        }
        Ok(record)
    }

    async fn dated(
        &self,
        space: &SpaceName,
        records: Vec<MachineRecord>,
    ) -> Result<Vec<Archived>, StoreError> {
        let paths: Vec<StatePath> = records
            .iter()
            .map(|record| layout::deleted_machine(space, record.machine()).join(layout::RECORD))
            .collect();
        let dir = layout::deleted(space);
        let written = self.fs().modified(&paths).await.map_err(at("look at", &dir))?;
        Ok(records
            .into_iter()
            .zip(written)
            .map(|(record, written)| Archived {
                machine: record.machine().clone(),
                at: record.gone.as_ref().map_or(written.unwrap_or(record.intended), |gone| gone.at),
                record,
            })
            .collect())
    }

    /// Makes the folder of a machine that is about to be created: features and `user_data`, and the
    /// record last. When this returns `Ok`, the intent is durable and the create call may be made.
    ///
    /// # Errors
    /// Any error means: do not make the call. [`StoreError::Exists`]: there is a record of this
    /// name. After another error the record may be there all the same; then it is an open intent
    /// like any other, found by the next [`Store::load_space`].
    pub async fn create_machine(
        &self,
        proof: &Proof<'_>,
        record: &MachineRecord,
        files: &MachineFiles,
    ) -> Result<(), StoreError> {
        let content = self.stamped(proof, record)?;
        proof.allow().await?;
        let folder = layout::machine(proof.space(), record.machine());
        let path = folder.join(layout::RECORD);
        // The files of a machine that exists must not be overwritten on the way to being refused.
        if self.read_optional(&path).await?.is_some_and(|there| there != content) {
            return Err(StoreError::Exists { machine: record.machine().to_string() });
        }
        let MachineFiles { machinefeatures, jobfeatures, user_data } = files;
        let mut new_files = vec![NewFile {
            path: folder.join(layout::USER_DATA),
            content: user_data.expose().as_bytes().to_vec(),
            mode: Mode::Private,
        }];
        for (name, keys) in
            [(layout::MACHINEFEATURES, machinefeatures), (layout::JOBFEATURES, jobfeatures)]
        {
            let dir = folder.join(name);
            self.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
            new_files.extend(keys.iter().map(|(key, value)| NewFile {
                path: dir.join(key),
                content: value.as_bytes().to_vec(),
                mode: Mode::Public,
            }));
        }
        let outputs = folder.join(layout::JOBOUTPUTS);
        self.fs().make_dir(&outputs).await.map_err(at("make", &outputs))?;
        self.fs().write_many(&new_files).await.map_err(at("write the files of", &folder))?;
        // The files took a while; from here on the intent counts.
        proof.allow().await?;
        match self.fs().put_if_absent(&path, &content, Mode::Public).await {
            Ok(PutOutcome::Ours) => Ok(()),
            Ok(PutOutcome::Theirs) => {
                Err(StoreError::Exists { machine: record.machine().to_string() })
            }
            Err(error) => Err(at("write", &path)(error)),
        }
    }

    /// Writes a record anew, stamped with the proof's generation and manager.
    ///
    /// # Errors
    /// After an error the old record stands or the new one, never a part. A record whose folder is
    /// gone is not made again: `Io` with [`Fault::Conflict`].
    pub async fn save_record(
        &self,
        proof: &Proof<'_>,
        record: &MachineRecord,
    ) -> Result<(), StoreError> {
        let content = self.stamped(proof, record)?;
        proof.allow().await?;
        let path = layout::record(proof.space(), record.machine());
        self.fs().write(&path, &content, Mode::Public).await.map_err(at("write", &path))
    }

    fn stamped(&self, proof: &Proof<'_>, record: &MachineRecord) -> Result<Vec<u8>, StoreError> {
        if record.space() != proof.space() {
            return Err(StoreError::WrongSpace {
                record: record.space().to_string(),
                proof: proof.space().to_string(),
            });
        }
        let mut record = record.clone();
        record.format = MachineRecord::FORMAT;
        record.written_by = proof.generation();
        record.manager = proof.manager().clone();
        let known = locked(&self.0.extras);
        let extras = known.get(&(record.space().clone(), record.machine().clone()));
        Ok(codec::encode_record(&record, extras))
    }

    /// Moves a machine that is proven gone to `deleted`. No error when it is there already.
    ///
    /// # Errors
    /// After an error the whole folder is in one of the two places.
    pub async fn archive(
        &self,
        proof: &Proof<'_>,
        machine: &MachineName,
    ) -> Result<(), StoreError> {
        proof.allow().await?;
        let from = layout::machine(proof.space(), machine);
        let to = layout::deleted_machine(proof.space(), machine);
        let moved = match self.fs().rename(&from, &to).await {
            // The two copies that a backup may have taken of one machine: the current one counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Opening the record tells for sure that the current one is there.
                let path = from.join(layout::RECORD);
                self.fs().read(&path).await.map_err(at("read", &path))?;
                self.fs().remove(&to).await.map_err(at("replace", &to))?;
                self.fs().rename(&from, &to).await
            }
            moved => moved,
        };
        moved.map_err(at("archive", &from))?;
        locked(&self.0.extras).remove(&(proof.space().clone(), machine.clone()));
        Ok(())
    }

    /// Removes an archived machine's folder for good. No error when there is none.
    ///
    /// # Errors
    /// After an error parts of it may be left; they are removed by the next try or sweep.
    pub async fn expire(&self, proof: &Proof<'_>, machine: &MachineName) -> Result<(), StoreError> {
        proof.allow().await?;
        let folder = layout::deleted_machine(proof.space(), machine);
        self.fs().remove(&folder).await.map_err(at("remove", &folder))
    }

    /// The record of a current machine. `None`: there is no such machine now.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], or what the filesystem said.
    pub async fn record(
        &self,
        space: &SpaceName,
        machine: &MachineName,
    ) -> Result<Option<MachineRecord>, StoreError> {
        let path = layout::record(space, machine);
        let content = self.read_optional(&path).await?;
        let Some(content) = content.filter(|content| !content.starts_with(TOMBSTONE)) else {
            return Ok(None);
        };
        let record = self.understand(space, machine, &content);
        record.map(Some).map_err(|unreadable| unreadable.at(&path))
    }

    /// The contextualisation of a current machine, as it was rendered for its create call: to
    /// repeat an open intent with exactly the same request.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not text, or what the filesystem said.
    pub async fn user_data(
        &self,
        space: &SpaceName,
        machine: &MachineName,
    ) -> Result<Option<UserData>, StoreError> {
        let path = layout::machine(space, machine).join(layout::USER_DATA);
        let Some(content) = self.read_optional(&path).await? else { return Ok(None) };
        match String::from_utf8(content) {
            Ok(text) => Ok(Some(UserData::new(text))),
            // The error would show the bytes, which are secret.
            Err(_) => Err(Unreadable::Corrupt("it is not UTF-8 text".to_owned()).at(&path)),
        }
    }
}
