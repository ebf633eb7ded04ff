//! The guard: waits for the supervisor, and does its duty when that cannot.
//!
//! The supervisor of a machine may be killed (by the kernel for want of memory, by a person). Its
//! guard is a child subreaper too, so whatever the machine had running descends from the guard then,
//! and is killed at once. The guard is small and does nothing else; should both be killed
//! together, a delete still finds the machine's processes by their mark.

use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use vcycle_api::{Clock, SystemClock};

use super::{Failure, Stage, hang_up, io, kill_until_none, reap, spawn_stage, system, write_end};
use crate::folder::{Folder, Life, NoSpec};
use crate::lock::{self, Role};
use crate::procs::Belonging;
use crate::records::{Cause, Spec};

/// How often the guard looks at the time.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn guard(folder: &Folder) -> Result<(), Failure> {
    nix::unistd::setsid().map_err(system("leaving the manager's session"))?;
    set_child_subreaper(true).map_err(system("becoming a subreaper"))?;
    let held = lock::try_take(&folder.lock(), Role::Guard)
        .map_err(io("taking the guard's lock"))?
        .ok_or_else(|| Failure::Refused("the machine is being removed".to_owned()))?;
    let spec = read_spec(folder)?;
    let mut child_died = signal(SignalKind::child()).map_err(io("watching for children"))?;
    // A host that goes down tells the supervisor as well; the guard stays as long as that does.
    let _ignored = signal(SignalKind::terminate()).map_err(io("ignoring SIGTERM"))?;
    let supervisor = spawn_stage(Stage::Run, folder)?;
    let supervisor = Pid::from_raw(i32::try_from(supervisor.id()).unwrap_or(i32::MAX));
    hang_up()?;

    let clock = SystemClock::new();
    let last_moment = spec.tags.deadline.max(clock.now())
        + Duration::from_millis(spec.grace_ms)
        + Duration::from_millis(spec.patience_ms);
    let budget = last_moment.since(clock.now());
    let mut tick = tokio::time::interval(TICK);
    let how = loop {
        tokio::select! {
            _ = child_died.recv() => {}
            _ = tick.tick() => {}
        }
        if let Some(dead) = reap().into_iter().find(|dead| dead.pid == supervisor) {
            break describe(dead.status);
        }
        if clock.now() > last_moment || clock.monotonic() > budget {
            eprintln!("the supervisor hangs past the hard end: killing it");
            // It is our child and was not waited for, so the pid is its own.
            let _ = kill(supervisor, Signal::SIGKILL);
        }
    };
    kill_what_is_left(&spec).await;
    if held.is_removed() {
        return Ok(());
    }
    write_last_word(folder, how)
}

pub(super) fn read_spec(folder: &Folder) -> Result<Spec, Failure> {
    folder.spec().map_err(|problem| match problem {
        NoSpec::Unreadable(source) => Failure::Io { attempt: "reading spec.json", source },
        NoSpec::NotOurs(why) => Failure::Refused(why),
    })
}

fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        WaitStatus::Exited(_, code) => format!("ended with code {code}"),
        other => format!("{other:?}"),
    }
}

/// Nothing of the machine may run after its supervisor has gone. After an orderly end there is nothing.
async fn kill_what_is_left(spec: &Spec) {
    let root = i32::try_from(std::process::id()).ok();
    let mark = Some(spec.mark.clone());
    kill_until_none(&Belonging { mark, root, session: None }).await;
}

fn write_last_word(folder: &Folder, how: String) -> Result<(), Failure> {
    if matches!(folder.life(), Ok(Some(Life::Gone))) {
        return Ok(());
    }
    if matches!(folder.ended(), Ok(None)) {
        write_end(folder, Cause::SupervisorDied { how });
    }
    if matches!(folder.life(), Ok(Some(Life::Unwanted))) {
        folder.bury().map_err(io("removing the machine's files"))?;
    }
    Ok(())
}
