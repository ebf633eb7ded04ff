//! What time a bill shows: on which days lines of it stand, and whether it can have each of them whole.
//!
//! A bill that ends within a day, or begins there, says too little of it: an export by months of another meridian, a file
//! that was cut off behind a line, one of several files. To book that would make room that is not there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Day;
use crate::Span;

/// A day, with the hour that it may be longer where clocks change.
const LONGEST: Duration = Duration::from_secs(25 * 3600);

/// How near a line must come to the edge of a day to show it.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A line that is no longer tells when in a day something was. A longer one is a sum of a day, which may have been made
/// before the day was over.
const LONGEST_PART: Duration = Duration::from_secs(12 * 3600);

/// Whether a line is for more than a day, so that nobody knows what of it was when.
pub(super) fn is_too_long(during: Span) -> bool {
    during.to.since(during.from) > LONGEST
}

/// The days that a time touches, with the length of its part on each in milliseconds. Never empty.
pub(super) fn parts(during: Span) -> Vec<(Day, u64)> {
    let mut parts = Vec::new();
    let mut from = during.from;
    loop {
        let day = Day::of(from);
        let end = day.next().map_or(during.to, |next| next.begin().min(during.to));
        let length = u64::try_from(end.since(from).as_millis()).unwrap_or(u64::MAX);
        parts.push((day, length));
        if end >= during.to || end <= from {
            return parts;
        }
        from = end;
    }
}

/// The days that lines of a bill touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cover {
    days: BTreeMap<Day, Edges>,
    /// The first and the last one, with those of refunds.
    touched: Option<(Day, Day)>,
}

/// Which edges of a day lines show that tell when in the day they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Edges {
    first_hour: bool,
    last_hour: bool,
}

impl Cover {
    /// Takes the time of a line that is not too long.
    pub(super) fn add(&mut self, during: Span) {
        self.touch(during);
        let tells_when = during.to.since(during.from) <= LONGEST_PART;
        for (day, _) in parts(during) {
            let edges = self.days.entry(day).or_default();
            let end = day.next().unwrap_or(day).begin();
            edges.first_hour |= tells_when && during.from < day.begin() + AN_HOUR;
            edges.last_hour |= tells_when && during.to + AN_HOUR > end;
        }
    }

    /// Takes the time of a refund, which shows no day.
    pub(super) fn touch(&mut self, during: Span) {
        for (day, _) in parts(during) {
            let (first, last) = self.touched.unwrap_or((day, day));
            self.touched = Some((first.min(day), last.max(day)));
        }
    }

    /// Its first and its last day; `None`: there is none.
    pub(super) fn days(&self) -> Option<(Day, Day)> {
        self.touched
    }

    /// Whether the bill goes on at both edges of a day: with a line in its first or last hour, or on the day beside it.
    pub(super) fn has_whole(&self, day: Day) -> bool {
        self.days.get(&day).is_some_and(|edges| {
            let has = |beside: Option<Day>| beside.is_some_and(|day| self.days.contains_key(&day));
            (edges.first_hour || has(Some(day.before(1)))) && (edges.last_hour || has(day.next()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::day::moment;
    use super::*;

    fn span(from: &str, to: &str) -> Span {
        Span { from: moment(from).unwrap(), to: moment(to).unwrap() }
    }

    fn day(number: u8) -> Day {
        format!("2026-11-{number:02}").parse().unwrap()
    }

    fn whole(spans: &[(&str, &str)]) -> Vec<Day> {
        let mut cover = Cover::default();
        spans.iter().for_each(|(from, to)| cover.add(span(from, to)));
        (1..30).map(day).filter(|day| cover.has_whole(*day)).collect()
    }

    #[test]
    fn a_day_is_whole_if_its_first_and_its_last_hour_are_there() {
        let first = ("2026-11-10T00:00:00Z", "2026-11-10T01:00:00Z");
        let last = ("2026-11-10T23:00:00Z", "2026-11-11T00:00:00Z");
        assert_eq!(whole(&[first, last]), [day(10)]);
        assert_eq!(whole(&[first]), []);
        assert_eq!(whole(&[last]), []);
        assert_eq!(whole(&[first, ("2026-11-10T21:00:00Z", "2026-11-10T22:00:00Z")]), []);
    }

    #[test]
    fn sums_of_days_show_the_days_between_others_whole() {
        let of_day = |number: u8| {
            (format!("2026-11-{number:02} 00:00:00"), format!("2026-11-{:02} 00:00:00", number + 1))
        };
        let days: Vec<(String, String)> = [10, 11, 12, 13, 20].map(of_day).to_vec();
        let days: Vec<(&str, &str)> = days.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(whole(&days), [day(11), day(12)], "neither the first nor the last");
    }

    #[test]
    fn a_month_of_another_meridian_has_its_first_and_last_day_in_part() {
        let hours = [
            ("2026-11-10T07:00:00Z", "2026-11-10T08:00:00Z"),
            ("2026-11-11T12:00:00Z", "2026-11-11T13:00:00Z"),
            ("2026-11-12T07:00:00Z", "2026-11-12T08:00:00Z"),
        ];
        assert_eq!(whole(&hours), [day(11)]);
    }

    #[test]
    fn a_time_is_parted_at_midnight_of_utc() {
        let hour = 3_600_000;
        assert_eq!(
            parts(span("2026-11-10T00:00:00+01:00", "2026-11-11T00:00:00+01:00")),
            [(day(9), hour), (day(10), 23 * hour)]
        );
        assert_eq!(
            parts(span("2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z")),
            [(day(10), 24 * hour)]
        );
        let moment = "2026-11-10T00:00:00Z";
        assert_eq!(parts(span(moment, moment)), [(day(10), 0)]);
        assert_eq!(parts(span(moment, "2026-11-09T00:00:00Z")), [(day(10), 0)], "backwards");
    }
}
