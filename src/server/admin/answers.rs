//! The JSON of `/api/v1`. Stable: fields are only added, words only added to. Times are RFC 3339
//! in UTC; nothing secret is on the board, so nothing secret can be here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Wanted;
use crate::model::{
    Board, ConfigStatus, Decision, Generation, MachineRow, MachinetypeRow, ManagerName,
    PhaseCounts, Processors, SpaceName, SpaceSnapshot, Timestamp,
};

/// Version of all these answers.
const FORMAT: u32 = 1;

/// `/api/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusAnswer {
    /// Version of this format: 1.
    pub format: u32,
    /// When this was answered.
    pub now: Timestamp,
    /// This manager.
    pub manager: ManagerName,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// The configuration in use, and why a newer one is refused.
    pub config: ConfigStatus,
    /// Why the state directory cannot be used now, or null.
    pub store_problem: Option<String>,
    /// The certificate of the HTTPS listener.
    pub certificate: Certificate,
    /// The spaces that this manager works on.
    pub spaces: Vec<SpaceSummary>,
    /// The others of its configuration, and why it does not work on them.
    pub idle_spaces: BTreeMap<SpaceName, String>,
    /// Spaces of the state directory that no configuration names, and how many machines each may have.
    pub abandoned: BTreeMap<SpaceName, u32>,
}

/// The certificate of the HTTPS listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// When it expires.
    pub expires: Timestamp,
    /// Why newer files are refused, or null.
    pub refused: Option<String>,
}

/// `/api/v1/spaces`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpacesAnswer {
    /// Version of this format: 1.
    pub format: u32,
    /// The spaces that this manager works on.
    pub spaces: Vec<SpaceSummary>,
    /// The others of its configuration, and why it does not work on them.
    pub idle_spaces: BTreeMap<SpaceName, String>,
}

/// One space in a line; `/api/v1/spaces/SPACE` has all of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpaceSummary {
    /// The space.
    pub space: SpaceName,
    /// Name of its provider.
    pub provider: String,
    /// Generation of the ownership.
    pub generation: Generation,
    /// When its last cycle began.
    pub at: Timestamp,
    /// Whether the listing could be believed.
    pub listing: String,
    /// The limit that binds, or null.
    pub processors_limit: Option<Processors>,
    /// Processors of ours that hold a place.
    pub processors: Processors,
    /// Machines of all machinetypes in each phase.
    pub phases: PhaseCounts,
    /// Machines of others in the tenancy.
    pub foreign_machines: u32,
    /// What needs a human, most urgent first.
    pub alarms: Vec<String>,
}

/// `/api/v1/machines`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachinesAnswer {
    /// Version of this format: 1.
    pub format: u32,
    /// By space and name.
    pub machines: Vec<MachineAnswer>,
}

/// One machine, with its space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineAnswer {
    /// Its space.
    pub space: SpaceName,
    /// As in the space.
    #[serde(flatten)]
    pub machine: MachineRow,
}

/// `/api/v1/explain/SPACE` and `/api/v1/explain/SPACE/MACHINETYPE`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainAnswer {
    /// Version of this format: 1.
    pub format: u32,
    /// The space.
    pub space: SpaceName,
    /// When its last cycle began: everything here is of that moment.
    pub at: Timestamp,
    /// Whether the listing could be believed.
    pub listing: String,
    /// What needs a human, most urgent first.
    pub alarms: Vec<String>,
    /// Each machinetype with its one reason; only the one that was asked for.
    pub machinetypes: Vec<MachinetypeRow>,
    /// The last decisions, newest first; only those that name the machinetype that was asked for.
    pub decisions: Vec<Decision>,
}

impl StatusAnswer {
    pub(super) fn new(board: &Board, certificate: Certificate, now: Timestamp) -> Self {
        let Board {
            manager,
            version,
            started,
            config,
            store_problem,
            spaces,
            idle_spaces,
            idle_since: _,
            abandoned,
            spending: _,
        } = board;
        Self {
            format: FORMAT,
            now,
            manager: manager.clone(),
            version: version.clone(),
            started: *started,
            config: config.clone(),
            store_problem: store_problem.clone(),
            certificate,
            spaces: spaces.values().map(|snapshot| SpaceSummary::new(snapshot)).collect(),
            idle_spaces: idle_spaces.clone(),
            abandoned: abandoned.clone(),
        }
    }
}

