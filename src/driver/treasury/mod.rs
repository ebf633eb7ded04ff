//! What a manager does for the money of the whole deployment, beside its spaces: it takes up the caps that the spend
//! manager has written (`caps`), and tells people when one of them comes to another stage (`stages`, `hook`). All managers do;
//! the ledger sees to it that each change is written once.

mod caps;
mod hook;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;
use vcycle_money::Currency;

use super::board::News;
use super::{Purse, Shared};
use crate::config::{Config, SpendingSettings, speaks_of_caps};
use crate::cycle::{CAPS_UNWATCHED, CapsRead};
use crate::library::Setup;
use crate::model::{SpendingBoard, Timestamp};

use caps::CapsKeeper;

/// Between two looks at the files: a lowered cap must be in force within a cycle.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why nothing is spent in the first seconds of a manager.
const NOT_LOOKED: &str = "this manager has not read the caps yet";

/// What is known of the caps before anything was read.
pub(super) fn unread() -> watch::Sender<CapsRead> {
    watch::Sender::new(not_yet(NOT_LOOKED))
}

/// Looks until the process ends.
pub(super) async fn keep_for_ever(shared: Arc<Shared>, mut setup: watch::Receiver<Arc<Setup>>) {
    let (mut keeper, mut shown) = (CapsKeeper::default(), None);
    loop {
        let current = Arc::clone(&setup.borrow_and_update());
        let spending = current.config.spending.as_ref();
        let board = match spending {
            Some(spending) => {
                look(&shared, &current.config, (spending, &mut keeper)).await;
                Some(shared.purse.board(spending.currency, shared.clock.now()))
            }
            None => {
                // Whoever watches again has not read them then.
                keeper = CapsKeeper::default();
                shared.purse.take_up(without_spending(&shared).await);
                None
            }
        };
        if is_news(board.as_ref(), shown.as_deref()) {
            shown = board.map(Arc::new);
            // The receiver only ends with the process.
            let _ = shared.news.send(News::Spending(shown.clone())).await;
        }
        tokio::select! {
            changed = setup.changed() => if changed.is_err() { return },
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

async fn look(
    shared: &Shared,
    config: &Config,
    (spending, keeper): (&SpendingSettings, &mut CapsKeeper),
) {
    if let Err(problem) = shared.purse.ledger.refresh().await {
        // Every space tells it, as the ledger does.
        return debug!(%problem, "the ledger cannot be read");
    }
    let read = keeper.look(shared, (config, spending.currency)).await;
    shared.purse.take_up(read);
    stages::tell(shared, spending.hook.as_deref()).await;
}

/// What a configuration without `[spending]` must hold to: whoever wrote a cap believes that it holds, and what is made by
/// managers that do not watch is counted by nobody.
async fn without_spending(shared: &Shared) -> CapsRead {
    let found = match shared.purse.ledger.refresh().await {
        Ok(book) if !book.caps().is_empty() => return not_yet(CAPS_UNWATCHED),
        Ok(_) => shared.store.caps_files().await,
        Err(problem) => return not_yet(&problem.to_string()),
    };
    match found {
        Ok(files) if files.iter().any(|file| speaks_of_caps(&file.text)) => not_yet(CAPS_UNWATCHED),
        Ok(_) => CapsRead::Unwatched,
        Err(problem) => not_yet(&problem.to_string()),
    }
}

fn not_yet(why: &str) -> CapsRead {
    CapsRead::NotYet { why: why.to_owned() }
}

fn is_news(new: Option<&SpendingBoard>, shown: Option<&SpendingBoard>) -> bool {
    match (new, shown) {
        (Some(new), Some(shown)) => !new.is_old_news(shown),
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}

impl Purse {
    /// What was read of the caps holds from now on.
    fn take_up(&self, read: CapsRead) {
        self.caps.send_if_modified(|known| {
            let is_news = *known != read;
            *known = read;
            is_news
        });
    }

    /// What people see of the money.
    fn board(&self, currency: Currency, now: Timestamp) -> SpendingBoard {
        let (problem, budgets) = match self.caps() {
            CapsRead::NotYet { why } => (Some(why), Arc::default()),
            CapsRead::Yes { problem, budgets } => (problem, budgets),
            CapsRead::Unwatched => (None, Arc::default()),
        };
        let problem = self.ledger.problem().or(problem);
        SpendingBoard::of((&self.ledger.book(), &budgets), currency, now, problem)
    }
}
