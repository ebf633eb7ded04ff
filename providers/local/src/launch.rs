//! The manager's side of starting a supervisor.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::folder::Folder;
use crate::settings::SupervisorCommand;
use crate::supervisor::{RUNNING, Stage, THIS_PROGRAM};

/// What came of starting a supervisor.
#[derive(Debug)]
pub(crate) enum Launched {
    /// The script runs.
    Running,
    /// The supervisor did not say that the script runs: the folder's files tell, now or soon.
    Unsure(String),
    /// There is no supervisor and there will be none.
    Never(io::Error),
}

/// Starts the supervisor of a machine and waits for its word, at most `limit`. No child of
/// ours is left behind: the one that we start ends at once, after it has started the others.
pub(crate) async fn launch(
    command: &SupervisorCommand,
    folder: &Folder,
    limit: Duration,
) -> Launched {
    let mut launcher = match spawn(command, folder) {
        Ok(launcher) => launcher,
        Err(error) => return Launched::Never(error),
    };
    let mut word = String::new();
    let listen = async {
        match launcher.stdout.take() {
            Some(output) => BufReader::new(output).read_line(&mut word).await,
            None => Ok(0),
        }
    };
    let heard = tokio::time::timeout(limit, listen).await;
    // Should even this one hang, the runtime reaps it when it ends.
    let _ = tokio::time::timeout(limit, launcher.wait()).await;
    match heard {
        Ok(Ok(_)) if word.trim_end() == RUNNING => Launched::Running,
        Ok(Ok(0)) => Launched::Unsure("it ended without a word".to_owned()),
        Ok(Ok(_)) => Launched::Unsure(word.trim_end().to_owned()),
        Ok(Err(error)) => Launched::Unsure(error.to_string()),
        Err(_) => Launched::Unsure(format!("it said nothing for {} s", limit.as_secs())),
    }
}

fn spawn(command: &SupervisorCommand, folder: &Folder) -> io::Result<tokio::process::Child> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.log())?;
    let mut launcher = Command::new(&command.program);
    if command.program.as_os_str() == THIS_PROGRAM
        && let Some(name) = std::env::args_os().next()
    {
        // So that a list of processes shows a name that people know.
        launcher.arg0(name);
    }
    launcher
        .args(&command.arguments)
        .arg(Stage::Launch.word())
        .arg(folder.path())
        .env_clear()
        .current_dir("/")
        // A Ctrl-C on the manager's terminal is not meant for machines.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
}