impl SpacesAnswer {
    pub(super) fn new(board: &Board) -> Self {
        Self {
            format: FORMAT,
            spaces: board.spaces.values().map(|snapshot| SpaceSummary::new(snapshot)).collect(),
            idle_spaces: board.idle_spaces.clone(),
        }
    }
}

impl SpaceSummary {
    fn new(snapshot: &SpaceSnapshot) -> Self {
        let mut phases = PhaseCounts::default();
        for row in &snapshot.machinetypes {
            let PhaseCounts { intended, starting, running, ended, deleting } = row.phases;
            phases.intended += intended;
            phases.starting += starting;
            phases.running += running;
            phases.ended += ended;
            phases.deleting += deleting;
        }
        Self {
            space: snapshot.space.clone(),
            provider: snapshot.provider.clone(),
            generation: snapshot.generation,
            at: snapshot.at,
            listing: snapshot.listing.clone(),
            processors_limit: snapshot.processors_limit,
            processors: snapshot.processors,
            phases,
            foreign_machines: snapshot.foreign_machines,
            alarms: snapshot.alarms.clone(),
        }
    }
}

impl MachinesAnswer {
    pub(super) fn new(board: &Board, wanted: &Wanted) -> Self {
        let is = |filter: &Option<String>, value: &str| {
            filter.as_deref().is_none_or(|filter| filter == value)
        };
        let machines = board
            .spaces
            .values()
            .filter(|snapshot| is(&wanted.space, snapshot.space.as_str()))
            .flat_map(|snapshot| snapshot.machines.iter().map(|row| (&snapshot.space, row)))
            .filter(|(_, row)| {
                is(&wanted.machinetype, row.machinetype.as_str()) && is(&wanted.phase, &row.phase)
            })
            .map(|(space, row)| MachineAnswer { space: space.clone(), machine: row.clone() })
            .collect();
        Self { format: FORMAT, machines }
    }
}

impl ExplainAnswer {
    pub(super) fn of_space(snapshot: &SpaceSnapshot) -> Self {
        Self {
            format: FORMAT,
            space: snapshot.space.clone(),
            at: snapshot.at,
            listing: snapshot.listing.clone(),
            alarms: snapshot.alarms.clone(),
            machinetypes: snapshot.machinetypes.clone(),
            decisions: snapshot.decisions.clone(),
        }
    }

    pub(super) fn of_machinetype(snapshot: &SpaceSnapshot, wanted: &str) -> Option<Self> {
        let mut answer = Self::of_space(snapshot);
        answer.machinetypes.retain(|row| row.name.as_str() == wanted);
        answer.decisions.retain(|decision| names(&decision.text, wanted));
        (!answer.machinetypes.is_empty()).then_some(answer)
    }
}

/// Whether a line names a machinetype: as a word, or inside the name of one of its machines.
fn names(text: &str, machinetype: &str) -> bool {
    let machine = format!("vcycle-{machinetype}-");
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .any(|word| word == machinetype || is_machine_of(word, &machine))
}

fn is_machine_of(word: &str, beginning: &str) -> bool {
    // The rest of a machine's name has no `-`, so that `dune-big` is not taken for `dune`.
    word.strip_prefix(beginning).is_some_and(|rest| !rest.is_empty() && !rest.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_belongs_to_the_machinetype_that_it_names() {
        assert!(names("created 2 machines of dune: below its share", "dune"));
        assert!(names("delete vcycle-dune-aaaaaaaaaa: it has ended", "dune"));
        assert!(!names("delete vcycle-dune-big-aaaaaaaaaa: it has ended", "dune"));
        assert!(names("delete vcycle-dune-big-aaaaaaaaaa: it has ended", "dune-big"));
        assert!(!names("created 2 machines of dunes", "dune"));
    }
}
