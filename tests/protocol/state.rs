//! What a state of the model is: the log as far as anybody can still see it, and what each manager
//! knows and is doing. Times are ages in ticks, each kept only up to the last value that any rule
//! can tell from its successor.

/// Numbers of generations, counted from the newest. Every number below `PREVIOUS` is `OLD`; an old one that
/// had been removed and was made a second time is `AGAIN`, which is below every number that its maker can see.
pub(crate) const AGAIN: u8 = 0;
pub(crate) const OLD: u8 = 1;
pub(crate) const PREVIOUS: u8 = 2;
pub(crate) const TOP: u8 = 3;
pub(crate) const NEXT: u8 = 4;

/// What the `.renew` file of a generation holds. Values of counters are not kept: every write brings a
/// value that was never there before, so what matters is only whether it has changed since somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Life {
    Absent,
    Counter,
    Released,
}

/// A generation in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) life: Life,
    /// Since its `.renew` file was first there.
    pub(crate) shown: u8,
    /// Since it was made.
    pub(crate) made: u8,
}

/// What an observer remembers. Forgotten as soon as no look can show it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Known {
    pub(crate) number: u8,
    pub(crate) life: Life,
    pub(crate) age: u8,
}

/// A look whose answers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sight {
    pub(crate) number: u8,
    pub(crate) life: Life,
    /// Whether it is what is known.
    pub(crate) same: bool,
    /// For how long it was known when the look began.
    pub(crate) silent: u8,
    /// Whether it has been overwritten since it was read.
    pub(crate) outdated: bool,
}

/// The renewal that an owner is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Renewing {
    Rest,
    /// Begun so long ago; not written yet.
    Begun(u8),
    Written(u8),
    /// The log was looked at and still has us at its top.
    Looked(u8),
    /// Lost: the cycle that is under way ends by itself.
    Over,
}

/// The mutating call that an owner is at. `late`: the record of its intent landed only after a higher
/// generation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Calling {
    Rest,
    Intended {
        late: bool,
    },
    Looked {
        late: bool,
    },
    /// The proof was checked so long ago; the call has not left yet.
    Cleared {
        late: bool,
        age: u8,
    },
}

/// An ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) number: u8,
    /// Since the last renewal that counts was begun.
    pub(crate) age: u8,
    /// Whether `acquire` has returned: before that nobody acts by it.
    pub(crate) settled: bool,
    pub(crate) renewing: Renewing,
    pub(crate) calling: Calling,
}

/// Where a manager is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Down,
    Idle(Option<Known>),
    Listed { known: Option<Known>, number: u8, silent: u8 },
    Read { known: Option<Known>, sight: Sight },
    Vacant(u8),
    Claiming { number: u8, begun: u8 },
    Claimed { number: u8, begun: u8 },
    Shown { number: u8, begun: u8 },
    Owner(Owner),
}

/// A write that was reported as failed, or whose writer is gone, and that may still land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Late {
    Claim,
    Renewal(u8),
    Release(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) place: Place,
    /// The oldest number that its listings may still show as the highest.
    pub(crate) floor: u8,
    pub(crate) late: Option<Late>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) previous: Slot,
    pub(crate) top: Slot,
    pub(crate) managers: Vec<Manager>,
    /// Faults that may still strike.
    pub(crate) faults: u8,
}

impl State {
    pub(crate) fn slot(&self, number: u8) -> Option<Slot> {
        match number {
            TOP => Some(self.top),
            PREVIOUS => Some(self.previous),
            AGAIN | OLD | NEXT.. => None,
        }
    }

    /// A write of a `.renew` file arrives.
    pub(crate) fn land(&mut self, number: u8, life: Life) {
        let slot = match number {
            TOP => &mut self.top,
            PREVIOUS => &mut self.previous,
            AGAIN | OLD | NEXT.. => return,
        };
        if slot.life == Life::Absent {
            slot.shown = 0;
        }
        slot.life = life;
        for manager in &mut self.managers {
            match &mut manager.place {
                Place::Idle(known) | Place::Listed { known, .. } => overwritten(known, number),
                Place::Read { known, sight } => {
                    overwritten(known, number);
                    sight.outdated |= sight.number == number && sight.life == Life::Counter;
                }
                Place::Down
                | Place::Vacant(_)
                | Place::Claiming { .. }
                | Place::Claimed { .. }
                | Place::Shown { .. }
                | Place::Owner(_) => {}
            }
        }
    }

    /// The next generation is made: every number moves down by one.
    pub(crate) fn make_next(&mut self) {
        self.previous = self.top;
        self.top = Slot { life: Life::Absent, shown: 0, made: 0 };
        for manager in &mut self.managers {
            manager.floor = down(manager.floor);
            manager.late = match manager.late {
                // Its number is taken now: it can land no more.
                Some(Late::Claim) | None => None,
                Some(Late::Renewal(number)) => below(number).map(Late::Renewal),
                Some(Late::Release(number)) => below(number).map(Late::Release),
            };
            for number in numbers(&mut manager.place) {
                *number = down(*number);
            }
        }
    }
}

fn down(number: u8) -> u8 {
    if number == AGAIN { AGAIN } else { (number - 1).max(OLD) }
}

/// What lands in an old generation is seen by nobody.
fn below(number: u8) -> Option<u8> {
    Some(down(number)).filter(|number| *number > OLD)
}

/// A counter that is overwritten never returns: whoever knows it will see something new.
fn overwritten(known: &mut Option<Known>, number: u8) {
    *known = known.filter(|known| known.number != number || known.life != Life::Counter);
}

fn numbers(place: &mut Place) -> Vec<&mut u8> {
    match place {
        Place::Down => vec![],
        Place::Idle(known) => known.iter_mut().map(|known| &mut known.number).collect(),
        Place::Listed { known, number, silent: _ } => {
            known.iter_mut().map(|known| &mut known.number).chain([number]).collect()
        }
        Place::Read { known, sight } => {
            known.iter_mut().map(|known| &mut known.number).chain([&mut sight.number]).collect()
        }
        Place::Vacant(number)
        | Place::Claiming { number, .. }
        | Place::Claimed { number, .. }
        | Place::Shown { number, .. } => vec![number],
        Place::Owner(owner) => vec![&mut owner.number],
    }
}
