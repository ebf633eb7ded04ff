//! The supervisor proper: runs one machine from its start to its end.
//!
//! It ends the machine when the script ends, when its end is asked for, when its hard end comes
//! (by the wall clock, or by the time since its start, whichever says so first), when it holds too much
//! memory, and when its folder has vanished. However it ends, nothing of it runs any more when
//! `ended.json` is written, and `ended.json` is written before the lock is let go.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vcycle_api::{Clock, SystemClock};

use super::console::Console;
use super::guard::read_spec;
use super::{
    Failure, KILL_PAUSE, RUNNING, hang_up, io, kill_until_none, limits, reap, system, write_end,
};
use crate::folder::{Folder, Life};
use crate::lock::{self, Held, Role};
use crate::procs::{self, Belonging};
use crate::records::{Cause, Spec, Started};
use crate::script::Shebang;

/// How often the supervisor looks whether the machine is still wanted.
const TICK: Duration = Duration::from_millis(200);

/// Looks between two sums of the machine's memory: reading every process costs more.
const TICKS_PER_MEMORY_LOOK: u32 = 5;

/// How long the last output may take to be read once nothing runs any more.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

pub(super) async fn run(folder: &Folder) -> Result<(), Failure> {
    let held = lock::try_take(&folder.lock(), Role::Supervisor)
        .map_err(io("taking the supervisor's lock"))?
        .ok_or_else(|| Failure::Refused("the machine is being removed".to_owned()))?;
    let spec = read_spec(folder)?;
    let cause = match may_start(folder, &spec) {
        Ok(()) => match start(folder, &spec, &held) {
            Ok(machine) => machine.live().await,
            Err(failure) => not_started(folder, &spec, &failure).await,
        },
        Err(failure) => not_started(folder, &spec, &failure).await,
    };
    if held.is_removed() {
        return Ok(());
    }
    write_end(folder, cause);
    if matches!(folder.life(), Ok(Some(Life::Unwanted))) {
        folder.bury().map_err(io("removing the machine's files"))?;
    }
    Ok(())
}

/// A listing has called the machine failed, or absent, when one of these does not hold.
fn may_start(folder: &Folder, spec: &Spec) -> Result<(), Failure> {
    let now = SystemClock::new().now();
    let refuse = |why: &str| Err(Failure::Refused(why.to_owned()));
    match folder.life().map_err(io("reading whether it is wanted"))? {
        Some(Life::Wanted) => {}
        Some(Life::Unwanted | Life::Gone) | None => return refuse("it is not wanted any more"),
    }
    if folder.ended().map_err(io("reading whether it has ended"))?.is_some() {
        return refuse("it has ended already");
    }
    if now > spec.start_by() {
        return refuse("the supervisor started too late");
    }
    if now >= spec.tags.deadline {
        return refuse("its hard end has passed already");
    }
    Ok(())
}

async fn not_started(folder: &Folder, spec: &Spec, failure: &Failure) -> Cause {
    // Something may run when the failure came after the script's start.
    kill_until_none(&belonging(spec)).await;
    let why = failure.to_string();
    eprintln!("{}: {why}", folder.path().display());
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{why}\n").as_bytes());
    Cause::NotStarted { why }
}

fn belonging(spec: &Spec) -> Belonging {
    let root = i32::try_from(std::process::id()).ok();
    Belonging { mark: Some(spec.mark.clone()), root, session: None }
}

/// A machine whose script runs.
struct Machine<'a> {
    folder: &'a Folder,
    spec: &'a Spec,
    held: &'a Held,
    clock: SystemClock,
    /// Time from the start of `clock` to the hard end.
    budget: Duration,
    script: Pid,
    output: tokio::task::JoinHandle<()>,
    child_died: Signal,
    told_to_end: Signal,
    looks: u32,
}

fn start<'a>(folder: &'a Folder, spec: &'a Spec, held: &'a Held) -> Result<Machine<'a>, Failure> {
    nix::unistd::setsid().map_err(system("making a session"))?;
    set_child_subreaper(true).map_err(system("becoming a subreaper"))?;
    let child_died = signal(SignalKind::child()).map_err(io("watching for children"))?;
    let told_to_end = signal(SignalKind::terminate()).map_err(io("watching for SIGTERM"))?;
    let clock = SystemClock::new();
    let budget = spec.tags.deadline.since(clock.now());
    let console = Console::new(folder, spec.console_bytes).map_err(io("opening the console"))?;
    let bound_to = limits::apply(folder, spec)?;
    let me = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let ticks = procs::look(me).map_err(io("looking at ourselves"))?.map_or(0, |me| me.ticks);
    // A hardened unit may hide it. Then a delete cannot use the session to find what is left.
    let boot = procs::boot_id().unwrap_or_default();
    // Before the script: whatever runs then belongs to a supervisor that is written down.
    folder
        .write_started(&Started { at: clock.now(), supervisor: me, ticks, boot, bound_to })
        .map_err(io("writing down the start"))?;
    let (script, receiver) = spawn_script(folder, spec)?;
    let output = tokio::spawn(console.copy(receiver));
    // The manager may have died meanwhile: the machine runs all the same.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{RUNNING}\n").as_bytes());
    hang_up()?;
    Ok(Machine {
        folder,
        spec,
        held,
        clock,
        budget,
        script,
        output,
        child_died,
        told_to_end,
        looks: 0,
    })
}

