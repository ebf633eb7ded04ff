//! Every path of the state directory, built here and nowhere else. `docs/STATE-DIR.md` describes
//! each file: its writer, its durability, its version.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::{Generation, MachineName, MachinetypeName, ManagerName, RequestId, SpaceName};

/// A path inside the state directory, relative to its root. Only this file can make one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatePath(PathBuf);

impl StatePath {
    /// The path below the root.
    pub fn relative(&self) -> &Path {
        &self.0
    }

    /// The path of an entry of this directory. A name that could leave it is a fault of the caller:
    /// every name from outside is parsed before it comes here.
    pub(super) fn join(&self, part: &str) -> Self {
        assert!(
            !part.contains('/') && part != ".." && part != "." && !part.is_empty(),
            "{part:?} is not the name of one file"
        );
        Self(self.0.join(part))
    }

    /// The directory that holds this path; `None` for an entry of the root.
    pub(super) fn parent(&self) -> Option<Self> {
        let parent = self.0.parent()?;
        (parent != Path::new("")).then(|| Self(parent.to_owned()))
    }

    /// The mode of the directory at this path. A machine's folder holds its rendered `user_data`
    /// (secrets) and whatever the machine has put (perhaps secrets): only the manager's user and
    /// group may enter it. Everything else is for all to read.
    pub(super) fn directory_mode(&self) -> u32 {
        let parts: Vec<&str> = self.0.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["spaces", _, "current" | "deleted", _, ..] => 0o750,
            _ => 0o755,
        }
    }
}

impl fmt::Debug for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

fn path(parts: &[&str]) -> StatePath {
    StatePath(parts.iter().collect())
}

pub(super) fn deployment() -> StatePath {
    path(&["deployment.json"])
}
pub(super) fn authority() -> StatePath {
    path(&["authority.pem"])
}
pub(super) fn shared_config() -> StatePath {
    path(&["conf.d"])
}
pub(super) fn managers() -> StatePath {
    path(&["managers"])
}
pub(super) fn manager(name: &ManagerName) -> StatePath {
    managers().join(&format!("{name}.json"))
}
pub(super) fn manager_lock(name: &ManagerName) -> StatePath {
    managers().join(&format!("{name}.lock"))
}
pub(super) fn spaces() -> StatePath {
    path(&["spaces"])
}
pub(super) fn space(space: &SpaceName) -> StatePath {
    spaces().join(space.as_str())
}
pub(super) fn owner(name: &SpaceName) -> StatePath {
    space(name).join("owner")
}
pub(super) fn generation(name: &SpaceName, generation: Generation) -> StatePath {
    owner(name).join(&format!("{:08}", generation.0))
}
pub(super) fn renewal(name: &SpaceName, generation: Generation) -> StatePath {
    owner(name).join(&format!("{:08}.renew", generation.0))
}
pub(super) fn plan(name: &SpaceName) -> StatePath {
    space(name).join("plan.json")
}
pub(super) fn tenancy(name: &SpaceName) -> StatePath {
    space(name).join("tenancy.json")
}
pub(super) fn requests(name: &SpaceName) -> StatePath {
    space(name).join("requests")
}
pub(super) fn request(name: &SpaceName, id: &RequestId) -> StatePath {
    requests(name).join(&format!("{}.json", id.0))
}
pub(super) fn current(name: &SpaceName) -> StatePath {
    space(name).join("current")
}
pub(super) fn machine(name: &SpaceName, machine: &MachineName) -> StatePath {
    current(name).join(machine.as_str())
}
pub(super) fn deleted(name: &SpaceName) -> StatePath {
    space(name).join("deleted")
}
pub(super) fn deleted_machine(name: &SpaceName, machine: &MachineName) -> StatePath {
    deleted(name).join(machine.as_str())
}
pub(super) fn heartbeat_lists(name: &SpaceName) -> StatePath {
    space(name).join("heartbeatlists")
}
pub(super) fn heartbeat_list(name: &SpaceName, machinetype: &MachinetypeName) -> StatePath {
    heartbeat_lists(name).join(machinetype.as_str())
}
/// Everything about spending.
pub(super) fn ledger() -> StatePath {
    path(&["ledger"])
}
/// The files of the spend manager.
pub(super) fn caps() -> StatePath {
    path(&["caps.d"])
}
/// That there was a ledger once. Not in its directory, with which it would be lost.
pub(super) fn ledger_begun() -> StatePath {
    path(&["ledger-begun.json"])
}
/// The first entries of all blocks, and the directories of those that are not packed.
pub(super) fn ledger_log() -> StatePath {
    ledger().join("log")
}
/// The first entry of a block: it stays for ever, so that its number can be had only once.
pub(super) fn ledger_first(number: u64) -> StatePath {
    ledger_log().join(&entry_file(number))
}
/// The directory of the other entries of a block. `attempt` is that of its first entry: whoever makes the directory
/// and then not the first entry has made a directory that nobody looks into.
pub(super) fn ledger_block(block: u64, attempt: &str) -> StatePath {
    ledger_log().join(&format!("{block:06}-{attempt}"))
}
/// An entry in the directory of its block.
pub(super) fn ledger_entry(block: &StatePath, number: u64) -> StatePath {
    block.join(&entry_file(number))
}
pub(super) fn ledger_checkpoints() -> StatePath {
    ledger().join("checkpoints")
}
pub(super) fn ledger_checkpoint(number: u64) -> StatePath {
    ledger_checkpoints().join(&entry_file(number))
}
pub(super) fn ledger_packed() -> StatePath {
    ledger().join("packed")
}
pub(super) fn ledger_pack(block: u64) -> StatePath {
    ledger_packed().join(&format!("{block:06}.jsonl"))
}
/// Files of entries and of the checkpoints after them are named alike.
fn entry_file(number: u64) -> String {
    format!("{number:010}.json")
}

/// Directories of a space that outlive its machines.
pub(super) fn long_lived(name: &SpaceName) -> [StatePath; 6] {
    [space(name), owner(name), requests(name), heartbeat_lists(name), current(name), deleted(name)]
}

/// Written by a new owner into the directories that it is about to list; no listing shows it.
pub(super) fn touched(dir: &StatePath) -> StatePath {
    dir.join(".owner")
}

/// What a machine has put, while it is in `current`.
pub(super) fn outputs(name: &SpaceName, of: &MachineName) -> StatePath {
    machine(name, of).join(JOBOUTPUTS)
}
/// The record of a machine in `current`.
pub(super) fn record(name: &SpaceName, of: &MachineName) -> StatePath {
    machine(name, of).join(RECORD)
}

/// The record in a machine's folder.
pub(super) const RECORD: &str = "record.json";
/// The rendered contextualisation, 0600.
pub(super) const USER_DATA: &str = "user_data";
/// Machine features: one file a key.
pub(super) const MACHINEFEATURES: &str = "machinefeatures";
/// Job features: one file a key.
pub(super) const JOBFEATURES: &str = "jobfeatures";
/// What the machine has put.
pub(super) const JOBOUTPUTS: &str = "joboutputs";
