//! Which tenancy the machines of a space are in. A space is never moved by a change of its credentials: in
//! another tenancy every machine of it would look gone.

use serde::{Deserialize, Serialize};
use vcycle_api::TenancyId;

/// The tenancy of a space, as its first owner found it. Kept in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceTenancy {
    /// Version of this format: 1.
    pub format: u32,
    /// Name of the provider.
    pub provider: String,
    /// The cloud's own words for the tenancy ([`TenancyId::id`]); only these are compared.
    pub id: String,
    /// The same for people, as it was called then.
    pub name: String,
}

impl SpaceTenancy {
    /// What a provider tells.
    pub fn told(provider: &str, tenancy: TenancyId) -> Self {
        let TenancyId { id, name } = tenancy;
        Self { format: 1, provider: provider.to_owned(), id, name }
    }

    /// Whether both show the same machines.
    pub fn is_same(&self, other: &Self) -> bool {
        self.provider == other.provider && self.id == other.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenancy_is_known_by_the_ids_of_its_cloud_and_not_by_its_name() {
        let told = |id: &str, name: &str| {
            let tenancy = TenancyId { id: id.to_owned(), name: name.to_owned() };
            SpaceTenancy::told("openstack", tenancy)
        };
        assert!(told("p1", "iris").is_same(&told("p1", "iris-renamed")));
        assert!(!told("p1", "iris").is_same(&told("p2", "iris")));
        let other = SpaceTenancy { provider: "aws".to_owned(), ..told("p1", "iris") };
        assert!(!told("p1", "iris").is_same(&other));
    }
}
