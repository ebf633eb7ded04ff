//! The shipped entries as machines run them: rendered, under bash, against a small server that
//! plays the manager.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use support::{root, wait_for};
use vcycle::library::{MachineVariables, load_setup};
use vcycle::model::{MachineName, MachinetypeName, SpaceName};

const TOKEN: &str = "a-token-that-nobody-should-see";
const LONG: Duration = Duration::from_secs(30);

/// What was put, in order, and what is answered to reads.
#[derive(Default)]
struct Seen {
    puts: Vec<(String, String, String)>,
    features: BTreeMap<String, String>,
    unauthorised: usize,
}

/// Plays the manager.
struct Manager {
    seen: Arc<Mutex<Seen>>,
    base_url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Manager {
    fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let routes = Router::new()
            .route("/machines/{space}/{machine}/joboutputs/{name}", put(take))
            .route("/machines/{space}/{machine}/{kind}/{key}", get(feature))
            .with_state(Arc::clone(&seen));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { seen, base_url, _runtime: runtime }
    }

    fn message(&self, machine: &MachineName) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen.puts
            .iter()
            .find(|(m, name, _)| m == machine.as_str() && name == "shutdown_message")
            .map(|(_, _, text)| text.clone())
    }

    fn names_put(&self, machine: &MachineName) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let ours = seen.puts.iter().filter(|(m, _, _)| m == machine.as_str());
        ours.map(|(_, name, _)| name.clone()).collect()
    }

    fn set(&self, key: &str, value: i64) {
        self.seen.lock().unwrap().features.insert(key.to_owned(), value.to_string());
    }
}

async fn take(
    State(seen): State<Arc<Mutex<Seen>>>,
    UrlPath((_, machine, name)): UrlPath<(String, String, String)>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    if headers.get("authorization").is_none_or(|given| given.as_bytes() != bearer.as_bytes()) {
        seen.unauthorised += 1;
        return StatusCode::FORBIDDEN;
    }
    seen.puts.push((machine, name, body));
    StatusCode::OK
}

async fn feature(
    State(seen): State<Arc<Mutex<Seen>>>,
    UrlPath((_, _, _, key)): UrlPath<(String, String, String, String)>,
) -> (StatusCode, String) {
    match seen.lock().unwrap().features.get(&key) {
        Some(value) => (StatusCode::OK, value.clone()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

/// A space with both entries; scripts are rendered as the manager renders them.
struct Library {
    dir: tempfile::TempDir,
    setup: vcycle::library::Setup,
    /// The hard end of machines.
    deadline: i64,
}

/// Where a machine runs.
#[derive(Default)]
struct On {
    /// Below the test's folder, where its script is.
    folder: String,
    /// The metadata service of its cloud.
    metadata: Option<String>,
}

/// Programs of a folder before those of the host.
fn path(first: &Path) -> std::ffi::OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first.to_owned()).chain(std::env::split_paths(&others)))
        .unwrap()
}

impl Library {
    fn new(example: &str, batch: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().display();
        std::fs::create_dir(dir.path().join("shared")).unwrap();
        let text = format!(
            r#"
[site]
name = "TEST"
state_dir = "{top}/shared"
manager = "one"
[library]
paths = ["{library}"]
[space.test]
[space.test.local]
dir = "{top}/machines"
[space.test.machinetype.example]
entry = "example"
target_share = 1
[space.test.machinetype.example.options]
heartbeat_every = 1
{example}
[space.test.machinetype.batch]
entry = "batch"
target_share = 1
[space.test.machinetype.batch.options]
spool = "{top}/it's a spool"
lease_seconds = 4
heartbeat_every = 1
{batch}
"#,
            library = root().join("vm-library").display()
        );
        let config = dir.path().join("vcycle.toml");
        std::fs::write(&config, text).unwrap();
        let setup = load_setup(&config).unwrap_or_else(|problems| panic!("{problems}"));
        let deadline = now() + 86_400;
        let library = Self { dir, setup, deadline };
        std::fs::create_dir_all(library.spool().join("new")).unwrap();
        library
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("it's a spool")
    }

    fn job(&self, name: &str, script: &str) {
        std::fs::write(self.spool().join("new").join(format!("{name}.job")), script).unwrap();
    }

