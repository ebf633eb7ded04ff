//! What the commands know of a site: its configuration where one is needed, and the state directory
//! as any host sees it. Reads only, but for requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use vcycle_api::{Clock, SystemClock};
use vcycle_money::{Currency, ExchangeRates};

use super::error::CliError;
use crate::config::{self, Config};
use crate::library::load_setup;
use crate::model::{Board, MachineRow, ManagerName, SpaceName, SpaceSnapshot, Timestamp};
use crate::store::{IdleSpace, ManagerInfo, RealFs, Store};

/// Where the state of a site is read. Needs no running manager.
pub(crate) struct StateSource {
    /// The state directory.
    pub(crate) dir: PathBuf,
    pub(crate) store: Store,
    pub(crate) clock: Arc<SystemClock>,
    /// That of the ledger; `None`: no configuration says it.
    pub(crate) currency: Option<Currency>,
    /// Rates of exchange to it; `None`: no configuration says them.
    pub(crate) rates: Option<Arc<ExchangeRates>>,
    /// That the configuration is not valid now.
    config_problem: Option<String>,
    /// Spaces that the configuration names; `None`: not known.
    configured: Option<Vec<SpaceName>>,
    /// Silence of an owner that is longer than this is worth a word.
    patience: Duration,
}

/// One space as found.
#[derive(Debug, Clone)]
pub(crate) struct SpaceView {
    /// Its name.
    pub(crate) space: SpaceName,
    /// What its owner last wrote.
    pub(crate) snapshot: Option<SpaceSnapshot>,
    /// When its owner last showed life, by the file server's clock.
    pub(crate) heard: Option<Timestamp>,
    /// Why it cannot be read.
    pub(crate) problem: Option<String>,
    /// Whether the configuration names it; `None`: not known.
    pub(crate) configured: Option<bool>,
    /// Machines that may exist although no configuration names the space and nobody works on it.
    pub(crate) abandoned: u32,
    /// Managers that say why they do not work on it.
    pub(crate) idle: Vec<IdleAt>,
}

/// Why a manager does not work on a space.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IdleAt {
    /// Who says so.
    pub(crate) manager: ManagerName,
    /// Since when, and why.
    #[serde(flatten)]
    pub(crate) idle: IdleSpace,
}

/// All spaces that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    /// When it was read.
    pub(crate) now: Timestamp,
    /// As in [`StateSource`].
    pub(crate) patience: Duration,
    /// As in [`StateSource`].
    pub(crate) config_problem: Option<String>,
    /// Managers that have not ended in an orderly way, by name.
    pub(crate) managers: Vec<ManagerInfo>,
    /// By name.
    pub(crate) spaces: Vec<SpaceView>,
}

/// Without a configuration nothing is known of cycle and ownership: the defaults stand.
const PATIENCE_OF_DEFAULTS: Duration = Duration::from_secs(60);

impl StateSource {
    /// The state directory that was typed, or the one of the configuration. That need not be valid:
    /// just while a manager refuses it, people look at what the manager does.
    pub(crate) fn open(config: &Path, state_dir: Option<&Path>) -> Result<Self, CliError> {
        if let Some(dir) = state_dir {
            return Self::at(dir, None, PATIENCE_OF_DEFAULTS);
        }
        // The library belongs to what a manager refuses as a whole.
        let Err(problems) = load_setup(config) else { return Self::of(&load_config(config)?) };
        let Some(dir) = config::find_state_dir(config) else {
            return Err(CliError::Problems(problems.to_string()));
        };
        let count = problems.list().len();
        let problem = format!(
            "the configuration has {count} problem{} (`vcycle check`): a running manager keeps the \
             last good one",
            if count == 1 { "" } else { "s" }
        );
        anstream::eprintln!("warning: {problem}");
        let mut source = match config::load(config) {
            Ok((config, _warnings)) => Self::of(&config)?,
            Err(_) => Self::at(&dir, None, PATIENCE_OF_DEFAULTS)?,
        };
        source.config_problem = Some(problem);
        Ok(source)
    }

    /// The state directory of a configuration.
    pub(crate) fn of(config: &Config) -> Result<Self, CliError> {
        // An owner renews three times within the life of its ownership.
        let patience = config.site.ownership_ttl * 2;
        let configured = Some(config.spaces.keys().cloned().collect());
        let mut source = Self::at(&config.site.state_dir, configured, patience)?;
        source.currency = config.spending.as_ref().map(|spending| spending.currency);
        source.rates = config.spending.as_ref().map(|spending| Arc::clone(&spending.rates));
        Ok(source)
    }

