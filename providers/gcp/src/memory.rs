//! What one process remembers of its tenancy between calls. Nothing here is needed to be right: after a restart it
//! is empty, and the same answers take a call more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use vcycle_api::{Instance, IntentToken, Megabytes, Processors, Timestamp};

use crate::place::Place;

/// How long things are remembered: longer than anybody asks.
const KEPT: Duration = Duration::from_secs(2 * 3600);

/// What is remembered. Times are of the provider's own monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Zones of the region.
    pub(crate) zones: Option<Vec<String>>,
    /// Sizes of machine types, by name: Google does not tell them with a machine.
    pub(crate) sizes: BTreeMap<String, Size>,
    /// Machines that Google took back lately, and when we asked for them.
    pub(crate) taken: Option<Taken>,
    /// Whether the last listing had spot machines; `None`: there was none yet.
    pub(crate) there_was_spot: Option<bool>,
    creates: HashMap<IntentToken, Asked>,
    accepted: BTreeMap<Place, Accepted>,
    failed: BTreeMap<Place, (Instance, Duration)>,
    ended: HashMap<Place, Duration>,
}

/// The size of a machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
}

/// Preempted machines, with the time of it.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) asked: Duration,
    pub(crate) machines: BTreeMap<Place, Timestamp>,
}

/// Creates of one intent.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Operations that were begun for it and have failed: each needed a request id of its own.
    refused: u32,
    /// A create was sent that may have made a machine.
    open: bool,
    at: Duration,
}

/// An insert that Google has accepted, and not yet carried out as far as we know.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// Name of the operation.
    pub(crate) operation: String,
    /// The machine as it will be shown if the operation fails.
    pub(crate) instance: Instance,
    at: Duration,
}

impl Memory {
    /// A create is about to be sent: how many operations of its intent have failed, and whether one that was
    /// sent before may have made the machine.
    pub(crate) fn sending(&mut self, intent: &IntentToken, now: Duration) -> (u32, bool) {
        self.creates.retain(|_, asked| now.saturating_sub(asked.at) < KEPT);
        let fresh = Asked { refused: 0, open: false, at: now };
        let asked = self.creates.entry(*intent).or_insert(fresh);
        let before = (asked.refused, asked.open);
        asked.open = true;
        asked.at = now;
        before
    }

    /// A create was refused; `operation`: inside one, so that its request id is used up.
    pub(crate) fn refused(&mut self, intent: &IntentToken, stage: RefusedIn) {
        if let Some(asked) = self.creates.get_mut(intent) {
            asked.open = false;
            asked.refused += match stage {
                RefusedIn::Answer => 0,
                RefusedIn::Operation | RefusedIn::KnownOperation => 1,
            };
        }
    }

    /// It is proven that the intent made nothing.
    pub(crate) fn nothing_made(&mut self, intent: &IntentToken) {
        self.refused(intent, RefusedIn::Answer);
    }

    /// An insert was accepted.
    pub(crate) fn accepted(
        &mut self,
        place: &Place,
        instance: Instance,
        operation: &str,
        now: Duration,
    ) {
        self.ended.remove(place);
        self.failed.remove(place);
        let operation = operation.to_owned();
        self.accepted.insert(place.clone(), Accepted { operation, instance, at: now });
    }

    /// Accepted machines that a listing lacks, the oldest first. One that is listed while it is being made may still
    /// vanish: it is forgotten only when it has come to run.
    pub(crate) fn missing(
        &mut self,
        shown: impl Fn(&Place) -> Shown,
        now: Duration,
    ) -> Vec<(Place, Accepted)> {
        // What is very old will be asked for by id, if anybody wants to know.
        self.accepted.retain(|place, accepted| {
            shown(place) != Shown::Made && now.saturating_sub(accepted.at) < KEPT
        });
        let missing = self.accepted.iter().filter(|(place, _)| shown(place) == Shown::Not);
        let mut missing: Vec<_> = missing.map(|(place, it)| (place.clone(), it.clone())).collect();
        missing.sort_by_key(|(_, accepted)| accepted.at);
        missing
    }

    /// The operation of an accepted insert went well.
    pub(crate) fn carried_out(&mut self, place: &Place) {
        self.accepted.remove(place);
    }

    /// An accepted insert failed: the machine is shown as failed until somebody deletes it.
    pub(crate) fn failed(&mut self, place: &Place, instance: Instance, now: Duration) {
        self.accepted.remove(place);
        if !self.ended.contains_key(place) {
            self.failed.insert(place.clone(), (instance, now));
        }
    }

