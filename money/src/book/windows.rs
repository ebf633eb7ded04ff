//! When the windows of caps begin and end. Days, weeks and months are those of the calendar at a fixed offset from UTC.

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use crate::Window;

/// A time from its first moment to its end; the end is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Span {
    /// What both have in common, if anything.
    pub fn overlap(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }

    /// Whether a moment lies in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// A life as the span that it touches: what lived for no time has its first moment, where the minimum is charged.
    pub(super) fn touched((begin, end): (Timestamp, Timestamp)) -> Self {
        Self { from: begin, to: end.max(begin + std::time::Duration::from_millis(1)) }
    }
}

pub(crate) const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 1970-01-05 was the first Monday of the epoch.
const FIRST_MONDAY: i64 = 4 * DAY;

impl Window {
    /// The window that a moment lies in; `None`: outside of a grant.
    pub fn span_at(&self, at: Timestamp) -> Option<Span> {
        match *self {
            Self::Grant { from, to } => Some(Span { from, to }).filter(|span| span.contains(at)),
            Self::Hour => Some(grid(at, HOUR, 0)),
            Self::Day { utc_offset_hours } => Some(grid(at, DAY, -offset(utc_offset_hours))),
            Self::Week { utc_offset_hours } => {
                Some(grid(at, 7 * DAY, FIRST_MONDAY - offset(utc_offset_hours)))
            }
            Self::Month { utc_offset_hours } => month(at, offset(utc_offset_hours)),
        }
    }

    /// The windows that a time touches, in order.
    pub fn spans(&self, within: Span) -> impl Iterator<Item = Span> + use<> {
        let window = *self;
        let first = match window {
            Self::Grant { from, to } => {
                Span { from, to }.overlap(within).map(|_| Span { from, to })
            }
            Self::Hour | Self::Day { .. } | Self::Week { .. } | Self::Month { .. } => {
                window.span_at(within.from)
            }
        };
        let later = move |span: &Span| window.span_at(span.to).filter(|next| next.from > span.from);
        std::iter::successors(first, later).take_while(move |span| span.from < within.to)
    }
}

fn offset(hours: i8) -> i64 {
    i64::from(hours) * HOUR
}

/// The cell of a regular grid, one of whose lines is at `line`.
fn grid(at: Timestamp, step: i64, line: i64) -> Span {
    let from = at.as_millis().saturating_sub(line).div_euclid(step) * step + line;
    Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(from + step) }
}

/// `None` only outside of the years that the calendar knows (-9999 to 9999).
fn month(at: Timestamp, offset: i64) -> Option<Span> {
    let utc = jiff::tz::Offset::UTC;
    let there = jiff::Timestamp::from_millisecond(at.as_millis().checked_add(offset)?).ok()?;
    let day = utc.to_datetime(there).date();
    let midnight = |day: jiff::civil::Date| {
        let there = utc.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_millis(there.as_millisecond() - offset))
    };
    Some(Span {
        from: midnight(day.first_of_month())?,
        to: midnight(day.last_of_month().tomorrow().ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    fn span(from: &str, to: &str) -> Option<Span> {
        Some(Span { from: time(from), to: time(to) })
    }

    #[test]
    fn months_have_their_lengths_and_begin_at_midnight_of_their_offset() {
        let utc = Window::Month { utc_offset_hours: 0 };
        let february = span("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        assert_eq!(utc.span_at(time("2028-02-29T23:59:59.999Z")), february);
        let december = span("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(utc.span_at(time("2026-12-31T23:59:59Z")), december);
        // AWS bills by UTC, Google by Pacific time, and neither by that of the site.
        let west = Window::Month { utc_offset_hours: -8 };
        let still_october = span("2026-10-01T08:00:00Z", "2026-11-01T08:00:00Z");
        assert_eq!(west.span_at(time("2026-11-01T07:59:59Z")), still_october);
        let east = Window::Month { utc_offset_hours: 9 };
        let already_march = span("2027-02-28T15:00:00Z", "2027-03-31T15:00:00Z");
        assert_eq!(east.span_at(time("2027-02-28T15:00:00Z")), already_march);
    }

    #[test]
    fn a_week_begins_on_monday_and_a_grant_is_only_there_in_its_time() {
        let week = Window::Week { utc_offset_hours: 1 };
        let spans: Vec<Span> = week
            .spans(Span { from: time("2026-11-21T12:00:00Z"), to: time("2026-11-30T12:00:00Z") })
            .collect();
        let beginnings = ["2026-11-15", "2026-11-22", "2026-11-29"];
        let beginnings = beginnings.map(|day| time(&format!("{day}T23:00:00Z")));
        assert_eq!(spans.iter().map(|span| span.from).collect::<Vec<_>>(), beginnings);

        let (from, to) = (time("2026-12-01T00:00:00Z"), time("2027-04-01T00:00:00Z"));
        let grant = Window::Grant { from, to };
        assert_eq!(grant.span_at(time("2026-11-30T23:59:59Z")), None);
        assert_eq!(grant.span_at(to), None);
        let touching =
            Span { from: time("2026-11-30T00:00:00Z"), to: time("2026-12-01T00:00:01Z") };
        assert_eq!(grant.spans(touching).collect::<Vec<_>>(), [Span { from, to }]);
        let before = Span { from: time("2026-11-30T00:00:00Z"), to: from };
        assert_eq!(grant.spans(before).count(), 0);
    }

    fn windows() -> impl Strategy<Value = Window> {
        (-12_i8..=14, 0..4).prop_map(|(utc_offset_hours, kind)| match kind {
            0 => Window::Hour,
            1 => Window::Day { utc_offset_hours },
            2 => Window::Week { utc_offset_hours },
            _ => Window::Month { utc_offset_hours },
        })
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gap_on_whole_hours_as_the_calendar_says(
            window in windows(), from in 0_i64..4_000_000_000_000, long in 1_i64..10_000_000_000,
        ) {
            let within = Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(from + long) };
            let spans: Vec<Span> = window.spans(within).take(3000).collect();
            prop_assert!(spans[0].contains(within.from));
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
            for span in spans.iter().take(40) {
                prop_assert_eq!(span.from.as_millis() % HOUR, 0);
                prop_assert_eq!(window.span_at(span.from), Some(*span));
                let (Window::Day { utc_offset_hours } | Window::Week { utc_offset_hours } | Window::Month { utc_offset_hours }) = window else { continue };
                let there = jiff::tz::Offset::from_hours(utc_offset_hours).unwrap()
                    .to_datetime(jiff::Timestamp::from_millisecond(span.from.as_millis()).unwrap());
                prop_assert_eq!((there.hour(), there.minute(), there.second()), (0, 0, 0));
                match window {
                    Window::Week { .. } => prop_assert_eq!(there.weekday(), jiff::civil::Weekday::Monday),
                    Window::Month { .. } => prop_assert_eq!(there.day(), 1),
                    Window::Day { .. } | Window::Hour | Window::Grant { .. } => {}
                }
            }
            if spans.len() < 3000 {
                prop_assert!(spans[spans.len() - 1].to >= within.to);
            }
        }
    }
}
