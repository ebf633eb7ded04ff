//! From a TOML value to a typed one: durations, sizes, fractions, times, names, addresses. Each
//! function says what is wrong with a value and what would be right. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::problem::Wrong;
use super::tree::Value;
use crate::model::{Market, Pace, Ranking, Share, Timestamp};
use vcycle_api::InvalidName;

/// What a reader of values gives.
pub type Read<T> = Result<T, Wrong>;

fn mismatch<T>(value: &Value, right: &str) -> Read<T> {
    Err(Wrong::new(format!("{} where something else is wanted", value.kind()), right))
}

/// A text.
pub fn text(value: &Value) -> Read<String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => mismatch(other, "a text in quotes"),
    }
}

/// A text that is not empty and has no control characters.
pub fn line(value: &Value) -> Read<String> {
    let text = text(value)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Wrong::new("empty, or more than one line", "one line of text"));
    }
    Ok(text)
}

/// A name of one of the strict kinds.
pub fn name<T: FromStr<Err = InvalidName>>(value: &Value) -> Read<T> {
    text(value)?.parse().map_err(|error: InvalidName| {
        Wrong::new(format!("{:?} is not a valid {}", error.text, error.kind), error.rule)
    })
}

/// `true` or `false`.
pub fn flag(value: &Value) -> Read<bool> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        other => mismatch(other, "true or false, without quotes"),
    }
}

/// A whole number, zero or more.
pub fn count(value: &Value) -> Read<u32> {
    const RIGHT: &str = "a whole number from 0 to 4294967295, without quotes";
    match value {
        Value::Integer(number) => number
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| Wrong::new("a number out of range", RIGHT)),
        other => mismatch(other, RIGHT),
    }
}

/// A whole number, one or more.
pub fn positive(value: &Value) -> Read<u32> {
    const RIGHT: &str = "a whole number, 1 or more, without quotes";
    match count(value) {
        Ok(0) => Err(Wrong::new("zero", RIGHT)),
        Ok(number) => Ok(number),
        Err(Wrong { wrong, .. }) => Err(Wrong::new(wrong, RIGHT)),
    }
}

/// A whole number of 64 bits.
pub fn integer(value: &Value) -> Read<i64> {
    match value {
        Value::Integer(Some(number)) => Ok(*number),
        other => mismatch(other, "a whole number, without quotes"),
    }
}

/// A seed: any whole number that is not negative.
pub fn seed(value: &Value) -> Read<u64> {
    const RIGHT: &str = "a whole number, zero or more, without quotes";
    match value {
        Value::Integer(number) => number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| Wrong::new("a number out of range", RIGHT)),
        other => mismatch(other, RIGHT),
    }
}

/// A TCP port that one can connect to.
pub fn port(value: &Value) -> Read<u16> {
    count(value)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| Wrong::new("not a port number", "a whole number from 1 to 65535"))
}

fn number(value: &Value, right: &str) -> Read<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "settings are far below 2^53")]
        Value::Integer(Some(number)) => Ok(*number as f64),
        Value::Number(number) => Ok(*number),
        other => mismatch(other, right),
    }
}

/// A target share.
pub fn share(value: &Value) -> Read<Share> {
    const RIGHT: &str = "a number, zero or more, without quotes; only ratios of shares matter";
    let weight = number(value, RIGHT)?;
    Share::new(weight).ok_or_else(|| Wrong::new("negative, infinite or not a number", RIGHT))
}

/// A number above zero.
pub fn above_zero(value: &Value) -> Read<f64> {
    const RIGHT: &str = "a number above zero, without quotes";
    let number = number(value, RIGHT)?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err(Wrong::new("not above zero", RIGHT))
    }
}

/// A fraction written as a percentage, above 0 and at most 100.
pub fn percentage(value: &Value) -> Read<f64> {
    const RIGHT: &str = "a percentage in quotes, above 0% and at most 100%, for example \"10%\"";
    let Value::Text(text) = value else { return mismatch(value, RIGHT) };
    text.trim()
        .strip_suffix('%')
        .and_then(|digits| digits.trim_end().parse::<f64>().ok())
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| Wrong::new(format!("{text:?} is not such a percentage"), RIGHT))
}

