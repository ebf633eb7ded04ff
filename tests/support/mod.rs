//! What tests with the real program share: a site in a temporary folder, calls of `vcycle`, and
//! waiting on predicates. Each test program uses a part of it.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod site;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The root of the sources.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, with no colour and no configuration of the host's user.
pub(crate) fn vcycle() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vcycle"));
    command.env_remove("NOTIFY_SOCKET").env_remove("RUST_LOG").env_remove("CLICOLOR_FORCE");
    command.stdin(Stdio::null());
    command
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Calls the program and waits for its end.
pub(crate) fn call(args: &[&str]) -> Answer {
    vcycle().args(args).output().unwrap().into()
}

/// Waits until something is there, looking again and again, and gives it.
pub(crate) fn wait_for<T>(what: &str, longest: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, longest, || look().ok_or_else(String::new))
}

/// The same, where each look says what is still missing.
#[expect(clippy::disallowed_methods, reason = "a deadline for real processes")]
pub(crate) fn wait_until<T>(
    what: &str,
    longest: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let until = Instant::now() + longest;
    loop {
        let missing = match look() {
            Ok(found) => return found,
            Err(missing) => missing,
        };
        assert!(Instant::now() < until, "not within {longest:?}: {what}: {missing}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A TCP port of the loopback interface that is free now, and that no other call of this process gets. Below
/// those that the kernel gives to outgoing connections: a daemon that is started again must find it free.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200 * 100).unwrap();
    loop {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Processes whose environment, arguments or working directory have to do with a folder.
pub(crate) fn processes_of(folder: &Path) -> Vec<i32> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let needle = folder.to_str().unwrap().as_bytes().to_vec();
    let holds = |file: PathBuf| {
        std::fs::read(file).is_ok_and(|text| text.windows(needle.len()).any(|w| w == needle))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| u32::try_from(*pid) != Ok(std::process::id()))
        .filter(|pid| {
            let proc = PathBuf::from(format!("/proc/{pid}"));
            holds(proc.join("environ"))
                || holds(proc.join("cmdline"))
                || std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
        })
        .collect()
}
