//! A planted fault: a cap by month that books the whole of a machine in the month in which it begins. It must be found,
//! and the right windows must pass the same test.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::*;

const MONTH: Window = Window::Month { utc_offset_hours: 0 };
const LIMIT: i64 = 100;

/// How a cap books a reservation: in which windows, and how much.
type Booking = fn(&Reservation) -> Vec<(Span, Amount)>;

fn right(reservation: &Reservation) -> Vec<(Span, Amount)> {
    let life = (reservation.from, reservation.until);
    let spans = MONTH.spans(Span { from: life.0, to: life.1 });
    spans.map(|span| (span, reservation.tariff.worst_within(life, (span.from, span.to)))).collect()
}

fn month_boundary_forgotten(reservation: &Reservation) -> Vec<(Span, Amount)> {
    vec![(MONTH.span_at(reservation.from).unwrap(), reservation.worst())]
}

/// Admits what fits by a way of booking, lets everything live to its end, and looks at what each month really cost.
fn months_cost(wants: &[(i64, i64)], book: Booking) -> Vec<Amount> {
    let limit = Amount::from_units(LIMIT);
    let mut booked = std::collections::BTreeMap::<Span, Amount>::new();
    let mut made: Vec<Reservation> = Vec::new();
    for (number, (from, long)) in wants.iter().enumerate() {
        let life = (minute(*from), minute(*from + *long));
        let want = reservation(number as u64, &account(0), tariff(0), life);
        let parts = book(&want);
        let fits = |(span, part): &(Span, Amount)| {
            booked.get(span).copied().unwrap_or_default() + *part <= limit
        };
        if parts.iter().all(fits) {
            for (span, part) in parts {
                *booked.entry(span).or_default() =
                    booked.get(&span).copied().unwrap_or_default() + part;
            }
            made.push(want);
        }
    }
    let months = MONTH.spans(Span { from: minute(0), to: minute(60 * 24 * 70) });
    let cost = |month: Span| {
        let within = |machine: &Reservation| {
            let life = (machine.from, machine.until);
            machine.tariff.charged_within(life, (month.from, month.to))
        };
        made.iter().map(within).sum()
    };
    months.map(cost).collect()
}

fn test(book: Booking) -> Result<(), TestError<Vec<(i64, i64)>>> {
    let wants = prop::collection::vec((0_i64..10_000, 60_i64..3_000), 1..40);
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 300, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    runner.run(&wants, |wants| {
        let months = months_cost(&wants, book);
        prop_assert!(months.iter().all(|month| *month <= Amount::from_units(LIMIT)), "{months:?}");
        Ok(())
    })
}

#[test]
fn a_month_boundary_that_is_forgotten_is_found() {
    assert_eq!(test(right), Ok(()));
    assert!(matches!(test(month_boundary_forgotten), Err(TestError::Fail(..))));
}

#[test]
fn a_book_keeps_a_machine_over_the_end_of_a_month_in_both_months() {
    let mut book = Book::default();
    let caps = vec![cap("month", "100", Scope::default(), MONTH)];
    apply(&mut book, vec![Event::CapsSet { caps, source: String::new() }]).unwrap();
    // 2027-01-01 is three days after the start.
    let new_year = 3 * 24 * 60;
    let over =
        reservation(1, &account(0), tariff(0), (minute(new_year - 60), minute(new_year + 120)));
    apply(&mut book, vec![Event::Reserved(over)]).unwrap();
    let sums: Vec<Amount> =
        book.sums(&CapName::parse("month").unwrap()).iter().map(|(_, sum)| sum.both()).collect();
    assert_eq!(sums, ["1.3".parse().unwrap(), "2.6".parse().unwrap()]);
}
