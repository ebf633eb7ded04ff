//! Stages of caps: what follows from them is the planner's; people are told here, once for each change.

use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use tracing::{debug, info, warn};
use vcycle_money::book::Stage;
use vcycle_money::{Author, Book, Event, Standing, Window};

use super::Shared;
use super::hook::{self, News};
use crate::model::Timestamp;

/// How far the clocks of two managers may be apart while both are believed: each within a minute of the file server's.
const CLOCKS_APART: Duration = Duration::from_secs(120);

/// Writes into the ledger which caps have come to another stage, and tells people; of several managers the one that
/// writes it does.
pub(super) async fn tell(shared: &Shared, hook: Option<&Path>) {
    // Stages follow from windows, and these from the time. Who owns no space leaves it to those who do.
    if !shared.purse.clock_is_believed() {
        return;
    }
    let now = shared.clock.now();
    let mut changes: Vec<Standing> = Vec::new();
    let author = Author::Manager { manager: shared.home.manager.clone() };
    let decide = |book: &Book| {
        let standings = book.standings(now).into_iter();
        changes = standings.filter(|standing| is_news(standing, now)).collect();
        changes.iter().map(event).collect()
    };
    match shared.purse.ledger.write_as(&author, decide).await {
        Ok(None) => {}
        Ok(Some(entry)) => {
            for standing in changes {
                let (cap, stage) = (&standing.cap.name, shown(&standing));
                match stage {
                    Stage::Open => info!(%cap, %stage, entry, "a cap came to another stage"),
                    _ => warn!(%cap, %stage, entry, "a cap came to another stage"),
                }
                if let Some(command) = hook {
                    hook::start(command, News::of(&standing, stage, &shared.home.manager));
                }
            }
        }
        Err(problem) => debug!(%problem, "stages of caps could not be written"),
    }
}

fn event(standing: &Standing) -> Event {
    Event::StageChanged { cap: standing.cap.name.clone(), stage: shown(standing) }
}

/// Where a window ends, a milder stage waits until it has ended on every clock that is believed: else two managers would each
/// undo what the other has written.
fn is_news(standing: &Standing, now: Timestamp) -> bool {
    let before = standing.recorded.map_or(Stage::Open, |recorded| recorded.stage);
    match shown(standing).cmp(&before) {
        Ordering::Greater => true,
        Ordering::Equal => false,
        Ordering::Less => turned(standing).is_none_or(|turn| now >= turn + CLOCKS_APART),
    }
}

/// When the present window of a cap began, or its last one ended.
fn turned(Standing { cap, window, .. }: &Standing) -> Option<Timestamp> {
    match (window, cap.window) {
        (Some(window), _) => Some(window.from),
        (None, Window::Grant { to, .. }) => Some(to),
        (None, Window::Hour | Window::Day { .. } | Window::Week { .. } | Window::Month { .. }) => {
            None
        }
    }
}

/// A cap on each hour steers the rate of spending: that it is used is its daily bread, and only that it is passed is
/// news.
fn shown(standing: &Standing) -> Stage {
    match (standing.cap.window, standing.stage) {
        (Window::Hour, Stage::Warned | Stage::NotGrowing | Stage::Spent) => Stage::Open,
        (Window::Hour | Window::Day { .. } | Window::Week { .. } | Window::Month { .. }, stage)
        | (Window::Grant { .. }, stage) => stage,
    }
}
