//! Random histories: what holds after every entry, whatever came before.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model::{Machine, Model};
use super::*;
use crate::{Found, ReleaseReason, SettleReason};

#[derive(Debug, Clone)]
struct Want {
    account: usize,
    tariff: usize,
    from: i64,
    long: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(Vec<Want>),
    Find(Want),
    /// Which, and from and to which parts (of 1000) of its reservation it lived.
    Settle(usize, (i64, i64)),
    Release(usize),
    Extend(usize, i64),
    Reprice(usize, usize, i64),
    Correct(usize, i64, i64),
    SetCaps(usize),
}

fn wants() -> impl Strategy<Value = Want> {
    (0_usize..8, 0_usize..4, 0_i64..8000, 1_i64..2500)
        .prop_map(|(account, tariff, from, long)| Want { account, tariff, from, long })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(wants(), 1..6).prop_map(Step::Reserve),
        1 => wants().prop_map(Step::Find),
        5 => (any::<usize>(), (0_i64..1000, 0_i64..=1000)).prop_map(|(which, life)| Step::Settle(which, life)),
        2 => any::<usize>().prop_map(Step::Release),
        1 => (any::<usize>(), 1_i64..600).prop_map(|(which, more)| Step::Extend(which, more)),
        1 => (any::<usize>(), 0_usize..4, -100_i64..2000).prop_map(|(which, tariff, at)| Step::Reprice(which, tariff, at)),
        1 => (0_usize..8, 0_i64..8000, -20_000_000_000_i64..20_000_000_000).prop_map(|(account, at, nanos)| Step::Correct(account, at, nanos)),
        1 => (0_usize..4).prop_map(Step::SetCaps),
    ]
}

fn caps(set: usize) -> Vec<Cap> {
    let all = Scope::default;
    let of = |community: &str| Scope {
        communities: [Community::parse(community).unwrap()].into(),
        ..all()
    };
    let on = |space: &str| Scope { spaces: [SpaceName::parse(space).unwrap()].into(), ..all() };
    let spot = Scope { markets: [Market::Preemptible].into(), ..all() };
    let grant = Window::Grant { from: minute(720), to: minute(6000) };
    let month = Window::Month { utc_offset_hours: -8 };
    let every = [
        cap("hour", "9", all(), Window::Hour),
        cap("day", "70", on("aws.example"), Window::Day { utc_offset_hours: 5 }),
        cap("week", "260", all(), Window::Week { utc_offset_hours: 0 }),
        cap("month", "170", spot, month),
        cap("grant", "130", of("SKA"), grant),
    ];
    match set {
        0 => every.into(),
        1 => every.into_iter().skip(2).collect(),
        2 => vec![cap("month", "90", all(), Window::Month { utc_offset_hours: 0 })],
        _ => every.into_iter().map(|cap| Cap { limit: cap.limit + cap.limit, ..cap }).collect(),
    }
}

/// A ledger with its model.
#[derive(Default)]
struct World {
    book: Book,
    model: Model,
    log: Vec<Vec<u8>>,
    number: u64,
}

/// The sums that may not have grown, of those of the windows of all caps.
enum Growth {
    /// Any may.
    Any,
    /// None that is above its limit now.
    WithinLimits,
    /// None.
    Nowhere,
}

impl World {
    fn want(&mut self, want: &Want) -> Reservation {
        self.number += 1;
        let life = (minute(want.from), minute(want.from + want.long));
        reservation(self.number, &account(want.account), tariff(want.tariff), life)
    }

    /// One of the machines that are open, if there are any.
    fn pick(&self, which: usize) -> Option<usize> {
        let machines = self.model.machines.iter().enumerate();
        let open: Vec<usize> =
            machines.filter(|(_, machine)| machine.life.is_none()).map(|(i, _)| i).collect();
        (!open.is_empty()).then(|| open[which % open.len()])
    }

    /// What a step writes, and how it may change the sums. The model is changed too.
    fn events(&mut self, step: &Step) -> (Vec<Event>, Growth) {
        match step {
            Step::Reserve(wants) => {
                let wants: Vec<Reservation> = wants.iter().map(|want| self.want(want)).collect();
                let answers = self.book.admit(&wants);
                let admitted = wants.into_iter().zip(answers).filter(|(_, answer)| answer.is_ok());
                let admitted: Vec<Reservation> = admitted.map(|(want, _)| want).collect();
                self.model.machines.extend(admitted.iter().cloned().map(Machine::new));
                (admitted.into_iter().map(Event::Reserved).collect(), Growth::WithinLimits)
            }
            Step::Find(want) => {
                let reservation = self.want(want);
                self.model.machines.push(Machine::new(reservation.clone()));
                (vec![Event::Found { reservation, how: Found::Adopted }], Growth::Any)
            }
            Step::SetCaps(set) => {
                self.model.set_caps(caps(*set));
                let event = Event::CapsSet { caps: caps(*set), source: "a test".to_owned() };
                (vec![event], Growth::Any)
            }
            Step::Correct(number, at, nanos) => {
                let (account, at) = (account(*number), minute(*at));
                let amount = Amount::from_nanos(*nanos);
                self.model.corrections.push((account.clone(), at, amount));
                let source = "bill".to_owned();
                (vec![Event::Corrected { account, at, amount, source }], Growth::Any)
            }
            Step::Settle(which, _)
            | Step::Release(which)
            | Step::Extend(which, _)
            | Step::Reprice(which, _, _) => match self.pick(*which) {
                Some(place) => self.change(place, step),
                None => (Vec::new(), Growth::Nowhere),
            },
        }
    }

