//! Takes up changes of configuration, library and named files while the manager runs: a change is
//! noticed, the whole is loaded and validated, and swapped in or refused. A refused version never
//! replaces a good one; the reason is published until it is mended.
//!
//! inotify tells of local changes at once. It does not see what other hosts do on a shared
//! filesystem, so everything is also polled (a few `stat` calls).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Debug;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc, watch};
use vcycle_api::Clock;

use crate::config::{Config, Host, Problems, ProviderConfig, SpaceConfig, Warning};
use crate::library::{self, Loaded, Setup};
use crate::model::{ConfigStatus, SpaceName};

/// Something that never stops changing must not keep the rest from being loaded.
const SETTLE_ROUNDS: u32 = 20;

/// How often to look, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two looks at everything that is watched.
    pub poll: Duration,
    /// Quiet time after a change: an editor or a package manager writes more than once.
    pub settle: Duration,
    /// Between attempts to load what was refused, although nothing seems to have changed (what was
    /// wrong may be outside the watched files).
    pub retry: Duration,
    /// Whether to listen to inotify besides.
    pub inotify: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            settle: Duration::from_millis(300),
            retry: Duration::from_secs(60),
            inotify: true,
        }
    }
}

/// Keeps the setup of a running manager up to date.
#[derive(Debug)]
pub struct Reloader {
    main: PathBuf,
    host: Host,
    clock: Arc<dyn Clock>,
    timing: Timing,
    setup: watch::Sender<Arc<Setup>>,
    status: watch::Sender<ConfigStatus>,
    kick: Arc<Notify>,
    watched: BTreeSet<PathBuf>,
}

impl Reloader {
    /// Loads for the first time. Nothing is watched before [`Reloader::run`].
    ///
    /// # Errors
    /// All problems: a manager does not start with a bad configuration.
    pub fn start(
        main: &Path,
        host: Host,
        clock: Arc<dyn Clock>,
        timing: Timing,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        // The manager may change its directory later.
        let main = std::path::absolute(main).unwrap_or_else(|_| main.to_owned());
        let Loaded { setup, warnings, watched } = library::load_all(&main, &host);
        let setup = setup?;
        let status =
            ConfigStatus { loaded: clock.now(), digest: setup.digest.clone(), refused: None };
        let reloader = Self {
            main,
            host,
            clock,
            timing,
            setup: watch::Sender::new(Arc::new(setup)),
            status: watch::Sender::new(status),
            kick: Arc::new(Notify::new()),
            watched,
        };
        Ok((reloader, warnings))
    }

    /// The setup in use: always a good one.
    pub fn setup(&self) -> watch::Receiver<Arc<Setup>> {
        self.setup.subscribe()
    }

    /// Which setup is in use, and why a newer one is refused.
    pub fn status(&self) -> watch::Receiver<ConfigStatus> {
        self.status.subscribe()
    }

    /// To load at once (SIGHUP): `notify_one()` on it.
    pub fn kick(&self) -> Arc<Notify> {
        Arc::clone(&self.kick)
    }

    /// Watches until nobody listens to the setup any more.
    pub async fn run(mut self) {
        let (changed, mut changes) = mpsc::channel(1);
        let mut eyes = if self.timing.inotify { Eyes::open(changed) } else { Eyes::shut() };
        eyes = eyes.look_at(self.watched.clone()).await;
        // Empty, so that the first look loads once more: a change since the first load is not lost.
        let mut seen = Fingerprint::new();
        let mut tried = self.clock.monotonic();
        let mut forced = false;
        loop {
            let now = self.settled().await;
            let overdue = self.status.borrow().refused.is_some()
                && self.clock.monotonic().saturating_sub(tried) >= self.timing.retry;
            if now != seen || forced || overdue {
                seen = now;
                tried = self.clock.monotonic();
                self.load().await;
                eyes = eyes.look_at(self.watched.clone()).await;
            }
            forced = tokio::select! {
                () = self.setup.closed() => return,
                () = self.kick.notified() => true,
                Some(()) = changes.recv() => false,
                () = tokio::time::sleep(self.timing.poll) => false,
            };
        }
    }

    /// What everything looks like once it has stopped changing.
    async fn settled(&self) -> Fingerprint {
        let mut before = fingerprint(self.watched.clone()).await;
        for _ in 0..SETTLE_ROUNDS {
            tokio::time::sleep(self.timing.settle).await;
            let after = fingerprint(self.watched.clone()).await;
            if after == before {
                break;
            }
            before = after;
        }
        before
    }

