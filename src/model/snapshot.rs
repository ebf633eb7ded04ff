//! What people see of a space: made once a cycle, published, written to `plan.json`, and read by
//! the command line, the server and the metrics alike, so that all show the same (invariant 7).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Generation, MachineName, MachinetypeName, ManagerName, OfferingId, Processors, SpaceName,
    SpendingBoard, Timestamp,
};

/// One space, as its owner last saw it. The JSON form is stable: fields are only added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpaceSnapshot {
    /// Version of this format: 1.
    pub format: u32,
    /// The space.
    pub space: SpaceName,
    /// Name of its provider.
    pub provider: String,
    /// Who owns it.
    pub manager: ManagerName,
    /// Under which generation.
    pub generation: Generation,
    /// When the cycle began.
    pub at: Timestamp,
    /// The limit that binds, in processors, if there is one.
    pub processors_limit: Option<Processors>,
    /// Processors of ours that hold a place.
    pub processors: Processors,
    /// Machines of others in the tenancy.
    pub foreign_machines: u32,
    /// Their processors.
    pub foreign_processors: Processors,
    /// Until when the credentials of the cloud are good, if it told.
    #[serde(default)]
    pub credential_expires: Option<Timestamp>,
    /// Volumes and ports of ours that nothing uses any more, by the last look.
    #[serde(default)]
    pub side_resources_left: u32,
    /// Whether the listing could be believed, for people.
    pub listing: String,
    /// What needs a human, most urgent first. Empty: all is well.
    pub alarms: Vec<String>,
    /// Machinetypes, by name.
    pub machinetypes: Vec<MachinetypeRow>,
    /// Machines that are not archived, by name.
    pub machines: Vec<MachineRow>,
    /// The last decisions with their reasons, newest first, at most 50.
    pub decisions: Vec<Decision>,
}

/// One machinetype of a space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachinetypeRow {
    /// Name.
    pub name: MachinetypeName,
    /// Entry and version, `name version`.
    pub entry: String,
    /// Its target as a fraction of all targets, 0 to 1.
    pub target: f64,
    /// Its part of the weight of all machines that count for shares, 0 to 1.
    pub share: f64,
    /// Machines in each phase: intended, starting, running, ended, deleting.
    pub phases: PhaseCounts,
    /// Processors that hold a place.
    pub processors: Processors,
    /// The word of the one reason of this cycle, for metrics and scripts.
    pub reason: String,
    /// The same reason for people.
    pub why: String,
    /// Time of the last abort, if one is remembered.
    pub last_abort: Option<Timestamp>,
    /// The last end, for people.
    pub last_end: Option<String>,
    /// The file that its machines put as their heartbeat, if they must.
    #[serde(default)]
    pub heartbeat_file: Option<String>,
    /// What its reasons were: newest first, the one that stands now included, at most
    /// [`MachinetypeRow::HISTORY`]. Filled by [`SpaceSnapshot::continue_history`].
    #[serde(default)]
    pub history: Vec<ReasonSince>,
}

/// A reason, and since when it was the one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonSince {
    /// Since when.
    pub since: Timestamp,
    /// Its word.
    pub reason: String,
    /// For people, as it was said first.
    pub why: String,
}

impl MachinetypeRow {
    /// How many reasons are remembered.
    pub const HISTORY: usize = 20;
}

impl SpaceSnapshot {
    /// Continues the histories of reasons from the snapshot before. A reason is new when its word
    /// changes: the numbers and times in its sentence change from cycle to cycle.
    pub fn continue_history(&mut self, before: Option<&Self>) {
        for row in &mut self.machinetypes {
            let mut history = before
                .and_then(|before| before.machinetypes.iter().find(|old| old.name == row.name))
                .map(|old| old.history.clone())
                .unwrap_or_default();
            if history.first().is_none_or(|last| last.reason != row.reason) {
                let now = ReasonSince {
                    since: self.at,
                    reason: row.reason.clone(),
                    why: row.why.clone(),
                };
                history.insert(0, now);
                history.truncate(MachinetypeRow::HISTORY);
            }
            row.history = history;
        }
    }
}

