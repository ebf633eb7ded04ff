//! What a scenario takes from the configuration of a site.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::{
    Attached, Availability, Megabytes, Offering, OfferingId, Price, Processors, SpaceName,
};
use vcycle_money::{Community, ProviderName, Tariff};

use super::settings::SpendingSettings;
use super::spaces::OfferingPrice;
use crate::config::types::{Config, SpaceConfig};
use crate::model::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// What a scenario takes from the configuration of a site where it does not say it itself.
#[derive(Debug, Clone)]
pub struct SiteWorld<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Its `[spending]`.
    pub spending: &'a SpendingSettings,
    /// How machines of each community live: by the slowest of its machinetypes.
    pub lives: BTreeMap<Community, Lives>,
    /// At which time prices are asked for.
    pub now: Timestamp,
}

/// How machines of a community live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// When one ends at the latest.
    pub max_wallclock: Duration,
    /// Less time than this is of no use to it.
    pub min_wallclock: Duration,
    /// How long it may take to end when it is told to.
    pub grace: Duration,
    /// After which time it ends when it finds no work.
    pub fizzle: Duration,
    /// For how long no other is made then.
    pub backoff: Duration,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            max_wallclock: 24 * HOUR,
            min_wallclock: 2 * HOUR,
            grace: HOUR,
            fizzle: HOUR / 6,
            backoff: HOUR / 2,
        }
    }
}

impl SiteWorld<'_> {
    /// What a machine costs by the price lists: in the space that is named, or in the first of the provider.
    pub(super) fn price(
        &self,
        (provider, space): (&ProviderName, Option<&SpaceName>),
        offering: &OfferingId,
    ) -> Result<Tariff, String> {
        let mut spaces = self.config.spaces.values();
        let of_it = |own: &&SpaceConfig| {
            own.biller() == *provider && space.is_none_or(|space| own.name == *space)
        };
        let space = spaces.find(of_it).ok_or("the configuration has no such space")?;
        let offering = Offering {
            id: offering.clone(),
            processors: Processors(1),
            memory: Megabytes(0),
            attached: Attached::default(),
            price: Price::Unknown,
            availability: Availability::Available,
        };
        match self.spending.price(space, &offering, (self.now, self.now + 24 * HOUR)) {
            OfferingPrice::Priced(priced) => Ok(priced.tariff),
            OfferingPrice::Unmetered => Err("it costs nothing there".to_owned()),
            OfferingPrice::Unpriced(unpriced) => Err(unpriced.to_string()),
        }
    }
}