    async fn load(&mut self) {
        let (main, host) = (self.main.clone(), self.host.clone());
        let current = Arc::clone(&self.setup.borrow());
        let state_dir = current.config.site.state_dir.clone();
        // A dead file server may let any look at a file wait for minutes: never on a thread of the runtime.
        let loading = tokio::task::spawn_blocking(move || {
            let found = if state_dir.is_dir() { StateDir::Found } else { StateDir::Missing };
            (library::load_all(&main, &host), found)
        });
        let Ok((Loaded { setup, warnings, watched }, found)) = loading.await else {
            self.refuse("loading failed with an internal error; it is in the log".to_owned());
            return;
        };
        match setup {
            Ok(new) => match obstacle(&current.config, &new.config, found) {
                None => {
                    self.watched = watched;
                    self.accept(&current, new, &warnings);
                }
                Some(why) => {
                    self.watched.extend(watched);
                    self.refuse(why);
                }
            },
            Err(problems) => {
                // What the old one needed stays watched: the mend may be there.
                self.watched.extend(watched);
                self.refuse(problems.to_string());
            }
        }
    }

    fn accept(&self, current: &Setup, new: Setup, warnings: &[Warning]) {
        let mended = self.status.borrow().refused.is_some();
        if new.digest == current.digest {
            if mended {
                tracing::info!(digest = %new.digest, "the configuration in use is good again");
                self.status.send_modify(|status| status.refused = None);
            }
            return;
        }
        for warning in warnings {
            tracing::warn!(%warning, "the new configuration should be looked at");
        }
        for space in current.spaces.keys().filter(|space| !new.spaces.contains_key(*space)) {
            tracing::warn!(
                %space,
                "the space is no longer configured: its machines end by their own deadlines only"
            );
        }
        tracing::info!(old = %current.digest, new = %new.digest, "configuration changed");
        let digest = new.digest.clone();
        self.setup.send_replace(Arc::new(new));
        self.status.send_replace(ConfigStatus { loaded: self.clock.now(), digest, refused: None });
    }

    fn refuse(&self, why: String) {
        let news = self.status.borrow().refused.as_ref() != Some(&why);
        if news {
            tracing::error!(%why, "the new configuration is refused; the old one stays in use");
            self.status.send_modify(|status| status.refused = Some(why));
        }
    }
}

/// All reasons why a good new configuration still cannot replace the running one, a line each;
/// `None`: it can.
fn obstacle(old: &Config, new: &Config, found: StateDir) -> Option<String> {
    if let Some(why) = vanished(old, new, found) {
        return Some(why);
    }
    let mut fixed = Vec::new();
    let mut compare = |key: &'static str, old: &dyn Debug, new: &dyn Debug| {
        if format!("{old:?}") != format!("{new:?}") {
            fixed.push(key);
        }
    };
    compare("site.state_dir", &old.site.state_dir, &new.site.state_dir);
    compare("site.manager", &old.site.manager, &new.site.manager);
    compare("server.https_host", &old.server.https_host, &new.server.https_host);
    compare("server.https", &old.server.https, &new.server.https);
    compare("site.ownership_ttl", &old.site.ownership_ttl, &new.site.ownership_ttl);
    compare("server.http_listen", &old.server.http_listen, &new.server.http_listen);
    compare("server.admin_listen", &old.server.admin_listen, &new.server.admin_listen);
    let mut why = Vec::new();
    why.extend(other_currency(old, new));
    if !fixed.is_empty() {
        let keys = fixed.join(", ");
        why.push(format!("changed, but read only at start: {keys}; restart, or change it back"));
    }
    let is_moved = |name: &SpaceName, before: &SpaceConfig| {
        let after = new.spaces.get(name);
        after.is_some_and(|after| tenancy(&before.provider) != tenancy(&after.provider))
    };
    let moved = old.spaces.iter().filter(|(name, before)| is_moved(name, before));
    why.extend(moved.map(|(name, _)| {
        format!(
            "space {name}: another provider or tenancy, so its machines would be forgotten; drain it \
             and give the new one another name"
        )
    }));
    (!why.is_empty()).then(|| why.join("\n"))
}

