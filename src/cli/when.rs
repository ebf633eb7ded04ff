//! Times as people type them: `2h`, `1h 30m`, `2026-03-31T18:00:00Z`. Pure.

use std::str::FromStr;
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
