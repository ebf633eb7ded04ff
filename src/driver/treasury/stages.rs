//! Stages of caps: what follows from them is the planner's; people are told here, once for each change.

use std::cmp::Ordering;
use std::path::Path;

use tracing::{debug, info, warn};
use vcycle_money::book::Stage;
use vcycle_money::{Author, Book, Event, Standing, Window};

use super::Shared;
use super::hook::{self, News, Teller};
use crate::model::{CLOCKS_APART, Timestamp};

/// Writes into the ledger which caps have come to another stage, and tells people; of several managers the one that
/// writes it does.
pub(super) async fn tell(shared: &Shared, hook: Option<&Path>) {
    // Stages follow from windows, and these from the time. Who owns no space leaves it to those who do.
    if !shared.purse.clock_is_believed() {
        return;
    }
    let now = shared.clock.now();
    let mut changes: Vec<Standing> = Vec::new();
    let mut currency = None;
    let author = Author::Manager { manager: shared.home.manager.clone() };
    let decide = |book: &Book| {
        // Its amounts are of that, whatever our configuration says.
        currency = book.currency();
        let standings = book.standings(now).into_iter();
        changes = standings.filter(|standing| is_news(standing, now)).collect();
        changes.iter().map(event).collect()
    };
    match shared.purse.ledger.write_as(&author, decide).await {
        Ok(None) => {}
        Ok(Some(entry)) => {
            let hook = hook.zip(currency);
            for standing in changes {
                let (cap, stage) = (&standing.cap.name, standing.told_stage());
                match stage {
                    Stage::Open => info!(%cap, %stage, entry, "a cap came to another stage"),
                    _ => warn!(%cap, %stage, entry, "a cap came to another stage"),
                }
                if let Some((command, currency)) = hook {
                    let teller = Teller { manager: &shared.home.manager, currency, now };
                    hook::start(command, News::of(&standing, teller));
                }
            }
        }
        Err(problem) => debug!(%problem, "stages of caps could not be written"),
    }
}

fn event(standing: &Standing) -> Event {
    Event::StageChanged { cap: standing.cap.name.clone(), stage: standing.told_stage() }
}

/// Where a window ends, a milder stage waits until it has ended on every clock that is believed: else two managers would each
/// undo what the other has written.
fn is_news(standing: &Standing, now: Timestamp) -> bool {
    let before = standing.recorded.map_or(Stage::Open, |recorded| recorded.stage);
    match standing.told_stage().cmp(&before) {
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
