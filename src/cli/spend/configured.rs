//! What the configuration knows of the spaces that a bill names.

use std::collections::BTreeSet;
use std::path::Path;

use vcycle_money::bills::CommunityOf;

use super::super::site::load_config;
use super::args::ImportArgs;
use crate::config::Config;
use crate::model::SpaceName;

/// Spaces and communities; of a configuration that is not read, or not valid now, nothing is known.
#[derive(Default)]
pub(super) struct Configured {
    /// `None`: not known.
    pub(super) spaces: Option<BTreeSet<SpaceName>>,
    pub(super) communities: Vec<CommunityOf>,
}

impl Configured {
    /// Who names a state directory asks without a configuration.
    pub(super) fn read(config: &Path, args: &ImportArgs) -> Self {
        let is_without = args.state.state_dir.is_some();
        let config = if is_without { None } else { load_config(config).ok() };
        config.as_ref().map_or_else(Self::default, Self::of)
    }

    fn of(config: &Config) -> Self {
        let mut communities = Vec::new();
        for (space, settings) in &config.spaces {
            for (machinetype, settings) in &settings.machinetypes {
                communities.extend(settings.community.clone().map(|community| CommunityOf {
                    space: space.clone(),
                    machinetype: machinetype.clone(),
                    community,
                }));
            }
        }
        Self { spaces: Some(config.spaces.keys().cloned().collect()), communities }
    }
}
