//! Bills that have days in part.

use super::aws_tests::{OURS, aws};
use super::compare_tests::{account, bill, day, has};
use super::*;
use crate::Amount;

/// An export of AWS by hours: from one hour to another, of a machine that costs 1.00 an hour.
fn hours(from: &str, to: &str) -> String {
    let title = "line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_unblended_cost,\
                 line_item_currency_code,resource_tags\n";
    let (mut at, end): (jiff::Timestamp, jiff::Timestamp) =
        (from.parse().unwrap(), to.parse().unwrap());
    let mut text = title.to_owned();
    while at < end {
        let next = at + jiff::SignedDuration::from_hours(1);
        text.push_str(&format!("{at},{next},Usage,1.0000000000,GBP,{OURS}\n"));
        at = next;
    }
    text
}

/// What of it is booked of days before the 20th, where the ledger has 30.00 for each day from the 8th on.
fn booked(text: &str) -> Vec<(Day, Amount)> {
    let lines = aws(text).into_iter().map(Result::unwrap);
    let ledger: Vec<LedgerLine> = (8..20)
        .map(|on| LedgerLine {
            account: crate::Account { space: "ska.aws".parse().unwrap(), ..account("a", "dune") },
            ..has(on, "a", "dune", "30")
        })
        .collect();
    let terms = Terms {
        complete_before: day(20),
        whole: WholeDays::Shown,
        accounts: &[],
        caps: &[],
        communities: &[],
    };
    let comparison = bill(lines).compare(&ledger, &terms);
    let partial = comparison.held_back.iter().filter(|held| held.why == Why::Partial);
    for held in partial {
        let seen = comparison.days.iter().find(|seen| seen.day == held.day).unwrap();
        assert_eq!(seen.finality, Finality::Partial);
    }
    comparison.corrections.iter().map(|it| (it.day, it.amount)).collect()
}

fn less(days: impl IntoIterator<Item = u8>) -> Vec<(Day, Amount)> {
    days.into_iter().map(|on| (day(on), Amount::from_units(-6))).collect()
}

#[test]
fn whole_days_of_hours_are_booked_from_the_first_to_the_last() {
    assert_eq!(booked(&hours("2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z")), less(10..=12));
}

#[test]
fn a_day_that_a_bill_has_in_part_is_not_booked() {
    assert_eq!(booked(&hours("2026-11-10T07:00:00Z", "2026-11-13T07:00:00Z")), less(11..=12));
}

/// Cut right behind a line, a file is a file like any other.
#[test]
fn a_file_that_was_cut_at_a_line_end_lowers_no_day() {
    let whole = hours("2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for kept in 2..lines.len() {
        let whole_days = u8::try_from((kept - 1) / 24).unwrap();
        assert_eq!(booked(&lines[..kept].concat()), less(10..10 + whole_days), "{kept} lines");
    }
}

#[test]
fn the_second_of_two_files_alone_lowers_only_what_it_has_whole() {
    assert_eq!(booked(&hours("2026-11-11T13:00:00Z", "2026-11-14T00:00:00Z")), less(12..=13));
}

/// A tag counts from the hour on in which it was chosen for the bill; the bill itself goes back further.
#[test]
fn the_first_day_on_which_a_space_has_tags_is_not_booked() {
    let before = hours("2026-11-10T00:00:00Z", "2026-11-11T15:00:00Z").replace(OURS, "{}");
    let after = hours("2026-11-11T15:00:00Z", "2026-11-13T00:00:00Z");
    let after = after.split_once('\n').unwrap().1;
    assert_eq!(booked(&format!("{before}{after}")), less([12]));
}

#[test]
fn a_day_of_another_meridian_is_divided_at_midnight_of_utc() {
    let during = |from: &str, to: &str| Span {
        from: day::moment(from).unwrap(),
        to: day::moment(to).unwrap(),
    };
    let mut lines = aws(&hours("2026-11-10T00:00:00Z", "2026-11-10T01:00:00Z"));
    let mut line = lines.remove(0).unwrap();
    line.during = during("2026-11-10T00:00:00+01:00", "2026-11-11T00:00:00+01:00");
    line.cost = "100".parse().unwrap();
    let compared = bill([line]).compare(
        &[],
        &Terms {
            complete_before: day(20),
            whole: WholeDays::Said,
            accounts: &[],
            caps: &[],
            communities: &[],
        },
    );
    let days: Vec<(Day, String)> =
        compared.days.iter().map(|it| (it.day, it.sums.billed.to_string())).collect();
    assert_eq!(days, [(day(9), "4.166666667".into()), (day(10), "95.833333333".into())]);
    assert_eq!(compared.all.billed, Amount::from_units(100), "nothing is lost by rounding");
}
