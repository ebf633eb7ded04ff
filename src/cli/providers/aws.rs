//! From `[space."NAME".aws]` to the settings of its provider.

use vcycle_api::Market;
use vcycle_aws::{
    AssumedRole, Aws, CredentialFiles, Credentials, Encryption, PublicAddress, RootVolume,
    Settings, SpotPrice,
};

use vcycle_money::Currency;

use super::told::Reach;
use super::{Act, Arc, Given, Observe, ToldPrice, ToldPrices, Wanted};
use crate::config::{AwsConfig, AwsCredentials, RoleConfig, RootVolumeConfig};

pub(super) fn open(config: &AwsConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
    Ok(Arc::new(Aws::open(settings(config, given), Arc::clone(given.clock))?))
}

pub(super) fn observe(config: &AwsConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Observe>> {
    Ok(Aws::observe(settings(config, given), Arc::clone(given.clock))?)
}

#[expect(clippy::unnecessary_wraps, reason = "as of a provider that is not in the build")]
pub(super) fn user_data_limit(_: &AwsConfig) -> Option<usize> {
    Some(vcycle_aws::USER_DATA_LIMIT)
}

pub(super) fn user_data_bytes(text: &str) -> usize {
    vcycle_aws::user_data_bytes(text)
}

/// What spot costs.
pub(super) async fn told_prices(
    config: &AwsConfig,
    given: &Given<'_>,
    wanted: &Wanted,
) -> anyhow::Result<ToldPrices> {
    let currency = wanted.only(Currency::USD)?;
    let aws = Aws::open(settings(config, given), Arc::clone(given.clock))?;
    let price = |SpotPrice { instance_type: flavour, zone, dollars, .. }| {
        let per_hour = dollars
            .parse()
            .map_err(|_| anyhow::anyhow!("{dollars:?} for {flavour} in {zone} is no price"))?;
        let remark = format!("In {zone}, the dearest zone.");
        Ok(ToldPrice { flavour, market: Market::Preemptible, per_hour, remark })
    };
    Ok(ToldPrices {
        source: "EC2, DescribeSpotPriceHistory".to_owned(),
        remarks: vec![
            "These are prices of spot: for choosing and forecasts, and with charge_spot = \"listed\" for what".to_owned(),
            "has passed. What may be taken back is reserved at the price on demand, which belongs into a list".to_owned(),
            "that somebody signed off.".to_owned(),
        ],
        currency,
        minimum: 60,
        granularity: "1s",
        reach: Reach::Region,
        prices: aws.spot_prices().await?.into_iter().map(price).collect::<anyhow::Result<_>>()?,
        left_out: Vec::new(),
    })
}

fn settings(config: &AwsConfig, given: &Given<'_>) -> Settings {
    let AwsConfig {
        region,
        instance_types,
        zones,
        credentials: of,
        subnets,
        security_groups,
        public_address,
        instance_profile,
        root_volume: volume,
        interruption_queue,
        image_owners,
        endpoint,
        requests_at_once,
        request_time,
        settle,
    } = config.clone();
    Settings {
        credentials: credentials(of),
        region,
        endpoint,
        instance_types,
        zones,
        // Which of them are used, and in which order, is the planner's.
        markets: vec![Market::OnDemand, Market::Preemptible],
        subnets,
        security_groups,
        public_address: match public_address {
            None => PublicAddress::BySubnet,
            Some(true) => PublicAddress::Yes,
            Some(false) => PublicAddress::No,
        },
        instance_profile,
        root_volume: volume.map(root_volume),
        interruption_queue,
        image_owners,
        requests_at_once,
        request_time,
        settle,
        deployment: given.deployment.cloned(),
    }
}

fn credentials(of: AwsCredentials) -> Credentials {
    let AwsCredentials { profile, credentials_file, config_file, role } = of;
    let role = role.map(|RoleConfig { arn, external_id }| AssumedRole { arn, external_id });
    let files = CredentialFiles { credentials: credentials_file, config: config_file };
    Credentials { profile, files, role }
}

fn root_volume(volume: RootVolumeConfig) -> RootVolume {
    let RootVolumeConfig { gb, gb_per_processor, volume_type, encrypted, device } = volume;
    let encrypted = if encrypted { Encryption::Yes } else { Encryption::ByImage };
    RootVolume { gb, gb_per_processor, volume_type, encrypted, device }
}
