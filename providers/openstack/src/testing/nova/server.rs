//! A server and its life: what it is at any time follows from a few points in time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vcycle_api::Timestamp;

/// Why a server is in error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `fault.code`.
    pub code: u16,
    /// `fault.message`.
    pub message: String,
}

impl Fault {
    /// The scheduler found no host (as recorded).
    pub fn no_valid_host() -> Self {
        Self { code: 500, message: "No valid host was found. ".into() }
    }

    /// A quota was seen to be passed only after the create had been accepted (as recorded).
    pub fn late_quota() -> Self {
        let message = "Quota exceeded for cores: Requested 8, but already used 16 of 16 cores";
        Self { code: 413, message: message.into() }
    }
}

/// What a server becomes by a lever of the test, as if an operator, the guest or a flaw had done it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The guest shut itself down: SHUTOFF.
    ShutOff,
    /// Runs again.
    Runs,
    /// ERROR with this fault, after it had run.
    Error(Fault),
    /// ERROR with this fault: it never came to run.
    FailedBoot(Fault),
    /// Any other status, for example `SHELVED_OFFLOADED`, `PAUSED`, `RESCUE`.
    Status(&'static str),
    /// BUILD for ever.
    Stuck,
    /// Somebody else deleted it: gone without a trace.
    Vanished,
    /// Listed, but a get or a delete says 404.
    Ghost,
    /// A delete is accepted and never ends.
    NeverDeleted,
    /// A delete is refused with 409.
    Locked,
    /// No longer locked.
    Unlocked,
    /// Its cell is down: UNKNOWN with few fields in a listing of 2.69 and later that asks for no page,
    /// order or filter; in every other listing it is left out without a word.
    CellDown,
    /// Its cell is down, and no listing shows it.
    Missing,
    /// Its cell is up again.
    CellUp,
}

/// How its creation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Boot {
    /// With power at this time.
    Runs(Timestamp),
    /// In error at this time.
    Fails(Timestamp, Fault),
    /// Never.
    Stuck,
}

/// What happened to it after its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    AsBuilt,
    /// Without power since then.
    Stopped(Timestamp),
    /// In error since then, on its host.
    Failed(Timestamp, Fault),
    /// A status that only operators give, since then.
    Other(Timestamp, &'static str),
}

/// Whether its cell answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Up,
    Down,
    Missing,
}

/// An accepted delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) asked: Timestamp,
    /// When it is done; `None`: never.
    pub(crate) done: Option<Timestamp>,
}

/// A volume that a server uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) volume: String,
    pub(crate) delete_on_termination: bool,
}

/// An entry of `os-instance-actions`.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) request: String,
    pub(crate) by_user: bool,
    pub(crate) at: Timestamp,
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) tenant: usize,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Index in the site's flavours.
    pub(crate) flavor: usize,
    pub(crate) image: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) zone: String,
    pub(crate) config_drive: bool,
    pub(crate) user_data: Option<String>,
    pub(crate) hints: Value,
    pub(crate) volumes: Vec<Attached>,
    pub(crate) actions: Vec<Action>,
    pub(crate) accepted: Timestamp,
    /// When the scheduler has chosen a host.
    pub(crate) placed: Timestamp,
    pub(crate) boot: Boot,
    pub(crate) rest: Rest,
    /// The guest shuts itself down at this time.
    pub(crate) power_off: Option<Timestamp>,
    pub(crate) deletion: Option<Deletion>,
    pub(crate) never_deleted: bool,
    pub(crate) soft_deleted: bool,
    pub(crate) locked: bool,
    pub(crate) ghost: bool,
    pub(crate) cell: Cell,
    /// Exists no more; kept for `changes-since`.
    pub(crate) gone: Option<Timestamp>,
}

/// What a server looks like at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) status: &'static str,
    pub(crate) vm_state: &'static str,
    pub(crate) task_state: Option<&'static str>,
    pub(crate) power_state: u8,
    /// A zone was chosen, and is shown.
    pub(crate) placed: bool,
    /// A host has it.
    pub(crate) hosted: bool,
    pub(crate) launched: Option<Timestamp>,
    pub(crate) updated: Timestamp,
    pub(crate) fault: Option<(Timestamp, Fault)>,
}

impl Server {
    /// What it looks like now.
    pub(crate) fn look(&self, now: Timestamp) -> Look {
        let mut look = self.alive(now);
        if let Some(gone) = self.gone {
            look.status = "DELETED";
            look.vm_state = "deleted";
            look.power_state = 0;
            look.updated = gone;
            return look;
        }
        if self.soft_deleted {
            look.status = "SOFT_DELETED";
            look.vm_state = "soft-delete";
        }
        if let Some(deletion) = self.deletion {
            look.task_state = Some("deleting");
            look.updated = deletion.asked;
        }
        look
    }

    /// What it looks like, deletes aside.
    fn alive(&self, now: Timestamp) -> Look {
        let placed = now >= self.placed;
        let building = Look {
            status: "BUILD",
            vm_state: "building",
            task_state: Some(if placed { "spawning" } else { "scheduling" }),
            power_state: 0,
            placed,
            hosted: placed,
            launched: None,
            updated: if placed { self.placed } else { self.accepted },
            fault: None,
        };
        let launched = match &self.boot {
            Boot::Stuck => return building,
            Boot::Runs(at) | Boot::Fails(at, _) if now < *at => return building,
            Boot::Fails(at, fault) => return failed(*at, fault, None),
            Boot::Runs(at) => *at,
        };
        let active = Look {
            status: "ACTIVE",
            vm_state: "active",
            task_state: None,
            power_state: 1,
            placed: true,
            hosted: true,
            launched: Some(launched),
            updated: launched,
            fault: None,
        };
        let off = self.power_off.as_ref().filter(|at| **at <= now);
        match (&self.rest, off) {
            (Rest::Stopped(at), _) | (Rest::AsBuilt, Some(at)) => Look {
                status: "SHUTOFF",
                vm_state: "stopped",
                power_state: 4,
                updated: *at,
                ..active
            },
            (Rest::AsBuilt, None) => active,
            (Rest::Failed(at, fault), _) => failed(*at, fault, Some(launched)),
            (Rest::Other(at, status), _) => {
                let (vm_state, power_state) = operator_states(status);
                Look { status, vm_state, power_state, updated: *at, ..active }
            }
        }
    }

    /// When it ended without being deleted, as far as Nova tells: never.
    pub(crate) fn is_there(&self) -> bool {
        self.gone.is_none()
    }
}

/// One that never ran has no host; one that passed a quota late has its zone already (as recorded).
fn failed(at: Timestamp, fault: &Fault, launched: Option<Timestamp>) -> Look {
    let hosted = launched.is_some();
    let placed = hosted || fault.code == 413;
    Look {
        status: "ERROR",
        vm_state: "error",
        task_state: None,
        power_state: 0,
        placed,
        hosted,
        launched,
        updated: at,
        fault: Some((at, fault.clone())),
    }
}

/// `vm_state` and `power_state` of the statuses that operators give (API guide of Nova, "Server
/// concepts").
fn operator_states(status: &str) -> (&'static str, u8) {
    match status {
        "PAUSED" => ("paused", 3),
        "SUSPENDED" => ("suspended", 4),
        "RESCUE" => ("rescued", 1),
        "VERIFY_RESIZE" => ("resized", 1),
        "SHELVED" => ("shelved", 4),
        "SHELVED_OFFLOADED" => ("shelved_offloaded", 4),
        _ => ("active", 1),
    }
}
