//! Answers of CloudKitty as its source makes them, with InfluxDB and with OpenSearch.

use super::super::compare_tests::{bill, day};
use super::super::{LedgerLine, Terms, WholeDays};
use super::*;
use crate::Amount;

/// By hours (`groupby=time&groupby=type`), in the time of a server in Prague.
const HOURS: &str = r#"{"total": 3, "columns": ["begin", "end", "qty", "rate", "type"],
 "results": [
  ["2026-11-20T00:00:00+01:00", "2026-11-20T01:00:00+01:00", 3.5533905029296875, 1.7766952514648438, "instance"],
  ["2026-11-20T01:00:00+01:00", "2026-11-20T02:00:00+01:00", 3.5533905029296875, 12.345678901234567, "instance"],
  ["2026-11-20T01:00:00+01:00", "2026-11-20T02:00:00+01:00", 10.0, null, "volume.size"]], "format": "table"}
"#;

/// By days (`groupby=day_of_the_year&groupby=type`, or `time-d`): begin and end are those of the question.
const DAYS: &str = r#"{"total": 3, "columns": ["begin", "end", "qty", "rate", "day_of_the_year", "type"],
 "results": [
  ["2026-11-20T00:00:00+00:00", "2026-11-23T00:00:00+00:00", 24.0, 1.5, "324", "instance"],
  ["2026-11-20T00:00:00+00:00", "2026-11-23T00:00:00+00:00", 24.0, 2.5, "325", "instance"],
  ["2026-11-20T00:00:00+00:00", "2026-11-23T00:00:00+00:00", 12.0, 3.5, "326", "instance"]], "format": "table"}
"#;

fn rated(space: Option<&str>) -> Rated {
    Rated {
        provider: ProviderName::parse("openstack").unwrap(),
        currency: Currency::GBP,
        space: space.map(|space| SpaceName::parse(space).unwrap()),
    }
}

/// All files, as one bill.
fn read_all<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    space: Option<&str>,
) -> Vec<Result<BillLine, BillDamage>> {
    let mut pages = Pages::default();
    let mut lines = Vec::new();
    for text in texts {
        lines.extend(cloudkitty(text.as_bytes(), &rated(space), &mut pages));
        if lines.last().is_some_and(Result::is_err) {
            return lines;
        }
    }
    lines.extend(pages.missing().map(Err));
    lines
}

fn read(text: &str) -> Vec<Result<BillLine, BillDamage>> {
    read_all([text], None)
}

fn whole(text: &str) -> Vec<BillLine> {
    read(text).into_iter().map(Result::unwrap).collect()
}

fn damage(text: &str) -> BillDamage {
    read(text).pop().expect("a line or a damage").unwrap_err()
}

fn from(line: &BillLine) -> String {
    line.during.from.to_string()
}

#[test]
fn hours_are_read_where_they_are_in_utc_and_without_losing_digits() {
    let lines = whole(HOURS);
    assert_eq!(from(&lines[0]), "2026-11-19T23:00:00.000Z", "midnight of Prague");
    assert_eq!(from(&lines[1]), "2026-11-20T00:00:00.000Z");
    assert_eq!(lines[1].cost.to_string(), "12.345678901234567");
    assert_eq!(lines[2].cost, Exact::ZERO);
    assert_eq!(lines[2].what.service, "volume.size");
}

#[test]
fn days_of_the_year_are_read_although_begin_and_end_are_those_of_the_question() {
    let begins: Vec<String> = whole(DAYS).iter().map(from).collect();
    assert_eq!(
        begins,
        ["2026-11-20T00:00:00.000Z", "2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z"]
    );
    let numbers = DAYS.replace("\"324\"", "324");
    assert_eq!(whole(&numbers), whole(DAYS));
    let objects = r#"{"total": 1, "results": [{"begin": "2026-11-20T00:00:00+00:00", "end": "2026-11-23T00:00:00+00:00",
        "qty": 24.0, "rate": 1.5, "day_of_the_year": "324", "type": "instance"}], "format": "object"}"#;
    assert_eq!(whole(objects)[0], whole(DAYS)[0]);
}

#[test]
fn a_question_within_a_day_cuts_its_days() {
    let text = DAYS.replace("2026-11-23T00:00", "2026-11-22T12:00");
    let last = &whole(&text)[2];
    assert_eq!(last.during.to.to_string(), "2026-11-22T12:00:00.000Z");
}

/// The days of a server in Prague end at 23:00 of UTC: an hour of each belongs to the day before.
#[test]
fn days_of_another_meridian_are_divided_between_days_of_utc() {
    let prague = DAYS.replace("T00:00:00+00:00", "T00:00:00+01:00");
    let lines: Vec<BillLine> =
        read_all([prague.as_str()], Some("a")).into_iter().map(Result::unwrap).collect();
    assert_eq!(from(&lines[0]), "2026-11-19T23:00:00.000Z");
    let compared = |whole: WholeDays| {
        let terms =
            Terms { complete_before: day(28), whole, accounts: &[], caps: &[], communities: &[] };
        bill(lines.clone()).compare(&Vec::<LedgerLine>::new(), &terms)
    };
    let days: Vec<(crate::bills::Day, Amount)> =
        compared(WholeDays::Said).days.iter().map(|it| (it.day, it.sums.billed)).collect();
    let part = |text: &str| text.parse::<Amount>().unwrap();
    assert_eq!(
        days,
        [
            (day(19), part("0.0625")),
            (day(20), part("1.541666667")),
            (day(21), part("2.541666667")),
            (day(22), part("3.354166667")),
        ]
    );
    let finality = compared(WholeDays::Shown).days;
    let whole: Vec<crate::bills::Day> = finality
        .iter()
        .filter(|it| it.finality == crate::bills::Finality::Complete)
        .map(|it| it.day)
        .collect();
    assert_eq!(whole, [day(20), day(21)], "neither the hour before nor the last day");
}

