//! Microversions: which shape of a request and of its answer is meant.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A microversion, major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Microversion(pub(crate) u16, pub(crate) u16);

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Microversion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self(major.parse().map_err(|_| ())?, minor.parse().map_err(|_| ())?))
    }
}

/// The microversions that a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The oldest.
    pub(crate) min: Microversion,
    /// The newest.
    pub(crate) max: Microversion,
}

impl Range {
    /// Whether the service speaks this one.
    pub(crate) fn has(&self, wanted: Microversion) -> bool {
        self.min <= wanted && wanted <= self.max
    }
}

/// A service's own account of its versions: one, or a list.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    version: Option<Version>,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    id: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    min_version: String,
}

impl Document {
    /// The range of the version `id` (`v2.1`, `v3`); a version without microversions is its own
    /// only one.
    pub(super) fn range(&self, id: &str) -> Option<Range> {
        let all = self.version.iter().chain(&self.versions);
        let same = |version: &&Version| {
            // Cinder calls `v3.0` in the document what is `v3` in addresses.
            version.id == id || version.id.strip_suffix(".0") == Some(id)
        };
        let found = all.into_iter().find(same)?;
        let only = || found.id.trim_start_matches('v').parse().ok();
        let max = found.version.parse().ok().or_else(only)?;
        let min = found.min_version.parse().ok().or_else(only)?;
        Some(Range { min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(json: serde_json::Value, id: &str) -> Option<Range> {
        serde_json::from_value::<Document>(json).unwrap().range(id)
    }

    #[test]
    fn the_range_is_that_of_the_version_in_the_address() {
        let nova = serde_json::json!({"versions": [
            {"id": "v2.0", "version": "", "min_version": ""},
            {"id": "v2.1", "version": "2.104", "min_version": "2.1"},
        ]});
        let all = Range { min: Microversion(2, 1), max: Microversion(2, 104) };
        assert_eq!(range(nova.clone(), "v2.1"), Some(all));
        let only = Range { min: Microversion(2, 0), max: Microversion(2, 0) };
        assert_eq!(range(nova.clone(), "v2.0"), Some(only));
        assert_eq!(range(nova, "v3"), None);
        let cinder = serde_json::json!({"versions": [
            {"id": "v3.0", "version": "3.71", "min_version": "3.0"},
        ]});
        let expected = Range { min: Microversion(3, 0), max: Microversion(3, 71) };
        assert_eq!(range(cinder, "v3"), Some(expected));
    }

    #[test]
    fn ten_is_after_nine() {
        let range = Range { min: Microversion(2, 1), max: Microversion(2, 104) };
        assert!(range.has(Microversion(2, 52)) && range.has(Microversion(2, 104)));
        assert!(!range.has(Microversion(2, 105)) && !range.has(Microversion(2, 0)));
    }
}
