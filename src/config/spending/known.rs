//! The names that a configuration has. A slip in a name of `caps.d` would leave a cap without anything to hold, and a budget
//! without somebody to spend it; but another manager's configuration may have it, so it is a warning.

use std::collections::BTreeSet;

use vcycle_money::Community;

use crate::config::problem::{Finding, Problem, Wrong};
use crate::config::reader::{Reader, nearest};
use crate::config::source::{Place, Placed};
use crate::config::types::Config;

/// What the configuration has, by name.
pub(super) struct Known {
    pub(super) providers: Names,
    pub(super) spaces: Names,
    pub(super) machinetypes: Names,
    pub(super) communities: Names,
}

/// The names of one kind.
pub(super) struct Names {
    kind: &'static str,
    names: BTreeSet<String>,
}

impl Known {
    pub(super) fn of(config: &Config) -> Self {
        let spaces = || config.spaces.values();
        let machinetypes = || spaces().flat_map(|space| space.machinetypes.values());
        let communities = machinetypes().filter_map(|it| it.community.as_ref());
        let provider = |space: &crate::config::SpaceConfig| space.provider.name().to_owned();
        Self {
            providers: Names::new("provider in use", spaces().map(provider)),
            spaces: Names::new("space", spaces().map(|space| space.name.to_string())),
            machinetypes: Names::new("machinetype", machinetypes().map(|it| it.name.to_string())),
            communities: Names::new(
                "`community` of a machinetype",
                communities.map(Community::to_string),
            ),
        }
    }
}

impl Names {
    fn new(kind: &'static str, names: impl Iterator<Item = String>) -> Self {
        Self { kind, names: names.collect() }
    }

    /// Warns of those of a list that are not among them.
    pub(super) fn warn<'a, T: ToString + 'a, L>(
        &self,
        reader: &Reader<'_>,
        written: Option<&'a Placed<L>>,
    ) where
        &'a L: IntoIterator<Item = &'a T>,
    {
        if let Some(list) = written {
            for name in &list.value {
                self.warn_of(reader, &name.to_string(), (&list.place, &list.key));
            }
        }
    }

    /// Warns of a name that is not among them.
    pub(super) fn warn_of(&self, reader: &Reader<'_>, name: &str, (place, key): (&Place, &str)) {
        let Self { kind, names } = self;
        if names.contains(name) {
            return;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let right = match nearest(name, &names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.is_empty() => format!("a {kind}; there is none"),
            None => format!("one of: {}", names.join(", ")),
        };
        let wrong = Wrong::new(format!("{name:?} is no {kind} of this configuration"), right);
        let problem = Problem::at_place(place, key, wrong).as_warning();
        reader.problems().add(problem.found_by(Finding::Absence));
    }
}
