//! What the double of a cloud has written down, in words of all clouds. Nothing of this went through a provider.

use vcycle::model::{Identity, Processors, Tags, Timestamp};

/// A machine that there was.
#[derive(Debug, Clone)]
pub struct Made {
    /// The double's id, for people.
    pub id: String,
    /// Whose it is, by what the create call said.
    pub identity: Identity,
    pub processors: Processors,
    /// Whether the cloud may take it back.
    pub is_spot: bool,
    /// When its create was accepted.
    pub accepted: Timestamp,
    /// When it got power, if ever.
    pub began: Option<Timestamp>,
    /// When it ran for the last time. `None`: it never ran, or runs.
    pub stopped: Option<Timestamp>,
    /// When it was gone.
    pub ended: Option<Timestamp>,
    /// Why.
    pub why: Why,
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It has not.
    Lives,
    /// We asked for it.
    Asked,
    /// Its guest shut it down, or `maxRunDuration` was over.
    ByItself,
    /// The cloud took it back.
    TakenBack,
    /// The create was accepted, and the machine then not made.
    NeverMade,
    /// It was lost in some other way.
    Lost,
}

/// The books of one cloud.
#[derive(Debug, Clone)]
pub struct Books {
    /// Every machine that there ever was, in the order of creation.
    pub machines: Vec<Made>,
    /// Volumes, disks, interfaces and the like that exist now.
    pub sides: Vec<String>,
}

impl Made {
    /// Our tags, of whatever deployment.
    pub fn tags(&self) -> Option<&Tags> {
        match &self.identity {
            Identity::Vcycle(tags) => Some(tags),
            Identity::Foreign => None,
        }
    }

    /// Whether a machine came of it: what was refused inside an accepted create was none.
    pub fn was_made(&self) -> bool {
        self.why != Why::NeverMade
    }

    /// Whether it has power now.
    pub fn runs(&self) -> bool {
        self.began.is_some() && self.stopped.is_none() && self.ended.is_none()
    }

    /// Whether it is there now.
    pub fn is_there(&self) -> bool {
        self.ended.is_none()
    }
}

impl Books {
    /// Machines of this project with their tags.
    pub fn ours(&self) -> impl Iterator<Item = (&Made, &Tags)> {
        self.machines.iter().filter_map(|made| Some((made, made.tags()?)))
    }
}
