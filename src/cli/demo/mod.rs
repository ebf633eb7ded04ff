//! `vcycle demo`: a temporary site on this machine, with everything real: the same driver, store,
//! servers and local provider as `vcycle run`, the shipped library, real jobs. Works, drains, and
//! checks that the results are right and that nothing is left.

mod leaks;
mod screen;
mod site;
mod spool;
mod summary;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vcycle_api::{Clock, InstanceState, Listing, SystemClock};

use super::DemoArgs;
use super::error::CliError;
use super::manager::Manager;
use super::output::{Screen, json, print};
use super::providers;
use crate::library::Setup;
use crate::model::{Board, MachineRecord, OperatorRequest, RequestId, RequestWhat, SpaceName};
use crate::telemetry::logging::{self, LogTo};
use screen::Show;
use site::TemporarySite;
use summary::{Evidence, Left, Summary};
use view::{Scene, Stage};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The work ends after this long, done or not.
const WORK_LONGEST: Duration = Duration::from_secs(120);
/// How long machines are given to end when all results are in.
const DRAIN_FOR: Duration = Duration::from_secs(6);
/// After this long, what still runs is called left.
const DRAIN_LONGEST: Duration = Duration::from_secs(45);
/// How often the empty queue must have been backed off from before the demo is over: twice shows a
/// whole backoff.
const ABORTS_TO_SHOW: usize = 2;