    fn result(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.spool().join("results").join(format!("{name}.result"))).ok()
    }

    fn in_folder(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.spool().join(folder)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn boot(&self, machinetype: &str, number: u64, manager: &Manager) -> Machine {
        // Of no cloud.
        self.boot_on((machinetype, number), manager, &On::default())
    }

    fn boot_on(&self, (machinetype, number): (&str, u64), manager: &Manager, on: &On) -> Machine {
        let space = SpaceName::parse("test").unwrap();
        let machinetype = MachinetypeName::parse(machinetype).unwrap();
        let name = MachineName::compose(&machinetype, number);
        let variables = MachineVariables {
            site: "TEST",
            space: &space,
            machinetype: &machinetype,
            machine: &name,
            manager_version: "vcycle test",
            manager_hostname: "localhost",
            base_url: &manager.base_url,
            outputs_token: TOKEN,
            manager_ca: "",
            deadline: vcycle::model::Timestamp::from_secs(self.deadline),
        };
        let definition = &self.setup.spaces[&space].machinetypes[&machinetype];
        let rendered = definition.render(&variables, 1 << 20).unwrap();
        let folder = self.dir.path().join(&on.folder);
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join(name.as_str());
        std::fs::write(&script, rendered.user_data.expose()).unwrap();
        let work = self.dir.path().join(format!("{name}-work"));
        std::fs::create_dir(&work).unwrap();
        let process = Command::new("bash")
            .arg(&script)
            .env("TMPDIR", &work)
            .env("VCYCLE_METADATA", on.metadata.as_deref().unwrap_or("http://127.0.0.1:9"))
            .env("PATH", path(&self.dir.path().join("bin")))
            .env_remove("MACHINEFEATURES")
            .current_dir(&work)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Machine { name, process, work }
    }
}

struct Machine {
    name: MachineName,
    process: Child,
    work: PathBuf,
}

impl Machine {
    /// Waits for its end, and gives its last words.
    fn last_words(&mut self, manager: &Manager) -> String {
        wait_for("the machine's end", LONG, || self.process.try_wait().unwrap());
        manager.message(&self.name).expect("a shutdown message")
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    fn left(&self) -> usize {
        std::fs::read_dir(&self.work).unwrap().count()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With all that it has started: some sleep for ever.
        let group = Pid::from_raw(self.process.id().try_into().unwrap());
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

fn now() -> i64 {
    vcycle_api::Clock::now(&vcycle_api::SystemClock::new()).as_secs()
}

fn common_part(entry: &str) -> String {
    let text = std::fs::read_to_string(root().join("vm-library").join(entry).join("user_data"));
    let text = text.unwrap();
    let (_, rest) = text.split_once("# ---- common part").expect("a common part");
    rest.split_once("# ---- end of the common part").expect("its end").0.to_owned()
}

#[test]
fn the_common_part_is_the_same_in_both_entries() {
    assert_eq!(common_part("example"), common_part("batch"));
}

#[test]
fn a_machine_says_its_last_words_last_and_leaves_nothing() {
    let manager = Manager::start();
    let library = Library::new("example_run_seconds = 2", "");
    let mut machine = library.boot("example", 1, &manager);
    assert_eq!(machine.last_words(&manager), "200 Success");
    let put = manager.names_put(&machine.name);
    assert_eq!(put.last().unwrap(), "shutdown_message", "{put:?}");
    assert!(put.contains(&"heartbeat".to_owned()) && put.contains(&"console.log".to_owned()));
    assert_eq!(manager.seen.lock().unwrap().unauthorised, 0);
    assert_eq!(machine.left(), 0, "files are left in the machine's folder");
}

#[test]
fn the_code_of_an_example_is_as_asked_for() {
    let manager = Manager::start();
    let library = Library::new("example_run_seconds = 1\nexample_code = 300", "");
    let words = library.boot("example", 1, &manager).last_words(&manager);
    assert_eq!(words, "300 As example_code says");
}

#[test]
fn an_example_ends_before_its_wall_clock_limit() {
    let manager = Manager::start();
    manager.set("wall_limit_secs", 4);
    let library = Library::new("example_run_seconds = 60", "");
    let words = library.boot("example", 1, &manager).last_words(&manager);
    assert_eq!(words, "100 No time left");
}

#[test]
fn a_simulated_hang_shows_one_heartbeat_or_none() {
    let manager = Manager::start();
    let library = Library::new("example_hang = \"heartbeat\"", "");
    let machine = library.boot("example", 1, &manager);
    wait_for("the only heartbeat", LONG, || {
        (manager.names_put(&machine.name) == ["heartbeat"]).then_some(())
    });
}

#[test]
fn the_token_is_on_no_command_line() {
    let manager = Manager::start();
    let library = Library::new("example_run_seconds = 3", "");
    let mut machine = library.boot("example", 1, &manager);
    let shown = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|text| text.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes()))
        })
    };
    wait_for("the machine's end", LONG, || {
        assert!(!shown(), "the token is on a command line");
        machine.process.try_wait().unwrap()
    });
    assert!(manager.message(&machine.name).is_some());
}

