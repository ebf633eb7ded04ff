//! Which microversion of Nova we speak with a site, and what can be said in it.
//!
//! The newest that we know and the site knows; old sites go down to 2.1, which has no header at all.
//! What came when: Nova's REST API version history.

use crate::session::{Call, Microversion, Range};

/// Nova as this site and we both speak it. `None`: 2.1, or what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect(Option<Microversion>);

impl Dialect {
    /// The newest whose answers the recorded exchanges show (server's shape, flavour in it, fault).
    const NEWEST: Microversion = Microversion(2, 90);
    const OLDEST: Microversion = Microversion(2, 1);

    /// The newest that both know.
    pub(crate) fn choose(site: Range) -> Self {
        let both = site.max.min(Self::NEWEST);
        Self((both > Self::OLDEST).then_some(both))
    }

    fn has(self, since: u16) -> bool {
        self.0.is_some_and(|version| version >= Microversion(2, since))
    }

    /// `description` of a server (2.19).
    pub(crate) fn has_description(self) -> bool {
        self.has(19)
    }

    /// `networks` may be `auto` or `none`, and must be there (2.37).
    pub(crate) fn has_network_words(self) -> bool {
        self.has(37)
    }

    /// `tags` in the create call (2.52); lists can be filtered by them since 2.26.
    pub(crate) fn has_tags(self) -> bool {
        self.has(52)
    }

    /// `volume_type` of a volume that Nova makes (2.67).
    pub(crate) fn has_volume_type(self) -> bool {
        self.has(67)
    }

    /// The call in this microversion.
    pub(crate) fn say<'a>(self, call: Call<'a>) -> Call<'a> {
        match self.0 {
            Some(version) => call.at(version),
            None => call,
        }
    }
}

#[cfg(test)]
impl Dialect {
    /// For tests of what depends on it: minor version of 2.
    pub(crate) fn of(minor: u16) -> Self {
        let version = Microversion(2, minor);
        Self::choose(Range { min: Self::OLDEST, max: version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_know_is_spoken() {
        let range = |max| Range { min: Microversion(2, 1), max: Microversion(2, max) };
        assert_eq!(Dialect::choose(range(104)).0, Some(Microversion(2, 90)));
        assert_eq!(Dialect::choose(range(90)).0, Some(Microversion(2, 90)));
        assert_eq!(Dialect::choose(range(53)).0, Some(Microversion(2, 53)));
        assert_eq!(Dialect::choose(range(1)).0, None);
        let before = Range { min: Microversion(0, 0), max: Microversion(0, 0) };
        assert_eq!(Dialect::choose(before).0, None);
    }

    #[test]
    fn each_word_is_used_from_the_version_that_brought_it() {
        let told = |minor| {
            let dialect = Dialect::of(minor);
            [
                dialect.has_description(),
                dialect.has_network_words(),
                dialect.has_tags(),
                dialect.has_volume_type(),
            ]
        };
        assert_eq!(told(1), [false; 4]);
        assert_eq!(told(18), [false; 4]);
        assert_eq!(told(19), [true, false, false, false]);
        assert_eq!(told(37), [true, true, false, false]);
        assert_eq!(told(52), [true, true, true, false]);
        assert_eq!(told(66), [true, true, true, false]);
        assert_eq!(told(67), [true; 4]);
    }
}
