//! Times as OpenStack writes them.

use vcycle_api::Timestamp;

/// A time in UTC. Services write it with and without `Z`, with and without a fraction, and Blazar
/// with a blank for the `T`.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let instant = text.parse::<jiff::Timestamp>().or_else(|_| {
        let civil = text.parse::<jiff::civil::DateTime>()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    instant.ok().map(|time| Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_which_services_write_a_time_is_the_same_time() {
        let expected = Some(Timestamp::from_secs(1_795_231_293));
        for text in [
            "2026-11-21T03:21:33Z",
            "2026-11-21T03:21:33.000000Z",
            "2026-11-21T03:21:33.000000",
            "2026-11-21T03:21:33",
            "2026-11-21 03:21:33",
            "2026-11-21T03:21:33+00:00",
            "2026-11-21T04:21:33+01:00",
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
        let whole = parse_time("2026-11-21T03:21:00Z");
        assert_eq!(parse_time("2026-11-21 03:21"), whole, "as requests to Blazar have it");
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time(""), None);
    }
}