#[test]
fn an_empty_spool_is_no_work() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1");
    let mut machine = library.boot("batch", 1, &manager);
    assert_eq!(machine.last_words(&manager), "300 No more work");
    assert_eq!(library.in_folder("running"), [""; 0]);
}

#[test]
fn two_machines_share_the_jobs_and_each_is_done_once() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1");
    for job in 0..8 {
        let script = format!(
            "echo {job} >>'{}/ran'; sleep 0.3; exit {}",
            library.dir.path().display(),
            job % 2
        );
        library.job(&format!("j{job}"), &script);
    }
    let mut machines = [library.boot("batch", 1, &manager), library.boot("batch", 2, &manager)];
    for machine in &mut machines {
        assert_eq!(machine.last_words(&manager), "200 Success");
    }
    let ran = std::fs::read_to_string(library.dir.path().join("ran")).unwrap();
    assert_eq!(ran.lines().count(), 8, "{ran}");
    for job in 0..8 {
        let result = library.result(&format!("j{job}")).unwrap();
        assert!(
            result.starts_with(&format!("exit: {}\nmachine: vcycle-batch-", job % 2)),
            "{result}"
        );
    }
    assert_eq!(library.in_folder("running"), [""; 0]);
    assert_eq!(library.in_folder("results").len(), 8);
}

#[test]
fn the_job_of_a_dead_machine_is_done_by_another() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1\nmax_jobs = 1");
    library.job("once", "echo done");
    let running = library.spool().join("running");
    std::fs::create_dir_all(&running).unwrap();
    let dead = running.join("vcycle-batch-dddddddddd.once.job");
    std::fs::rename(library.spool().join("new/once.job"), &dead).unwrap();
    let touched = Command::new("touch").args(["-d", "-60 seconds"]).arg(&dead).status().unwrap();
    assert!(touched.success());
    let mut machine = library.boot("batch", 1, &manager);
    assert_eq!(machine.last_words(&manager), "200 Success");
    assert!(library.result("once").unwrap().ends_with("\n\ndone\n"));
    assert!(!dead.exists());
}

#[test]
fn the_fresh_claim_of_a_living_machine_is_left_alone() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1");
    let running = library.spool().join("running");
    std::fs::create_dir_all(&running).unwrap();
    let claim = running.join("vcycle-batch-llllllllll.mine.job");
    std::fs::write(&claim, "echo mine").unwrap();
    let mut machine = library.boot("batch", 1, &manager);
    assert_eq!(machine.last_words(&manager), "300 No more work");
    assert!(claim.exists());
}

#[test]
fn a_drained_machine_gives_its_job_back() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1");
    library.job("long", "sleep 600");
    let mut machine = library.boot("batch", 1, &manager);
    wait_for("the job runs", LONG, || (library.in_folder("new").is_empty()).then_some(()));
    manager.set("shutdowntime_job", now() + 6);
    assert_eq!(machine.last_words(&manager), "100 Ended before the shutdown time");
    assert_eq!(library.in_folder("new"), ["long.job"]);
    assert_eq!(library.in_folder("running"), [""; 0]);
    assert!(library.result("long").is_none());
}

#[test]
fn a_machine_that_is_told_by_its_host_gives_its_job_back() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1");
    library.job("long", "sleep 600");
    let mut machine = library.boot("batch", 1, &manager);
    wait_for("the job runs", LONG, || (library.in_folder("new").is_empty()).then_some(()));
    machine.signal(Signal::SIGTERM);
    assert_eq!(machine.last_words(&manager), "100 Told to end by the host");
    assert_eq!(library.in_folder("new"), ["long.job"]);
}

