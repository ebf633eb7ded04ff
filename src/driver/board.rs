//! What people see of this manager: kept from the news of the spaces, published when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Board, ConfigStatus, SpaceName, SpaceSnapshot};

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
}

/// Keeps the board.
pub(super) struct BoardKeeper {
    board: watch::Sender<Arc<Board>>,
    store_problems: BTreeMap<SpaceName, String>,
}

impl BoardKeeper {
    pub(super) fn new(board: watch::Sender<Arc<Board>>) -> Self {
        Self { board, store_problems: BTreeMap::new() }
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
        };
        match problem {
            Some(problem) => self.store_problems.insert(space, problem),
            None => self.store_problems.remove(&space),
        };
        let store_problem = self.store_problems.values().next().cloned();
        self.change(|board| {
            board.store_problem = store_problem;
            match news {
                News::Cycle { snapshot, store_problem: _ } => {
                    board.idle_spaces.remove(&snapshot.space);
                    board.spaces.insert(snapshot.space.clone(), snapshot);
                }
                News::Idle { space, why, store_problem: _ } => {
                    board.spaces.remove(&space);
                    board.idle_spaces.insert(space, why);
                }
                News::Silence { space: _, store_problem: _ } => {}
                News::Left { space } => {
                    board.spaces.remove(&space);
                    board.idle_spaces.remove(&space);
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        self.board.send_modify(|board| change(Arc::make_mut(board)));
    }
}
