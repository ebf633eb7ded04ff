//! What people ask, by examples: violations, stages, totals, refusals.

use super::*;
use crate::book::Changed;
use crate::book::{Damage, Purpose, Refusal, Stage};
use crate::{Found, Permille, ReleaseReason, SettleReason};

fn with_caps(caps: Vec<Cap>) -> Book {
    let mut book = Book::default();
    apply(&mut book, vec![Event::CapsSet { caps, source: String::new() }]).unwrap();
    book
}

/// A pound an hour, by the second, without a minimum.
fn plain() -> Tariff {
    Tariff {
        hourly: Amount::from_units(1),
        charged: None,
        minimum: Duration::ZERO,
        granularity: Duration::from_secs(1),
    }
}

fn hours(number: u64, account_number: usize, from: i64, to: i64) -> Reservation {
    let life = (minute(60 * from), minute(60 * to));
    reservation(number, &account(account_number), plain(), life)
}

fn day(limit: &str) -> Cap {
    cap("day", limit, Scope::default(), Window::Day { utc_offset_hours: 0 })
}

fn settled(number: u64, from: i64, to: i64, reason: SettleReason) -> Event {
    let (begin, end) = (minute(60 * from), minute(60 * to));
    Event::Settled { intent: intent(number), begin, end, reason }
}

#[test]
fn a_refusal_names_the_cap_the_window_what_is_left_and_what_is_needed() {
    let mut book = with_caps(vec![day("10")]);
    apply(&mut book, vec![Event::Reserved(hours(1, 0, 0, 4))]).unwrap();
    let answers = book.admit(&[hours(2, 0, 0, 5), hours(3, 0, 0, 2), hours(4, 0, 24, 33)]);
    let refusal = Refusal {
        cap: CapName::parse("day").unwrap(),
        window: Span { from: minute(0), to: minute(24 * 60) },
        left: Amount::from_units(1),
        needed: Amount::from_units(2),
        is_closed: false,
    };
    assert_eq!(
        answers,
        [Ok(()), Err(refusal.clone()), Ok(())],
        "5 of the 6 that were left are promised"
    );
    assert_eq!(refusal.to_string(), "day from 2026-12-29T00:00:00.000Z: 2.00 needed, 1.00 left");
    let (left, cap) = book.left_for(&account(3), Span { from: minute(0), to: minute(1) }).unwrap();
    assert_eq!((left, cap.as_str()), (Amount::from_units(6), "day"));
}

#[test]
fn an_entry_is_taken_as_a_whole_or_not_at_all() {
    let mut book = with_caps(vec![day("10")]);
    let before = book.clone();
    let events = [1, 2, 3].map(|number| Event::Reserved(hours(number, 0, 0, 4))).to_vec();
    let violation = apply(&mut book, events).unwrap_err();
    assert!(matches!(violation, Violation::CapPassed { intent: third, .. } if third == intent(3)));
    assert_eq!(book, before);
}

#[test]
fn what_no_entry_may_do_is_refused() {
    let mut book = with_caps(vec![day("100")]);
    apply(&mut book, vec![Event::Reserved(hours(1, 0, 0, 4))]).unwrap();
    let refused = |events: Vec<Event>| apply(&mut book.clone(), events).unwrap_err();
    let unknown = Violation::Unknown { intent: intent(2) };
    assert_eq!(refused(vec![settled(2, 0, 1, SettleReason::Worked)]), unknown);
    let settle = settled(1, 0, 1, SettleReason::Worked);
    let twice = refused(vec![settle.clone(), settle]);
    assert_eq!(twice, Violation::Unknown { intent: intent(1) });
    let again = refused(vec![Event::Reserved(hours(1, 0, 0, 4))]);
    assert_eq!(again, Violation::Twice { intent: intent(1) });
    let outside = Violation::NotReserved { intent: intent(1) };
    for (from, to) in [(0, 5), (-1, 1), (4, 4), (2, 1)] {
        assert_eq!(
            refused(vec![settled(1, from, to, SettleReason::Worked)]),
            outside,
            "{from} {to}"
        );
    }
    let shorter = Event::Extended { intent: intent(1), until: minute(240) };
    assert_eq!(refused(vec![shorter]), Violation::NotLonger { intent: intent(1) });
    for absurd in [
        hours(9, 0, 4, 4),
        hours(9, 0, -300_000, 1),
        Reservation { tariff: Tariff { hourly: Amount::ZERO, ..plain() }, ..hours(9, 0, 0, 1) },
        Reservation { tariff: Tariff { hourly: Amount::MAX, ..plain() }, ..hours(9, 0, 0, 1) },
        Reservation { until: Timestamp::from_millis(i64::MAX), ..hours(9, 0, 0, 1) },
    ] {
        let found = Event::Found { reservation: absurd.clone(), how: Found::Adopted };
        assert!(matches!(refused(vec![found]), Violation::Absurd { .. }), "{absurd:?}");
    }
    for bad in [
        vec![day("1"), day("2")],
        vec![cap("x", "1", Scope::default(), Window::Day { utc_offset_hours: 15 })],
        vec![cap("x", "1", Scope::default(), Window::Grant { from: minute(1), to: minute(60) })],
        vec![cap("x", "1", Scope::default(), Window::Grant { from: minute(60), to: minute(0) })],
    ] {
        let set = Event::CapsSet { caps: bad, source: String::new() };
        assert!(matches!(refused(vec![set]), Violation::BadCap { .. }));
    }
}