/// The interpreter is started by us and not by the kernel, so that the script may lie on a file
/// system mounted `noexec`, and needs no execute bit.
fn spawn_script(folder: &Folder, spec: &Spec) -> Result<(Pid, Receiver), Failure> {
    let text = fs::read_to_string(folder.user_data()).map_err(io("reading user_data"))?;
    let shebang = Shebang::parse(&text).map_err(|why| Failure::Refused(why.to_string()))?;
    let environment = folder.environment().map_err(io("reading the environment"))?;
    let (reader, writer) = std::io::pipe().map_err(io("making the console's pipe"))?;
    let errors = writer.try_clone().map_err(io("making the console's pipe"))?;
    let temporary = folder.work().join("tmp");
    crate::folder::make_private_dir(&temporary).map_err(io("making TMPDIR"))?;
    let child = Command::new(shebang.interpreter)
        .args(shebang.argument)
        .arg(folder.user_data())
        .current_dir(folder.work())
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", folder.work())
        .env("LANG", "C.UTF-8")
        .env("TMPDIR", &temporary)
        .envs(environment)
        .env("VCYCLE_INSTANCE", folder.path().file_name().unwrap_or_default())
        .env(procs::MARK, &spec.mark)
        .stdin(Stdio::null())
        .stdout(Stdio::from(writer))
        .stderr(Stdio::from(errors))
        .process_group(0)
        .spawn()
        .map_err(io("starting the script's interpreter"))?;
    let receiver =
        Receiver::from_owned_fd(reader.into()).map_err(io("reading the console's pipe"))?;
    Ok((Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), receiver))
}

impl Machine<'_> {
    async fn live(mut self) -> Cause {
        let mut tick = tokio::time::interval(TICK);
        let cause = loop {
            let told = tokio::select! {
                _ = self.child_died.recv() => false,
                _ = tick.tick() => false,
                _ = self.told_to_end.recv() => true,
            };
            if let Some(cause) = self.script_end().or_else(|| self.outside_end()) {
                break cause;
            }
            if told {
                break Cause::Terminated;
            }
        };
        self.stop(cause).await
    }

    /// Reaps, and says when the script was among the dead.
    fn script_end(&self) -> Option<Cause> {
        let dead = reap().into_iter().find(|dead| dead.pid == self.script)?;
        Some(match dead.status {
            WaitStatus::Signaled(_, signal, _) => Cause::Signalled { signal: signal.to_string() },
            WaitStatus::Exited(_, code) => Cause::Exited { code },
            other => Cause::Signalled { signal: format!("{other:?}") },
        })
    }

    fn outside_end(&mut self) -> Option<Cause> {
        match self.folder.life() {
            Ok(Some(Life::Wanted)) => {}
            Ok(Some(Life::Unwanted | Life::Gone)) => return Some(Cause::Asked),
            Ok(None) | Err(_) if self.held.is_removed() => return Some(Cause::Asked),
            // A disk that is away or does not answer proves nothing.
            Ok(None) | Err(_) => {}
        }
        if self.clock.now() >= self.spec.tags.deadline || self.clock.monotonic() >= self.budget {
            return Some(Cause::Deadline);
        }
        self.looks += 1;
        if !self.looks.is_multiple_of(TICKS_PER_MEMORY_LOOK) {
            return None;
        }
        let root = i32::try_from(std::process::id()).ok();
        let members = procs::members(&Belonging { mark: None, root, session: None }).ok()?;
        let limit = self.spec.memory;
        let used = procs::memory(&members, limit);
        (used > limit).then_some(Cause::Memory { used, limit })
    }

    /// Ends everything: politely first, unless memory is short.
    async fn stop(self, cause: Cause) -> Cause {
        let belonging = belonging(self.spec);
        let grace = if matches!(cause, Cause::Memory { used: _, limit: _ }) {
            Duration::ZERO
        } else {
            Duration::from_millis(self.spec.grace_ms)
        };
        for process in procs::members(&belonging).unwrap_or_default() {
            procs::signal(&process, rustix::process::Signal::TERM);
        }
        let until = self.clock.monotonic() + grace;
        while self.clock.monotonic() < until
            && !matches!(procs::members(&belonging), Ok(members) if members.is_empty())
        {
            reap();
            tokio::time::sleep(KILL_PAUSE).await;
        }
        kill_until_none(&belonging).await;
        reap();
        // Nobody writes any more, so this is only what is still in the pipe.
        let _ = tokio::time::timeout(LAST_OUTPUT, self.output).await;
        cause
    }
}
