//! What really happened: every machine that there ever was, and every call. No fault reaches it.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::Timestamp;

/// Why a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The insert was accepted and then failed, with this code; it never ran.
    Refused(String),
    /// A delete was asked for.
    Deleted,
    /// `maxRunDuration` was over.
    RanOut,
    /// Taken back, `instanceTerminationAction` being DELETE.
    Preempted,
    /// A test removed it.
    Vanished,
}

/// A machine that there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number: no two machines share one, though they may share a name.
    pub id: u64,
    /// Zone.
    pub zone: String,
    /// Name.
    pub name: String,
    /// Machine type.
    pub machine_type: String,
    /// Spot, or on demand.
    pub spot: bool,
    /// Labels, as the insert had them.
    pub labels: BTreeMap<String, String>,
    /// Metadata, as the insert had it, without `user-data` and the like, which hold secrets.
    pub metadata: BTreeMap<String, String>,
    /// `requestId` of the insert.
    pub request_id: Option<String>,
    /// `maxRunDuration`, when it ends by DELETE.
    pub limit: Option<Duration>,
    /// When the insert was accepted.
    pub accepted: Timestamp,
    /// When it ran first.
    pub began: Option<Timestamp>,
    /// When it last stopped running.
    pub stopped: Option<Timestamp>,
    /// When it was gone.
    pub ended: Option<Timestamp>,
    /// Why.
    pub why: Option<End>,
    /// How long it ran, all in all: Google bills from RUNNING to TERMINATED.
    pub billed: Duration,
}

/// A call that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// When, by the cloud's clock.
    pub at: Timestamp,
    /// Method of the API, `compute.instances.insert`; for others HTTP method and path.
    pub method: String,
    /// What stood in the path for the names.
    pub names: BTreeMap<String, String>,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// Status of the answer; `None`: there was none, or it broke off.
    pub status: Option<u16>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) machines: Vec<Entry>,
    places: BTreeMap<u64, usize>,
    pub(crate) calls: Vec<Called>,
}

impl Ledger {
    pub(crate) fn open(&mut self, entry: Entry) {
        self.places.insert(entry.id, self.machines.len());
        self.machines.push(entry);
    }

    fn of(&mut self, id: u64) -> &mut Entry {
        let place = self.places[&id];
        &mut self.machines[place]
    }

    pub(crate) fn began(&mut self, id: u64, at: Timestamp) {
        self.of(id).began.get_or_insert(at);
    }

    /// It ran since then, until now.
    pub(crate) fn stopped(&mut self, id: u64, since: Timestamp, at: Timestamp) {
        let entry = self.of(id);
        entry.billed += at.since(since);
        entry.stopped = Some(at);
    }

    pub(crate) fn ended(&mut self, id: u64, at: Timestamp, why: End) {
        let entry = self.of(id);
        (entry.ended, entry.why) = (Some(at), Some(why));
    }
}
