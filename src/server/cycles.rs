//! Counts cycles as they appear on the board: a space whose snapshot has a new time had a cycle, and
//! it took until now. So the driver need not know that there are metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use vcycle_api::Clock;

use crate::model::{Board, SpaceName, Timestamp};
use crate::telemetry::Metrics;

/// When the last cycle of each space began that was counted.
type Counted = BTreeMap<SpaceName, Timestamp>;

/// Watches the board until nobody publishes any more. What stands there already is not counted:
/// nobody knows when it ended.
pub(super) async fn count_cycles(
    mut board: watch::Receiver<Arc<Board>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) {
    let mut counted = begun(&board.borrow_and_update());
    while board.changed().await.is_ok() {
        let now_begun = begun(&board.borrow_and_update());
        let now = clock.now();
        for (space, at) in &now_begun {
            if counted.get(space) != Some(at) {
                metrics.cycle_finished(space, now.since(*at));
            }
        }
        for space in counted.keys().filter(|space| !now_begun.contains_key(space)) {
            metrics.forget_cycles(space);
        }
        counted = now_begun;
    }
}

fn begun(board: &Board) -> Counted {
    board.spaces.iter().map(|(space, snapshot)| (space.clone(), snapshot.at)).collect()
}
