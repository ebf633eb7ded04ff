//! Times as people type them: `2h`, `1h 30m`, `2026-03-31T18:00:00Z`. Pure.

use std::str::FromStr;
use std::time::Duration;

use vcycle_money::bills::Day;

use crate::model::Timestamp;

/// A point in time, given directly or from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long from now.
    In(Duration),
    /// Then.
    At(Timestamp),
}

/// Further away than this is a typing error: no machine lives so long.
const FARTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl When {
    /// The point in time, seen from `now`.
    pub(crate) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(duration) => now + duration,
            Self::At(time) => time,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp::from_millis(time.as_millisecond())));
        }
        let wrong = || {
            format!(
                "{text:?} is neither a duration such as 90m, 2h or 1h30m, nor a time with its zone \
                 such as 2026-03-31T18:00:00Z"
            )
        };
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        let duration = Duration::try_from(signed).map_err(|_| "it must not be negative")?;
        if duration > FARTHEST {
            return Err("it must be within a year".to_owned());
        }
        Ok(Self::In(duration))
    }
}

/// A day as people type it. What a bill or the calendar takes besides is refused: nobody means it here.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    let is_plain = text.len() == 10;
    let day = is_plain.then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| format!("{text:?} is no day: write one such as 2026-11-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_day_and_nothing_else() {
        assert_eq!(day("2026-11-01").unwrap().to_string(), "2026-11-01");
        for bad in ["yesterday", "2026-11-01T00:00:00Z", "2026-11-31", "20261101", "", "1.11.2026"]
        {
            let wrong = format!("{bad:?} is no day: write one such as 2026-11-01");
            assert_eq!(day(bad), Err(wrong));
        }
    }

    #[test]
    fn durations_and_times_are_read_as_people_write_them() {
        let now = Timestamp::from_secs(1_000);
        for (text, secs) in [
            ("2h", 8_200),
            ("90m", 6_400),
            ("1h30m", 6_400),
            ("1h 30m", 6_400),
            ("45s", 1_045),
            ("0s", 1_000),
            ("1970-01-01T01:00:00Z", 3_600),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            let when: When = text.parse().expect(text);
            assert_eq!(when.from(now), Timestamp::from_secs(secs), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for bad in ["", "2", "soon", "-2h", "2h ago", "2026-03-31 18:00", "9999h"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