/// How many may be created a cycle: a percentage of the limit, or a number of machines.
pub fn pace(value: &Value) -> Read<Pace> {
    const RIGHT: &str = "a percentage of the limit (\"10%\") or a number of machines (5), above 0";
    let found = match value {
        Value::Integer(_) => positive(value).map(Pace::Machines),
        Value::Text(_) => percentage(value).map(Pace::FractionOfLimit),
        other => return mismatch(other, RIGHT),
    };
    found.map_err(|Wrong { wrong, .. }| Wrong::new(wrong, RIGHT))
}

/// Units of durations: their names and seconds, in milliseconds.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// The longest duration that is believed: ten years. Longer ones are slips of a unit.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A duration for people: numbers with units, largest first or not: `10m`, `2h 30m`, `50h`.
pub fn duration(value: &Value) -> Read<Duration> {
    const RIGHT: &str =
        "a duration in quotes such as \"90s\", \"10m\", \"2h 30m\", \"50h\" or \"3d\"";
    match value {
        Value::Text(text) => parse_duration(text)
            .ok_or_else(|| Wrong::new(format!("{text:?} is not a duration"), RIGHT))
            .and_then(|duration| {
                if duration <= LONGEST {
                    Ok(duration)
                } else {
                    Err(Wrong::new("longer than ten years", RIGHT))
                }
            }),
        Value::Integer(Some(number)) if *number >= 0 => Err(Wrong::new(
            "a number without a unit",
            format!("a duration with a unit; if these are seconds, \"{number}s\""),
        )),
        other => mismatch(other, RIGHT),
    }
}

/// A duration above zero.
pub fn duration_above_zero(value: &Value) -> Read<Duration> {
    let duration = duration(value)?;
    if duration.is_zero() {
        return Err(Wrong::new("zero", "a duration above zero, for example \"10m\""));
    }
    Ok(duration)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*size)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(millis))
}

/// A duration as [`duration`] reads it, in the largest units that fit.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    // Weeks and days are for writing only: "72h" is what people know these settings by.
    for (name, size) in UNITS.iter().rev().filter(|(name, _)| !matches!(*name, "w" | "d")) {
        if rest >= *size {
            parts.push(format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A size in bytes: `10MiB`, `200 MB`, or a bare number of bytes.
pub fn size(value: &Value) -> Read<u64> {
    const RIGHT: &str = "a size in quotes such as \"512KiB\", \"10MiB\" or \"4GiB\"";
    let Value::Text(text) = value else { return mismatch(value, RIGHT) };
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| Wrong::new(format!("{text:?} is not a size above zero"), RIGHT))
}

/// A time, RFC 3339 with an offset, in quotes or as TOML has it.
pub fn time(value: &Value) -> Read<Timestamp> {
    const RIGHT: &str = "a time with an offset (RFC 3339), for example 2026-03-31T12:00:00Z";
    let (Value::Text(text) | Value::Time(text)) = value else { return mismatch(value, RIGHT) };
    text.parse::<jiff::Timestamp>()
        .map(|time| Timestamp::from_millis(time.as_millisecond()))
        .map_err(|_| Wrong::new(format!("{text:?} is not such a time"), RIGHT))
}

/// An address to listen on.
pub fn listen(value: &Value) -> Read<SocketAddr> {
    const RIGHT: &str = "an IP address and a port, for example \"127.0.0.1:9180\" or \"[::]:8443\"";
    let Value::Text(text) = value else { return mismatch(value, RIGHT) };
    text.parse().map_err(|_| Wrong::new(format!("{text:?} is not such an address"), RIGHT))
}

/// A host name or IP address, as it stands in a URL.
pub fn host(value: &Value) -> Read<String> {
    const RIGHT: &str = "a host name or IP address, without scheme, port or path";
    let text = text(value)?;
    if is_host(&text) {
        Ok(text)
    } else {
        Err(Wrong::new(format!("{text:?} is not a host name"), RIGHT))
    }
}

/// Whether a text can be the host of a URL.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => text.len() <= 253 && text.split('.').all(label),
    }
}

