//! What a person asked for. The command line writes a request; the owner of the space carries it out.

use serde::{Deserialize, Serialize};

use super::{MachineName, MachinetypeName, ManagerName, Timestamp};

/// Identity of a request: the name of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

/// A standing request. A drain of a machinetype or a space stands until it is cancelled; the
/// others end when their machine is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRequest {
    /// Version of this format: 1.
    pub format: u32,
    /// Its name.
    pub id: RequestId,
    /// Who asked: user@host.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// What for.
    pub what: RequestWhat,
}

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum RequestWhat {
    /// Tell one machine to end by a time.
    DrainMachine {
        /// Which.
        machine: MachineName,
        /// Until when.
        by: Timestamp,
    },
    /// Tell all machines of a machinetype to end by a time, and make no more.
    DrainMachinetype {
        /// Which.
        machinetype: MachinetypeName,
        /// Until when.
        by: Timestamp,
    },
    /// Tell all machines of the space to end by a time, and make no more.
    DrainSpace {
        /// Until when.
        by: Timestamp,
    },
    /// Give the space to another manager.
    HandOver {
        /// To whom; `None`: to the best placed of the others.
        to: Option<ManagerName>,
        /// For how many seconds that one is to keep it, even if another is placed better.
        keep_secs: u64,
    },
    /// Delete one machine now.
    DeleteMachine {
        /// Which.
        machine: MachineName,
    },
}
