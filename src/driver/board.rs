//! What people see of this manager: kept from the news of the spaces, published when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use vcycle_api::Clock;

use crate::model::{Board, ConfigStatus, SpaceName, SpaceSnapshot, SpendingBoard};

/// What a space has to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// A cycle is over.
    Cycle {
        /// What people see.
        snapshot: Arc<SpaceSnapshot>,
        /// What is wrong with the state directory.
        store_problem: Option<String>,
    },
    /// It cannot be worked on now.
    Idle {
        /// Which.
        space: SpaceName,
        /// Why.
        why: String,
        /// What is wrong with the state directory, if that is why.
        store_problem: Option<String>,
    },
    /// The money of the deployment.
    Spending(Option<Arc<SpendingBoard>>),
    /// Whether another manager has our name.
    Twin {
        /// What is wrong; `None`: nothing.
        trouble: Option<String>,
    },
    /// The state directory gives no answer, or (`None`) does again; else all is as it was.
    Silence {
        /// Which.
        space: SpaceName,
        /// What is wrong with the state directory.
        store_problem: Option<String>,
    },
    /// It was given back and is not ours to show any more.
    Left {
        /// Which.
        space: SpaceName,
    },
    /// All spaces that nobody manages, with the number of machines that may exist in each.
    Abandoned(BTreeMap<SpaceName, u32>),
}

/// Keeps the board.
pub(super) struct BoardKeeper {
    board: watch::Sender<Arc<Board>>,
    clock: Arc<dyn Clock>,
    store_problems: BTreeMap<SpaceName, String>,
    twin: Option<String>,
}

impl BoardKeeper {
    pub(super) fn new(board: watch::Sender<Arc<Board>>, clock: Arc<dyn Clock>) -> Self {
        Self { board, clock, store_problems: BTreeMap::new(), twin: None }
    }

    pub(super) fn config(&self, config: ConfigStatus) {
        self.change(|board| board.config = config);
    }

    pub(super) fn take(&mut self, news: News) {
        let (space, problem) = match &news {
            News::Cycle { snapshot, store_problem } => {
                (snapshot.space.clone(), store_problem.clone())
            }
            News::Idle { space, why: _, store_problem }
            | News::Silence { space, store_problem } => (space.clone(), store_problem.clone()),
            News::Left { space } => (space.clone(), None),
            News::Twin { trouble } => {
                if *trouble != self.twin {
                    self.twin.clone_from(trouble);
                    self.change(|board| board.store_problem = self.store_problem());
                }
                return;
            }
            News::Abandoned(found) => return self.abandoned(found),
            News::Spending(spending) => {
                self.change(|board| board.spending.clone_from(spending));
                return;
            }
        };
        match problem {
            Some(problem) => self.store_problems.insert(space, problem),
            None => self.store_problems.remove(&space),
        };
        let store_problem = self.store_problem();
        let now = self.clock.now();
        self.change(|board| {
            board.store_problem = store_problem;
            match news {
                News::Cycle { snapshot, store_problem: _ } => {
                    forget_idle(board, &snapshot.space);
                    board.spaces.insert(snapshot.space.clone(), snapshot);
                }
                News::Idle { space, why, store_problem: _ } => {
                    board.spaces.remove(&space);
                    board.idle_since.entry(space.clone()).or_insert(now);
                    board.idle_spaces.insert(space, why);
                }
                // Told above.
                News::Twin { trouble: _ } => {}
                News::Silence { space: _, store_problem: _ } => {}
                News::Left { space } => {
                    board.spaces.remove(&space);
                    forget_idle(board, &space);
                }
                News::Abandoned(_) | News::Spending(_) => {}
            }
        });
    }

    fn store_problem(&self) -> Option<String> {
        self.twin.iter().chain(self.store_problems.values()).next().cloned()
    }

    /// An abandoned space is idle too; a space that is abandoned no longer is what its task says.
    fn abandoned(&self, found: &BTreeMap<SpaceName, u32>) {
        let now = self.clock.now();
        self.change(|board| {
            let mut before = board.idle_spaces.clone();
            before.retain(|_, why| why.starts_with(Board::ABANDONED));
            for space in before.keys().filter(|space| !found.contains_key(*space)) {
                forget_idle(board, space);
            }
            for (space, machines) in found {
                board.idle_since.entry(space.clone()).or_insert(now);
                board.idle_spaces.insert(space.clone(), Board::abandoned_words(*machines));
            }
            board.abandoned.clone_from(found);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        self.board.send_modify(|board| change(Arc::make_mut(board)));
    }
}

fn forget_idle(board: &mut Board, space: &SpaceName) {
    board.idle_spaces.remove(space);
    board.idle_since.remove(space);
    board.abandoned.remove(space);
}
