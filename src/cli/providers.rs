//! From the configuration of a space to its provider: the only place that knows the providers.

use std::sync::Arc;

use vcycle_api::{Act, Clock, Observe};

#[cfg(feature = "local")]
use crate::config::LocalConfig;
#[cfg(feature = "sim")]
use crate::config::SimConfig;
use crate::config::{ProviderConfig, SpaceConfig};
use crate::driver::Providers;
use crate::library::UserDataLimit;

/// The hidden subcommand under which this program supervises local machines.
#[cfg(feature = "local")]
const SUPERVISOR: &str = "local-supervisor";

/// For the driver.
pub(crate) fn providers(clock: Arc<dyn Clock>) -> Providers {
    Arc::new(move |space: &SpaceConfig| open(space, &clock))
}

/// For a dry run: what cannot act cannot be made to act. Makes nothing, no folder either.
pub(crate) fn observer(
    space: &SpaceConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Observe>> {
    // Only a simulated cloud lives on a clock of ours.
    #[cfg(not(feature = "sim"))]
    let _ = clock;
    match &space.provider {
        #[cfg(feature = "local")]
        ProviderConfig::Local(local) => {
            Ok(Arc::new(vcycle_local::Local::observe(local_settings(local))?))
        }
        #[cfg(feature = "sim")]
        ProviderConfig::Sim(sim) => Ok(Arc::new(open_sim(sim, clock))),
        #[cfg(not(feature = "local"))]
        ProviderConfig::Local(_) => anyhow::bail!("this build has no local provider"),
        #[cfg(not(feature = "sim"))]
        ProviderConfig::Sim(_) => anyhow::bail!("this build has no sim provider"),
    }
}

fn open(space: &SpaceConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Act>> {
    #[cfg(not(feature = "sim"))]
    let _ = clock;
    match &space.provider {
        #[cfg(feature = "local")]
        ProviderConfig::Local(local) => {
            Ok(Arc::new(vcycle_local::Local::open(local_settings(local))?))
        }
        #[cfg(feature = "sim")]
        ProviderConfig::Sim(sim) => Ok(Arc::new(open_sim(sim, clock))),
        #[cfg(not(feature = "local"))]
        ProviderConfig::Local(_) => anyhow::bail!("this build has no local provider"),
        #[cfg(not(feature = "sim"))]
        ProviderConfig::Sim(_) => anyhow::bail!("this build has no sim provider"),
    }
}

/// The most `user_data` that the provider of a space takes, asked of nothing and nobody. `None`: this
/// build has no such provider.
pub(crate) fn user_data_limit(space: &SpaceConfig) -> Option<UserDataLimit> {
    match &space.provider {
        #[cfg(feature = "local")]
        ProviderConfig::Local(_) => {
            Some(UserDataLimit { provider: "local", bytes: vcycle_local::USER_DATA_LIMIT })
        }
        #[cfg(feature = "sim")]
        ProviderConfig::Sim(sim) => {
            let bytes = sim_settings(sim).user_data_limit;
            Some(UserDataLimit { provider: "sim", bytes })
        }
        #[cfg(not(feature = "local"))]
        ProviderConfig::Local(_) => None,
        #[cfg(not(feature = "sim"))]
        ProviderConfig::Sim(_) => None,
    }
}

#[cfg(feature = "local")]
fn local_settings(local: &LocalConfig) -> vcycle_local::Settings {
    let supervisor = vcycle_local::SupervisorCommand::this_program(SUPERVISOR);
    vcycle_local::Settings {
        processors: local.processors,
        memory: local.memory,
        ..vcycle_local::Settings::new(&local.dir, supervisor)
    }
}

#[cfg(feature = "sim")]
fn sim_settings(sim: &SimConfig) -> vcycle_sim::Settings {
    vcycle_sim::Settings::simple(sim.seed, sim.processors, sim.boot, sim.life)
}

#[cfg(feature = "sim")]
fn open_sim(sim: &SimConfig, clock: &Arc<dyn Clock>) -> vcycle_sim::SimProvider {
    vcycle_sim::SimCloud::new(sim_settings(sim), Arc::clone(clock)).client()
}
