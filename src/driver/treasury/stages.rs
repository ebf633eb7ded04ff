//! Stages of caps: what follows from them is the planner's; people are told here, once for each change.

use std::path::Path;

use tracing::{debug, info, warn};
use vcycle_money::book::Stage;
use vcycle_money::{Author, Book, Event, Standing, Window};

use super::Shared;
use super::hook::{self, News};

/// Writes into the ledger which caps have come to another stage, and tells people; of several managers the one that
/// writes it does.
pub(super) async fn tell(shared: &Shared, hook: Option<&Path>) {
    let now = shared.clock.now();
    let mut changes: Vec<Standing> = Vec::new();
    let author = Author::Manager { manager: shared.home.manager.clone() };
    let decide = |book: &Book| {
        changes = book.standings(now).into_iter().filter(is_news).collect();
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

fn is_news(standing: &Standing) -> bool {
    let before = standing.recorded.map_or(Stage::Open, |recorded| recorded.stage);
    before != shown(standing)
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
