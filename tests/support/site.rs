//! A site of real processes: managers of one state directory, and local machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{call, free_port, processes_of, root, vcycle};

/// What a site is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Names of managers.
    pub(crate) managers: Vec<&'static str>,
    /// Spaces, each with a local provider of its own.
    pub(crate) spaces: Vec<&'static str>,
    /// Machines of one processor that each space may have. Its provider would give more.
    pub(crate) machines: u32,
    /// How long a machine works.
    pub(crate) run_seconds: u32,
    /// `ownership_ttl`.
    pub(crate) ttl: &'static str,
    /// `cycle`.
    pub(crate) cycle: &'static str,
    /// Where each manager, in turn, sees the state directory; empty: in a folder of the site.
    pub(crate) state_dirs: Vec<PathBuf>,
}

/// One manager's configuration.
#[derive(Debug)]
struct Seat {
    config: PathBuf,
    admin: u16,
}

/// A site in a temporary folder.
#[derive(Debug)]
pub(crate) struct Site {
    dir: tempfile::TempDir,
    plan: Plan,
    seats: BTreeMap<&'static str, Seat>,
    /// The state directory as the test sees it.
    state: PathBuf,
    daemons: AtomicU32,
}

impl Site {
    pub(crate) fn new(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut views = plan.state_dirs.clone();
        if views.is_empty() {
            views.push(dir.path().join("shared"));
            fs::create_dir(&views[0]).unwrap();
        }
        let seat = |(number, name): (usize, &&'static str)| {
            let (admin, config) = (free_port(), dir.path().join(format!("{name}.toml")));
            let view = &views[number % views.len()];
            fs::write(&config, site_text(&plan, dir.path(), (name, view, admin))).unwrap();
            (*name, Seat { config, admin })
        };
        let seats = plan.managers.iter().enumerate().map(seat).collect();
        // The last view: where one is cut off from the others, it is the first.
        let state = views.pop().unwrap();
        Self { dir, plan, seats, state, daemons: AtomicU32::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// For `--config`: the file of the last manager, whose view is the test's.
    pub(crate) fn config(&self) -> String {
        let last = self.plan.managers.last().unwrap();
        self.seats[last].config.display().to_string()
    }

    pub(crate) fn start(&self, name: &'static str) -> Daemon {
        let number = self.daemons.fetch_add(1, Ordering::SeqCst);
        let seat = &self.seats[name];
        let log = fs::File::create(self.path().join(format!("{number:03}-{name}.log"))).unwrap();
        let notify = self.path().join(format!("{number:03}.sock"));
        let socket = UnixDatagram::bind(&notify).unwrap();
        let status = Arc::<Mutex<String>>::default();
        let (ear, heard) = (socket.try_clone().unwrap(), Arc::clone(&status));
        std::thread::spawn(move || listen(&ear, &heard));
        let child = vcycle()
            .args(["run", "--log", "plain", "--config", seat.config.to_str().unwrap()])
            .env("NOTIFY_SOCKET", notify)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon { child, admin: seat.admin, socket, status }
    }

    /// What `vcycle machines` shows of a space.
    pub(crate) fn machines(&self, space: &str) -> Vec<Value> {
        let answer = call(&["machines", "--space", space, "--json", "--config", &self.config()]);
        assert_ne!(answer.code, Some(2), "{answer:?}");
        if answer.code != Some(0) {
            return Vec::new();
        }
        answer.json()["machines"].as_array().unwrap().clone()
    }

    /// Those of them that run, by name.
    pub(crate) fn running(&self, space: &str) -> BTreeMap<String, Value> {
        let rows = self.machines(space).into_iter().filter(|row| row["phase"] == "running");
        rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
    }

    /// The generation of the last plan of a space.
    pub(crate) fn planned_by(&self, space: &str) -> u64 {
        let answer = call(&["status", space, "--json", "--config", &self.config()]);
        answer.json()["spaces"][0]["snapshot"]["generation"].as_u64().unwrap_or(0)
    }

    /// The highest generation in the log of a space.
    pub(crate) fn generation(&self, space: &str) -> u64 {
        let names = names_in(&self.state.join("spaces").join(space).join("owner"));
        names.iter().filter_map(|name| name.parse().ok()).max().unwrap_or(0)
    }

    /// Names of machines that have a record: current ones and archived ones.
    pub(crate) fn recorded(&self, space: &str) -> BTreeSet<String> {
        let space = self.state.join("spaces").join(space);
        // In this order: what is archived meanwhile is in both, never in none.
        let mut names = names_in(&space.join("current"));
        names.extend(names_in(&space.join("deleted")));
        names
    }

    /// Names of machines that the local provider was ever asked for, ended ones too.
    pub(crate) fn ever_made(&self, space: &str) -> BTreeSet<String> {
        self.made(space, |_| true)
    }

    /// Names of machines whose processes may run, by the files of the local provider.
    pub(crate) fn alive(&self, space: &str) -> BTreeSet<String> {
        self.made(space, |dir| !dir.join("gone").exists() && !dir.join("ended.json").exists())
    }

    fn made(&self, space: &str, which: impl Fn(&Path) -> bool) -> BTreeSet<String> {
        let folder = self.path().join("machines").join(space).join("machines");
        let name = |intent: String| {
            let dir = folder.join(intent);
            let spec: Value =
                serde_json::from_slice(&fs::read(dir.join("spec.json")).ok()?).ok()?;
            which(&dir).then(|| spec["tags"]["machine"].as_str().unwrap().to_owned())
        };
        names_in(&folder).into_iter().filter_map(name).collect()
    }

    /// Processes that have to do with the machines of a space.
    pub(crate) fn processes(&self, space: &str) -> usize {
        processes_of(&self.path().join("machines").join(space)).len()
    }

    /// What all managers said.
    pub(crate) fn explain(&self) -> String {
        let logs = names_in(self.path()).into_iter().filter(|name| name.ends_with(".log"));
        let text = |name: String| {
            let text = fs::read_to_string(self.path().join(&name)).unwrap_or_default();
            format!("== {name}\n{text}")
        };
        logs.map(text).collect()
    }
}

/// Local machines see that their folder is gone, and end.
impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path());
        let _ = fs::remove_dir_all(&self.state);
    }
}

