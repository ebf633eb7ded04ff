//! What will happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use vcycle_api::Timestamp;

use crate::SettleReason;

/// Something that happens to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// It has booted and looks for work.
    Started,
    /// It has lived for so long that it has found work.
    Proven,
    /// The time that it was promised is over.
    PromiseOver,
    /// It has ended.
    Ended(Ending),
}

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// By itself, or because it was told to.
    Done,
    /// It found no work.
    NoWork,
    /// It never started.
    NeverStarted,
    /// The provider took it back.
    TakenBack,
}

impl From<Ending> for SettleReason {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::Worked,
            Ending::NoWork => Self::Fizzled,
            Ending::NeverStarted => Self::NeverStarted,
            Ending::TakenBack => Self::Preempted,
        }
    }
}

/// One of several machines that stood in the same slot, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Its slot.
    pub(super) slot: u32,
    /// Which of them.
    pub(super) version: u32,
}

/// The events to come. Of those at the same time the first that was scheduled comes first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Timestamp, u64, Key, What)>>,
    scheduled: u64,
}

impl Queue {
    pub(super) fn schedule(&mut self, at: Timestamp, key: Key, what: What) {
        self.scheduled += 1;
        self.heap.push(Reverse((at, self.scheduled, key, what)));
    }

    /// The next event until a time.
    pub(super) fn next(&mut self, until: Timestamp) -> Option<(Timestamp, Key, What)> {
        if self.heap.peek()?.0.0 > until {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, key, what))| (at, key, what))
    }
}
