//! From the configuration of a space to its provider: the only place that knows the providers.

use std::sync::Arc;

use vcycle_api::{Act, Clock, Observe};

use crate::config::{ProviderConfig, SpaceConfig};
use crate::driver::Providers;
use crate::library::UserDataLimit;
use crate::model::DeploymentId;

/// What providers are given beside their table.
#[cfg_attr(
    not(any(feature = "openstack", feature = "aws", feature = "gcp")),
    expect(dead_code, reason = "of no use to the others")
)]
struct Given<'a> {
    clock: &'a Arc<dyn Clock>,
    /// Whose images and volumes are ours; `None`: nothing is.
    deployment: Option<&'a DeploymentId>,
}

/// For the driver.
pub(crate) fn providers(clock: Arc<dyn Clock>, deployment: DeploymentId) -> Providers {
    Arc::new(move |space: &SpaceConfig| {
        open(space, &Given { clock: &clock, deployment: Some(&deployment) })
    })
}

fn open(space: &SpaceConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
    match &space.provider {
        ProviderConfig::Local(local) => local::open(local, given),
        ProviderConfig::Sim(sim) => sim::open(sim, given),
        ProviderConfig::OpenStack(openstack) => openstack::open(openstack.as_ref(), given),
        ProviderConfig::Aws(aws) => aws::open(aws.as_ref(), given),
        ProviderConfig::Gcp(gcp) => gcp::open(gcp.as_ref(), given),
    }
}

/// For a dry run: what cannot act cannot be made to act. Makes nothing, no folder either.
pub(crate) fn observer(
    space: &SpaceConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Observe>> {
    let given = Given { clock, deployment: None };
    match &space.provider {
        ProviderConfig::Local(local) => local::observe(local, &given),
        ProviderConfig::Sim(sim) => sim::observe(sim, &given),
        ProviderConfig::OpenStack(openstack) => openstack::observe(openstack.as_ref(), &given),
        ProviderConfig::Aws(aws) => aws::observe(aws.as_ref(), &given),
        ProviderConfig::Gcp(gcp) => gcp::observe(gcp.as_ref(), &given),
    }
}

/// Asks a cloud what machines cost now.
pub(crate) async fn told_prices(
    space: &SpaceConfig,
    clock: &Arc<dyn Clock>,
    wanted: &Wanted,
) -> anyhow::Result<ToldPrices> {
    let given = Given { clock, deployment: None };
    match &space.provider {
        ProviderConfig::Aws(aws) => aws::told_prices(aws.as_ref(), &given, wanted).await,
        ProviderConfig::Gcp(gcp) => gcp::told_prices(gcp.as_ref(), &given, wanted).await,
        ProviderConfig::OpenStack(openstack) => {
            openstack::told_prices(openstack.as_ref(), &given, wanted).await
        }
        ProviderConfig::Local(_) | ProviderConfig::Sim(_) => {
            anyhow::bail!("{} has no prices to tell", space.provider.name())
        }
    }
}

/// The most `user_data` that the provider of a space takes, asked of nothing and nobody. `None`: this
/// build has no such provider.
pub(crate) fn user_data_limit(space: &SpaceConfig) -> Option<UserDataLimit> {
    let (provider, bytes) = match &space.provider {
        ProviderConfig::Local(local) => ("local", local::user_data_limit(local)),
        ProviderConfig::Sim(sim) => ("sim", sim::user_data_limit(sim)),
        ProviderConfig::OpenStack(openstack) => {
            ("openstack", openstack::user_data_limit(openstack.as_ref()))
        }
        ProviderConfig::Aws(aws) => ("aws", aws::user_data_limit(aws.as_ref())),
        ProviderConfig::Gcp(gcp) => ("gcp", gcp::user_data_limit(gcp.as_ref())),
    };
    let count: fn(&str) -> usize = match &space.provider {
        ProviderConfig::Aws(_) => aws::user_data_bytes,
        ProviderConfig::Local(_)
        | ProviderConfig::Sim(_)
        | ProviderConfig::OpenStack(_)
        | ProviderConfig::Gcp(_) => str::len,
    };
    Some(UserDataLimit { provider, bytes: bytes?, count })
}

mod told;

pub(crate) use told::{Reach, ToldPrice, ToldPrices, Wanted};

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "openstack")]
mod openstack;