    fn change(&mut self, place: usize, step: &Step) -> (Vec<Event>, Growth) {
        let machine = &mut self.model.machines[place];
        let Reservation { intent, from, until, .. } = machine.reservation;
        let event = match step {
            Step::Settle(_, (a, b)) => {
                let long = until.as_millis() - from.as_millis();
                let at = |part: i64| Timestamp::from_millis(from.as_millis() + long * part / 1000);
                let life = (at(*a), at(*b).max(at(*a)));
                machine.life = Some(life);
                let reason = [SettleReason::Worked, SettleReason::Fizzled][place % 2];
                (Event::Settled { intent, begin: life.0, end: life.1, reason }, Growth::Nowhere)
            }
            Step::Release(_) => {
                self.model.machines.remove(place);
                let event = Event::Released { intent, reason: ReleaseReason::Refused };
                (event, Growth::Nowhere)
            }
            Step::Extend(_, more) => {
                let until = until + Duration::from_secs(60 * more.unsigned_abs());
                machine.reservation.until = until;
                (Event::Extended { intent, until }, Growth::Any)
            }
            Step::Reprice(_, new, after) => {
                let (tariff, from) =
                    (tariff(*new), Timestamp::from_secs(from.as_secs() + 60 * after));
                machine.reprice(tariff, from);
                (Event::Repriced { intent, tariff, from }, Growth::Any)
            }
            Step::Reserve(_) | Step::Find(_) | Step::Correct(..) | Step::SetCaps(_) => {
                unreachable!("these are of no open machine")
            }
        };
        (vec![event.0], event.1)
    }

    fn sums(&self) -> BTreeMap<(CapName, Timestamp), i128> {
        let caps = self.book.caps().iter();
        let sums = caps.flat_map(|cap| {
            self.book.sums(&cap.name).into_iter().map(|(from, sum)| ((cap.name.clone(), from), sum))
        });
        sums.map(|(key, sum)| (key, sum.settled + sum.reserved)).collect()
    }

    fn step(&mut self, step: &Step) {
        let before = self.sums();
        let (events, growth) = self.events(step);
        if events.is_empty() {
            return;
        }
        let written = apply(&mut self.book, events).expect("what is written is allowed");
        self.log.push(written);
        let after = self.sums();
        assert_eq!(after, self.model.sums(), "{step:?}: the sums are those of the model");
        assert_eq!(self.book.sums, self.book.rebuilt(), "{step:?}: and those reckoned anew");
        for ((name, window), sum) in &after {
            let has_grown = *sum > before.get(&(name.clone(), *window)).copied().unwrap_or(0);
            let limit = i128::from(self.book.cap(name).unwrap().limit.nanos());
            match growth {
                Growth::Any => {}
                Growth::WithinLimits => assert!(!has_grown || *sum <= limit, "{step:?} {name}"),
                Growth::Nowhere => assert!(!has_grown, "{step:?} {name} {window}"),
            }
        }
    }
}

fn replayed(mut book: Book, log: &[Vec<u8>]) -> Book {
    for bytes in log {
        let sealed = book.head().open(bytes).unwrap();
        book.apply(&sealed).unwrap();
    }
    book
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_reservation_passes_a_cap_no_settlement_raises_a_sum_and_every_way_to_the_book_is_the_same(
        steps in prop::collection::vec(steps(), 1..40), cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::default();
        world.step(&Step::SetCaps(0));
        for step in &steps {
            world.step(step);
        }
        prop_assert_eq!(&replayed(Book::default(), &world.log), &world.book);
        let (first, tail) = world.log.split_at(cut.index(world.log.len() + 1));
        let book = replayed(Book::default(), first);
        let bytes = book.checkpoint();
        let book = Book::from_checkpoint(&bytes).unwrap();
        prop_assert_eq!(book.checkpoint(), bytes, "whoever writes it writes the same");
        let book = replayed(book, tail);
        prop_assert_eq!(&book, &world.book);
        let wants: Vec<Reservation> =
            (0..12).map(|i| world.want(&Want { account: i, tariff: i, from: 700 * i as i64, long: 900 })).collect();
        prop_assert_eq!(book.admit(&wants), world.book.admit(&wants));
    }

    #[test]
    fn a_wave_is_admitted_as_if_one_came_after_the_other(wants in prop::collection::vec(wants(), 1..30)) {
        let mut world = World::default();
        world.step(&Step::SetCaps(0));
        let wants: Vec<Reservation> = wants.iter().map(|want| world.want(want)).collect();
        let wave = world.book.admit(&wants);
        for (want, answer) in wants.into_iter().zip(wave) {
            prop_assert_eq!(&world.book.admit(std::slice::from_ref(&want))[0], &answer);
            let written = apply(&mut world.book, vec![Event::Reserved(want.clone())]);
            match (answer, written) {
                (Ok(()), Ok(_)) => {}
                (Err(refusal), Err(Violation::CapPassed { intent, refusal: again })) => {
                    prop_assert_eq!((intent, again), (want.intent, refusal));
                }
                (answer, written) => prop_assert!(false, "{answer:?} {written:?}"),
            }
        }
    }

    #[test]
    fn bytes_that_are_not_a_book_are_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>()) {
        let mut world = World::default();
        world.step(&Step::SetCaps(0));
        world.step(&Step::Reserve(vec![Want { account: 1, tariff: 1, from: 5, long: 100 }]));
        world.step(&Step::Settle(0, (100, 900)));
        let mut bytes = world.book.checkpoint();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        prop_assert!(Book::from_checkpoint(&bytes).is_err());
    }
}