fn names_in(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn site_text(plan: &Plan, top: &Path, (name, state, admin): (&str, &Path, u16)) -> String {
    let Plan { machines, run_seconds, ttl, cycle, .. } = plan;
    let (library, https) = (root().join("vm-library"), free_port());
    let (library, top, state) = (library.display(), top.display(), state.display());
    let mut text = format!(
        r#"
[site]
name = "TEST"
state_dir = "{state}"
manager = "{name}"
cycle = "{cycle}"
ownership_ttl = "{ttl}"
[library]
paths = ["{library}"]
[server]
https_host = "127.0.0.1"
admin_listen = "127.0.0.1:{admin}"
[server.https]
listen = "127.0.0.1:{https}"
"#
    );
    let beat = if *run_seconds > 100 { 5 } else { 1 };
    for space in &plan.spaces {
        text += &format!(
            r#"
[space."{space}"]
processors_limit = {machines}
creations_per_cycle = {machines}
delete_pause = "2s"
[space."{space}".local]
dir = "{top}/machines/{space}"
processors = {more}
memory = "{more}GiB"
[space."{space}".machinetype.work]
entry = "example"
target_share = 1
backoff = "5s"
fizzle = "1s"
start_timeout = "60s"
max_wallclock = "30m"
min_wallclock = "1s"
heartbeat = "5m"
grace = "1s"
[space."{space}".machinetype.work.options]
example_run_seconds = {run_seconds}
heartbeat_every = {beat}
"#,
            more = machines * 2 + 2,
        );
    }
    text
}

/// A daemon that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    admin: u16,
    socket: UnixDatagram,
    status: Arc<Mutex<String>>,
}

/// Keeps what systemd would show, until the socket is shut.
fn listen(socket: &UnixDatagram, status: &Mutex<String>) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = socket.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("STATUS=")) {
            line.clone_into(&mut status.lock().unwrap());
        }
    }
}

impl Daemon {
    pub(crate) fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Status and body of an answer for people; `None`: no answer within two seconds.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin));
        let patience = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The same as JSON, if it is there.
    pub(crate) fn get_json(&self, path: &str) -> Option<Value> {
        let (200, body) = self.get(path)? else { return None };
        serde_json::from_str(&body).ok()
    }

    /// What systemd was last told in STATUS.
    pub(crate) fn status_line(&self) -> String {
        self.status.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