/// A path; what it is relative to is the caller's.
pub fn path(value: &Value) -> Read<PathBuf> {
    let text = text(value)?;
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::new("empty", "a path; a relative one starts from this file's folder"));
    }
    Ok(PathBuf::from(text))
}

/// A list whose items are read by `item`.
pub fn list<T>(value: &Value, item: fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    match value {
        Value::List(items) => items.iter().map(|node| item(&node.value)).collect(),
        other => mismatch(other, "a list in square brackets"),
    }
}

/// One item, or a list of them.
pub fn one_or_more<T>(value: &Value, item: fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    match value {
        Value::List(_) => list(value, item),
        _ => Ok(vec![item(value)?]),
    }
}

/// How a machine is paid for.
pub fn market(value: &Value) -> Read<Market> {
    const RIGHT: &str = "\"on-demand\" or \"spot\" (also \"preemptible\")";
    match text(value)?.as_str() {
        "on-demand" => Ok(Market::OnDemand),
        "spot" | "preemptible" => Ok(Market::Preemptible),
        other => Err(Wrong::new(format!("{other:?} is no market"), RIGHT)),
    }
}

/// Markets, the best first: each once, and at least one.
pub fn markets(value: &Value) -> Read<Vec<Market>> {
    const RIGHT: &str = "one or both of \"spot\" and \"on-demand\", the best first, each once";
    let markets = list(value, market)?;
    let is_repeated = markets.iter().enumerate().any(|(i, one)| markets[..i].contains(one));
    match (markets.is_empty(), is_repeated) {
        (true, _) => Err(Wrong::new("an empty list", RIGHT)),
        (false, true) => Err(Wrong::new("the same market twice", RIGHT)),
        (false, false) => Ok(markets),
    }
}

/// What decides which offering comes first.
pub fn ranking(value: &Value) -> Read<Ranking> {
    const RIGHT: &str = "\"listed\" (the order of `markets`, `flavors` and `zones`) or \"price\" (the cheapest work first)";
    match text(value)?.as_str() {
        "listed" => Ok(Ranking::Listed),
        "price" => Ok(Ranking::Price { spreading: None }),
        other => Err(Wrong::new(format!("{other:?} is no such order"), RIGHT)),
    }
}

/// How strongly machines are spread over offerings.
pub fn spreading(value: &Value) -> Read<f64> {
    const RIGHT: &str = "a number from 0 (the cheapest first) to 4, without quotes";
    let number = number(value, RIGHT)?;
    let is_right = (0.0..=4.0).contains(&number);
    if is_right { Ok(number) } else { Err(Wrong::new("out of range", RIGHT)) }
}

/// The name of a file that a machine puts: one path segment.
pub fn output_name(value: &Value) -> Read<String> {
    let text = text(value)?;
    let fits = text.len() <= 100
        && !text.starts_with('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if fits {
        Ok(text)
    } else {
        Err(Wrong::new(
            format!("{text:?} is not a name of an output file"),
            "up to 100 letters, digits, `.`, `-`, `_`, not beginning with `.`; empty for none",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        parse_duration(text).map(|d| d.as_secs())
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("10m", 600),
            ("50h", 180_000),
            ("2h 30m", 9_000),
            ("2h30m", 9_000),
            ("90 s", 90),
            ("3d", 259_200),
            ("1w", 604_800),
            ("0s", 0),
            (" 1m ", 60),
        ] {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for bad in ["", "10", "m", "10M", "-1m", "1.5h", "1h x", "10 min", "99999999999999999999s"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_survives_its_text() {
        for seconds in [0, 1, 59, 60, 3600, 9000, 259_200, 86_401] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_duration(Duration::from_secs(259_200)), "72h");
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1s 500ms");
    }

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_more() {
        for good in ["vcycle.example", "localhost", "10.0.0.1", "[::1]", "a-b.c"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "https://x", "x:80", "x/y", "-a", "a..b", "::1"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