/// Carries the command out. Exit code 0 only if all results are right and nothing is left.
pub(crate) async fn run(args: &DemoArgs) -> Result<ExitCode, CliError> {
    let failed = |what: &'static str| move |error: std::io::Error| CliError::failed(what, &error);
    let interrupted = interruption().map_err(failed("cannot listen to signals"))?;
    let site =
        TemporarySite::create(args.jobs).map_err(failed("cannot make the temporary site"))?;
    let log = std::fs::File::create(site.log()).map_err(failed("cannot make the log"))?;
    logging::set_up(LogTo::File(log))
        .map_err(|error| CliError::failed("cannot set up the log", &error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let manager = Manager::start(&site.config(), clock.clone()).await?;
    let show = if args.json { Show::Nothing } else { Show::for_stdout() };
    let demo = Demo { site, jobs: args.jobs, clock, interrupted, show };
    let (summary, site) = demo.play(manager).await?;
    if args.json {
        print(&json(&summary)?)?;
    } else {
        print(&summary.text(Screen::of_stdout()))?;
    }
    if args.keep {
        let folder = site.keep();
        if !args.json {
            print(&format!("everything is in {}\n", folder.display()))?;
        }
    } else {
        site.remove().map_err(failed("cannot remove the temporary folder"))?;
    }
    Ok(if summary.ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Becomes true when somebody wants the end: Ctrl-C, or a polite kill.
fn interruption() -> std::io::Result<watch::Receiver<bool>> {
    let (told, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        let _ = told.send(true);
    });
    Ok(receiver)
}

/// The demo while it runs.
struct Demo {
    site: TemporarySite,
    jobs: u32,
    clock: Arc<dyn Clock>,
    interrupted: watch::Receiver<bool>,
    show: Show,
}

impl Demo {
    async fn play(mut self, manager: Manager) -> Result<(Summary, TemporarySite), CliError> {
        let began = self.clock.now();
        let mut cut_short = self.work(&manager).await;
        let worked = (began, self.clock.now());
        let stage = if cut_short.is_none() { Stage::Draining } else { Stage::Interrupted };
        let space = space_name();
        if let Err(error) = self.drain(&manager, &space, (began, stage)).await {
            cut_short.get_or_insert(error.to_string());
        }
        self.show.end();
        let setup = Arc::clone(&manager.setup.borrow());
        let records = records(&manager, &space).await;
        manager.stop().await;
        let records = records?;
        let left = self.left(&setup, &space, &records).await?;
        let space = setup.spaces.get(&space).ok_or_else(no_space)?;
        let summary = Summary::of(Evidence {
            space,
            records: &records,
            worked,
            jobs: self.jobs,
            wrong: self.site.spool.check(),
            left,
            cut_short,
        });
        Ok((summary, self.site))
    }

    /// Until everything has been shown. Gives the reason for an earlier end.
    async fn work(&mut self, manager: &Manager) -> Option<String> {
        let began = self.clock.now();
        loop {
            let board = Arc::clone(&manager.board.borrow());
            self.update(&board, began, Stage::Working);
            if self.site.spool.is_done() && has_backed_off(&board) {
                return None;
            }
            if *self.interrupted.borrow() {
                return Some("interrupted before all jobs were done".to_owned());
            }
            if self.clock.now().since(began) > WORK_LONGEST {
                return Some(format!("not done after {} s", WORK_LONGEST.as_secs()));
            }
            self.look_again().await;
        }
    }

    /// Asks for the end of all machines as an operator would, and waits until they are gone.
    async fn drain(
        &mut self,
        manager: &Manager,
        space: &SpaceName,
        (began, stage): (crate::model::Timestamp, Stage),
    ) -> Result<(), CliError> {
        let at = self.clock.now();
        let by = if *self.interrupted.borrow() { at } else { at + DRAIN_FOR };
        let request = OperatorRequest {
            format: 1,
            id: RequestId("end-of-the-demo".to_owned()),
            who: "the demo".to_owned(),
            at,
            what: RequestWhat::DrainSpace { by },
        };
        manager
            .store
            .put_request(space, &request)
            .await
            .map_err(|error| CliError::failed("cannot ask for the end", &error))?;
        while self.clock.now().since(at) < DRAIN_LONGEST {
            let board = Arc::clone(&manager.board.borrow());
            self.update(&board, began, stage);
            let empty = board
                .spaces
                .get(space)
                .is_some_and(|seen| seen.at > at && seen.machines.is_empty());
            if empty {
                return Ok(());
            }
            self.look_again().await;
        }
        Err(CliError::Failed("machines did not end in time".to_owned()))
    }

    fn update(&mut self, board: &Board, began: crate::model::Timestamp, stage: Stage) {
        // A folder that cannot be counted shows as empty; the check at the end tells.
        let spool = self.site.spool.counts().unwrap_or_default();
        self.show.update(&Scene { now: self.clock.now(), began, stage, board, spool });
    }

    async fn look_again(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // Told once; from then on only the time counts.
            Ok(()) = self.interrupted.changed() => {}
        }
    }

    /// What is left: asked of the provider itself, of the kernel, and of the records.
    async fn left(
        &self,
        setup: &Setup,
        space: &SpaceName,
        records: &[MachineRecord],
    ) -> Result<Left, CliError> {
        let config = setup.config.spaces.get(space).ok_or_else(no_space)?;
        let provider = providers::observer(config, &self.clock)
            .map_err(|error| CliError::Failed(format!("cannot look at the provider: {error:#}")))?;
        let listing = provider
            .list()
            .await
            .map_err(|error| CliError::failed("cannot list the provider's machines", &error))?;
        let machines = match listing {
            Listing::Complete(seen) => seen
                .iter()
                .filter(|instance| instance.state != InstanceState::Gone)
                .map(|instance| instance.name.clone())
                .collect(),
            Listing::Partial { seen: _, why } => vec![format!("unknown: {why}")],
        };
        let records = records
            .iter()
            .filter(|record| record.gone.is_none() && record.rejected.is_none())
            .map(|record| record.machine().to_string())
            .collect();
        Ok(Left { machines, processes: leaks::processes_of(&self.site.root()), records })
    }
}

fn space_name() -> SpaceName {
    SpaceName::parse(site::SPACE).expect("the demo's space has a valid name")
}

fn no_space() -> CliError {
    CliError::Failed("the demo's own space is not configured".to_owned())
}

/// Whether the machinetype without work was backed off from often enough.
fn has_backed_off(board: &Board) -> bool {
    board.spaces.values().any(|space| {
        space.machinetypes.iter().any(|row| {
            row.history.iter().filter(|reason| reason.reason == "backoff").count() >= ABORTS_TO_SHOW
        })
    })
}

async fn records(manager: &Manager, space: &SpaceName) -> Result<Vec<MachineRecord>, CliError> {
    let loaded = manager
        .store
        .load_space(space)
        .await
        .map_err(|error| CliError::failed("cannot read the records", &error))?;
    let archived = loaded.archived.into_iter().map(|archived| archived.record);
    Ok(archived.chain(loaded.records).collect())
}
