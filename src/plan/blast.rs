//! The blast-radius limit: when many running machines look dead at once, we suspect ourselves
//! first (our web server, the shared disk, the listing) and hold all those deletes back, and
//! creation with them. Of machines that direct gets have proven absent, as many as the limit are
//! concluded to be gone in each cycle, so that a space that truly lost them recovers by itself.

use std::time::Duration;

use crate::model::{
    BlastRadius, DeleteReason, EndKind, Hearing, InstanceState, MachineView, MachinetypePolicy,
    Timestamp,
};

use super::PlanInput;
use super::judge::{Sight, Sighted, lets_absence_be_proven, own_message};

/// How a machine looks that our record knows to be running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    /// Not by our record, or it said last words, or the cloud says that it ended.
    NotInQuestion,
    /// Seen running, and its heartbeat is in order.
    Alive,
    /// Not confirmed by this listing, but not proven absent either.
    Missing,
    /// Proven absent without a word.
    Vanished,
    /// Seen running without the heartbeat that it must give.
    Silent,
}

/// The count of a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Blast {
    /// Machines that run by our record.
    pub(super) running: u32,
    /// Those of them that are not confirmed to be alive.
    pub(super) dead: u32,
    /// The most that may be concluded at once.
    limit: f64,
}

impl Blast {
    /// Counts over all machines. Only facts that are already in the record put a machine in
    /// question, so that seeing less never lets more be deleted.
    pub(super) fn count(input: &PlanInput<'_>, machines: &[Sighted<'_>]) -> Self {
        let mut blast = Self::default();
        for machine in machines {
            match looks(*machine, input.now) {
                Looks::NotInQuestion => {}
                Looks::Alive => blast.running += 1,
                Looks::Missing | Looks::Vanished | Looks::Silent => {
                    blast.running += 1;
                    blast.dead += 1;
                }
            }
        }
        // Deletes for silence count for a while: an outage that machines notice one after the other
        // must not pass the limit in small steps.
        let lately = silenced_lately(input);
        blast.running = blast.running.saturating_add(lately);
        blast.dead = blast.dead.saturating_add(lately);
        let BlastRadius { machines, fraction } = input.policy.blast_radius;
        blast.limit = if lets_absence_be_proven(input) {
            f64::from(machines).max(fraction * f64::from(blast.running))
        } else {
            // Nothing is concluded then, so there is nothing to hold back.
            f64::INFINITY
        };
        blast
    }

    /// How many machines may be concluded to be gone while the others are held back.
    pub(super) fn allowance(&self) -> usize {
        // Between zero and the number of machines by the clamp.
        self.limit.clamp(0.0, f64::from(self.running)) as usize
    }

    /// Whether deletes and conclusions that rest on silence are held back in this cycle, and
    /// nothing is made.
    pub(super) fn holds_back(&self) -> bool {
        f64::from(self.dead) > self.limit
    }
}

/// How long a delete for silence counts.
pub(super) const LATELY: Duration = Duration::from_secs(30 * 60);

/// Machines that were deleted for silence lately, those that are gone by now included.
fn silenced_lately(input: &PlanInput<'_>) -> u32 {
    let is_late = |at: Timestamp| input.now.since(at) < LATELY;
    let by_record = input.machines.iter().filter_map(|view| view.record.deletion.as_ref());
    let standing =
        by_record.filter(|d| d.reason == DeleteReason::Heartbeat && is_late(d.since)).count();
    let killed = EndKind::Killed { reason: DeleteReason::Heartbeat };
    let past = input.past.iter().filter(|end| end.kind == killed && is_late(end.at)).count();
    // The past has the standing ones too, once they are written down.
    u32::try_from(standing.max(past)).unwrap_or(u32::MAX)
}

/// How a machine looks now.
pub(super) fn looks(machine: Sighted<'_>, now: Timestamp) -> Looks {
    let Sighted { view, policy, sight } = machine;
    let record = &view.record;
    let over = record.ended.is_some()
        || record.deletion.is_some()
        || record.gone.is_some()
        || record.rejected.is_some()
        || own_message(view).is_some();
    let Some(started) = record.started.filter(|_| !over) else { return Looks::NotInQuestion };
    match sight {
        Sight::Absent => Looks::Vanished,
        Sight::Nothing => Looks::Missing,
        Sight::Seen(instance) => match &instance.state {
            InstanceState::Running => {
                let silent = policy.is_some_and(|p| is_silent(p, started, view, now));
                if silent { Looks::Silent } else { Looks::Alive }
            }
            InstanceState::Unknown { word: _ } => Looks::Missing,
            InstanceState::Pending => Looks::Alive,
            InstanceState::Stopped
            | InstanceState::Preempted
            | InstanceState::Failed { refusal: _, fault: _ }
            | InstanceState::Deleting
            | InstanceState::Gone => Looks::NotInQuestion,
        },
    }
}

/// How long a heartbeat file that need only exist may be missing.
const EXISTENCE_GRACE: Duration = Duration::from_secs(600);

/// Whether a running machine's heartbeat is overdue: it has run longer than both `fizzle` and
/// the longest allowed silence, its file is missing or older than that, and it would have been heard for as long.
/// Without an allowed silence (`"0s"`) the file need only exist.
pub(super) fn is_silent(
    policy: &MachinetypePolicy,
    started: Timestamp,
    view: &MachineView,
    now: Timestamp,
) -> bool {
    let Some(rule) = policy.heartbeat.as_ref().filter(|_| view.record.can_write_outputs()) else {
        return false;
    };
    let old_enough = now.since(started) > policy.fizzle.max(rule.every.unwrap_or(Duration::ZERO));
    old_enough
        && match (view.hearing, view.heartbeat, rule.every) {
            (Hearing::Deaf, _, _) | (Hearing::Since(_), Some(_), None) => false,
            (Hearing::Since(since), None, None) => now.since(since) > EXISTENCE_GRACE,
            (Hearing::Since(since), last, Some(every)) => {
                now.since(last.map_or(since, |last| last.max(since))) > every
            }
        }
}

/// What is shown for a machine that is held back.
pub(super) fn held_reason(looks: Looks) -> Option<DeleteReason> {
    match looks {
        Looks::Vanished => Some(DeleteReason::Ended),
        Looks::Silent => Some(DeleteReason::Heartbeat),
        Looks::NotInQuestion | Looks::Alive | Looks::Missing => None,
    }
}