#[test]
fn the_result_of_a_job_that_was_taken_away_is_not_used() {
    let manager = Manager::start();
    let library = Library::new("", "idle_seconds = 1\nmax_jobs = 1");
    library.job("slow", "sleep 1; echo late");
    let mut machine = library.boot("batch", 1, &manager);
    let claim = wait_for("the claim", LONG, || {
        library.in_folder("running").into_iter().find(|name| name.ends_with(".slow.job"))
    });
    std::fs::remove_file(library.spool().join("running").join(claim)).unwrap();
    assert_eq!(machine.last_words(&manager), "300 No more work");
    assert!(library.result("slow").is_none());
}

#[test]
fn readmes_name_every_option_and_message() {
    for entry in ["example", "batch"] {
        let folder: &Path = &root().join("vm-library").join(entry);
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let toml = std::fs::read_to_string(folder.join("entry.toml")).unwrap();
        let toml: toml::Table = toml.parse().unwrap();
        for option in toml["option"].as_table().unwrap().keys() {
            assert!(readme.contains(&format!("`{option}`")), "{entry}: {option}");
        }
        let script = std::fs::read_to_string(folder.join("user_data")).unwrap();
        for call in ["finish \"", "end_with \""] {
            for part in script.split(call).skip(1) {
                let message = part.split('"').next().unwrap();
                if !message.starts_with('$') {
                    assert!(readme.contains(message), "{entry}: {message}");
                }
            }
        }
    }
}

/// Plays the metadata service of a cloud, as its pages describe it:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>,
/// <https://cloud.google.com/compute/docs/instances/preemptible#determine_if_an_instance_was_preempted>.
struct Metadata {
    notice: Arc<Mutex<Option<i64>>>,
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Metadata {
    fn start(routes: fn(Arc<Mutex<Option<i64>>>) -> Router) -> Self {
        let notice = Arc::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = routes(Arc::clone(&notice));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { notice, url, _runtime: runtime }
    }

    fn on(&self) -> On {
        On { metadata: Some(self.url.clone()), ..On::default() }
    }

    /// From now on it says that the machine is taken back in so many seconds.
    fn gives_notice(&self, seconds: i64) {
        *self.notice.lock().unwrap() = Some(now() + seconds);
    }
}

type Answer = Result<String, StatusCode>;

/// IMDSv2: nothing without a token.
fn amazon(notice: Arc<Mutex<Option<i64>>>) -> Router {
    fn has_token(headers: &HeaderMap) -> Result<(), StatusCode> {
        let given = headers.get("x-aws-ec2-metadata-token");
        given.filter(|token| *token == "t").map(|_| ()).ok_or(StatusCode::UNAUTHORIZED)
    }
    let token = async |headers: HeaderMap| -> Answer {
        let wanted = headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds");
        if wanted { Ok("t".to_owned()) } else { Err(StatusCode::BAD_REQUEST) }
    };
    let id = async |headers: HeaderMap| -> Answer { has_token(&headers).map(|()| "i-1".into()) };
    let action =
        async |State(notice): State<Arc<Mutex<Option<i64>>>>, headers: HeaderMap| -> Answer {
            has_token(&headers)?;
            let at = notice.lock().unwrap().ok_or(StatusCode::NOT_FOUND)?;
            let at = jiff::Timestamp::from_second(at).unwrap();
            Ok(format!("{{\"action\": \"terminate\", \"time\": \"{at}\"}}"))
        };
    Router::new()
        .route("/latest/api/token", put(token))
        .route("/latest/meta-data/instance-id", get(id))
        .route("/latest/meta-data/spot/instance-action", get(action))
        .with_state(notice)
}

fn google(notice: Arc<Mutex<Option<i64>>>) -> Router {
    fn has_flavor(headers: &HeaderMap) -> Result<(), StatusCode> {
        let given = headers.get("metadata-flavor");
        given.filter(|flavor| *flavor == "Google").map(|_| ()).ok_or(StatusCode::FORBIDDEN)
    }
    let id = async |headers: HeaderMap| -> Answer { has_flavor(&headers).map(|()| "7".into()) };
    let preempted =
        async |State(notice): State<Arc<Mutex<Option<i64>>>>, headers: HeaderMap| -> Answer {
            has_flavor(&headers)?;
            Ok(if notice.lock().unwrap().is_some() { "TRUE" } else { "FALSE" }.to_owned())
        };
    Router::new()
        .route("/computeMetadata/v1/instance/id", get(id))
        .route("/computeMetadata/v1/instance/preempted", get(preempted))
        .with_state(notice)
}

#[test]
fn a_notice_of_amazon_gives_the_job_back_before_the_machine_is_taken() {
    let (manager, cloud) = (Manager::start(), Metadata::start(amazon));
    let library = Library::new("", "idle_seconds = 1");
    library.job("long", "sleep 600");
    let mut machine = library.boot_on(("batch", 1), &manager, &cloud.on());
    wait_for("the job runs", LONG, || (library.in_folder("new").is_empty()).then_some(()));
    cloud.gives_notice(22);
    let words = machine.last_words(&manager);
    assert_eq!(words, "110 Taken back by the provider");
    assert!(now() < cloud.notice.lock().unwrap().unwrap() - 5, "with time to spare");
    assert_eq!(library.in_folder("new"), ["long.job"]);
    assert_eq!(machine.left(), 0);
}

#[test]
fn a_notice_of_google_keeps_a_machine_from_beginning_more() {
    let (manager, cloud) = (Manager::start(), Metadata::start(google));
    let library = Library::new("", "idle_seconds = 600");
    cloud.gives_notice(30);
    let mut machine = library.boot_on(("batch", 1), &manager, &cloud.on());
    assert_eq!(machine.last_words(&manager), "110 Taken back by the provider");
}

#[test]
fn without_a_notice_a_machine_of_a_cloud_works_on() {
    for cloud in [Metadata::start(amazon), Metadata::start(google)] {
        let manager = Manager::start();
        let library = Library::new("example_run_seconds = 8", "");
        let mut machine = library.boot_on(("example", 1), &manager, &cloud.on());
        assert_eq!(machine.last_words(&manager), "200 Success");
    }
}

/// `systemctl` and `poweroff` of the machine: they write down how they were called.
fn programs_of_the_machine(library: &Library) -> PathBuf {
    let bin = library.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let called = library.dir.path().join("called");
    for program in ["systemctl", "poweroff"] {
        let file = bin.join(program);
        std::fs::write(&file, format!("#!/bin/sh\necho {program} $* >>'{}'\n", called.display()))
            .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, mode).unwrap();
    }
    std::fs::create_dir_all(library.dir.path().join("etc/systemd/system")).unwrap();
    called
}

