//! A place with local machines for one test, and ways to look at the processes of this host.
//!
//! Whatever a test leaves behind, also when it panics, ends: `Drop` asks for the end of every machine and
//! waits for it, and every machine has a deadline.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests, of which each program uses its own part"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vcycle_api::{
    Act, Clock, CreateRequest, DeploymentId, Generation, Instance, InstanceId, InstanceState,
    IntentToken, Listing, MachineName, MachinetypeName, Megabytes, Observe, Offering, Processors,
    SpaceName, SystemClock, Tags, UserData,
};
use vcycle_local::{Local, Settings, SupervisorCommand};

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// No processes.
pub const NONE: [i32; 0] = [];

/// The deadline of a machine unless a test sets another.
pub const LIFE: Duration = Duration::from_secs(120);

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A number that no other test of this host uses now.
pub fn unique() -> u64 {
    let now = SystemClock::new().now().as_millis().unsigned_abs();
    let serial = SERIAL.fetch_add(1, Ordering::SeqCst);
    (now << 24) ^ (u64::from(std::process::id()) << 8) ^ serial
}

/// Settings for tests: 16 processors with 64 MB each, whatever the host has.
pub fn settings(dir: &Path) -> Settings {
    let supervisor = SupervisorCommand {
        program: env!("CARGO_BIN_EXE_vcycle-local-supervisor").into(),
        arguments: Vec::new(),
    };
    Settings {
        processors: Some(Processors(16)),
        memory: Some(Megabytes(1024)),
        grace: Duration::from_millis(300),
        ..Settings::new(dir, supervisor)
    }
}

/// A place of its own for one test.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A provider as a manager of its own would have it.
    pub fn provider(&self) -> Local {
        Local::open(settings(self.path())).unwrap()
    }

    pub fn provider_with(&self, change: impl FnOnce(&mut Settings)) -> Local {
        let mut settings = settings(self.path());
        change(&mut settings);
        Local::open(settings).unwrap()
    }

    pub fn folder(&self, id: &InstanceId) -> PathBuf {
        self.path().join("machines").join(id.as_str())
    }

    pub fn work(&self, id: &InstanceId) -> PathBuf {
        self.folder(id).join("work")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let Ok(entries) = fs::read_dir(self.path().join("machines")) else { return };
        let folders: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        for folder in &folders {
            let _ = fs::rename(folder.join("wanted"), folder.join("unwanted"));
        }
        let clock = SystemClock::new();
        let supervised =
            |folder: &PathBuf| !processes_with(&folder.display().to_string()).is_empty();
        while clock.monotonic() < PATIENCE && folders.iter().any(supervised) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// A request for the smallest flavour, with an intent of its own.
pub async fn request(provider: &Local, script: &str) -> CreateRequest {
    request_for(provider.offerings().await.unwrap().remove(0), script)
}

pub fn request_for(offering: Offering, script: &str) -> CreateRequest {
    let random = unique();
    let machinetype = MachinetypeName::parse("test").unwrap();
    let machine = MachineName::compose(&machinetype, random);
    CreateRequest {
        machine: machine.clone(),
        offering,
        tags: Tags {
            deployment: DeploymentId::parse("testtest").unwrap(),
            space: SpaceName::parse("local.example").unwrap(),
            machinetype,
            machine,
            intent: IntentToken::compose(u128::from(random) << 60 | u128::from(random)),
            generation: Generation(1),
            deadline: SystemClock::new().now() + LIFE,
        },
        image: None,
        public_key: None,
        user_data: UserData::new(script),
        environment: vec![("JOBOUTPUTS".to_owned(), "https://example/secret-token".to_owned())],
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let clock = SystemClock::new();
    while !holds().await {
        assert!(clock.monotonic() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn until_file(path: &Path) {
    until(&format!("{}", path.display()), async || path.exists()).await;
}

pub async fn state(provider: &Local, id: &InstanceId) -> InstanceState {
    provider.get(id).await.unwrap().state
}

pub async fn until_state(provider: &Local, id: &InstanceId, wanted: &InstanceState) {
    until(&format!("{wanted:?}"), async || state(provider, id).await == *wanted).await;
}

pub async fn until_failed(provider: &Local, id: &InstanceId) -> String {
    let mut found = String::new();
    until("a failed machine", async || match state(provider, id).await {
        InstanceState::Failed { refusal: _, fault } => {
            found = fault;
            true
        }
        _ => false,
    })
    .await;
    found
}

/// A complete listing.
pub async fn list(provider: &Local) -> Vec<Instance> {
    match provider.list().await.unwrap() {
        Listing::Complete(all) => all,
        Listing::Partial { seen: _, why } => panic!("partial: {why}"),
    }
}

/// Deletes until it is gone.
pub async fn remove(provider: &Local, id: &InstanceId) {
    until("a machine to be gone", async || {
        provider.delete(id).await.unwrap();
        provider.get(id).await.is_err()
    })
    .await;
}

/// Live processes whose arguments hold this text.
pub fn processes_with(text: &str) -> Vec<i32> {
    pids_where("cmdline", text)
}

/// Live processes of a machine, by their environment.
pub fn processes_of(id: &InstanceId) -> Vec<i32> {
    pids_where("environ", &format!("VCYCLE_INSTANCE={id}"))
}

fn pids_where(file: &str, text: &str) -> Vec<i32> {
    let holds = |pid: &i32| {
        fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|content| String::from_utf8_lossy(&content).contains(text))
    };
    pids().into_iter().filter(|pid| is_live(*pid)).filter(holds).collect()
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn is_live(pid: i32) -> bool {
    fields(pid).is_some_and(|fields| fields[0] != "Z")
}

/// Children of this process that wait to be reaped.
pub fn zombies() -> Vec<i32> {
    let me = std::process::id().to_string();
    let is_mine = |fields: Vec<String>| fields[0] == "Z" && fields[1] == me;
    pids().into_iter().filter(|pid| fields(*pid).is_some_and(is_mine)).collect()
}

/// The one process of a stage (`guard` or `run`) of a machine.
pub fn stage(site: &Site, id: &InstanceId, stage: &str) -> i32 {
    let found = processes_with(&format!("\0{stage}\0{}\0", site.folder(id).display()));
    assert_eq!(found.len(), 1, "one {stage} of {id}: {found:?}");
    found[0]
}

/// Kills a process that a test started.
pub fn kill_9(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
