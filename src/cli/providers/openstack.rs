//! From `[space."NAME".openstack]` to the settings of its provider.

use vcycle_openstack::{
    BootVolume, CloudRef, ConfigDrive, Credential, DataVolume, Networks, OpenStack, Preemptible,
    Settings,
};

use super::{Act, Arc, Given, Observe};
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
