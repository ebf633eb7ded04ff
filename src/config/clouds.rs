//! What the readers of providers' tables share.

use std::fmt;

use super::problem::{Finding, Problem, Wrong};
use super::reader::Reader;
use super::source::Placed;
use super::tree::Value;
use super::values::{self, Read};

/// A list of texts; empty when it is not there.
pub(super) fn lines(from: &Reader<'_>, key: &'static str) -> Vec<String> {
    from.get_or(key, |v| values::list(v, values::line), Vec::new()).value
}

/// A text.
pub(super) fn line(from: &Reader<'_>, key: &'static str) -> Option<String> {
    from.get(key, values::line).map(|line| line.value)
}

/// A whole number, one or more.
pub(super) fn positive(from: &Reader<'_>, key: &'static str) -> Option<u32> {
    from.get(key, values::positive).map(|number| number.value)
}

/// A setting that means nothing without another one.
pub(super) fn needs<T>(from: &Reader<'_>, written: Option<&Placed<T>>, other: &str) {
    if let Some(written) = written {
        let wrong = Wrong::new(format!("it means nothing without {other}"), other);
        from.problems().add(Problem::at_value(written, wrong).found_by(Finding::Absence));
    }
}

/// Names of what a cloud sells, the best first: each once, and at least one.
pub(super) fn wares(value: &Value, example: impl fmt::Display) -> Read<Vec<String>> {
    let right = format!("a list with each name once, the best first, for example {example}");
    let names = values::list(value, values::line)
        .map_err(|Wrong { wrong, .. }| Wrong::new(wrong, right.as_str()))?;
    let repeated = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
    match (names.is_empty(), repeated) {
        (true, _) => Err(Wrong::new("an empty list", right)),
        (false, Some((_, name))) => Err(Wrong::new(format!("{name:?} twice"), right)),
        (false, None) => Ok(names),
    }
}

/// The zones of a region, where their names begin with its name.
pub(super) fn zones_of(
    from: &Reader<'_>,
    region: Option<&Placed<String>>,
    is_of: fn(&str, &str) -> bool,
) -> Vec<String> {
    let Some(zones) = from.get("zones", |v| values::list(v, values::line)) else {
        return Vec::new();
    };
    let Some(region) = region else { return zones.value };
    if let Some(other) = zones.value.iter().find(|zone| !is_of(zone, &region.value)) {
        let wrong = Wrong::new(
            format!("{other:?} is not a zone of {}", region.value),
            "zones of the region of this space; another region is another space",
        );
        from.problems().add(Problem::at_value(&zones, wrong).and_at(&region.place, "the region"));
    }
    zones.value
}

/// The URL of an API in place of the cloud's own.
pub(super) fn endpoint(value: &Value) -> Read<String> {
    const RIGHT: &str = "a URL such as \"https://ec2.example.org\", without a path";
    let text = values::line(value)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => Ok(text),
        Some(_) | None => Err(Wrong::new(format!("{text:?} is not such a URL"), RIGHT)),
    }
}

/// A settle time, with a warning when it is so short that a machine could be made twice.
pub(super) fn settle(
    from: &Reader<'_>,
    (standard, short): (std::time::Duration, std::time::Duration),
) -> std::time::Duration {
    let settle = from.get_or("settle", values::duration_above_zero, standard);
    if settle.value < short {
        let wrong = Wrong::new(
            "short: a create whose reply was lost may still arrive later, and then two machines are made",
            format!(
                "\"{}\" or longer, if the cloud is not one for tests",
                values::show_duration(short)
            ),
        );
        from.problems().add(Problem::at_value(&settle, wrong).as_warning());
    }
    settle.value
}
