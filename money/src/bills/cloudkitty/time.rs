//! What time a row is for.
//!
//! Grouped by `time`, each row has the begin and the end of a collect period, an hour unless the operator chose otherwise;
//! InfluxDB 2 and Loki do not part it. Grouped by `day_of_the_year` a row has the begin and the end of the whole question,
//! and a column of that name; `year` is another. `time-d` and `time-y` are short for them, but not with OpenSearch. Days
//! are those of the clock of the server, which also writes the offset of begin and end, but for InfluxDB 2, where they are
//! in UTC (`cloudkitty/collector/__init__.py` and `cloudkitty/storage/v2/` of <https://opendev.org/openstack/cloudkitty>).

use jiff::civil::{Date, date};
use jiff::tz::Offset;
use vcycle_api::Timestamp;

use super::Row;
use crate::Span;
use crate::bills::cover::is_too_long;
use crate::bills::day::{moment, offset};
use crate::bills::json;

/// The time of a row, not longer than a day.
pub(super) fn of(row: &Row) -> Result<Span, String> {
    let text = |name: &str| row.get(name).ok_or_else(|| format!("the row has no {name}"));
    let time = |name: &str| {
        let text = text(name)?;
        moment(text).ok_or_else(|| format!("{:?} is no time", json::beginning(text)))
    };
    let asked = Span { from: time("begin")?, to: time("end")? };
    if !is_too_long(asked) {
        return Ok(asked);
    }
    let Some(day) = row.get("day_of_the_year") else {
        return Err(format!(
            "the row is for {} to {}: ask for hours (groupby=time), or where that does not part it for days \
             (groupby=day_of_the_year and groupby=year), so that they can be compared",
            asked.from, asked.to
        ));
    };
    of_the_day(day, row.get("year").map(String::as_str), (asked, offset(text("begin")?)))
}

/// A day of the year, in the one year in which it is in the time that was asked for.
fn of_the_day(
    day: &str,
    year: Option<&str>,
    (asked, offset): (Span, Offset),
) -> Result<Span, String> {
    let number = |text: &str| {
        text.parse::<i16>().map_err(|_| format!("{:?} is no number", json::beginning(text)))
    };
    let place = number(day)?;
    let years = match year.map(number).transpose()? {
        Some(year) => year..=year,
        None => year_of(asked.from, offset)..=year_of(asked.to, offset),
    };
    let in_year = |year: i16| {
        let date = nth(place, year)?;
        let midnight = |date: Date| {
            let at = offset.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
            Some(Timestamp::from_millis(at.as_millisecond()))
        };
        Span { from: midnight(date)?, to: midnight(date.tomorrow().ok()?)? }.overlap(asked)
    };
    let mut found = years.filter_map(in_year);
    match (found.next(), found.next()) {
        (Some(day), None) => Ok(day),
        (None, _) => Err(format!(
            "day {place} of the year is not in the time that was asked for ({} to {})",
            asked.from, asked.to
        )),
        (Some(_), Some(_)) => Err(format!(
            "day {place} of the year is twice in the time that was asked for ({} to {}): ask for years as well \
             (groupby=year), or for less than a year",
            asked.from, asked.to
        )),
    }
}

/// The day of a year with this number, from 1.
fn nth(place: i16, year: i16) -> Option<Date> {
    if !(1..=9998).contains(&year) {
        return None;
    }
    let first = date(year, 1, 1);
    let is_day = (1..=first.days_in_year()).contains(&place);
    is_day.then(|| first.saturating_add(jiff::Span::new().days(i64::from(place) - 1)))
}

fn year_of(at: Timestamp, offset: Offset) -> i16 {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::MAX);
    offset.to_datetime(at).year()
}
