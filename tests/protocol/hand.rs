//! The steps of one manager, as `store::ownership` and `act` take them.

use super::checker::Way;
use super::rules::{Judged, made_counts, stands};
use super::state::{
    AGAIN, Calling, Known, Late, Life, Manager, NEXT, OLD, Owner, PREVIOUS, Place, Renewing, Sight,
    State, TOP,
};
use super::steps::{
    Action, Bent, Calls, How, LATE_CALL, Protocol, Step, Stops, UNKNOWN_INTENT, Ways,
};

/// Makes the ways on for one manager.
pub(crate) struct Hand<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) from: &'a State,
    pub(crate) i: usize,
    pub(crate) out: &'a mut Ways,
}

impl Hand<'_> {
    fn me(&self) -> Manager {
        self.from.managers[self.i]
    }

    fn way(&mut self, step: Step, to: State) {
        self.out.push(Way { action: Action::Of(self.i, step), to: Ok(to) });
    }

    fn law(&mut self, step: Step, law: &'static str) {
        self.out.push(Way { action: Action::Of(self.i, step), to: Err(law) });
    }

    /// The state after a step of ours that leads to this place.
    fn at(&self, place: Place) -> State {
        let mut state = self.from.clone();
        state.managers[self.i].place = place;
        state
    }

    /// The same after a fault; `None` when there are to be no more.
    fn faulty(&self, place: Place) -> Option<State> {
        let mut state = self.at(place);
        if self.protocol.faults.is_some() {
            state.faults = state.faults.checked_sub(1)?;
        }
        Some(state)
    }

    pub(crate) fn all(&mut self) {
        match self.me().place {
            Place::Down => {
                let mut state = self.at(Place::Idle(None));
                state.managers[self.i].floor = OLD;
                self.way(Step::Start, state);
            }
            Place::Idle(known) => self.list(known),
            Place::Listed { known, number, silent } => self.read(known, number, silent),
            Place::Read { known, sight } => {
                for place in self.judged(known, sight) {
                    let state = self.at(place);
                    self.way(Step::Judge, state);
                }
            }
            Place::Vacant(number) => {
                let state = self.at(Place::Claiming { number, begun: 0 });
                self.way(Step::BeginClaim, state);
            }
            Place::Claiming { number, begun } => self.claim(number, begun),
            Place::Claimed { number, begun } => self.first_renewal(number, begun),
            Place::Shown { number, begun } => self.second_look(number, begun),
            Place::Owner(owner) => {
                self.renew(owner);
                self.end(owner);
                if self.protocol.calls == Calls::Made && owner.settled {
                    self.call(owner);
                }
            }
        }
        if self.me().place != Place::Down
            && let Some(state) = self.faulty(Place::Down)
        {
            self.way(Step::Crash, state);
        }
        self.late();
    }

    /// What a listing may show as the highest: the truth, or what was so within the time that a look may
    /// be old, but nothing older than what this host has seen or done in that directory.
    fn listings(&self) -> Vec<(u8, State)> {
        let stale = self.protocol.times.stale;
        let mut shown = vec![(TOP, self.from.clone())];
        let old = [(PREVIOUS, self.from.top.made), (OLD, self.from.previous.made)];
        for (number, ended) in old {
            if self.me().floor <= number
                && ended <= stale
                && let Some(state) = self.faulty(self.me().place)
            {
                shown.push((number, state));
            }
        }
        for (number, state) in &mut shown {
            let floor = &mut state.managers[self.i].floor;
            *floor = (*floor).max(*number);
        }
        shown
    }

    fn list(&mut self, known: Option<Known>) {
        for (number, mut state) in self.listings() {
            let silent = known.filter(|k| k.number == number).map_or(0, |k| k.age);
            state.managers[self.i].place = Place::Listed { known, number, silent };
            self.way(Step::List { shows: number }, state);
        }
    }

    /// A file's content is that of now, since opening it asks the server; that there is none may be old.
    fn read(&mut self, known: Option<Known>, number: u8, silent: u8) {
        let truth = self.from.slot(number);
        let lives = match truth {
            None => vec![Life::Absent, Life::Counter, Life::Released],
            Some(slot) if slot.life != Life::Absent && slot.shown <= self.protocol.times.stale => {
                vec![slot.life, Life::Absent]
            }
            Some(slot) => vec![slot.life],
        };
        for life in lives {
            let like = known.is_some_and(|k| k.number == number && k.life == life);
            // Old generations are not kept apart: it may be the one that is known, or another.
            let sames = if like && number == OLD { vec![true, false] } else { vec![like] };
            for same in sames {
                let silent = if same { silent } else { 0 };
                let sight = Sight { number, life, same, silent, outdated: false };
                let hidden = truth.is_some_and(|slot| slot.life != life);
                let place = Place::Read { known, sight };
                let state = if hidden { self.faulty(place) } else { Some(self.at(place)) };
                let Some(state) = state else { continue };
                if self.protocol.stops == Stops::Everywhere {
                    self.way(Step::Read { life }, state);
                } else {
                    for place in self.judged(known, sight) {
                        let mut state = state.clone();
                        state.managers[self.i].place = place;
                        self.way(Step::Read { life }, state);
                    }
                }
            }
        }
    }

    /// Where a look leads.
    fn judged(&self, known: Option<Known>, sight: Sight) -> Vec<Place> {
        let times = self.protocol.times;
        let bent = self.protocol.bent;
        let sight = match bent {
            Bent::NoFirstLook => Sight { same: true, silent: times.longest(), ..sight },
            _ => sight,
        };
        vec![match times.judged(sight) {
            // The number after an old one is an old one, or the next that is kept apart.
            Judged::Take if sight.number == OLD => {
                return vec![Place::Vacant(OLD), Place::Vacant(PREVIOUS)];
            }
            Judged::Take => Place::Vacant(sight.number + 1),
            Judged::Wait(_) if sight.same => Place::Idle(known),
            Judged::Wait(_) if sight.outdated => Place::Idle(None),
            Judged::Wait(age) => {
                let age = match bent {
                    Bent::ClockOfAnother(behind) => age + behind,
                    _ => age,
                };
                let (number, life) = (sight.number, sight.life);
                Place::Idle(Some(Known { number, life, age }))
            }
        }]
    }

    fn claim(&mut self, number: u8, begun: u8) {
        if number == NEXT {
            let mut made = self.from.clone();
            made.make_next();
            made.managers[self.i].place = Place::Claimed { number: TOP, begun };
            made.managers[self.i].floor = TOP;
            self.way(Step::Claim(How::Well), made);
            if let Some(mut unknown) = self.faulty(Place::Idle(None)) {
                unknown.make_next();
                self.way(Step::Claim(How::ReplyLost), unknown);
            }
            self.fails(Step::Claim, Late::Claim, Place::Idle(None));
            return;
        }
        let mut theirs = self.at(Place::Idle(None));
        let floor = &mut theirs.managers[self.i].floor;
        *floor = (*floor).max(number);
        self.way(Step::Claim(How::NotDone), theirs);
        if number == OLD {
            // It was so old that it has been removed: its number is free again.
            let mut made = self.at(Place::Claimed { number: AGAIN, begun });
            made.managers[self.i].floor = TOP;
            self.way(Step::Claim(How::Well), made);
        }
    }

    /// A write that fails, at once or seemingly.
    fn fails(&mut self, step: fn(How) -> Step, late: Late, then: Place) {
        if let Some(state) = self.faulty(then) {
            self.way(step(How::NotDone), state);
        }
        if self.me().late.is_none()
            && let Some(mut state) = self.faulty(then)
        {
            state.managers[self.i].late = Some(late);
            self.way(step(How::Later), state);
        }
    }

    fn first_renewal(&mut self, number: u8, begun: u8) {
        let mut shown = self.at(Place::Shown { number, begun });
        shown.land(number, Life::Counter);
        shown.managers[self.i].floor = TOP;
        self.way(Step::FirstRenewal(How::Well), shown);
        let idle = Place::Idle(None);
        if let Some(mut state) = self.faulty(idle) {
            state.land(number, Life::Counter);
            self.way(Step::FirstRenewal(How::ReplyLost), state);
        }
        self.fails(Step::FirstRenewal, Late::Renewal(number), idle);
    }

    fn second_look(&mut self, number: u8, begun: u8) {
        let (renewing, calling) = (Renewing::Rest, Calling::Rest);
        let owner = Owner { number, age: begun, settled: false, renewing, calling };
        match self.protocol.bent {
            Bent::NoSecondLook => {
                let state = self.at(Place::Owner(Owner { settled: true, ..owner }));
                return self.way(Step::SecondLook { shows: number }, state);
            }
            Bent::OnlyTheFirstRenewalLooks => {
                let state = self.at(Place::Owner(owner));
                return self.way(Step::SecondLook { shows: number }, state);
            }
            _ => {}
        }
        for (shows, mut state) in self.listings() {
            state.managers[self.i].place =
                if made_counts(number, shows) { Place::Owner(owner) } else { Place::Idle(None) };
            self.way(Step::SecondLook { shows }, state);
        }
    }

    fn renew(&mut self, owner: Owner) {
        let with = |renewing| Place::Owner(Owner { renewing, ..owner });
        // What became of the write is not known: the old lease counts, or nothing.
        let unknown = if self.protocol.in_time(owner.age) {
            Place::Owner(Owner { renewing: Renewing::Rest, settled: true, ..owner })
        } else {
            with(Renewing::Over)
        };
        match owner.renewing {
            Renewing::Rest => {
                let begins = self.protocol.in_time(owner.age);
                let next = if begins { Renewing::Begun(0) } else { Renewing::Over };
                let state = self.at(with(next));
                self.way(Step::BeginRenewal, state);
            }
            Renewing::Begun(age) => {
                let mut state = self.at(with(Renewing::Written(age)));
                state.land(owner.number, Life::Counter);
                state.managers[self.i].floor = TOP;
                self.way(Step::WriteRenewal(How::Well), state);
                if let Some(mut state) = self.faulty(unknown) {
                    state.land(owner.number, Life::Counter);
                    self.way(Step::WriteRenewal(How::ReplyLost), state);
                }
                self.fails(Step::WriteRenewal, Late::Renewal(owner.number), unknown);
            }
            Renewing::Written(age) => {
                for (shows, mut state) in self.listings() {
                    let ours = stands(owner.number, shows);
                    let stops = self.protocol.stops;
                    state.managers[self.i].place = match stops {
                        _ if !ours => with(Renewing::Over),
                        Stops::Everywhere => with(Renewing::Looked(age)),
                        Stops::WhereTheyMatter => self.counted(owner, age),
                    };
                    self.way(Step::LookAfterRenewal { shows }, state);
                }
                if let Some(state) = self.faulty(unknown) {
                    self.way(Step::LookAfterRenewalFails, state);
                }
            }
            Renewing::Looked(begun) => {
                let state = self.at(self.counted(owner, begun));
                self.way(Step::CountRenewal, state);
            }
            Renewing::Over => {}
        }
    }

    /// What a renewal that is done has made of an ownership.
    fn counted(&self, owner: Owner, begun: u8) -> Place {
        let stretched = self.protocol.bent == Bent::NoMargin;
        Place::Owner(match self.protocol.times.renewed(owner.age, begun, stretched) {
            Some(age) => Owner { age, renewing: Renewing::Rest, settled: true, ..owner },
            None => Owner { renewing: Renewing::Over, ..owner },
        })
    }

    fn end(&mut self, owner: Owner) {
        if owner.calling != Calling::Rest {
            return;
        }
        let idle = Place::Idle(None);
        let expired = !self.protocol.in_time(owner.age) && owner.renewing == Renewing::Rest;
        if owner.renewing == Renewing::Over || expired {
            let state = self.at(idle);
            self.way(Step::NoticeTheEnd, state);
        }
        if !owner.settled || owner.renewing == Renewing::Over {
            return;
        }
        let then = match self.protocol.bent {
            Bent::ReleaseWithoutEnd => self.me().place,
            _ => idle,
        };
        let mut state = self.at(then);
        state.land(owner.number, Life::Released);
        // A renewal that is under way is not waited for.
        if matches!(owner.renewing, Renewing::Begun(_)) && self.me().late.is_none() {
            let mut state = state.clone();
            state.managers[self.i].late = Some(Late::Renewal(owner.number));
            self.way(Step::Release(How::Well), state);
        }
        self.way(Step::Release(How::Well), state);
        self.fails(Step::Release, Late::Release(owner.number), then);
    }

    /// As `act` does it: the record of the intent, the look at the log, the look at the clock, the call.
    fn call(&mut self, owner: Owner) {
        let with = |calling| Place::Owner(Owner { calling, ..owner });
        let higher = owner.number != TOP;
        match owner.calling {
            Calling::Rest => {
                if owner.renewing != Renewing::Over {
                    let state = self.at(with(Calling::Intended { late: higher }));
                    self.way(Step::WriteIntent, state);
                }
            }
            Calling::Intended { late } => {
                for (shows, mut state) in self.listings() {
                    let ours = stands(owner.number, shows);
                    let next = if ours { Calling::Looked { late } } else { Calling::Rest };
                    state.managers[self.i].place = with(next);
                    self.way(Step::LookBeforeCall { shows }, state);
                }
            }
            Calling::Looked { late } => {
                let in_time = self.protocol.bent == Bent::CallWithoutClock
                    || self.protocol.in_time(owner.age);
                let cleared = Calling::Cleared { late, age: 0 };
                let state = self.at(with(if in_time { cleared } else { Calling::Rest }));
                self.way(Step::ClockBeforeCall, state);
            }
            Calling::Cleared { late, age } => {
                if late {
                    self.law(Step::Call, UNKNOWN_INTENT);
                } else if higher && age <= self.protocol.times.patience {
                    self.law(Step::Call, LATE_CALL);
                } else {
                    let state = self.at(with(Calling::Rest));
                    self.way(Step::Call, state);
                }
            }
        }
    }

    fn late(&mut self) {
        let Some(late) = self.me().late else { return };
        let mut gone = self.from.clone();
        gone.managers[self.i].late = None;
        let mut landed = gone.clone();
        match late {
            Late::Claim => landed.make_next(),
            Late::Renewal(number) => landed.land(number, Life::Counter),
            Late::Release(number) => landed.land(number, Life::Released),
        }
        self.way(Step::LateWriteLands, landed);
        self.way(Step::LateWriteIsLost, gone);
    }
}
