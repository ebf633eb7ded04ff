//! What of a site goes into a scenario: `vcycle simulate --site`.

use std::collections::BTreeMap;
use std::path::Path;

use vcycle_api::{Clock, SystemClock};
use vcycle_money::Community;

use super::super::error::CliError;
use crate::config::{Collector, Lives, SiteWorld, TextFile, read_caps, speaks_of_caps};
use crate::library::{Setup, load_setup};
use crate::model::{MachinetypePolicy, Timestamp};

/// A site whose configuration is right.
pub(super) struct Site {
    setup: Setup,
    now: Timestamp,
}

impl Site {
    pub(super) fn load(config: &Path) -> Result<Self, CliError> {
        let setup =
            load_setup(config).map_err(|problems| CliError::Problems(problems.to_string()))?;
        Ok(Self { setup, now: SystemClock::new().now() })
    }

    /// As a scenario sees it.
    pub(super) fn world(&self) -> Result<SiteWorld<'_>, CliError> {
        let config = &*self.setup.config;
        let Some(spending) = &config.spending else {
            let why = "the configuration has no [spending]: --site has no currency and no prices";
            return Err(CliError::Usage(why.to_owned()));
        };
        Ok(SiteWorld { config, spending, lives: self.lives(), now: self.now })
    }

    /// The files of the spend manager, unless a budget is tried that stands in another file.
    pub(super) fn plans(&self, others: &[TextFile]) -> Result<Vec<TextFile>, CliError> {
        if others.iter().any(|file| speaks_of_caps(&file.text)) {
            return Ok(Vec::new());
        }
        let problems = Collector::default();
        let found = read_caps(&self.setup.config.site.state_dir, &problems);
        let (result, _warnings) = problems.into_parts();
        result.map_err(|problems| CliError::Problems(problems.to_string()))?;
        Ok(found.files.into_iter().map(|file| file.text).collect())
    }

    fn lives(&self) -> BTreeMap<Community, Lives> {
        let mut lives: BTreeMap<Community, Lives> = BTreeMap::new();
        for space in self.setup.config.spaces.values() {
            let Some(setup) = self.setup.spaces.get(&space.name) else { continue };
            for (name, machinetype) in &space.machinetypes {
                let policy = setup.policy.machinetypes.get(name);
                let (Some(policy), Some(community)) = (policy, &machinetype.community) else {
                    continue;
                };
                let own = lives_of(policy);
                let known = lives.entry(community.clone()).or_insert(own);
                *known = slowest(*known, own);
            }
        }
        lives
    }
}

fn lives_of(policy: &MachinetypePolicy) -> Lives {
    Lives {
        max_wallclock: policy.max_wallclock,
        min_wallclock: policy.min_wallclock,
        grace: policy.grace,
        fizzle: policy.fizzle,
        backoff: policy.backoff,
    }
}

fn slowest(one: Lives, other: Lives) -> Lives {
    Lives {
        max_wallclock: one.max_wallclock.max(other.max_wallclock),
        min_wallclock: one.min_wallclock.max(other.min_wallclock),
        grace: one.grace.max(other.grace),
        fizzle: one.fizzle.max(other.fizzle),
        backoff: one.backoff.max(other.backoff),
    }
}