    fn at(
        dir: &Path,
        configured: Option<Vec<SpaceName>>,
        patience: Duration,
    ) -> Result<Self, CliError> {
        must_be_a_directory(dir)?;
        let clock = Arc::new(SystemClock::new());
        let store = Store::new(Arc::new(RealFs::new(dir)), clock.clone());
        let (dir, currency, rates) = (dir.to_owned(), None, None);
        Ok(Self { dir, store, clock, currency, rates, config_problem: None, configured, patience })
    }

    /// Fails when no manager has ever run here: what we leave in an empty folder below an
    /// unmounted disk helps nobody, and a space without a deployment stops the first manager.
    pub(crate) async fn must_be_in_use(&self) -> Result<(), CliError> {
        let found = self.store.deployment().await;
        match found.map_err(|error| CliError::failed("cannot read the state directory", &error))? {
            Some(_) => Ok(()),
            None => Err(CliError::Failed(format!(
                "no manager has ever run here ({}): is it mounted? At a new site `vcycle run` comes first",
                absolute(&self.dir).display()
            ))),
        }
    }

    /// Reads the spaces that were asked for; all when none was.
    pub(crate) async fn overview(&self, wanted: &[SpaceName]) -> Result<Overview, CliError> {
        let mut names = self.configured.clone().unwrap_or_default();
        names.extend(
            self.store
                .spaces()
                .await
                .map_err(|error| CliError::failed("cannot list the spaces", &error))?,
        );
        names.sort();
        names.dedup();
        if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
            let known: Vec<_> = names.iter().map(SpaceName::as_str).collect();
            return Err(CliError::Usage(format!(
                "there is no space {unknown}; there is: {}",
                known.join(", ")
            )));
        }
        names.retain(|name| wanted.is_empty() || wanted.contains(name));
        let mut managers = self.store.managers().await.map_err(|error| {
            CliError::failed("cannot read who shares the state directory", &error)
        })?;
        managers.retain(|manager| manager.stopped.is_none());
        let mut spaces = Vec::new();
        for name in names {
            spaces.push(self.view(name, &managers).await);
        }
        Ok(Overview {
            now: self.clock.now(),
            patience: self.patience,
            config_problem: self.config_problem.clone(),
            managers,
            spaces,
        })
    }

    /// Reads the heartbeats anew: in a steady space the snapshot is not written again for them.
    pub(crate) async fn refresh_heartbeats(&self, overview: &mut Overview) -> Result<(), CliError> {
        for view in &mut overview.spaces {
            let Some(snapshot) = &mut view.snapshot else { continue };
            let files: BTreeMap<_, _> = snapshot
                .machinetypes
                .iter()
                .filter_map(|row| Some((row.name.clone(), row.heartbeat_file.clone()?)))
                .collect();
            let mut rows: Vec<&mut MachineRow> = snapshot
                .machines
                .iter_mut()
                .filter(|row| files.contains_key(&row.machinetype))
                .collect();
            let wanted: Vec<_> = rows
                .iter()
                .map(|row| (row.name.clone(), files[&row.machinetype].clone()))
                .collect();
            let beats = self
                .store
                .heartbeats(&view.space, &wanted)
                .await
                .map_err(|error| CliError::failed("cannot read the heartbeats", &error))?;
            for (row, beat) in rows.iter_mut().zip(beats) {
                // None: archived since, so what was last seen stands.
                row.heartbeat = beat.or(row.heartbeat);
            }
        }
        Ok(())
    }

    async fn view(&self, space: SpaceName, managers: &[ManagerInfo]) -> SpaceView {
        let (snapshot, mut problem) = match self.store.load_snapshot(&space).await {
            Ok(snapshot) => (snapshot, None),
            Err(error) => (None, Some(super::error::chain(&error))),
        };
        let heard = match self.store.heard_of_owner(&space).await {
            Ok(heard) => heard,
            Err(error) => {
                problem.get_or_insert_with(|| super::error::chain(&error));
                None
            }
        };
        let heard = heard.max(snapshot.as_ref().map(|snapshot| snapshot.at));
        let configured = self.configured.as_ref().map(|names| names.contains(&space));
        let mut view = SpaceView {
            idle: reasons(&space, managers),
            space,
            snapshot,
            heard,
            problem,
            configured,
            abandoned: 0,
        };
        let is_stale = view.is_stale(self.clock.now(), self.patience);
        view.idle.retain(|told| view_shows(view.snapshot.as_ref(), told, is_stale));
        if configured == Some(false) && is_stale {
            match self.store.machines_left(&view.space).await {
                Ok(left) => view.abandoned = left,
                Err(error) => view.problem = Some(super::error::chain(&error)),
            }
        }
        view
    }
}

