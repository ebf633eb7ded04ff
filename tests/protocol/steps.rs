//! What can happen next: the steps of `store::ownership` and of a mutating call, one question, write or
//! reading of a clock at a time, and the faults that can come between any two.

use super::checker::{Model, Way};
use super::hand::Hand;
use super::rules::{Judged, Times};
use super::state::{
    AGAIN, Calling, Known, Late, Life, Manager, OLD, Owner, PREVIOUS, Place, Renewing, Slot, State,
    TOP,
};

/// A step that is done wrongly on purpose: the model must find what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bent {
    Nothing,
    /// Nobody looks at the log between a claim and the first action.
    NoSecondLook,
    /// Only the look right after the claim is left out; that of the renewal in `settle` is not.
    OnlyTheFirstRenewalLooks,
    /// Silence is counted from the time in the file, by a clock that is so many ticks behind.
    ClockOfAnother(u8),
    /// An owner acts for the whole TTL.
    NoMargin,
    /// What is found at the first look counts as having been so for ever.
    NoFirstLook,
    /// Silence is counted until the answer of a look is judged, not until it was asked for.
    SilenceToTheAnswer,
    /// An owner that gave its space back goes on.
    ReleaseWithoutEnd,
    /// A call leaves without a look at the clock after the look at the log.
    CallWithoutClock,
}

/// Whether owners make calls, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    Made,
    LeftOut,
}

/// Where a manager may be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stops {
    /// Between any two steps.
    Everywhere,
    /// Not between the last answer of a look and what is made of it: a stop there is a later look, or a
    /// stop right after it, or leaves fewer rights than no stop. The larger runs stop there, too.
    WhereTheyMatter,
}

/// With what the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Nobody has ever owned the space.
    Empty,
    /// The first manager owns it, and has just renewed.
    Owned,
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) managers: usize,
    pub(crate) times: Times,
    pub(crate) calls: Calls,
    pub(crate) stops: Stops,
    pub(crate) begins: Begins,
    /// `None`: any number of faults.
    pub(crate) faults: Option<u8>,
    pub(crate) bent: Bent,
}

/// How a step ends for its manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    /// Not done, and said so.
    NotDone,
    /// Done, and said not to be.
    ReplyLost,
    /// Said not to be done, and done later.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Start,
    Crash,
    List { shows: u8 },
    Read { life: Life },
    Judge,
    BeginClaim,
    Claim(How),
    FirstRenewal(How),
    SecondLook { shows: u8 },
    BeginRenewal,
    WriteRenewal(How),
    LookAfterRenewal { shows: u8 },
    LookAfterRenewalFails,
    CountRenewal,
    NoticeTheEnd,
    Release(How),
    WriteIntent,
    LookBeforeCall { shows: u8 },
    ClockBeforeCall,
    Call,
    LateWriteLands,
    LateWriteIsLost,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Of(usize, Step),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tick => write!(f, "a tick passes"),
            Self::Of(manager, step) => write!(f, "manager {}: {step:?}", manager + 1),
        }
    }
}

pub(crate) type Ways = Vec<Way<Action, State>>;

pub(crate) const TWO_BELIEVE: &str = "two managers believe that they may act";
pub(crate) const TWO_MADE: &str = "two managers hold one generation";
pub(crate) const LATE_CALL: &str = "a call left after a higher generation was made";
pub(crate) const UNKNOWN_INTENT: &str =
    "a call left whose intent landed only after a higher generation was made";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    /// An empty log looks as one whose only generation was given back long ago.
    fn first(&self) -> State {
        let old = self.times.stale + 1;
        let slot = Slot { life: Life::Released, shown: old, made: old };
        let manager = Manager { place: Place::Idle(None), floor: TOP, late: None };
        let mut managers = vec![manager; self.managers];
        let mut top = slot;
        if self.begins == Begins::Owned {
            let (renewing, calling) = (Renewing::Rest, Calling::Rest);
            let owner = Owner { number: TOP, age: 0, settled: true, renewing, calling };
            managers[0].place = Place::Owner(owner);
            top.life = Life::Counter;
        }
        State { previous: slot, top, managers, faults: self.faults.unwrap_or(u8::MAX) }
    }

    fn ways(&self, from: &State, out: &mut Ways) {
        out.push(Way { action: Action::Tick, to: Ok(self.tick(from)) });
        for i in 0..self.managers {
            Hand { protocol: self, from, i, out }.all();
        }
    }

    fn canonical(&self, state: &State) -> State {
        let mut state = state.clone();
        let oldest = if state.top.made > self.times.stale {
            TOP
        } else if state.previous.made > self.times.stale {
            PREVIOUS
        } else {
            OLD
        };
        for manager in &mut state.managers {
            self.forget(manager, oldest);
            manager.floor = manager.floor.max(oldest);
        }
        let floor = state.managers.iter().map(|manager| manager.floor).min().unwrap_or(TOP);
        let unseen = self.times.stale + 1;
        if floor > OLD {
            state.previous.made = unseen;
        }
        if floor > PREVIOUS {
            state.top.made = unseen;
        }
        let looked_at = |manager: &Manager| {
            manager.floor <= PREVIOUS
                || matches!(manager.place, Place::Listed { number: PREVIOUS, .. })
        };
        if !state.managers.iter().any(looked_at) {
            state.previous.life = Life::Released;
        }
        for slot in [&mut state.previous, &mut state.top] {
            if slot.life == Life::Absent {
                slot.shown = 0;
            }
        }
        if state.previous.life == Life::Released && floor > PREVIOUS {
            state.previous.shown = unseen;
        }
        state.managers.sort_unstable();
        state
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let mut believing = 0;
        let mut holders = [0; 5];
        for manager in &state.managers {
            match manager.place {
                Place::Owner(owner) => {
                    holders[owner.number as usize] += 1;
                    believing += usize::from(owner.settled && self.in_time(owner.age));
                }
                Place::Claimed { number, .. } | Place::Shown { number, .. } => {
                    holders[number as usize] += 1;
                }
                Place::Down
                | Place::Idle(_)
                | Place::Listed { .. }
                | Place::Read { .. }
                | Place::Vacant(_)
                | Place::Claiming { .. } => {}
            }
        }
        if believing > 1 {
            return Some(TWO_BELIEVE);
        }
        // `OLD` and `AGAIN` stand for many numbers.
        (holders[TOP as usize] > 1 || holders[PREVIOUS as usize] > 1).then_some(TWO_MADE)
    }
}

