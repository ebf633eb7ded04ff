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

use super::Shared;
use crate::cycle::CapsRead;
use crate::library::Setup;

use caps::CapsKeeper;

/// Between two looks at the files: a lowered cap must be in force within a cycle.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why nothing is spent in the first seconds of a manager.
const NOT_LOOKED: &str = "this manager has not read the caps yet";

/// What is known of the caps before anything was read.
pub(super) fn unread() -> watch::Sender<CapsRead> {
    watch::Sender::new(CapsRead::NotYet { why: NOT_LOOKED.to_owned() })
}

/// Looks until the process ends.
pub(super) async fn keep_for_ever(shared: Arc<Shared>, mut setup: watch::Receiver<Arc<Setup>>) {
    let mut keeper = CapsKeeper::default();
    loop {
        let current = Arc::clone(&setup.borrow_and_update());
        match &current.config.spending {
            Some(spending) => {
                // Its error stands in the ledger, and every space tells it.
                if let Err(problem) = shared.purse.ledger.refresh().await {
                    debug!(%problem, "the ledger cannot be read");
                } else {
                    let read = keeper.look(&shared, (&current.config, spending.currency)).await;
                    shared.purse.caps.send_if_modified(|known| {
                        let is_news = *known != read;
                        *known = read;
                        is_news
                    });
                    stages::tell(&shared, spending.hook.as_deref()).await;
                }
            }
            None => keeper = CapsKeeper::default(),
        }
        tokio::select! {
            changed = setup.changed() => if changed.is_err() { return },
            () = sleep(LOOK_EVERY) => {}
        }
    }
}