/// Amounts in the ledger have no currency of their own: in another one every sum and every cap would be another.
fn other_currency(old: &Config, new: &Config) -> Option<String> {
    let (old, new) = (old.spending.as_ref()?.currency, new.spending.as_ref()?.currency);
    (old != new).then(|| {
        format!(
            "spending.currency: {old} cannot become {new}, because every amount in the ledger is in {old}; change it back \
             (prices in {new} need only a rate)"
        )
    })
}

/// Whether the state directory was there when the configuration was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateDir {
    Found,
    Missing,
}

/// An unmounted state directory looks like one without configuration: never believe that.
fn vanished(old: &Config, new: &Config, found: StateDir) -> Option<String> {
    let state_dir = &old.site.state_dir;
    let had = old.files.iter().any(|file| file.starts_with(state_dir));
    let has = new.files.iter().any(|file| file.starts_with(state_dir));
    if found == StateDir::Missing {
        return Some(format!("the state directory {} is not there", state_dir.display()));
    }
    (had && !has).then(|| {
        format!(
            "all configuration in the state directory {} is gone: is it mounted? \
             (if it was removed on purpose, restart)",
            state_dir.display()
        )
    })
}

/// What makes a tenancy the same one: its machines would not be seen in another.
fn tenancy(provider: &ProviderConfig) -> (&'static str, Vec<&OsStr>) {
    match provider {
        ProviderConfig::Local(local) => ("local", vec![local.dir.as_os_str()]),
        ProviderConfig::Sim(_) => ("sim", Vec::new()),
        // Which project it is stands in `clouds.yaml`: an entry may be renamed, and a wrong project is found by what
        // the cloud itself tells (`SpaceTenancy`).
        ProviderConfig::OpenStack(_) => ("openstack", Vec::new()),
        // The account stands with the credentials.
        ProviderConfig::Aws(aws) => ("aws", vec![OsStr::new(&aws.region)]),
        ProviderConfig::Gcp(gcp) => {
            ("gcp", vec![OsStr::new(&gcp.project), OsStr::new(&gcp.region)])
        }
    }
}

/// What a file or folder looks like from outside; changes with every change of its content.
type Look = (u64, u64, u64, (i64, i64), (i64, i64));
/// All of them; `None`: it is not there.
type Fingerprint = BTreeMap<PathBuf, Option<Look>>;

async fn fingerprint(watched: BTreeSet<PathBuf>) -> Fingerprint {
    let looking = tokio::task::spawn_blocking(move || {
        watched
            .into_iter()
            .map(|path| {
                let look = std::fs::metadata(&path).ok().map(|data| {
                    let modified = (data.mtime(), data.mtime_nsec());
                    (
                        data.dev(),
                        data.ino(),
                        data.len(),
                        modified,
                        (data.ctime(), data.ctime_nsec()),
                    )
                });
                (path, look)
            })
            .collect()
    });
    looking.await.unwrap_or_default()
}

/// The inotify half. Without it (no more watches to be had) polling remains.
struct Eyes {
    watcher: Option<notify::RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Eyes {
    fn open(changed: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is an event too. A full channel has a change in it already.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = changed.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "no inotify; configuration is polled only"))
            .ok();
        Self { watcher, folders: BTreeSet::new() }
    }

    fn shut() -> Self {
        Self { watcher: None, folders: BTreeSet::new() }
    }

    /// Watches folders, never files: a file that is replaced has a new inode. Without an answer of the file server
    /// it waits, on a thread of its own.
    async fn look_at(self, watched: BTreeSet<PathBuf>) -> Self {
        let looking = tokio::task::spawn_blocking(move || {
            let folder = |path: &PathBuf| {
                if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_owned) }
            };
            let folders = watched.iter().filter_map(folder).collect();
            self.watch_these(folders)
        });
        looking.await.unwrap_or_else(|_| Self::shut())
    }

    fn watch_these(mut self, folders: BTreeSet<PathBuf>) -> Self {
        let Some(watcher) = &mut self.watcher else { return self };
        for gone in self.folders.difference(&folders) {
            // It may be gone from the disk as well, and then from inotify too.
            let _ = watcher.unwatch(gone);
        }
        // Known ones again: a folder that was replaced has the same name and no watch.
        for folder in &folders {
            // No name: what stands where a path is wanted may be a secret.
            if watcher.watch(folder, RecursiveMode::NonRecursive).is_err() {
                tracing::debug!("a folder is polled only");
            }
        }
        self.folders = folders;
        self
    }
}
