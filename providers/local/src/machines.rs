//! The machines in the provider's folder. Blocking file work only; no process is started here.
//!
//! Everything here may be called by several providers, in several managers, at once.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vcycle_api::{
    Identity, Instance, InstanceId, InstanceState, IntentToken, Market, Megabytes, OfferingId,
    Processors, Timestamp,
};

use crate::folder::{self, Draft, Folder, Installed, Life, NoSpec};
use crate::lock::{self, Held, Role};
use crate::procs::{self, Belonging, LeftOver};
use crate::records::Spec;
use crate::state::{Facts, state_of};

/// How long a removed machine's folder stays: no create call is under way for so long.
const TOMBSTONE: Duration = Duration::from_secs(24 * 3600);

/// How long a removed machine's console stays, for people.
const CONSOLE: Duration = Duration::from_secs(3600);

/// How long something may be in `tmp` before its maker is taken for dead.
const TEMPORARY: Duration = Duration::from_secs(3600);

/// The provider's folder.
#[derive(Debug)]
pub(crate) struct Machines {
    dir: PathBuf,
    /// Device and inode of `machines/` when it was opened; `None`: it was not there, and who only
    /// observes does not make it.
    identity: Option<(u64, u64)>,
}

/// What is in use. Everything that is not proven gone counts, whoever made it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) machines: u32,
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
}

/// All folders, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) instances: Vec<Instance>,
    pub(crate) problems: Vec<String>,
}

/// What stands in the place of an intent.
#[derive(Debug)]
pub(crate) enum Place {
    Free,
    /// Its machine, perhaps removed since.
    Machine,
    /// Nothing, and there never will be.
    Fenced,
    /// Something that cannot be read or is not ours.
    Unclear(String),
}

/// How far a removal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    Done,
    /// Its supervisor or guard lives and does it, or processes were killed and may still be there.
    UnderWay,
}

/// What a delete finds.
#[derive(Debug)]
pub(crate) enum Target {
    Absent,
    Machine(Folder, Box<Spec>),
    /// Never touched.
    Stranger(String),
}