#[test]
fn a_question_over_new_year_finds_the_year_of_each_day() {
    let row = |number: u16, year: &str| {
        format!(
            r#"{{"total": 1, "columns": ["begin", "end", "qty", "rate", "day_of_the_year"{}], "results":
              [["2026-12-01T00:00:00+00:00", "2028-01-01T00:00:00+00:00", 24.0, 1.5, "{number}"{year}]]}}"#,
            if year.is_empty() { "" } else { ", \"year\"" }
        )
    };
    let shorter = |text: String| text.replace("2028-01-01", "2027-02-01");
    assert_eq!(from(&whole(&shorter(row(365, "")))[0]), "2026-12-31T00:00:00.000Z");
    assert_eq!(from(&whole(&shorter(row(5, "")))[0]), "2027-01-05T00:00:00.000Z");
    let twice = damage(&row(350, "")).what;
    assert!(twice.contains("groupby=year"), "{twice}");
    assert_eq!(from(&whole(&row(350, ", \"2027\""))[0]), "2027-12-16T00:00:00.000Z");
    for outside in [shorter(row(100, "")), shorter(row(366, "")), row(5, ", \"2026\""), row(0, "")]
    {
        assert!(damage(&outside).what.contains("not in the time"), "{}", damage(&outside));
    }
    let leap = row(366, "").replace("2026-12", "2027-12").replace("2028-01", "2029-01");
    assert_eq!(from(&whole(&leap)[0]), "2028-12-31T00:00:00.000Z");
}

#[test]
fn what_cannot_be_compared_is_told_with_what_to_ask_for() {
    let month = HOURS.replacen("2026-11-20T02:00", "2026-12-20T02:00", 1);
    let lines = read(&month);
    assert!(lines[0].is_ok());
    let damage = lines[1].as_ref().unwrap_err();
    assert_eq!((damage.line, damage.column), (4, 3));
    assert!(
        damage.what.contains("groupby=time)") && damage.what.contains("day_of_the_year"),
        "{damage}"
    );
    for other in [
        "{}",
        "[]",
        "x",
        "{\"results\": 5}",
        "{\"results\": []}",
        "{\"columns\": [], \"total\": 0}",
    ] {
        assert!(read(other)[0].is_err(), "{other}");
    }
    let nothing = r#"{"total": 0, "columns": [], "results": [], "format": "table"}"#;
    assert_eq!(read(nothing), [], "a project without use");
}

/// The same answer with three rows, in pages of one row each.
fn pages() -> [String; 3] {
    let lines: Vec<&str> = DAYS.lines().collect();
    [2, 3, 4].map(|number| {
        let row = lines[number].trim_end_matches(',').replace("]], \"format\": \"table\"}", "]");
        format!("{}\n{}\n{row}]}}\n", lines[0], lines[1])
    })
}

#[test]
fn pages_of_one_answer_are_read_together() {
    let [first, second, third] = &pages();
    let all = |given: &[&String]| read_all(given.iter().map(|text| text.as_str()), None);
    let lines: Vec<BillLine> =
        all(&[second, third, first]).into_iter().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 3);
    let missing = all(&[first, second]);
    assert_eq!(missing.len(), 3);
    let what = &missing[2].as_ref().unwrap_err().what;
    assert!(what.contains("3 rows and 2 of them") && what.contains("limit=3"), "{what}");
    let twice = all(&[first, second, first]);
    assert!(twice[2].as_ref().unwrap_err().what.contains("given twice"), "{twice:?}");
    let more = third.replace("\"total\": 3", "\"total\": 4");
    let other = all(&[first, second, &more]);
    assert!(other[3].as_ref().unwrap_err().what.contains("answer with 3 rows"), "{other:?}");
    let next_answer = HOURS.to_owned();
    assert_eq!(all(&[first, second, third, &next_answer]).len(), 6, "and then another answer");
    let too_many = DAYS.replace("\"total\": 3", "\"total\": 2");
    assert!(damage(&too_many).what.contains("2 rows in all, and 3 are here"));
}

#[test]
fn a_project_is_not_ours_because_it_is_on_the_bill() {
    assert_eq!(whole(HOURS)[0].whose, Whose::Others);
    let tagged = HOURS.replace("\"type\"", "\"vcycle_space\"");
    assert!(
        matches!(&whole(&tagged)[0].whose, Whose::Ours(ours) if ours.space.as_str() == "instance")
    );
    let told = read_all([HOURS], Some("iris.example"));
    assert!(
        matches!(&told[0].as_ref().unwrap().whose, Whose::Ours(ours) if ours.space.as_str() == "iris.example")
    );
}

#[test]
fn rows_before_their_columns_are_read_too() {
    let late = r#"{"results": [["2026-11-20T00:00:00", "2026-11-21T00:00:00", 3]], "columns": ["begin", "end", "rate"], "total": 1}"#;
    assert_eq!(whole(late)[0].cost.to_string(), "3.00");
}

#[test]
fn a_summary_that_is_cut_off_gives_what_stands_before() {
    let cut = &HOURS[..HOURS.find("volume").unwrap()];
    let lines = read(cut);
    assert_eq!(lines.len(), 3);
    assert!(lines[1].is_ok());
    let damage = lines[2].as_ref().unwrap_err();
    assert_eq!(damage.line, 5);
    assert!(damage.what.contains("cut off"), "{damage}");
}
