//! The way on without faults: whether one living manager alone comes to own the space.

use super::checker::{Model, Way};
use super::state::{Place, State, TOP};
use super::steps::{Action, How, Protocol, Step};

impl Protocol {
    /// How many ticks a manager needs to own the space, all alone, from here and without faults: everybody
    /// else is dead or stopped for ever. `None`: it never does.
    pub(crate) fn ticks_to_own(&self, from: &State, manager: usize) -> Option<u8> {
        let mut state = from.clone();
        let mut ways = Vec::new();
        let mut ticks = 0;
        // Its own steps between two ticks are few.
        for _ in 0..400 {
            if let Place::Owner(owner) = state.managers[manager].place
                && owner.settled
                && owner.number == TOP
                && self.in_time(owner.age)
            {
                return Some(ticks);
            }
            ways.clear();
            self.ways(&state, &mut ways);
            let wanted = |way: &Way<Action, State>| match way.action {
                Action::Of(of, step) => of == manager && Self::goes_on(step),
                Action::Tick => false,
            };
            let before = state.managers[manager].place;
            let next = ways.iter().find(|way| wanted(way)).and_then(|way| way.to.clone().ok());
            state = next.expect("a living manager can always go on");
            // A look that shows nothing new: time must pass.
            let place = state.managers[manager].place;
            if matches!(
                (before, place),
                (Place::Listed { .. } | Place::Read { .. }, Place::Idle(_))
            ) {
                state = self.tick(&state);
                ticks += 1;
            }
        }
        None
    }

    /// What a manager without faults does; of two such steps the first that `ways` names.
    fn goes_on(step: Step) -> bool {
        match step {
            Step::List { shows } | Step::SecondLook { shows } => shows == TOP,
            Step::LookAfterRenewal { shows } | Step::LookBeforeCall { shows } => shows == TOP,
            Step::Claim(how) => matches!(how, How::Well | How::NotDone),
            Step::FirstRenewal(how) | Step::WriteRenewal(how) => how == How::Well,
            Step::Read { .. }
            | Step::Judge
            | Step::BeginClaim
            | Step::BeginRenewal
            | Step::CountRenewal
            | Step::NoticeTheEnd
            | Step::ClockBeforeCall
            | Step::Call => true,
            Step::Start
            | Step::Crash
            | Step::Release(_)
            | Step::LookAfterRenewalFails
            | Step::WriteIntent
            | Step::LateWriteLands
            | Step::LateWriteIsLost => false,
        }
    }

    /// A state as one of its managers alone meets it.
    pub(crate) fn alone(&self, state: &State, manager: usize) -> State {
        let mut state = state.clone();
        for (i, other) in state.managers.iter_mut().enumerate() {
            other.late = None;
            if i != manager {
                other.place = Place::Down;
            }
        }
        state.managers.swap(0, manager);
        state
    }
}
