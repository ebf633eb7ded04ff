//! The processes of a machine: which they are, what they hold, and how all of them are ended.
//!
//! A process belongs to a machine when one of these is true: it carries the machine's mark in its
//! environment; it descends from the machine's supervisor or guard (both are child subreapers, so
//! what leaves its group, session and parents still descends from them); it is in the session of a
//! supervisor that is dead, and works in the machine's folder; or its parent belongs.
//!
//! Killing the wrong process is worse than leaving one, so every signal goes through a pidfd that
//! is checked after it was opened: a recycled pid cannot be hit. To end everything, all are frozen until no
//! new one appears, and only then killed: a process that multiplies cannot run away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use vcycle_api::Megabytes;

use crate::records::Started;

/// The variable that carries the mark.
pub(crate) const MARK: &str = "VCYCLE_MACHINE_MARK";

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    session: i32,
    dead: bool,
    /// Start time in ticks since boot: with the pid, it names a process for ever.
    pub(crate) ticks: u64,
    resident_pages: u64,
}

/// What makes a process belong to a machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Belonging {
    /// The mark in its environment.
    pub(crate) mark: Option<String>,
    /// It descends from this process (which itself does not belong).
    pub(crate) root: Option<i32>,
    /// It is left over from the session of a dead supervisor.
    pub(crate) session: Option<LeftOver>,
}

/// The session of a supervisor that is known to be dead.
#[derive(Debug, Clone)]
pub(crate) struct LeftOver {
    session: i32,
    ticks: u64,
    folder: PathBuf,
}

impl LeftOver {
    /// Nothing is left over from before the last boot.
    pub(crate) fn of(started: &Started, folder: &Path) -> Option<Self> {
        let same_boot = boot_id().is_ok_and(|boot| boot == started.boot);
        same_boot.then(|| Self {
            session: started.supervisor,
            ticks: started.ticks,
            folder: folder.to_owned(),
        })
    }

    /// A number of a session is not given out again while the session has members. So when there is a
    /// leader that is not our supervisor, all our members were gone before it came.
    fn has(&self, process: &Process, all: &BTreeMap<i32, Process>) -> bool {
        process.session == self.session
            && process.ticks >= self.ticks
            && all.get(&self.session).is_none_or(|leader| leader.ticks == self.ticks)
            && fs::read_link(format!("/proc/{}/cwd", process.pid))
                .is_ok_and(|dir| dir.starts_with(&self.folder))
    }
}

/// Identifies the running kernel.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// A process, if it exists. A zombie does.
pub(crate) fn look(pid: i32) -> io::Result<Option<Process>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse_stat(&String::from_utf8_lossy(&text))),
        Err(error) if is_not_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that the host hides (`hidepid`) is another user's: machines run as our own.
fn is_not_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32)
}

/// Fields as in proc(5); the name, which may hold anything, ends at the last parenthesis.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid: pid.parse().ok()?,
        dead: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        ticks: fields.get(19)?.parse().ok()?,
        resident_pages: fields.get(21)?.parse().ok()?,
    })
}

fn all() -> io::Result<BTreeMap<i32, Process>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(process) = look(pid)? {
            found.insert(pid, process);
        }
    }
    Ok(found)
}

fn carries(pid: i32, mark: &str) -> bool {
    let variable = format!("{MARK}={mark}");
    // An environment that we may not read is not one of ours: machines run as our own user.
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|v| v == variable.as_bytes()))
}

/// The live processes of a machine. An error proves nothing.
pub(crate) fn members(belonging: &Belonging) -> io::Result<Vec<Process>> {
    let all = all()?;
    let me = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let is_seed = |process: &Process| {
        let Belonging { mark, root, session } = belonging;
        root.is_some_and(|root| process.parent == root)
            || mark.as_ref().is_some_and(|mark| carries(process.pid, mark))
            || session.as_ref().is_some_and(|session| session.has(process, &all))
    };
    let mut belong: BTreeSet<i32> = all.values().filter(|p| is_seed(p)).map(|p| p.pid).collect();
    loop {
        let children: Vec<i32> = all
            .values()
            .filter(|p| belong.contains(&p.parent) && !belong.contains(&p.pid))
            .map(|p| p.pid)
            .collect();
        if children.is_empty() {
            break;
        }
        belong.extend(children);
    }
    belong.remove(&me);
    Ok(all.into_values().filter(|p| belong.contains(&p.pid) && !p.dead).collect())
}