    /// Machines whose inserts failed.
    pub(crate) fn all_failed(&mut self, now: Duration) -> Vec<(Place, Instance)> {
        self.failed.retain(|_, (_, at)| now.saturating_sub(*at) < KEPT);
        self.failed.iter().map(|(place, (instance, _))| (place.clone(), instance.clone())).collect()
    }

    /// The machine whose insert failed, if this is one.
    pub(crate) fn failed_at(&self, place: &Place) -> Option<Instance> {
        self.failed.get(place).map(|(instance, _)| instance.clone())
    }

    /// Somebody asked for a machine's end: nobody asks how it began any more.
    pub(crate) fn ends(&mut self, place: &Place, now: Duration) {
        self.ended.retain(|_, at| now.saturating_sub(*at) < KEPT);
        self.failed.remove(place);
        self.accepted.remove(place);
        self.ended.insert(place.clone(), now);
    }

    /// Whether somebody asked for its end.
    pub(crate) fn is_ended(&self, place: &Place) -> bool {
        self.ended.contains_key(place)
    }
}

/// How a listing shows an accepted machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It does not.
    Not,
    /// As being made.
    BeingMade,
    /// As made.
    Made,
}

/// Where a create was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedIn {
    /// In the answer.
    Answer,
    /// In the operation, after Google had said yes.
    Operation,
    /// In an operation that had ended when it was shown first: perhaps that of an earlier call.
    KnownOperation,
}

#[cfg(test)]
mod tests {
    use vcycle_api::{Identity, InstanceState};

    use super::*;

    fn instance(place: &Place) -> Instance {
        Instance {
            id: place.id(),
            name: place.name.clone(),
            identity: Identity::Foreign,
            state: InstanceState::Failed { refusal: None, fault: "no".to_owned() },
            offering: None,
            processors: None,
            memory: None,
            created: None,
            started: None,
            ended: None,
            addresses: Vec::new(),
        }
    }

    fn place() -> Place {
        Place::new("a-project", "europe-west2-a", "vcycle-a-0123456789")
    }

    const T: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn only_a_refusal_inside_an_operation_uses_up_its_request_id() {
        let (mut memory, intent) = (Memory::default(), IntentToken::compose(1));
        assert_eq!(memory.sending(&intent, T(0)), (0, false));
        assert_eq!(memory.sending(&intent, T(1)), (0, true));
        memory.refused(&intent, RefusedIn::Answer);
        assert_eq!(memory.sending(&intent, T(2)), (0, false));
        memory.refused(&intent, RefusedIn::Operation);
        assert_eq!(memory.sending(&intent, T(3)), (1, false));
    }

    #[test]
    fn an_accepted_machine_is_missing_until_it_has_come_to_run() {
        let (mut memory, place) = (Memory::default(), place());
        memory.accepted(&place, instance(&place), "operation-1", T(0));
        assert_eq!(memory.missing(|_| Shown::Not, T(1)).len(), 1);
        assert!(memory.missing(|_| Shown::BeingMade, T(2)).is_empty());
        assert_eq!(memory.missing(|_| Shown::Not, T(3)).len(), 1, "it vanished before it ran");
        assert!(memory.missing(|_| Shown::Made, T(4)).is_empty());
        assert!(memory.missing(|_| Shown::Not, T(5)).is_empty());
    }

    #[test]
    fn a_failed_machine_is_shown_until_somebody_deletes_it() {
        let (mut memory, place) = (Memory::default(), place());
        memory.accepted(&place, instance(&place), "operation-1", T(0));
        memory.failed(&place, instance(&place), T(1));
        assert!(memory.missing(|_| Shown::Not, T(1)).is_empty());
        assert_eq!(memory.all_failed(T(2)).len(), 1);
        memory.ends(&place, T(3));
        assert!(memory.all_failed(T(4)).is_empty() && memory.is_ended(&place));
        memory.failed(&place, instance(&place), T(5));
        assert!(memory.all_failed(T(6)).is_empty(), "a late look does not bring it back");
    }

    #[test]
    fn nothing_is_remembered_for_ever() {
        let (mut memory, place) = (Memory::default(), place());
        memory.accepted(&place, instance(&place), "operation-1", T(0));
        assert!(memory.missing(|_| Shown::Not, KEPT).is_empty());
        memory.failed(&place, instance(&place), T(0));
        assert!(memory.all_failed(KEPT).is_empty());
    }
}