/// Machines in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the words of `Phase`")]
pub struct PhaseCounts {
    pub intended: u32,
    pub starting: u32,
    pub running: u32,
    pub ended: u32,
    pub deleting: u32,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRow {
    /// Name.
    pub name: MachineName,
    /// Machinetype.
    pub machinetype: MachinetypeName,
    /// The word of its phase.
    pub phase: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was asked for.
    pub intended: Timestamp,
    /// Its hard end.
    pub deadline: Timestamp,
    /// When it ends at the latest as things stand: the first of its hard end, the end of its
    /// `max_wallclock`, what it was told, and the shutdown time of the space. `None`: written by a
    /// version that did not tell.
    #[serde(default)]
    pub end_by: Option<Timestamp>,
    /// The cloud's id.
    pub instance: Option<String>,
    /// What it is made of.
    pub offering: OfferingId,
    /// Processors.
    pub processors: Processors,
    /// Last heartbeat.
    pub heartbeat: Option<Timestamp>,
    /// When it was told to end.
    pub drain_by: Option<Timestamp>,
    /// Address.
    pub address: Option<String>,
    /// What is special about it, for people.
    pub note: Option<String>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// What was done and why, one line.
    pub text: String,
    /// What came of it: `done`, or the error.
    pub outcome: String,
}

/// Everything that one manager shows: published on a watch channel, read by server and `systemd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// This manager.
    pub manager: ManagerName,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// The configuration in use.
    pub config: ConfigStatus,
    /// Why the state directory cannot be used now; `None`: it can.
    pub store_problem: Option<String>,
    /// The spaces that it owns, as last seen.
    pub spaces: BTreeMap<SpaceName, Arc<SpaceSnapshot>>,
    /// Spaces that are not worked on now, and why: those of the configuration, and the abandoned.
    pub idle_spaces: BTreeMap<SpaceName, String>,
    /// Since when each of them has not been worked on without a break.
    #[serde(default)]
    pub idle_since: BTreeMap<SpaceName, Timestamp>,
    /// Spaces of the state directory that neither this configuration names nor another manager works
    /// on, with the number of their machines that may still exist (never 0).
    #[serde(default)]
    pub abandoned: BTreeMap<SpaceName, u32>,
    /// The money of the deployment; `None`: this manager does not watch it, or has not looked yet.
    #[serde(default)]
    pub spending: Option<Arc<SpendingBoard>>,
}

impl Board {
    /// How the reason of an idle space begins that another manager works on, as it should be.
    pub const OWNED_BY: &'static str = "owned by ";

    /// How the reason of an idle space begins that has machines and is in no configuration.
    pub const ABANDONED: &'static str = "no configuration names it, but ";

    /// Why a space with machines is abandoned, and what to do.
    pub fn abandoned_words(machines: u32) -> String {
        let noun = if machines == 1 { "machine" } else { "machines" };
        format!(
            "{}{machines} {noun} of it may still exist: nobody manages them, and they end at their \
             deadlines; put the space back into the configuration (then it can be drained), or \
             delete them in the cloud",
            Self::ABANDONED
        )
    }

    /// Since when an idle space has not been worked on.
    pub fn idle_since(&self, space: &SpaceName) -> Timestamp {
        self.idle_since.get(space).copied().unwrap_or(self.started)
    }

    /// The idle spaces that nobody is known to work on, and why.
    pub fn waiting_spaces(&self) -> impl Iterator<Item = (&SpaceName, &str)> {
        let idle = self.idle_spaces.iter().map(|(name, why)| (name, why.as_str()));
        idle.filter(|(_, why)| !why.starts_with(Self::OWNED_BY))
    }
}

/// Which configuration is in use, and whether a newer one was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// When the one in use was loaded.
    pub loaded: Timestamp,
    /// SHA-256 (hex, first 12 digits) of its files.
    pub digest: String,
    /// Why a newer version of the files is refused; the one in use is the last good one.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at: i64, reason: &str, why: &str) -> SpaceSnapshot {
        let row = serde_json::json!({
            "name": "dune", "entry": "dune 1", "target": 1.0, "share": 0.0,
            "phases": PhaseCounts::default(), "processors": 0, "reason": reason, "why": why,
            "last_abort": null, "last_end": null,
        });
        serde_json::from_value(serde_json::json!({
            "format": 1, "space": "iris.example", "provider": "local", "manager": "a",
            "generation": 1, "at": Timestamp::from_secs(at), "processors_limit": null,
            "processors": 0, "foreign_machines": 0, "foreign_processors": 0,
            "listing": "complete", "alarms": [], "machinetypes": [row], "machines": [],
            "decisions": [],
        }))
        .unwrap()
    }

    #[test]
    fn the_history_of_reasons_grows_only_when_the_reason_changes() {
        let mut first = snapshot(1, "created", "asked for 1 machine");
        first.continue_history(None);
        let mut same = snapshot(2, "created", "asked for 2 machines");
        same.continue_history(Some(&first));
        assert_eq!(same.machinetypes[0].history, first.machinetypes[0].history);
        let mut other = snapshot(3, "backoff", "backing off");
        other.continue_history(Some(&same));
        let told: Vec<_> =
            other.machinetypes[0].history.iter().map(|r| (r.since.as_secs(), &*r.reason)).collect();
        assert_eq!(told, [(3, "backoff"), (1, "created")]);
    }

    #[test]
    fn the_history_of_reasons_is_bounded() {
        let mut last = snapshot(0, "created", "");
        last.continue_history(None);
        for at in 1..100 {
            let mut next = snapshot(at, ["created", "backoff"][at as usize % 2], "");
            next.continue_history(Some(&last));
            last = next;
        }
        assert_eq!(last.machinetypes[0].history.len(), MachinetypeRow::HISTORY);
    }
}
