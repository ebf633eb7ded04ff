//! Microversions: which shape of a request and of its answer is meant.

use std::fmt;

/// A microversion, major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Microversion(pub(crate) u16, pub(crate) u16);

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
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
