//! The supervisor: a program that outlives the manager, as a cloud does.
//!
//! `vcycle` starts itself anew with a hidden subcommand whose handler calls [`main`], before it
//! starts any thread or runtime. There are three stages, each a process:
//!
//! - `launch FOLDER` starts the next and ends at once, so that the manager has no child to reap and
//!   the machine no parent to lose.
//! - `guard FOLDER` starts the next and waits. Should that die without having ended its machine,
//!   the guard kills what is left; and it kills a supervisor that hangs past the hard end.
//! - `run FOLDER` runs the script, watches its limits and its hard end, and ends it as a whole.
//!
//! The stages get a folder and nothing else: no secret is in their arguments, and their environment
//! is empty. What they have to say beyond the folder's files is in `supervisor.log`.

mod console;
mod guard;
mod limits;
mod run;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::folder::Folder;
use crate::procs::{self, Belonging};
use crate::records::{Cause, Ended};

/// The program that runs now, also when its file has been replaced by an upgrade.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a supervisor says once the script runs; anything else is why it does not.
pub(crate) const RUNNING: &str = "running";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Launch,
    Guard,
    Run,
}

impl Stage {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Guard => "guard",
            Self::Run => "run",
        }
    }

    fn parse(word: &OsStr) -> Option<Self> {
        [Self::Launch, Self::Guard, Self::Run].into_iter().find(|stage| word == stage.word())
    }
}

/// Why a stage could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{attempt} failed: {source}")]
    Io { attempt: &'static str, source: std::io::Error },
    #[error("{attempt} failed: {source}")]
    System { attempt: &'static str, source: nix::errno::Errno },
    #[error("{0}")]
    Refused(String),
}

pub(crate) fn io(attempt: &'static str) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::Io { attempt, source }
}

pub(crate) fn system(attempt: &'static str) -> impl FnOnce(nix::errno::Errno) -> Failure {
    move |source| Failure::System { attempt, source }
}

/// The whole program. `arguments` are those after the hidden subcommand's name; everything before them
/// is repeated when a stage starts the next. Must be called before any thread or runtime is
/// started and before any file is opened: it closes what was inherited.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let [stage, folder] = arguments else {
        eprintln!("this is not for people: it wants a stage and a folder");
        return ExitCode::from(2);
    };
    let Some(stage) = Stage::parse(stage) else {
        eprintln!("there is no stage {stage:?}");
        return ExitCode::from(2);
    };
    let folder = Folder::at(PathBuf::from(folder));
    match become_clean().and_then(|()| run_stage(stage, &folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}: {failure}", stage.word());
            // The manager may be waiting for this line; it may also be dead.
            let _ = writeln!(std::io::stdout(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run_stage(stage: Stage, folder: &Folder) -> Result<(), Failure> {
    match stage {
        Stage::Launch => spawn_stage(Stage::Guard, folder).map(drop),
        Stage::Guard => on_runtime(guard::guard(folder)),
        Stage::Run => on_runtime(run::run(folder)),
    }
}

fn on_runtime(stage: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("starting a runtime"))?
        .block_on(stage)
}

/// Lets go of everything inherited but standard input, output and error.
fn become_clean() -> Result<(), Failure> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map_err(io("listing open files"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // The listing's own is among them and is closed already.
        let _ = nix::unistd::close(fd);
    }
    umask(Mode::from_bits_truncate(0o077));
    // A manager that died must not end us when we answer it. Children get the mask of a fresh program.
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    pipe.thread_block().map_err(system("blocking SIGPIPE"))?;
    std::env::set_current_dir("/").map_err(io("going to the root directory"))
}

fn spawn_stage(stage: Stage, folder: &Folder) -> Result<std::process::Child, Failure> {
    let own: Vec<OsString> = std::env::args_os().collect();
    let (name, rest) = own.split_first().ok_or_else(|| Failure::Refused("no name".to_owned()))?;
    let prefix = &rest[..rest.len().saturating_sub(2)];
    Command::new(THIS_PROGRAM)
        .arg0(name)
        .args(prefix)
        .arg(stage.word())
        .arg(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .spawn()
        .map_err(io("starting the next stage"))
}

/// Closes the pipe to the manager, which then knows that nothing more will be said.
fn hang_up() -> Result<(), Failure> {
    let null = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .map_err(io("opening /dev/null"))?;
    nix::unistd::dup2_stdout(&null).map_err(system("closing the pipe to the manager"))
}

/// A child that was waited for.
struct Reaped {
    pid: Pid,
    status: WaitStatus,
}

/// Waits for every child that has died, orphans of the machine among them.
fn reap() -> Vec<Reaped> {
    let mut reaped = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return reaped,
            Ok(status) => {
                if let Some(pid) = status.pid() {
                    reaped.push(Reaped { pid, status });
                }
            }
        }
    }
}

/// Pause between two looks at whether killed processes are gone, at first.
const KILL_PAUSE: Duration = Duration::from_millis(10);

/// The same when they do not go: then one is stuck in the kernel, or has another user's rights.
const KILL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Kills until nothing is left, however long it takes: before that the machine is not gone.
async fn kill_until_none(belonging: &Belonging) {
    let mut pause = KILL_PAUSE;
    loop {
        match procs::kill_all(belonging) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => eprintln!("looking for the machine's processes: {error}"),
        }
        reap();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(KILL_PAUSE_MAX);
    }
}

/// Writes the end down. A failure is only said: without it the machine shows as failed, which is
/// not wrong, and the lock is free for whoever deletes it.
fn write_end(folder: &Folder, cause: Cause) {
    let at = vcycle_api::Clock::now(&vcycle_api::SystemClock::new());
    if let Err(error) = folder.write_ended(&Ended { at, cause }) {
        eprintln!("writing down the end: {error}");
    }
}
