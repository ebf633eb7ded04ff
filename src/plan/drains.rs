//! Telling machines when they must have ended: requests of people, the end of the space, notices of the cloud that it
//! will take a machine back, caps that are passed.

use std::time::Duration;

use crate::config::defaults::GRACE;
use crate::model::{
    Drain, DrainReason, MachineName, MachinetypeName, OperatorRequest, Phase, RequestWhat,
    SpacePolicy, Timestamp,
};

use super::judge::Judged;
use super::{PlanInput, Step};

/// How long a machine has from a notice that does not tell: the shortest that clouds promise (30 seconds on Compute
/// Engine).
const SHORT_NOTICE: Duration = Duration::from_secs(30);

/// The standing drains of people, the earliest of each kind.
#[derive(Debug, Default)]
pub(super) struct Drains<'a> {
    space: Option<Ask<'a>>,
    machinetypes: std::collections::BTreeMap<&'a MachinetypeName, Ask<'a>>,
    machines: std::collections::BTreeMap<&'a MachineName, Ask<'a>>,
}

/// Until when, and who asked. Ordered by time first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask<'a> {
    pub(super) by: Timestamp,
    pub(super) who: &'a str,
}

impl<'a> Drains<'a> {
    /// Reads the standing requests.
    pub(super) fn of(requests: &'a [OperatorRequest]) -> Self {
        let mut drains = Self::default();
        for OperatorRequest { format: _, id: _, who, at: _, what } in requests {
            match what {
                RequestWhat::DrainSpace { by } => {
                    let ask = Ask { by: *by, who };
                    drains.space = Some(drains.space.map_or(ask, |other| other.min(ask)));
                }
                RequestWhat::DrainMachinetype { machinetype, by } => {
                    let ask = Ask { by: *by, who };
                    let entry = drains.machinetypes.entry(machinetype).or_insert(ask);
                    *entry = (*entry).min(ask);
                }
                RequestWhat::DrainMachine { machine, by } => {
                    let ask = Ask { by: *by, who };
                    let entry = drains.machines.entry(machine).or_insert(ask);
                    *entry = (*entry).min(ask);
                }
                RequestWhat::DeleteMachine { machine: _ } | RequestWhat::HandOver { .. } => {}
            }
        }
        drains
    }

    /// Whether a machinetype is drained, and so not made.
    pub(super) fn of_machinetype(&self, machinetype: &MachinetypeName) -> Option<Ask<'a>> {
        let own = self.machinetypes.get(machinetype).copied();
        own.into_iter().chain(self.space).min()
    }
}

/// How long machines of a machinetype are given from when they are told to end. Of one that is not in the configuration any more: as long as
/// those are given that are given most.
pub fn grace_of(space: &SpacePolicy, machinetype: &MachinetypeName) -> Duration {
    let longest = || space.machinetypes.values().map(|policy| policy.grace).max();
    let own = space.machinetypes.get(machinetype).map(|policy| policy.grace);
    own.or_else(longest).unwrap_or(GRACE)
}

/// The drain of one machine, if it must be told something new. What a machine was told stands:
/// it is only ever told an earlier end.
pub(super) fn plan_drain(
    input: &PlanInput<'_>,
    judged: &Judged<'_>,
    drains: &Drains<'_>,
) -> Option<Step> {
    match judged.phase {
        Phase::Intended { since: _ }
        | Phase::Starting { since: _ }
        | Phase::Running { since: _ } => {}
        Phase::Ended { since: _ } | Phase::Deleting { since: _ } | Phase::Gone { since: _ } => {
            return None;
        }
    }
    // What a machine is told stands in its record, so it is not reckoned from a clock that is doubted.
    if !input.clock.is_trusted() {
        return None;
    }
    let record = judged.record();
    let grace = grace_of(input.policy, record.machinetype());
    let asked = drains
        .of_machinetype(record.machinetype())
        .into_iter()
        .chain(drains.machines.get(record.machine()).copied())
        .min()
        .map(|ask| Drain {
            by: ask.by.max(input.now + grace),
            reason: DrainReason::Operator { who: ask.who.to_owned() },
        });
    // The space's end is what it is, however near; machines that end before it need not know.
    let space_end = input
        .ends_at()
        .filter(|end| *end < record.tags.deadline)
        .map(|by| Drain { by, reason: DrainReason::SpaceShutdown });
    // So is the end that the cloud gives. A notice without a time is short everywhere.
    let notice =
        judged.instance.and_then(|id| input.interruptions.iter().find(|n| n.instance == *id));
    let known = record.drain.as_ref().filter(|told| told.reason == DrainReason::Interruption);
    let taken_back =
        notice.filter(|notice| notice.at.is_some() || known.is_none()).map(|notice| Drain {
            by: notice.at.unwrap_or(input.now + SHORT_NOTICE),
            reason: DrainReason::Interruption,
        });
    let too_dear = input
        .spending
        .and_then(|spending| spending.drain(record.intent(), input.now + grace))
        .filter(|drain| drain.by < record.tags.deadline);
    let all = asked.into_iter().chain(space_end).chain(taken_back).chain(too_dear);
    let drain = all.min_by_key(|drain| drain.by)?;
    let told = record.drain.as_ref().map(|told| told.by);
    let is_news = told.is_none_or(|told| drain.by < told);
    is_news.then(|| Step::Drain { machine: record.machine().clone(), drain })
}
