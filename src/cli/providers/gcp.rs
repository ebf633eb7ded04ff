//! From `[space."NAME".gcp]` to the settings of its provider.

use vcycle_api::Market;
use vcycle_gcp::{
    BootDisk, Catalogue, Credentials, ExternalAddress, Gcp, LeftOut, MachinePrice, ServiceAccount,
    Settings, Source,
};

use vcycle_money::{Amount, Currency};

use super::told::Reach;
use super::{Act, Arc, Given, Observe, ToldPrice, ToldPrices, Wanted};
use crate::config::{BootDiskConfig, GcpConfig, ServiceAccountConfig};

pub(super) fn open(config: &GcpConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
    Ok(Arc::new(Gcp::open(settings(config, given), Arc::clone(given.clock))?))
}

pub(super) fn observe(config: &GcpConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Observe>> {
    Ok(Gcp::observe(settings(config, given), Arc::clone(given.clock))?)
}

#[expect(clippy::unnecessary_wraps, reason = "as of a provider that is not in the build")]
pub(super) fn user_data_limit(_: &GcpConfig) -> Option<usize> {
    Some(vcycle_gcp::USER_DATA_LIMIT)
}

/// Public prices, put together from those of processors and memory.
pub(super) async fn told_prices(
    config: &GcpConfig,
    given: &Given<'_>,
    wanted: &Wanted,
) -> anyhow::Result<ToldPrices> {
    let currency = wanted.currency.unwrap_or(Currency::USD);
    let gcp = Gcp::open(settings(config, given), Arc::clone(given.clock))?;
    let Catalogue { prices, left_out } = gcp.catalogue(&currency.to_string()).await?;
    let price = |MachinePrice { machine_type: flavour, market, nanos, made_of: remark }| {
        ToldPrice { flavour, market, per_hour: Amount::from_nanos(nanos), remark }
    };
    let left = |LeftOut { machine_type, market, why }| format!("{machine_type} {market}: {why}");
    Ok(ToldPrices {
        source: "Cloud Billing API, services.skus.list of Compute Engine".to_owned(),
        remarks: vec![
            "Prices on demand are among them: caps reckon with those. Discounts, contracts and taxes are not in them, and disks and".to_owned(),
            "addresses have their prices in another list.".to_owned(),
        ],
        currency,
        minimum: 60,
        granularity: "1s",
        reach: Reach::Region,
        prices: prices.into_iter().map(price).collect(),
        left_out: left_out.into_iter().map(left).collect(),
    })
}

fn settings(config: &GcpConfig, given: &Given<'_>) -> Settings {
    let GcpConfig {
        project,
        region,
        machine_types,
        zones,
        credentials_file,
        impersonate,
        network,
        subnetwork,
        external_address,
        service_account: account,
        boot_disk: BootDiskConfig { gb, gb_per_processor, disk_type },
        network_tags,
        endpoint,
        billing_endpoint,
        requests_at_once,
        request_time,
        insert_wait,
        settle,
    } = config.clone();
    Settings {
        credentials: Credentials {
            source: credentials_file.map_or(Source::Default, Source::File),
            impersonate,
        },
        project,
        region,
        zones,
        machine_types,
        // Which of them are used, and in which order, is the planner's.
        markets: vec![Market::OnDemand, Market::Preemptible],
        network,
        subnetwork,
        external_address: if external_address { ExternalAddress::Yes } else { ExternalAddress::No },
        service_account: account.map(service_account),
        boot_disk: BootDisk { gb, gb_per_processor, disk_type },
        network_tags,
        endpoint,
        billing_endpoint,
        requests_at_once,
        request_time,
        insert_wait,
        settle,
        deployment: given.deployment.cloned(),
    }
}

fn service_account(account: ServiceAccountConfig) -> ServiceAccount {
    let ServiceAccountConfig { email, scopes } = account;
    ServiceAccount { email, scopes }
}