/// What managers say of a space that they do not work on.
fn reasons(space: &SpaceName, managers: &[ManagerInfo]) -> Vec<IdleAt> {
    let told = |manager: &ManagerInfo| {
        let idle = manager.idle.get(space)?.clone();
        Some(IdleAt { manager: manager.name.clone(), idle })
    };
    managers.iter().filter_map(told).collect()
}

/// Whether what a manager said of a space still matters: not when somebody has worked on it since,
/// and that another owns it is worth a word only when that one is silent.
fn view_shows(snapshot: Option<&SpaceSnapshot>, told: &IdleAt, is_stale: bool) -> bool {
    let is_past = snapshot.is_some_and(|snapshot| snapshot.at > told.idle.since);
    let is_well = told.idle.why.starts_with(Board::OWNED_BY) && !is_stale;
    !is_past && !is_well
}

impl SpaceView {
    /// Whether nobody works on it.
    fn is_stale(&self, now: Timestamp, patience: Duration) -> bool {
        self.age(now).is_none_or(|age| age > patience)
    }

    /// How long ago the owner showed life; what the snapshot says was true then.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        self.heard.map(|heard| now.since(heard))
    }
}

impl Overview {
    /// Whether nobody works on a space: what its snapshot says may be wrong by now.
    pub(crate) fn is_stale(&self, view: &SpaceView) -> bool {
        view.is_stale(self.now, self.patience)
    }
}

/// Fails when there is no state directory. Nobody makes it: a mount may be missing.
pub(crate) fn must_be_a_directory(dir: &Path) -> Result<(), CliError> {
    let found = std::fs::metadata(dir);
    let is_forbidden =
        |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    let (path, hint) = (absolute(dir), "(usermod -aG vcycle NAME, then log in anew)");
    match found {
        Ok(found) if found.is_dir() => Ok(()),
        Err(error) if is_forbidden(&error) => Err(CliError::Failed(format!(
            "this user may not look at {}: who is of the group of vcycle may {hint}",
            path.display()
        ))),
        Ok(_) | Err(_) => Err(CliError::Failed(format!(
            "{} is not a directory: is the state directory mounted here?",
            path.display()
        ))),
    }
}

/// A folder as people look for it.
fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

/// The configuration, or all its problems. Warnings are for `check`.
pub(crate) fn load_config(path: &Path) -> Result<Config, CliError> {
    match config::load(path) {
        Ok((config, _warnings)) => Ok(config),
        Err(problems) => Err(CliError::Problems(problems.to_string())),
    }
}

/// Overviews and boards for tests of the commands.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::model::ConfigStatus;

    /// When everything is seen.
    pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_767_200_000);

    fn snapshot() -> SpaceSnapshot {
        let text = include_str!("../../tests/cli/snapshot.json");
        serde_json::from_str(text).expect("the sample snapshot is a snapshot")
    }

    /// One space, seen 12 seconds after its owner was heard of.
    pub(crate) fn overview() -> Overview {
        let snapshot = snapshot();
        let heard = Some(NOW - Duration::from_secs(12));
        let space = snapshot.space.clone();
        let view = SpaceView {
            space,
            snapshot: Some(snapshot),
            heard,
            problem: None,
            configured: Some(true),
            abandoned: 0,
            idle: Vec::new(),
        };
        Overview {
            now: NOW,
            patience: Duration::from_secs(30),
            config_problem: None,
            managers: Vec::new(),
            spaces: vec![view],
        }
    }

    /// The same as a manager's board.
    pub(crate) fn board() -> Board {
        let snapshot = snapshot();
        Board {
            manager: snapshot.manager.clone(),
            version: "0.1.0".into(),
            started: NOW - Duration::from_secs(600),
            config: ConfigStatus {
                loaded: NOW - Duration::from_secs(600),
                digest: "0123456789ab".into(),
                refused: None,
            },
            store_problem: None,
            spaces: [(snapshot.space.clone(), Arc::new(snapshot))].into(),
            idle_spaces: Default::default(),
            idle_since: Default::default(),
            abandoned: Default::default(),
            spending: None,
        }
    }
}
