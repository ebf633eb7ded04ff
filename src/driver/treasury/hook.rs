//! The spend manager's own command, run when a cap comes to another stage: a mail, a message to a chat, a webhook.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tracing::{info, warn};
use vcycle_money::book::Stage;
use vcycle_money::plan::Forecast;
use vcycle_money::{Amount, CapName, Currency, Span, Standing};

use crate::model::{ManagerName, Timestamp};

/// The longest that the command may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What the command is told: as JSON on its standard input, the most needed as variables of its environment.
#[derive(Debug, Serialize)]
pub(super) struct News {
    format: u32,
    manager: ManagerName,
    cap: CapName,
    stage: Stage,
    before: Stage,
    window: Option<Span>,
    /// Of every amount.
    currency: Currency,
    limit: Amount,
    settled: Amount,
    reserved: Amount,
    running: Amount,
    /// Where it leads if what runs now goes on to the end of the window.
    forecast: Option<Forecast>,
}

/// Who tells, when, and in which currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) manager: &'a ManagerName,
    pub(super) currency: Currency,
    pub(super) now: Timestamp,
}

impl News {
    pub(super) fn of(standing: &Standing, teller: Teller<'_>) -> Self {
        let Teller { manager, currency, now } = teller;
        Self {
            format: 1,
            manager: manager.clone(),
            cap: standing.cap.name.clone(),
            stage: standing.told_stage(),
            before: standing.recorded.map_or(Stage::Open, |recorded| recorded.stage),
            window: standing.window,
            currency,
            limit: standing.cap.limit,
            settled: standing.sum.settled(),
            reserved: standing.sum.reserved(),
            running: standing.run_up,
            forecast: standing.forecast(now),
        }
    }
}

/// Runs the command beside everything else; what it says is in the log.
pub(super) fn start(command: &Path, news: News) {
    let command = command.to_owned();
    tokio::spawn(async move {
        match tokio::time::timeout(LONGEST, run(&command, &news)).await {
            Ok(Ok(())) => info!(hook = %command.display(), cap = %news.cap, "the hook was told"),
            Ok(Err(why)) => {
                warn!(hook = %command.display(), cap = %news.cap, why, "the hook failed")
            }
            Err(_) => warn!(hook = %command.display(), cap = %news.cap, "the hook took too long"),
        }
    });
}

async fn run(command: &PathBuf, news: &News) -> Result<(), String> {
    let exhausted = news.forecast.and_then(|forecast| forecast.exhausted);
    let mut child = Command::new(command)
        .env("VCYCLE_CAP", news.cap.to_string())
        .env("VCYCLE_STAGE", news.stage.word())
        .env("VCYCLE_STAGE_BEFORE", news.before.word())
        .env("VCYCLE_CURRENCY", news.currency.to_string())
        .env("VCYCLE_EXHAUSTED", exhausted.map(|at| at.to_string()).unwrap_or_default())
        .env("VCYCLE_LIMIT", news.limit.to_string())
        .env("VCYCLE_SPENT", (news.settled + news.running).to_string())
        .env("VCYCLE_COMMITTED", (news.settled + news.reserved).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let text = serde_json::to_vec(news).expect("our types have text keys");
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read it needs it not.
        let _ = input.write_all(&text).await;
    }
    let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.lines().last().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use vcycle_money::{Cap, Scope, Stages, Window, book::Sum};

    use super::*;

    fn news() -> News {
        let cap = Cap {
            name: CapName::parse("year").unwrap(),
            limit: Amount::from_units(100),
            scope: Scope::default(),
            window: Window::Day { utc_offset_hours: 0 },
            stages: Stages::default(),
        };
        let standing = Standing {
            cap,
            window: Some(Span {
                from: Timestamp::from_secs(1_796_083_200),
                to: Timestamp::from_secs(1_796_083_200 + 100 * 3600),
            }),
            sum: Sum::default(),
            run_up: Amount::from_units(3),
            rate: vcycle_money::plan::Rate::hourly(Amount::from_units(10)),
            stage: Stage::Warned,
            recorded: None,
        };
        let now = Timestamp::from_secs(1_796_083_200);
        let manager = "m1".parse().unwrap();
        News::of(&standing, Teller { manager: &manager, currency: Currency::GBP, now })
    }

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("hook");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn the_command_is_told_by_its_environment_and_its_input() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let text = format!(
            "#!/bin/sh\necho $VCYCLE_CAP $VCYCLE_STAGE_BEFORE $VCYCLE_STAGE $VCYCLE_LIMIT $VCYCLE_SPENT $VCYCLE_CURRENCY $VCYCLE_EXHAUSTED > {0}\ncat >> {0}\n",
            told.display()
        );
        run(&script(folder.path(), &text), &news()).await.unwrap();
        let told = std::fs::read_to_string(told).unwrap();
        let (line, json) = told.split_once('\n').unwrap();
        // 3 are spent, and 97 more in 9.7 hours.
        assert_eq!(line, "year open warned 100.00 3.00 GBP 2026-12-01T09:42:00.000Z");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["cap"], &json["stage"]), (&"year".into(), &"warned".into()));
        assert_eq!(json["forecast"]["lands"], "1003.00");
    }

    #[tokio::test]
    async fn what_the_command_complains_of_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let command = script(folder.path(), "#!/bin/sh\necho no mail today >&2\nexit 3\n");
        let why = run(&command, &news()).await.unwrap_err();
        assert!(why.contains("exit status: 3") && why.contains("no mail today"), "{why}");
        let why = run(&folder.path().join("nothing"), &news()).await.unwrap_err();
        assert!(why.contains("cannot be started"), "{why}");
    }
}
