//! From the configuration of a space to its provider: the only place that knows the providers.

use std::sync::Arc;

use vcycle_api::{Act, Clock, Observe};

use crate::config::{ProviderConfig, SpaceConfig};
use crate::driver::Providers;

/// The hidden subcommand under which this program supervises local machines.
#[cfg(feature = "local")]
const SUPERVISOR: &str = "local-supervisor";

/// For the driver.
pub(crate) fn providers(clock: Arc<dyn Clock>) -> Providers {
    Arc::new(move |space: &SpaceConfig| open(space, &clock))
}

/// For a dry run: what cannot act cannot be made to act.
pub(crate) fn observer(
    space: &SpaceConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Observe>> {
    Ok(open(space, clock)?)
}

fn open(space: &SpaceConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Act>> {
    // Only a simulated cloud lives on a clock of ours.
    #[cfg(not(feature = "sim"))]
    let _ = clock;
    match &space.provider {
        #[cfg(feature = "local")]
        ProviderConfig::Local(local) => {
            let supervisor = vcycle_local::SupervisorCommand::this_program(SUPERVISOR);
            let settings = vcycle_local::Settings {
                processors: local.processors,
                memory: local.memory,
                ..vcycle_local::Settings::new(&local.dir, supervisor)
            };
            Ok(Arc::new(vcycle_local::Local::open(settings)?))
        }
        #[cfg(feature = "sim")]
        ProviderConfig::Sim(sim) => {
            let settings =
                vcycle_sim::Settings::simple(sim.seed, sim.processors, sim.boot, sim.life);
            Ok(Arc::new(vcycle_sim::SimCloud::new(settings, Arc::clone(clock)).client()))
        }
        #[cfg(not(feature = "local"))]
        ProviderConfig::Local(_) => anyhow::bail!("this build has no local provider"),
        #[cfg(not(feature = "sim"))]
        ProviderConfig::Sim(_) => anyhow::bail!("this build has no sim provider"),
    }
}
