//! What spending means for a space: whether its machines cost money, where that is booked, and what they cost.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::{Offering, Price};
use vcycle_money::{Account, Community, PriceQuestion, PricedOffering, ProviderName, Unpriced};

use super::settings::SpendingSettings;
use super::sums;
use crate::config::problem::{Collector, Finding, Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::tree::Value;
use crate::config::types::{ProviderConfig, SpaceConfig};
use crate::config::values::Read;
use crate::model::{MachinetypeName, Market, SpaceName, Timestamp};

/// Whether the machines of a space cost money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// By the price lists.
    Priced,
    /// They do not: own hardware, a grant of hours.
    Unmetered,
}

/// What an offering costs in a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferingPrice {
    /// Nothing.
    Unmetered,
    /// This.
    Priced(Box<PricedOffering>),
    /// Nobody knows: never nothing.
    Unpriced(Unpriced),
}

/// Reads `price` of a space.
pub(in crate::config) fn read_metering(space: &Reader<'_>) -> Metering {
    space.get_or("price", metering, Metering::Priced).value
}

fn metering(value: &Value) -> Read<Metering> {
    const RIGHT: &str =
        "\"unmetered\", for what costs nothing; prices stand in the files of `spending.prices`";
    match value {
        Value::Text(text) if text == "unmetered" => Ok(Metering::Unmetered),
        Value::Text(text) => Err(Wrong::new(format!("{text:?} means nothing here"), RIGHT)),
        other => Err(Wrong::new(format!("{} where something else is wanted", other.kind()), RIGHT)),
    }
}

/// Reads `overstay` of a space.
pub(in crate::config) fn read_overstay(space: &Reader<'_>) -> Option<Duration> {
    space.get("overstay", sums::seconds).map(|overstay| overstay.value)
}

/// Reads `community` of a machinetype.
pub(in crate::config) fn read_community(machinetype: &Reader<'_>) -> Option<Community> {
    machinetype.get("community", sums::label).map(|community| community.value)
}

/// With `[spending]` every space has prices, or says that it needs none.
pub(in crate::config) fn check_spaces(
    spending: Option<&SpendingSettings>,
    spaces: &BTreeMap<SpaceName, SpaceConfig>,
    problems: &Collector,
) {
    let Some(spending) = spending else { return };
    for space in spaces.values() {
        let (provider, region) = (space.biller(), space.provider.region());
        let is_served = spending.book.serves(&provider, region, &space.name);
        match space.metering() {
            Metering::Priced if !is_served => {
                let place = if region.is_empty() { String::new() } else { format!(" in {region}") };
                let wrong = Wrong::new(
                    format!(
                        "no price list is for {provider}{place}, so what it costs is not known"
                    ),
                    "a price list in `spending.prices`, or `price = \"unmetered\"` if nothing is paid by the hour",
                );
                let problem = Problem::at_value(&space.provider_section, wrong);
                problems.add(problem.found_by(Finding::Absence));
            }
            Metering::Priced | Metering::Unmetered => {}
        }
    }
}

impl SpaceConfig {
    /// Whether its machines cost money. Those of this host never do by the hour.
    pub fn metering(&self) -> Metering {
        match self.provider {
            ProviderConfig::Local(_) => Metering::Unmetered,
            ProviderConfig::Sim(_)
            | ProviderConfig::OpenStack(_)
            | ProviderConfig::Aws(_)
            | ProviderConfig::Gcp(_) => self.metering,
        }
    }

    /// Who sends the bill for it.
    pub fn biller(&self) -> ProviderName {
        ProviderName::parse(self.provider.name()).expect("names of providers are plain words")
    }

    /// Where a machine of it is booked.
    pub fn account(&self, machinetype: &MachinetypeName, market: Market) -> Account {
        let config = self.machinetypes.get(machinetype);
        Account {
            provider: self.biller(),
            space: self.name.clone(),
            machinetype: machinetype.clone(),
            community: config.and_then(|config| config.community.clone()),
            market,
        }
    }
}

impl SpendingSettings {
    /// How much longer than to its hard end a machine of a space is reserved.
    pub fn overstay(&self, space: &SpaceConfig) -> Duration {
        space.overstay.unwrap_or(self.overstay)
    }

    /// What a machine costs that may exist from now, `at`, until `until`.
    pub fn price(
        &self,
        space: &SpaceConfig,
        offering: &Offering,
        (at, until): (Timestamp, Timestamp),
    ) -> OfferingPrice {
        let told_free = match offering.price {
            Price::Unmetered => true,
            Price::PerHour(_) | Price::Unknown => false,
        };
        if told_free || space.metering() == Metering::Unmetered {
            return OfferingPrice::Unmetered;
        }
        let question = PriceQuestion {
            provider: &space.biller(),
            region: space.provider.region(),
            space: &space.name,
            offering: &offering.id,
            attached: &offering.attached,
            at,
            until,
        };
        match self.book.tariff(&question, &self.rates) {
            Ok(priced) => OfferingPrice::Priced(Box::new(priced)),
            Err(unpriced) => OfferingPrice::Unpriced(unpriced),
        }
    }
}