#[test]
fn entries_out_of_order_or_of_another_chain_are_refused() {
    let mut book = with_caps(vec![day("100")]);
    let (sealed, bytes) = entry(&book, Vec::new());
    let mut other = Book::default();
    assert_eq!(other.apply(&sealed), Err(Violation::NotNext(Damage::WrongNumber { found: 2 })));
    apply(&mut other, Vec::new()).unwrap();
    assert!(matches!(other.head().open(&bytes), Err(Damage::BrokenChain { .. })));
    assert!(matches!(book.head().open(b""), Err(Damage::Unreadable { .. })));
    let cut = &bytes[..bytes.len() - 1];
    assert!(matches!(book.head().open(cut), Err(Damage::Unreadable { .. })), "not a byte may miss");
    let body = b"{\"format\":2,\"number\":2}";
    let hash = crate::book::verify::sha256(body);
    let newer = format!("{{\"sha256\":\"{hash}\",\"entry\":{{\"format\":2,\"number\":2}}}}\n");
    assert_eq!(book.head().open(newer.as_bytes()), Err(Damage::Newer { found: 2 }));
    book.apply(&book.head().open(&bytes).unwrap()).unwrap();
    assert_eq!(book.head().number, 2);
}

#[test]
fn what_is_longer_or_dearer_than_reserved_is_booked_and_then_nothing_more_is_made() {
    let mut book = with_caps(vec![day("6")]);
    apply(&mut book, vec![Event::Reserved(hours(1, 0, 0, 4))]).unwrap();
    assert_eq!(book.admit(&[hours(2, 0, 0, 2)]), [Ok(())]);
    let dearer = Tariff { hourly: Amount::from_units(3), ..plain() };
    let repriced = Event::Repriced { intent: intent(1), tariff: dearer, from: minute(120) };
    apply(&mut book, vec![repriced]).unwrap();
    assert_eq!(book.reservation(&intent(1)).unwrap().worst(), Amount::from_units(2 + 6));
    assert!(book.admit(&[hours(2, 0, 0, 1)])[0].is_err());
    let standing = &book.standings(minute(1))[0];
    assert_eq!((standing.stage, standing.left()), (Stage::Draining, Amount::from_units(-2)));
    let later = Event::Extended { intent: intent(1), until: minute(300) };
    apply(&mut book, vec![later, settled(1, 1, 5, SettleReason::Killed)]).unwrap();
    let spent = book.settled_in(Span { from: minute(0), to: minute(24 * 60) });
    assert_eq!(spent.all, Amount::from_units(1 + 9));
    assert_eq!(book.standings(minute(1))[0].stage, Stage::Spent);
}

#[test]
fn stages_follow_from_the_sums_and_the_time() {
    let stages = Stages { warn: Permille(500), stop_growing: Permille(700), drain: Permille(900) };
    let mut book = with_caps(vec![Cap { stages, ..day("10") }]);
    let mut stage = |from, to, at: i64| {
        let number = 100 + from as u64;
        if from != to {
            apply(&mut book, vec![Event::Reserved(hours(number, 0, from, to))]).unwrap();
        }
        book.standings(minute(60 * at))[0].stage
    };
    assert_eq!(stage(0, 4, 0), Stage::Open);
    assert_eq!(stage(1, 2, 0), Stage::Warned);
    assert_eq!(stage(2, 6, 0), Stage::NotGrowing, "9 of 10 are reserved, and little is spent");
    assert_eq!(stage(0, 0, 6), Stage::Draining, "9 of 10 are spent");
    assert_eq!(stage(0, 0, 30), Stage::Open, "another day");
    let refusal = book.admit(&[hours(1, 0, 0, 1)])[0].clone().unwrap_err();
    assert_eq!((refusal.left, refusal.needed), (Amount::ZERO, Amount::from_units(1)));
}

#[test]
fn a_cap_that_is_lowered_below_what_a_coming_window_holds_drains_now() {
    let mut book = with_caps(vec![day("10")]);
    apply(&mut book, vec![Event::Reserved(hours(1, 0, 23, 30))]).unwrap();
    let caps = vec![day("5")];
    apply(&mut book, vec![Event::CapsSet { caps, source: String::new() }]).unwrap();
    let standing = &book.standings(minute(23 * 60))[0];
    assert_eq!((standing.stage, standing.left()), (Stage::Draining, Amount::from_units(4)));
}

