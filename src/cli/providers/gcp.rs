//! From `[space."NAME".gcp]` to the settings of its provider.

use vcycle_api::Market;
use vcycle_gcp::{BootDisk, Credentials, ExternalAddress, Gcp, ServiceAccount, Settings, Source};

use super::{Act, Arc, Given, Observe};
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