impl Protocol {
    /// Drops what can make no difference any more.
    fn forget(&self, manager: &mut Manager, oldest: u8) {
        let floor = manager.floor.max(oldest);
        if let Some(Late::Renewal(AGAIN | OLD) | Late::Release(AGAIN | OLD)) = manager.late {
            manager.late = None;
        }
        match &mut manager.place {
            Place::Idle(known) => *known = known.filter(|known| known.number >= floor),
            Place::Listed { known, number, silent } => {
                *known = known.filter(|known| known.number == *number);
                if known.is_none() {
                    *silent = 0;
                }
            }
            Place::Read { known, sight } => {
                let takes = matches!(self.times.judged(*sight), Judged::Take);
                *known = known.filter(|_| sight.same && !takes);
                sight.outdated &= !sight.same;
            }
            Place::Vacant(_) => {}
            Place::Claiming { number, begun } => {
                // Somebody else has made it.
                if [PREVIOUS, TOP].contains(number) {
                    *begun = 0;
                }
            }
            Place::Down => manager.floor = OLD,
            Place::Claimed { .. } | Place::Shown { .. } => {}
            Place::Owner(owner) => {
                let longest = self.longest_lease();
                match &mut owner.renewing {
                    Renewing::Begun(age) | Renewing::Written(age) | Renewing::Looked(age)
                        if !self.in_time(owner.age) =>
                    {
                        *age = longest;
                    }
                    _ => {}
                }
            }
        }
    }

    /// The first age at which an owner is too late.
    fn longest_lease(&self) -> u8 {
        let ttl = self.times.ttl;
        if self.bent == Bent::NoMargin { ttl + 1 } else { ttl - ttl / 5 + 1 }
    }

    pub(crate) fn in_time(&self, age: u8) -> bool {
        self.times.in_time(age, self.bent == Bent::NoMargin)
    }

    pub(crate) fn tick(&self, from: &State) -> State {
        let Times { ttl, stale, patience } = self.times;
        let (longest, lease) = (self.times.longest(), self.longest_lease());
        let older = |age: &mut u8, most: u8| *age = (*age + 1).min(most);
        let mut state = from.clone();
        for slot in [&mut state.previous, &mut state.top] {
            older(&mut slot.shown, stale + 1);
            older(&mut slot.made, stale + 1);
        }
        let known_older = |known: &mut Option<Known>| {
            if let Some(known) = known {
                let most = if known.life == Life::Absent { longest } else { ttl };
                older(&mut known.age, most);
            }
        };
        for manager in &mut state.managers {
            match &mut manager.place {
                Place::Down | Place::Vacant(_) => {}
                Place::Idle(known) => known_older(known),
                Place::Listed { known, silent, .. } => {
                    known_older(known);
                    self.stretch(silent);
                }
                Place::Read { known, sight } => {
                    known_older(known);
                    if sight.same {
                        self.stretch(&mut sight.silent);
                    }
                }
                Place::Claiming { begun, .. }
                | Place::Claimed { begun, .. }
                | Place::Shown { begun, .. } => older(begun, lease),
                Place::Owner(owner) => {
                    older(&mut owner.age, lease);
                    match &mut owner.renewing {
                        Renewing::Begun(age) | Renewing::Written(age) | Renewing::Looked(age) => {
                            older(age, lease);
                        }
                        Renewing::Rest | Renewing::Over => {}
                    }
                    if let Calling::Cleared { age, .. } = &mut owner.calling {
                        older(age, patience + 1);
                    }
                }
            }
        }
        state
    }

    fn stretch(&self, silent: &mut u8) {
        if self.bent == Bent::SilenceToTheAnswer {
            *silent = (*silent + 1).min(self.times.longest());
        }
    }
}