/// Sends a signal to a process if it is still the one that was seen. Says whether it was sent.
pub(crate) fn signal(process: &Process, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(process.pid) else { return false };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Some(handle),
        // An old kernel (before 5.3) or a system call filter. Then a pid that gets another bearer between
        // the look and the signal, some microseconds, would be hit; not to end machines is worse.
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(_) => return false,
    };
    // Looked at after the handle was opened: if the pid has had another bearer since, the handle
    // is of one of the two, and either this look or the signal finds that it is not the one.
    match (look(process.pid), handle) {
        (Ok(Some(now)), _) if now.ticks != process.ticks => false,
        (Ok(Some(_)), Some(handle)) => pidfd_send_signal(&handle, signal).is_ok(),
        (Ok(Some(_)), None) => kill_process(pid, signal).is_ok(),
        (Ok(None) | Err(_), _) => false,
    }
}

/// Most rounds of freezing before killing what is frozen so far; the next call goes on.
const FREEZE_ROUNDS: usize = 20;

/// Kills everything that belongs. Says how many there still were; call until it says none.
pub(crate) fn kill_all(belonging: &Belonging) -> io::Result<usize> {
    let mut frozen: BTreeSet<(i32, u64)> = BTreeSet::new();
    let mut last = members(belonging)?;
    for _ in 0..FREEZE_ROUNDS {
        let fresh: Vec<&Process> =
            last.iter().filter(|p| !frozen.contains(&(p.pid, p.ticks))).collect();
        if fresh.is_empty() {
            break;
        }
        for process in fresh {
            signal(process, Signal::STOP);
            frozen.insert((process.pid, process.ticks));
        }
        last = members(belonging)?;
    }
    for process in &last {
        signal(process, Signal::KILL);
    }
    Ok(last.len())
}

/// Memory that processes hold. Shared pages are counted once for each, unless that is over
/// `limit`: then each page is divided among those that share it, which is exact and costs more.
pub(crate) fn memory(processes: &[Process], limit: Megabytes) -> Megabytes {
    const PAGE: u64 = 4096;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(PAGE);
    let resident: u64 = processes.iter().map(|p| p.resident_pages.saturating_mul(page)).sum();
    if Megabytes(resident >> 20) <= limit {
        return Megabytes(resident >> 20);
    }
    let exact: u64 = processes
        .iter()
        .map(|p| proportional_kilobytes(p.pid).unwrap_or(p.resident_pages * page / 1024))
        .sum();
    Megabytes(exact >> 10)
}

fn proportional_kilobytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_forge_the_fields_after_it() {
        let text = "42 (a) S 1 1 1) R 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 555 1000 33 0";
        let process = parse_stat(text).unwrap();
        assert_eq!((process.pid, process.parent, process.session), (42, 7, 9));
        assert_eq!((process.ticks, process.resident_pages, process.dead), (555, 33, false));
    }

    #[test]
    fn a_signal_for_an_earlier_bearer_of_a_pid_is_not_sent() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let process = look(i32::try_from(child.id()).unwrap()).unwrap().unwrap();
        let earlier = Process { ticks: process.ticks - 1, ..process };
        assert!(!signal(&earlier, Signal::KILL));
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        assert!(signal(&process, Signal::KILL));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_session_number_that_has_a_new_leader_has_nothing_left_over() {
        let folder = PathBuf::from("/");
        let left = LeftOver { session: 10, ticks: 100, folder };
        let me = look(i32::try_from(std::process::id()).unwrap()).unwrap().unwrap();
        let member = Process { session: 10, ticks: 150, ..me };
        let leader = Process { pid: 10, ticks: 100, ..me };
        let empty = BTreeMap::new();
        assert!(left.has(&member, &empty), "its leader is dead");
        assert!(left.has(&member, &BTreeMap::from([(10, leader)])));
        let new_leader = Process { ticks: 120, ..leader };
        assert!(!left.has(&member, &BTreeMap::from([(10, new_leader)])));
        assert!(!left.has(&Process { ticks: 99, ..member }, &empty), "older than the supervisor");
        assert!(!left.has(&Process { session: 11, ..member }, &empty));
    }
}