fn by_cloud_init() -> On {
    On { folder: "var/lib/cloud/instance/scripts".to_owned(), metadata: None }
}

#[test]
fn a_machine_of_a_cloud_sets_its_hard_end_and_powers_itself_off() {
    let manager = Manager::start();
    let mut library = Library::new("example_run_seconds = 1", "");
    library.deadline = 2_000_000_000;
    let called = programs_of_the_machine(&library);
    let mut machine = library.boot_on(("example", 1), &manager, &by_cloud_init());
    assert_eq!(machine.last_words(&manager), "200 Success");
    let called = std::fs::read_to_string(called).unwrap();
    let lines: Vec<_> = called.lines().collect();
    assert_eq!(
        lines,
        [
            "systemctl daemon-reload",
            "systemctl enable --now vcycle-hard-end.timer",
            "systemctl poweroff"
        ]
    );
    let units = library.dir.path().join("etc/systemd/system");
    let timer = std::fs::read_to_string(units.join("vcycle-hard-end.timer")).unwrap();
    assert!(timer.contains("\nOnCalendar=2033-05-18 03:33:20 UTC\n"), "{timer}");
    assert!(timer.contains("\nPersistent=true\n"), "{timer}");
    let service = std::fs::read_to_string(units.join("vcycle-hard-end.service")).unwrap();
    assert!(service.contains("systemctl poweroff --force"), "{service}");
}

#[test]
fn a_machine_that_boots_after_its_hard_end_powers_itself_off_at_once() {
    let manager = Manager::start();
    let mut library = Library::new("example_run_seconds = 1", "");
    library.deadline = now() - 1;
    let called = programs_of_the_machine(&library);
    let mut machine = library.boot_on(("example", 1), &manager, &by_cloud_init());
    machine.last_words(&manager);
    let called = std::fs::read_to_string(called).unwrap();
    assert_eq!(called.lines().next(), Some("systemctl poweroff"));
}

#[test]
fn a_process_of_a_host_never_touches_the_host() {
    let manager = Manager::start();
    let library = Library::new("example_run_seconds = 1", "");
    let called = programs_of_the_machine(&library);
    let mut machine = library.boot("example", 1, &manager);
    assert_eq!(machine.last_words(&manager), "200 Success");
    assert!(!called.exists());
}
