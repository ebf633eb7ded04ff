//! `vcycle run`: the daemon. Puts a manager together, follows signals, and tells systemd.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use vcycle_api::{Clock, SystemClock};

use super::error::CliError;
use super::manager::Manager;
use super::{LogFormat, RunArgs};
use crate::systemd::{Systemd, follow_board};
use crate::telemetry::logging::{self, LogTo};

/// How long READY waits for spaces whose cloud is slow to answer: systemd must not think that the
/// start has failed because a cloud has.
const FIRST_BOARD_LONGEST: Duration = Duration::from_secs(60);
/// How long a reload may take before systemd is told that it is over; it goes on beyond.
const RELOAD_LONGEST: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(config: &Path, args: &RunArgs) -> Result<(), CliError> {
    logging::set_up(log_to(args.log))
        .map_err(|error| CliError::failed("cannot set up the log", &error))?;
    let systemd = Systemd::from_environment();
    let mut signals =
        Signals::new().map_err(|error| CliError::failed("cannot listen to signals", &error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut manager = tokio::select! {
        biased;
        () = signals.end() => return Ok(()),
        manager = Manager::start(config, clock) => manager?,
    };
    let first_board = tokio::time::timeout(FIRST_BOARD_LONGEST, manager.first_board());
    let first = tokio::select! {
        biased;
        () = signals.end() => return stop(systemd, manager).await,
        ended = manager.ended() => return Err(ended),
        first = first_board => first.unwrap_or_else(|_| Arc::clone(&manager.board.borrow())),
    };
    systemd.ready(&first);
    tracing::info!(status = crate::systemd::status_line(&first), "ready");
    let helpers = [
        tokio::spawn(follow_board(systemd, manager.board.clone())),
        tokio::spawn(watchdog(systemd, manager.pulse.clone(), manager.board.clone())),
    ];
    let ended = loop {
        tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::End => break None,
                Told::Reload => reload(systemd, &manager).await,
            },
            ended = manager.ended() => break Some(ended),
        }
    };
    for helper in &helpers {
        helper.abort();
    }
    match ended {
        None => stop(systemd, manager).await,
        Some(error) => Err(error),
    }
}

async fn stop(systemd: Systemd, manager: Manager) -> Result<(), CliError> {
    systemd.stopping();
    manager.stop().await;
    tracing::info!("stopped; machines stay");
    Ok(())
}

/// SIGHUP: reads the configuration at once. What comes of it is on the board and in the log.
async fn reload(systemd: Systemd, manager: &Manager) {
    tracing::info!("reading the configuration again");
    systemd.reloading();
    let (mut setup, mut status) = (manager.setup.clone(), manager.pulse.subscribe());
    setup.mark_unchanged();
    status.mark_unchanged();
    manager.reload.notify_one();
    let over = async {
        tokio::select! {
            _ = setup.changed() => {}
            _ = status.changed() => {}
        }
    };
    // Nothing changes when nothing had changed: that is no fault either.
    let _ = tokio::time::timeout(RELOAD_LONGEST, over).await;
    systemd.ready(&manager.board.borrow().clone());
}

/// Answers systemd's watchdog only on proof that the driver lives: a pulse is sent into it, and
/// must come out as a change of the board.
async fn watchdog(
    systemd: Systemd,
    pulse: tokio::sync::watch::Sender<crate::model::ConfigStatus>,
    mut board: tokio::sync::watch::Receiver<Arc<crate::model::Board>>,
) {
    let Some(period) = systemd.watchdog_period() else { return };
    loop {
        board.mark_unchanged();
        pulse.send_modify(|_| {});
        match tokio::time::timeout(period, board.changed()).await {
            Ok(Ok(())) => systemd.alive(),
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::error!("the driver gives no sign of life; the watchdog is not answered")
            }
        }
        tokio::time::sleep(period / 2).await;
    }
}

fn log_to(format: LogFormat) -> LogTo {
    match format {
        LogFormat::Auto => LogTo::by_environment(),
        LogFormat::Journal => LogTo::Journal,
        LogFormat::Plain => LogTo::Plain,
        LogFormat::Json => LogTo::Json,
    }
}

/// The signals that the daemon follows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.reload.recv() => Told::Reload,
        }
    }

    /// When we are told to end. A reload is of no use before there is a manager.
    async fn end(&mut self) {
        while self.next().await == Told::Reload {}
    }
}

/// What a signal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End,
    Reload,
}