impl Machines {
    /// Opens the folder, making it if need be.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        folder::make_private_dir(&dir.join("machines"))?;
        folder::make_private_dir(&dir.join("tmp"))?;
        // The supervisor works elsewhere, so the path must hold from anywhere.
        let dir = fs::canonicalize(dir)?;
        let identity = Some(folder::identity(&dir.join("machines"))?);
        Ok(Self { dir, identity })
    }

    /// Opens the folder to look into it, and makes nothing. Where there is no folder there is no
    /// machine.
    pub(crate) fn observe(dir: &Path) -> io::Result<Self> {
        let dir = match fs::canonicalize(dir) {
            Err(error) if folder::is_absent(&error) => std::path::absolute(dir)?,
            found => found?,
        };
        let identity = match folder::identity(&dir.join("machines")) {
            Err(error) if folder::is_absent(&error) => None,
            found => Some(found?),
        };
        Ok(Self { dir, identity })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Fails when the folder is not the one that was opened: on an unmounted disk every machine
    /// would seem gone.
    pub(crate) fn check(&self) -> io::Result<()> {
        let now = match folder::identity(&self.dir.join("machines")) {
            Err(error) if self.identity.is_none() && folder::is_absent(&error) => None,
            found => Some(found?),
        };
        if now == self.identity {
            Ok(())
        } else {
            Err(io::Error::other("the folder is not the one of before (another disk mounted?)"))
        }
    }

    pub(crate) fn id_of(intent: &IntentToken) -> InstanceId {
        InstanceId::parse(&format!("local-{intent}"))
            .expect("a token has only printable characters")
    }

    pub(crate) fn place_of(&self, intent: &IntentToken) -> Folder {
        Folder::at(self.dir.join("machines").join(Self::id_of(intent).as_str()))
    }

    /// `None`: no folder could ever have this id.
    pub(crate) fn folder_of(&self, id: &InstanceId) -> Option<Folder> {
        let name = id.as_str();
        let is_name = !name.contains('/') && name != "." && name != "..";
        is_name.then(|| Folder::at(self.dir.join("machines").join(name)))
    }

    /// Everything there is. `now` must have been taken before the call.
    pub(crate) fn list(&self, now: Timestamp) -> io::Result<Seen> {
        self.check()?;
        let mut seen = Seen::default();
        if self.identity.is_none() {
            return Ok(seen);
        }
        for entry in fs::read_dir(self.dir.join("machines"))? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| InstanceId::parse(name).ok()) else {
                tracing::debug!(?name, "something that is no machine is among the machines");
                continue;
            };
            match self.look(&id, now) {
                Ok(Some(instance)) => seen.instances.push(instance),
                Ok(None) => {}
                Err(error) => seen.problems.push(format!("{id}: {error}")),
            }
        }
        seen.instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(seen)
    }

    /// One machine; `None` proves that there is none. `now` must have been taken before the call.
    pub(crate) fn look(&self, id: &InstanceId, now: Timestamp) -> io::Result<Option<Instance>> {
        self.check()?;
        let Some(folder) = self.folder_of(id) else { return Ok(None) };
        let spec = match folder.spec() {
            Ok(spec) => spec,
            Err(NoSpec::Unreadable(error)) => return Err(error),
            Err(NoSpec::NotOurs(why)) => return self.look_at_stranger(id, &folder, why),
        };
        let Some(facts) = Facts::read(&folder, &spec, now)? else {
            return self.look_at_stranger(id, &folder, "it has no life".to_owned());
        };
        let Some(state) = state_of(&facts) else { return Ok(None) };
        Ok(Some(Instance {
            id: id.clone(),
            name: spec.tags.machine.to_string(),
            identity: Identity::Vcycle(spec.tags),
            state,
            offering: Some(OfferingId {
                flavour: spec.flavour,
                zone: String::new(),
                market: Market::OnDemand,
            }),
            processors: Some(spec.processors),
            memory: Some(spec.memory),
            created: Some(spec.created),
            started: facts.started.map(|started| started.at),
            ended: facts.ended.map(|ended| ended.at),
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        }))
    }

    fn look_at_stranger(
        &self,
        id: &InstanceId,
        folder: &Folder,
        why: String,
    ) -> io::Result<Option<Instance>> {
        self.check()?;
        if !folder.exists()? || folder.life()? == Some(Life::Gone) {
            return Ok(None);
        }
        Ok(Some(Instance {
            id: id.clone(),
            name: id.to_string(),
            identity: Identity::Foreign,
            state: InstanceState::Unknown { word: why },
            offering: None,
            processors: None,
            memory: None,
            created: None,
            started: None,
            ended: None,
            addresses: Vec::new(),
        }))
    }

    /// What is in use. Fails when anything cannot be read: a limit must not be passed unseen.
    pub(crate) fn in_use(&self, now: Timestamp) -> io::Result<Use> {
        let seen = self.list(now)?;
        if let Some(problem) = seen.problems.first() {
            return Err(io::Error::other(format!("a machine cannot be read: {problem}")));
        }
        let processors = seen.instances.iter().filter_map(|i| i.processors).sum();
        let memory = seen.instances.iter().filter_map(|i| i.memory).sum();
        let machines = u32::try_from(seen.instances.len()).unwrap_or(u32::MAX);
        Ok(Use { machines, processors, memory })
    }

    /// What stands in the place of an intent.
    pub(crate) fn place(&self, intent: &IntentToken) -> io::Result<Place> {
        self.check()?;
        let folder = self.place_of(intent);
        Ok(match folder.spec() {
            Ok(spec) if spec.tags.intent == *intent => Place::Machine,
            Ok(_) => Place::Unclear("the machine in its place has another intent".to_owned()),
            Err(NoSpec::Unreadable(error)) => return Err(error),
            Err(NoSpec::NotOurs(why)) => {
                if !folder.exists()? {
                    Place::Free
                } else if folder.life()? == Some(Life::Gone) {
                    Place::Fenced
                } else {
                    Place::Unclear(why)
                }
            }
        })
    }

    /// Held while use is added up and a folder is made. `None`: somebody else has it.
    pub(crate) fn admission(&self) -> io::Result<Option<Held>> {
        lock::create_and_try(&self.dir.join("admission.lock"), Role::Remover)
    }

    /// A complete folder under a temporary name: nothing has happened yet.
    pub(crate) fn draft(&self, draft: &Draft<'_>) -> io::Result<tempfile::TempDir> {
        folder::draft(&self.dir.join("tmp"), draft)
    }

    /// Makes sure that an intent, whose place was free, never becomes a machine, even if its create
    /// call is still under way: its place is taken by a tombstone.
    pub(crate) fn fence(&self, intent: &IntentToken) -> io::Result<Installed> {
        let tombstone = folder::draft_fence(&self.dir.join("tmp"))?;
        folder::install(tombstone, &self.place_of(intent))
    }

    /// What a delete of this id would remove.
    pub(crate) fn target(&self, id: &InstanceId) -> io::Result<Target> {
        self.check()?;
        let Some(folder) = self.folder_of(id) else { return Ok(Target::Absent) };
        match folder.spec() {
            Ok(spec) if Self::id_of(&spec.tags.intent) != *id => {
                Ok(Target::Stranger("its spec.json is of another machine".to_owned()))
            }
            Ok(_) if folder.life()? == Some(Life::Gone) => Ok(Target::Absent),
            Ok(spec) => Ok(Target::Machine(folder, Box::new(spec))),
            Err(NoSpec::Unreadable(error)) => Err(error),
            Err(NoSpec::NotOurs(_)) if !folder.exists()? || folder.life()? == Some(Life::Gone) => {
                Ok(Target::Absent)
            }
            Err(NoSpec::NotOurs(why)) => Ok(Target::Stranger(why)),
        }
    }

    /// Removes what is left of a machine that nobody supervises. Repeat until it is done.
    pub(crate) fn remove(&self, folder: &Folder, spec: &Spec) -> io::Result<Removal> {
        self.check()?;
        if folder.life()? == Some(Life::Gone) || !folder.exists()? {
            return Ok(Removal::Done);
        }
        // With both roles in our hand no supervisor lives and none can begin.
        let Some(_held) = lock::try_take(&folder.lock(), Role::Remover)? else {
            return Ok(Removal::UnderWay);
        };
        let session = folder.started()?.and_then(|started| LeftOver::of(&started, folder.path()));
        let belonging = Belonging { mark: Some(spec.mark.clone()), root: None, session };
        if procs::kill_all(&belonging)? > 0 {
            return Ok(Removal::UnderWay);
        }
        folder.bury()?;
        Ok(Removal::Done)
    }

    /// Removes old tombstones, consoles and what creators that died have left. Under the admission lock, so that
    /// no machine is just being put in the place of a tombstone.
    pub(crate) fn clean_up(&self, now: Timestamp) -> io::Result<()> {
        self.check()?;
        let tmp = self.dir.join("tmp");
        for entry in fs::read_dir(self.dir.join("machines"))? {
            let path = entry?.path();
            let folder = Folder::at(&path);
            let is_tombstone = matches!(folder.life(), Ok(Some(Life::Gone)))
                && matches!(folder.spec(), Ok(_) | Err(NoSpec::NotOurs(_)));
            if !is_tombstone {
                continue;
            }
            let age = age(&path, now)?;
            if age > CONSOLE {
                let _ = fs::remove_file(folder.console());
                let _ = fs::remove_file(folder.older_console());
            }
            if age > TOMBSTONE
                && let Some(name) = path.file_name()
            {
                fs::rename(&path, tmp.join(name))?;
            }
        }
        for entry in fs::read_dir(&tmp)? {
            let path = entry?.path();
            if age(&path, now)? > TEMPORARY {
                folder::remove_tree(&path)?;
            }
        }
        Ok(())
    }
}

