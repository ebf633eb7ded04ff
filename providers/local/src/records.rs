//! What is written down of a machine: `spec.json`, `started.json` and `ended.json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::{Megabytes, Processors, Tags, Timestamp};

/// The format of `spec.json` that this version writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// Whether the script is bound to some of the host's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pinning {
    /// Bound to as many as the machine has.
    Pinned,
    /// Not bound: the configuration gives out more processors than the host has.
    Free,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) format: u32,
    pub(crate) tags: Tags,
    pub(crate) flavour: String,
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
    pub(crate) created: Timestamp,
    /// Random; in the environment of every process of the machine.
    pub(crate) mark: String,
    pub(crate) pinning: Pinning,
    pub(crate) start_window_ms: u64,
    pub(crate) grace_ms: u64,
    pub(crate) patience_ms: u64,
    pub(crate) console_bytes: u64,
}

impl Spec {
    /// Until when the supervisor may begin; a machine without one is a failed machine afterwards.
    pub(crate) fn start_by(&self) -> Timestamp {
        self.created + Duration::from_millis(self.start_window_ms)
    }
}

/// The supervisor began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) at: Timestamp,
    /// Pid of the supervisor, which is also the session of the script.
    pub(crate) supervisor: i32,
    /// When the kernel started that pid, in its ticks since boot: tells it from a later bearer.
    pub(crate) ticks: u64,
    /// The host's boot in which all this is meant.
    pub(crate) boot: String,
    /// Processors that the script is bound to; empty: all.
    pub(crate) bound_to: Vec<usize>,
}

/// The machine ended: nothing of it was running any more when this was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) at: Timestamp,
    pub(crate) cause: Cause,
}

/// Why a machine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// The script ended by itself.
    Exited {
        code: i32,
    },
    /// The script was killed by a signal.
    Signalled {
        signal: String,
    },
    /// Its hard end came.
    Deadline,
    /// Somebody asked for its end.
    Asked,
    /// It held more memory than it was given.
    Memory {
        used: Megabytes,
        limit: Megabytes,
    },
    /// The host goes down, or somebody ended the supervisor in an orderly way.
    Terminated,
    SupervisorDied {
        how: String,
    },
    NotStarted {
        why: String,
    },
}