#[cfg(not(feature = "aws"))]
use absent as aws;
#[cfg(not(feature = "gcp"))]
use absent as gcp;
#[cfg(not(feature = "local"))]
use absent as local;
#[cfg(not(feature = "openstack"))]
use absent as openstack;
#[cfg(not(feature = "sim"))]
use absent as sim;

/// A provider that is not in this build. Its table is refused when the configuration is read.
#[cfg(not(all(
    feature = "aws",
    feature = "gcp",
    feature = "local",
    feature = "sim",
    feature = "openstack"
)))]
mod absent {
    use super::{Act, Arc, Given, Observe};

    const WHY: &str = "this build has no such provider";

    pub(super) fn open<C>(_: &C, _: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
        anyhow::bail!(WHY)
    }

    pub(super) fn observe<C>(_: &C, _: &Given<'_>) -> anyhow::Result<Arc<dyn Observe>> {
        anyhow::bail!(WHY)
    }

    pub(super) fn user_data_limit<C>(_: &C) -> Option<usize> {
        None
    }

    #[cfg(not(all(feature = "aws", feature = "gcp", feature = "openstack")))]
    pub(super) async fn told_prices<C>(
        _: &C,
        _: &Given<'_>,
        _: &super::Wanted,
    ) -> anyhow::Result<super::ToldPrices> {
        anyhow::bail!(WHY)
    }

    #[cfg(not(feature = "aws"))]
    pub(super) fn user_data_bytes(text: &str) -> usize {
        text.len()
    }
}

#[cfg(feature = "local")]
mod local {
    use vcycle_local::{Local, Settings, SupervisorCommand, USER_DATA_LIMIT};

    use super::{Act, Arc, Given, Observe};
    use crate::config::LocalConfig;

    /// The hidden subcommand under which this program supervises local machines.
    const SUPERVISOR: &str = "local-supervisor";

    pub(super) fn open(local: &LocalConfig, _: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
        Ok(Arc::new(Local::open(settings(local))?))
    }

    pub(super) fn observe(local: &LocalConfig, _: &Given<'_>) -> anyhow::Result<Arc<dyn Observe>> {
        Ok(Arc::new(Local::observe(settings(local))?))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as of a provider that is not in the build")]
    pub(super) fn user_data_limit(_: &LocalConfig) -> Option<usize> {
        Some(USER_DATA_LIMIT)
    }

    fn settings(local: &LocalConfig) -> Settings {
        let supervisor = SupervisorCommand::this_program(SUPERVISOR);
        Settings {
            processors: local.processors,
            memory: local.memory,
            ..Settings::new(&local.dir, supervisor)
        }
    }
}

#[cfg(feature = "sim")]
#[expect(clippy::unnecessary_wraps, reason = "as of a provider that is not in the build")]
mod sim {
    use vcycle_sim::{Settings, SimCloud, SimProvider};

    use super::{Act, Arc, Given, Observe};
    use crate::config::SimConfig;

    pub(super) fn open(sim: &SimConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
        Ok(Arc::new(client(sim, given)))
    }

    pub(super) fn observe(sim: &SimConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Observe>> {
        Ok(Arc::new(client(sim, given)))
    }

    pub(super) fn user_data_limit(sim: &SimConfig) -> Option<usize> {
        Some(settings(sim).user_data_limit)
    }

    /// A cloud of its own, on a clock of ours.
    fn client(sim: &SimConfig, given: &Given<'_>) -> SimProvider {
        SimCloud::new(settings(sim), Arc::clone(given.clock)).client()
    }

    fn settings(sim: &SimConfig) -> Settings {
        Settings::simple(sim.seed, sim.processors, sim.boot, sim.life)
    }
}
