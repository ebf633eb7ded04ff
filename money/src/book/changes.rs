//! Who changed what of the caps, and when: the newest changes, for people. Everything else stands in the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Book, Stage};
use crate::{Amount, Author, Cap, CapName, Entry};

/// Older ones are only in the log.
const KEPT: usize = 500;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, by the clock of who wrote it.
    pub at: Timestamp,
    /// The entry that tells it.
    pub entry: u64,
    /// Who wrote it.
    pub by: Author,
    /// Which cap.
    pub cap: CapName,
    /// What it is.
    #[serde(flatten)]
    pub what: Changed,
}

/// What was changed of a cap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Changed {
    /// It is in force from then on.
    Set {
        /// The limit.
        limit: Amount,
        /// Where it was read: the files, whose they are, when they were changed.
        source: String,
    },
    /// It has another limit.
    Limit {
        /// Before.
        was: Amount,
        /// From then on.
        limit: Amount,
        /// Where it was read.
        source: String,
    },
    /// It is on something else, in another window, or has other stages.
    Otherwise {
        /// Where it was read.
        source: String,
    },
    /// It is in force no more.
    Taken {
        /// Where it was not read any more.
        source: String,
    },
    /// It came to another stage.
    Stage {
        /// Which.
        stage: Stage,
    },
}

impl Book {
    /// The newest changes of caps, the oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Other caps are going to be in force.
    pub(super) fn tell_caps(&mut self, caps: &[Cap], source: &str, entry: &Entry) {
        let old = Arc::clone(&self.caps);
        let source = source.to_owned();
        let taken = old.iter().filter(|was| !caps.iter().any(|cap| cap.name == was.name));
        for was in taken {
            self.tell(was.name.clone(), Changed::Taken { source: source.clone() }, entry);
        }
        for cap in caps {
            let source = source.clone();
            let what = match old.iter().find(|was| was.name == cap.name) {
                Some(was) if was == cap => continue,
                Some(was) if was.limit != cap.limit => {
                    Changed::Limit { was: was.limit, limit: cap.limit, source }
                }
                Some(_) => Changed::Otherwise { source },
                None => Changed::Set { limit: cap.limit, source },
            };
            self.tell(cap.name.clone(), what, entry);
        }
    }

    /// A cap has come to another stage.
    pub(super) fn tell_stage(&mut self, cap: &CapName, stage: Stage, entry: &Entry) {
        self.tell(cap.clone(), Changed::Stage { stage }, entry);
    }

    fn tell(&mut self, cap: CapName, what: Changed, entry: &Entry) {
        let change = Change { at: entry.at, entry: entry.number, by: entry.by.clone(), cap, what };
        let changes = Arc::make_mut(&mut self.changes);
        if changes.len() >= KEPT {
            changes.remove(0);
        }
        changes.push(change);
    }
}
