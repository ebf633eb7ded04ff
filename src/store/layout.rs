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

    pub(super) fn join(&self, part: &str) -> Self {
        debug_assert!(!part.contains('/') && part != ".." && !part.is_empty());
        Self(self.0.join(part))
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
