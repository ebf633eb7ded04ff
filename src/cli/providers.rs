//! From the configuration of a space to its provider: the only place that knows the providers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vcycle_api::{Act, Clock, Observe};

use crate::config::{ProviderConfig, SpaceConfig};
use crate::driver::Providers;
use crate::library::UserDataLimit;
use crate::store::Store;

/// What providers are given beside their table.
#[allow(dead_code, reason = "only some need a folder")]
struct Given<'a> {
    clock: &'a Arc<dyn Clock>,
    /// Where an upload keeps its progress; `None`: nothing is uploaded.
    uploads: Option<PathBuf>,
}

/// For the driver. `state_dir` is where uploads keep their progress.
pub(crate) fn providers(clock: Arc<dyn Clock>, state_dir: &Path) -> Providers {
    let state_dir = state_dir.to_owned();
    Arc::new(move |space: &SpaceConfig| {
        let uploads = Store::uploads(&state_dir, &space.name);
        open(space, &Given { clock: &clock, uploads: Some(uploads) })
    })
}

fn open(space: &SpaceConfig, given: &Given<'_>) -> anyhow::Result<Arc<dyn Act>> {
    match &space.provider {
        ProviderConfig::Local(local) => local::open(local, given),
        ProviderConfig::Sim(sim) => sim::open(sim, given),
        ProviderConfig::OpenStack(openstack) => openstack::open(openstack.as_ref(), given),
    }
}

/// For a dry run: what cannot act cannot be made to act. Makes nothing, no folder either.
pub(crate) fn observer(
    space: &SpaceConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Observe>> {
    let given = Given { clock, uploads: None };
    match &space.provider {
        ProviderConfig::Local(local) => local::observe(local, &given),
        ProviderConfig::Sim(sim) => sim::observe(sim, &given),
        ProviderConfig::OpenStack(openstack) => openstack::observe(openstack.as_ref(), &given),
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
    };
    Some(UserDataLimit { provider, bytes: bytes? })
}

#[cfg(not(feature = "local"))]
use absent as local;
use absent as openstack;
#[cfg(not(feature = "sim"))]
use absent as sim;

/// A provider that is not in this build. Its table is refused when the configuration is read.
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
