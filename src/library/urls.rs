//! The URLs that a machine is given (FIELD.md 1.4), composed here and nowhere else. Pure.

use crate::model::{MachineName, SpaceName};

/// URLs of one machine, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineUrls {
    /// `$MACHINEFEATURES`.
    pub machinefeatures: String,
    /// `$JOBFEATURES`.
    pub jobfeatures: String,
    /// `$JOBOUTPUTS`.
    pub joboutputs: String,
    /// Folder of the space's heartbeat lists: a machinetype's name is appended.
    pub heartbeatlists: String,
}

impl MachineUrls {
    /// `base` is `https://HOST:PORT`.
    pub fn new(base: &str, space: &SpaceName, machine: &MachineName) -> Self {
        let of_machine = |kind| format!("{base}/machines/{space}/{machine}/{kind}");
        Self {
            machinefeatures: of_machine("machinefeatures"),
            jobfeatures: of_machine("jobfeatures"),
            joboutputs: of_machine("joboutputs"),
            heartbeatlists: format!("{base}/heartbeatlists/{space}"),
        }
    }
}
