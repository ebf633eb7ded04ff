//! Days of bills: those of UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

/// A day of UTC, written `2026-11-21`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(civil::Date);

impl Day {
    /// That of a moment; the last day of the calendar for what lies behind it.
    pub fn of(at: Timestamp) -> Self {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::MAX);
        Self(at.to_zoned(TimeZone::UTC).date())
    }

    /// Its middle.
    pub fn noon(self) -> Timestamp {
        self.begin() + std::time::Duration::from_secs(12 * 3600)
    }

    /// Its first moment.
    pub fn begin(self) -> Timestamp {
        let zoned = self.0.to_zoned(TimeZone::UTC);
        zoned.map_or(Timestamp::from_millis(i64::MAX), |zoned| {
            Timestamp::from_millis(zoned.timestamp().as_millisecond())
        })
    }

    /// The day after; the last day of the calendar has none.
    pub fn next(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Self)
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// The day some days before.
    pub fn before(self, days: u16) -> Self {
        Self(self.0.saturating_sub(jiff::Span::new().days(i64::from(days))))
    }
}

impl FromStr for Day {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A moment as bills write it: with an offset from UTC, or in UTC with or without saying so.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_millis(at.as_millisecond()));
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let at = text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

/// The offset from UTC with which a moment is written; none is that of UTC.
pub(super) fn offset(text: &str) -> Offset {
    let pieces = Pieces::parse(text.trim()).ok();
    pieces.and_then(|pieces| pieces.to_numeric_offset()).unwrap_or(Offset::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_every_bill_writes_them() {
        let noon = Timestamp::from_secs(1_795_262_400);
        for text in [
            "2026-11-21T12:00:00Z",
            "2026-11-21T12:00:00.000Z",
            "2026-11-21 12:00:00 UTC",
            "2026-11-21 12:00:00.000000 UTC",
            "2026-11-21 12:00:00",
            "2026-11-21T12:00:00+00:00",
            "2026-11-21T13:00:00+01:00",
        ] {
            assert_eq!(moment(text), Some(noon), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "1795262400"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_utc() {
        let day: Day = "2026-11-21".parse().unwrap();
        assert_eq!(day.begin(), Timestamp::from_secs(1_795_219_200));
        assert_eq!(Day::of(Timestamp::from_millis(day.begin().as_millis() - 1)), day.before(1));
        assert_eq!(day.before(1).next(), Some(day));
    }
}