#[test]
fn totals_show_who_spent_on_what_and_how_fast() {
    let mut book = with_caps(Vec::new());
    let all = [hours(1, 0, 0, 4), hours(2, 3, 0, 4), hours(3, 3, 2, 10), hours(4, 0, 0, 9)];
    apply(&mut book, all.map(Event::Reserved).to_vec()).unwrap();
    let released = Event::Released { intent: intent(4), reason: ReleaseReason::Refused };
    let events = vec![
        settled(1, 0, 3, SettleReason::Worked),
        settled(2, 1, 2, SettleReason::Fizzled),
        released,
        Event::Corrected {
            account: account(0),
            at: minute(0),
            amount: "-0.5".parse().unwrap(),
            source: "bill".to_owned(),
        },
    ];
    apply(&mut book, events).unwrap();
    let totals = book.settled_in(Span { from: minute(0), to: minute(600) });
    assert_eq!((totals.all, totals.waste()), ("3.5".parse().unwrap(), Amount::from_units(1)));
    assert_eq!(totals.spaces[&account(0).space], "2.5".parse().unwrap());
    assert_eq!(totals.communities[&None], Amount::from_units(1));
    assert_eq!(totals.purposes[&Purpose::Corrected], "-0.5".parse().unwrap());
    let half = book.settled_in(Span { from: minute(150), to: minute(180) });
    assert_eq!(half.all, "0.5".parse().unwrap());
    // Nothing is settled that was not spent: until now is all of the hour that goes on, with the minimum that was charged.
    let until_now = book.settled_in(Span { from: minute(0), to: minute(150) });
    assert_eq!(until_now.all, "3.5".parse().unwrap());
    assert_eq!(book.committed().all, Amount::from_units(8));
    // In the last two hours one machine ran for all of the time and one for one hour.
    assert_eq!(book.rate(minute(240), Duration::from_secs(7200)), "1.5".parse().unwrap());
    assert_eq!(book.lines(Span { from: minute(0), to: minute(600) }).count(), 5);
    assert_eq!(book.lines(Span { from: minute(0), to: minute(0) }).count(), 0);
}

proptest::proptest! {
    #[test]
    fn no_byte_of_an_entry_can_change_unseen(at in proptest::prelude::any::<proptest::sample::Index>(), bit in 0_u8..8) {
        let book = with_caps(vec![day("100")]);
        let (_, bytes) = entry(&book, vec![Event::Reserved(hours(1, 0, 0, 4))]);
        let mut changed = bytes.clone();
        let at = at.index(bytes.len());
        changed[at] ^= 1 << bit;
        proptest::prop_assert!(book.head().open(&changed).is_err());
        proptest::prop_assert!(book.head().open(&bytes[..at]).is_err());
        proptest::prop_assert!(book.head().open(&bytes[at..]).is_err() || at == 0);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, text: String) {
        proptest::prop_assert!(Book::default().head().open(&bytes).is_err());
        proptest::prop_assert!(Book::default().head().open(text.as_bytes()).is_err());
        proptest::prop_assert!(Book::from_checkpoint(&bytes).is_err());
    }
}

#[test]
fn who_changed_which_cap_is_told_and_outlives_a_checkpoint() {
    let mut book = Book::default();
    let set = |caps: Vec<Cap>| Event::CapsSet { caps, source: "year.toml".to_owned() };
    let caps = |first: &str| vec![day(first), Cap { name: "b".parse().unwrap(), ..day("7") }];
    let early = Stages { warn: Permille(500), ..Stages::default() };
    for caps in [
        caps("10"),
        caps("10"),
        caps("4"),
        vec![Cap { stages: early, ..day("4") }, caps("4").remove(1)],
        vec![day("4")],
    ] {
        apply(&mut book, vec![set(caps)]).unwrap();
    }
    let name = day("1").name;
    apply(&mut book, vec![Event::StageChanged { cap: name.clone(), stage: Stage::Warned }])
        .unwrap();
    let limit = |text: &str| text.parse::<Amount>().unwrap();
    let source = "year.toml".to_owned();
    let expected = [
        (1, name.as_str(), Changed::Set { limit: limit("10"), source: source.clone() }),
        (1, "b", Changed::Set { limit: limit("7"), source: source.clone() }),
        (
            3,
            name.as_str(),
            Changed::Limit { was: limit("10"), limit: limit("4"), source: source.clone() },
        ),
        (4, name.as_str(), Changed::Otherwise { source: source.clone() }),
        (5, "b", Changed::Taken { source: source.clone() }),
        // Its stages are as before again.
        (5, name.as_str(), Changed::Otherwise { source }),
        (6, name.as_str(), Changed::Stage { stage: Stage::Warned }),
    ];
    let told = book.changes().iter();
    let told: Vec<_> = told.map(|one| (one.entry, one.cap.as_str(), one.what.clone())).collect();
    assert_eq!(told, expected);
    assert_eq!(Book::from_checkpoint(&book.checkpoint()).unwrap(), book);
}
