//! Which tenancy a provider's calls go to: in another one every machine of ours would look gone.

use std::fmt;

/// The tenancy of a provider, as the cloud itself tells it: not what the configuration calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenancyId {
    /// Two providers with the same id see the same machines. Never changes for one tenancy, so it is made
    /// of the cloud's own ids: `project 5f3c..., region RegionOne`.
    pub id: String,
    /// The same for people, with names: names may change.
    pub name: String,
}

impl fmt::Display for TenancyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
