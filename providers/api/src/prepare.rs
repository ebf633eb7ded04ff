//! What machinetypes need in the cloud before a machine of theirs can be made, and whether it is there.

use crate::MachinetypeName;

/// What one machinetype needs. The provider makes it ready in [`crate::Act::prepare`], and tells whether it
/// could in [`crate::Observe::inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub machinetype: MachinetypeName,
    /// Its image, as the entry or the space gave it (ancestor: `root_image`).
    pub image: Option<String>,
    /// The text of the public key of root (ancestor: `root_public_key`).
    pub public_key: Option<String>,
    /// Flavours that it may use, best first; empty: all that fit.
    pub flavors: Vec<String>,
}

/// Whether machines of a machinetype can be made, as far as its needs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All is there.
    Ready,
    /// It is being made ready, or cannot be told now: ask again.
    NotYet {
        /// What is missing, for people.
        why: String,
    },
    /// It cannot be made ready until somebody changes something.
    Cannot {
        /// What is wrong, for people.
        why: String,
    },
}
