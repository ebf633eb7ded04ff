//! Looks for spaces that nobody manages: the state directory holds machines of them, but no
//! configuration names them any more. Only tells of them; nothing is deleted for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, error};

use super::Shared;
use super::board::News;
use crate::library::Setup;
use crate::model::{Board, SpaceName};
use crate::store::StoreError;

/// Between two looks, apart from those after a change of the configuration.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Looks until the process ends: at once, when what was just given back must have fallen silent, and
/// then now and then.
pub(super) async fn search_for_ever(shared: Arc<Shared>, mut setup: watch::Receiver<Arc<Setup>>) {
    let mut told = BTreeMap::new();
    loop {
        let current = Arc::clone(&setup.borrow_and_update());
        let silence = silence(&current);
        for pause in [silence + Duration::from_secs(1), LOOK_EVERY] {
            match search(&shared, &current).await {
                // What was given back a moment ago is not judged yet: only news are told then.
                Ok(found) if found == told && pause != LOOK_EVERY => {}
                Ok(found) => tell(&shared, found, &mut told).await,
                Err(problem) => debug!(%problem, "cannot look for abandoned spaces"),
            }
            tokio::select! {
                changed = setup.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = sleep(pause) => {}
            }
        }
    }
}

/// An owner that has not been heard of for so long works no more.
fn silence(setup: &Setup) -> Duration {
    setup.config.site.ownership_ttl * 2
}

/// The abandoned spaces that have machines. A manager with another configuration may work on a space
/// that ours does not name: while it does, nothing is abandoned.
async fn search(shared: &Shared, setup: &Setup) -> Result<BTreeMap<SpaceName, u32>, StoreError> {
    let mut found = BTreeMap::new();
    for space in shared.store.spaces().await? {
        if setup.spaces.contains_key(&space) {
            continue;
        }
        let heard = shared.store.heard_of_owner(&space).await?;
        if heard.is_some_and(|heard| shared.clock.now().since(heard) <= silence(setup)) {
            continue;
        }
        let machines = shared.store.machines_left(&space).await?;
        if machines > 0 {
            found.insert(space, machines);
        }
    }
    Ok(found)
}

async fn tell(
    shared: &Shared,
    found: BTreeMap<SpaceName, u32>,
    told: &mut BTreeMap<SpaceName, u32>,
) {
    for (space, machines) in &found {
        if !told.contains_key(space) {
            error!(%space, machines, "{}", Board::abandoned_words(*machines));
        }
    }
    told.clone_from(&found);
    // The receiver only ends with the process.
    let _ = shared.news.send(News::Abandoned(found)).await;
}
