//! From `[space."NAME".openstack]` to the settings of its provider.

use std::time::Duration;

use anyhow::Context as _;
use vcycle_api::Market;
use vcycle_money::bills::Exact;
use vcycle_openstack::{
    Basis, BootVolume, CloudRef, ConfigDrive, Credential, DataVolume, FlavorRate, GroupRate,
    Networks, OpenStack, Preemptible, Rates, Settings,
};

use super::told::{Reach, for_an_hour, product};
use super::{Act, Arc, Given, Observe, ToldPrice, ToldPrices, Wanted};
use crate::config::{CredentialConfig, NetworksConfig, OpenStackConfig};

pub(super) fn open(config: &OpenStackConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
    Ok(Arc::new(OpenStack::open(settings(config, given), Arc::clone(given.clock))?))
}

pub(super) fn observe(
    config: &OpenStackConfig,
    given: &Given<'_>,
) -> anyhow::Result<Arc<dyn Observe>> {
    Ok(OpenStack::observe(settings(config, given), Arc::clone(given.clock))?)
}

#[expect(clippy::unnecessary_wraps, reason = "as of a provider that is not in the build")]
pub(super) fn user_data_limit(_: &OpenStackConfig) -> Option<usize> {
    Some(vcycle_openstack::USER_DATA_LIMIT)
}

/// What the site's rating service asks for.
pub(super) async fn told_prices(
    config: &OpenStackConfig,
    given: &Given<'_>,
    wanted: &Wanted,
) -> anyhow::Result<ToldPrices> {
    let currency = wanted.currency.context(
        "a rating service has no currency: say which one the site means, as in --currency GBP",
    )?;
    let settings = settings(config, given);
    let taken_back = settings.preemptible.clone().map(|it| it.flavors).unwrap_or_default();
    let rates = OpenStack::open(settings, Arc::clone(given.clock))?.rates().await?;
    let period = period(&rates, wanted)?;
    let Rates { basis, flavors, left_out, .. } = rates;
    let mut prices = Vec::new();
    for FlavorRate { flavor, groups } in flavors {
        let costs = groups.iter().map(|GroupRate { flats, factors }| product(flats, factors));
        let cost = costs.sum::<anyhow::Result<Exact>>().with_context(|| flavor.clone())?;
        let per_hour = for_an_hour(cost, period)?;
        // What the site takes back is reserved at the price on demand: here, the same.
        let spot = taken_back.contains(&flavor).then_some(Market::Preemptible);
        prices.extend([Some(Market::OnDemand), spot].into_iter().flatten().map(|market| {
            let remark = format!("{cost} for {} s.", period.as_secs());
            ToldPrice { flavour: flavor.clone(), market, per_hour, remark }
        }));
    }
    let (source, basis) = match basis {
        Basis::Rules => ("CloudKitty, rules of the module hashmap", "the rules of the site"),
        Basis::Charges => (
            "CloudKitty, charges of our project (dataframes)",
            "what our project was charged in two days, the dearest, because the rules may not be read with this login",
        ),
    };
    Ok(ToldPrices {
        source: source.to_owned(),
        remarks: vec![
            format!("From {basis}."),
            format!(
                "Caps reckon with these prices. That they are in {currency} is the word of whoever asked for them. Volumes and"
            ),
            "addresses have their prices in another list.".to_owned(),
        ],
        currency,
        // A period that was begun is charged.
        minimum: period.as_secs(),
        granularity: match period.as_secs() {
            ..=1 => "1s",
            2..=60 => "1m",
            61.. => "1h",
        },
        reach: Reach::Space,
        prices,
        left_out: left_out.into_iter().map(|(flavor, why)| format!("{flavor}: {why}")).collect(),
    })
}

/// The collect period: as the charges of the project show it, or as it was given.
fn period(rates: &Rates, wanted: &Wanted) -> anyhow::Result<Duration> {
    match (rates.period, wanted.period) {
        (Some(seen), Some(given)) if seen != given => anyhow::bail!(
            "the site charges in periods of {} s, not of {} s: leave --period out",
            seen.as_secs(),
            given.as_secs()
        ),
        (Some(period), _) | (None, Some(period)) => Ok(period),
        (None, None) => anyhow::bail!(
            "nothing shows for how long the costs of the site's rating service are (its collect period): ask the site, and say it, as \
             in --period 1h, which CloudKitty has unless the site has changed it"
        ),
    }
}

fn settings(config: &OpenStackConfig, given: &Given<'_>) -> Settings {
    let volume_type = || config.volume_type.clone();
    let credentials = [Some(&config.credential), config.fallback.as_ref()];
    Settings {
        credentials: credentials.into_iter().flatten().map(|of| credential(config, of)).collect(),
        networks: match &config.networks {
            NetworksConfig::Auto => Networks::Auto,
            NetworksConfig::None => Networks::None,
            NetworksConfig::These(names) => Networks::These(names.clone()),
        },
        security_groups: config.security_groups.clone(),
        zones: config.zones.clone(),
        boot_volume: config.boot_volume_gb.map(|gb| BootVolume { gb, volume_type: volume_type() }),
        data_volume: config
            .volume_gb_per_processor
            .map(|gb| DataVolume { gb_per_processor: gb, volume_type: volume_type() }),
        config_drive: if config.config_drive { ConfigDrive::Yes } else { ConfigDrive::No },
        hints: config.scheduler_hints.clone(),
        lease: config.lease.clone(),
        preemptible: config.preemptible.as_ref().map(|preemptible| Preemptible {
            flavors: preemptible.flavors.clone(),
            guaranteed: preemptible.guaranteed,
        }),
        page: config.page,
        requests_at_once: config.requests_at_once,
        request_time: config.request_time,
        settle: config.settle,
        deployment: given.deployment.cloned(),
    }
}

fn credential(config: &OpenStackConfig, of: &CredentialConfig) -> Credential {
    let CredentialConfig { cloud, file } = of.clone();
    let cloud = cloud.map_or(CloudRef::Environment, |cloud| CloudRef::Named { cloud, file });
    Credential { cloud, region: config.region.clone(), interface: config.interface.clone() }
}
