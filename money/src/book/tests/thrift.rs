//! Whose machines must end, by examples and in general.

use proptest::prelude::*;

use super::*;
use crate::Permille;

fn book_with(cap: Cap, reservations: &[Reservation]) -> Book {
    let mut book = Book::default();
    let free = Cap { limit: Amount::from_units(1_000_000), ..cap.clone() };
    apply(&mut book, vec![Event::CapsSet { caps: vec![free], source: String::new() }]).unwrap();
    let reserved = reservations.iter().cloned().map(Event::Reserved).collect();
    apply(&mut book, reserved).unwrap();
    apply(&mut book, vec![Event::CapsSet { caps: vec![cap], source: String::new() }]).unwrap();
    book
}

fn pound_an_hour() -> Tariff {
    Tariff {
        hourly: Amount::from_units(1),
        charged: None,
        minimum: Duration::ZERO,
        granularity: Duration::from_secs(1),
    }
}

fn of_hours(number: u64, from: i64, to: i64) -> Reservation {
    let life = (minute(60 * from), minute(60 * to));
    reservation(number, &account(0), pound_an_hour(), life)
}

fn day(limit: i64) -> Cap {
    let window = Window::Day { utc_offset_hours: 0 };
    cap("day", &limit.to_string(), Scope::default(), window)
}

fn intents(book: &Book, now: i64) -> Vec<IntentToken> {
    book.to_end(minute(60 * now)).into_keys().collect()
}

#[test]
fn under_its_limit_a_cap_ends_nothing_also_when_all_of_it_is_spent() {
    let book = book_with(day(10), &[of_hours(1, 0, 5), of_hours(2, 0, 5)]);
    assert_eq!(intents(&book, 1), []);
    assert_eq!(intents(&book, 5), [], "it is spent, but to its limit, as it was reserved");
}

#[test]
fn over_its_limit_a_cap_ends_the_youngest_and_no_more_than_must_be() {
    let book = book_with(day(11), &[of_hours(1, 0, 5), of_hours(2, 1, 6), of_hours(3, 2, 7)]);
    assert_eq!(
        intents(&book, 3),
        [intent(3)],
        "four of the fifteen are too much, the youngest has four left"
    );
    let book = book_with(day(10), &[of_hours(1, 0, 5), of_hours(2, 1, 6), of_hours(3, 2, 7)]);
    assert_eq!(intents(&book, 3), [intent(2), intent(3)]);
}

#[test]
fn a_cap_with_a_stage_to_drain_ends_everything_once_that_much_is_spent() {
    let mut early = day(20);
    early.stages.drain = Permille(500);
    let book = book_with(early, &[of_hours(1, 0, 8), of_hours(2, 0, 8)]);
    assert_eq!(intents(&book, 4), []);
    assert_eq!(intents(&book, 5), [intent(1), intent(2)]);
    // What would be told to end at once is not made.
    let asked = |hour| book.admit(&[of_hours(3, hour, hour + 1)]).remove(0);
    assert_eq!(
        asked(4),
        Ok(()),
        "four hours of sixteen are left, and twelve of twenty are spent by nobody yet"
    );
    let refused = asked(5).unwrap_err();
    assert_eq!((refused.left, refused.needed), (Amount::ZERO, Amount::from_units(1)));
}

#[test]
fn what_a_cap_is_not_on_is_left_alone() {
    let of_gcp = reservation(2, &account(1), pound_an_hour(), (minute(60), minute(600)));
    let scope = Scope {
        providers: std::iter::once(ProviderName::parse("aws").unwrap()).collect(),
        ..Scope::default()
    };
    let on_aws = cap("aws", "2", scope, Window::Day { utc_offset_hours: 0 });
    let book = book_with(on_aws, &[of_hours(1, 0, 5), of_gcp]);
    assert_eq!(intents(&book, 1), [intent(1)]);
}

proptest! {
    /// If what is chosen ends now, no window passes its limit, unless nothing is left that could end.
    #[test]
    fn what_is_chosen_is_enough_and_the_last_of_it_is_needed(
        lives in prop::collection::vec((0_i64..40, 1_i64..40), 1..12), limit in 1_i64..60, now in 0_i64..40,
    ) {
        let number = |at: usize| u64::try_from(at).unwrap() + 1;
        let reservations: Vec<Reservation> = lives
            .iter()
            .enumerate()
            .filter(|(_, (from, _))| *from <= now)
            .map(|(at, (from, hours))| of_hours(number(at), *from, from + hours))
            .collect();
        prop_assume!(!reservations.is_empty());
        let book = book_with(day(limit), &reservations);
        let now = minute(60 * now);
        let chosen = book.to_end(now);
        let window = day(limit).window.span_at(now).unwrap();
        let rest = |open: &super::super::Open| {
            if chosen.contains_key(&open.reservation.intent) {
                open.run_up(window, now)
            } else {
                open.worst_within(window)
            }
        };
        let left: Amount = book.reservations().map(rest).sum();
        let all_chosen = book
            .reservations()
            .filter(|open| open.span().overlap(window).is_some())
            .all(|open| chosen.contains_key(&open.reservation.intent));
        prop_assert!(left <= Amount::from_units(limit) || all_chosen, "{} of {}", left, limit);
    }
}