/// Time since a directory's content was last changed; for a tombstone, since the end of its machine.
fn age(path: &Path, now: Timestamp) -> io::Result<Duration> {
    match fs::symlink_metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => Ok(now.since(Timestamp::from_system(modified))),
        Err(error) if folder::is_absent(&error) => Ok(Duration::ZERO),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn old_tombstones_go_and_machines_and_strangers_stay() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::open(dir.path()).unwrap();
        let place = |name: &str, files: &[&str]| {
            let folder = dir.path().join("machines").join(name);
            fs::create_dir(&folder).unwrap();
            for file in files {
                fs::write(folder.join(file), "").unwrap();
            }
        };
        place("local-ended", &["gone", "console.log", "console.log.1"]);
        place("local-wanted", &["wanted", "console.log"]);
        place("local-unwanted", &["unwanted", "console.log"]);
        place("stranger", &["thesis.tex"]);
        fs::create_dir(dir.path().join("tmp/new-abandoned")).unwrap();
        let now = Timestamp::from_system(fs::metadata(dir.path()).unwrap().modified().unwrap());
        let (all, tmp) = (dir.path().join("machines"), dir.path().join("tmp"));

        machines.clean_up(now + CONSOLE / 2).unwrap();
        assert_eq!(names(&all.join("local-ended")), ["console.log", "console.log.1", "gone"]);
        assert_eq!(names(&tmp), ["new-abandoned"]);

        machines.clean_up(now + CONSOLE * 2).unwrap();
        assert_eq!(names(&all.join("local-ended")), ["gone"]);
        assert_eq!(names(&tmp), Vec::<String>::new());

        machines.clean_up(now + TOMBSTONE * 2).unwrap();
        assert_eq!(names(&all), ["local-unwanted", "local-wanted", "stranger"]);
        assert_eq!(names(&all.join("local-wanted")), ["console.log", "wanted"]);
        assert_eq!(names(&tmp), Vec::<String>::new());
    }

    #[test]
    fn an_id_that_is_a_path_has_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::open(dir.path()).unwrap();
        for id in ["..", ".", "../tmp", "/etc", "a/b"] {
            assert!(machines.folder_of(&InstanceId::parse(id).unwrap()).is_none(), "{id}");
        }
    }
}
