//! What a VM carries so that any manager can know it without a record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    DeploymentId, Generation, IntentToken, MachineName, MachinetypeName, SpaceName, Timestamp,
};

/// The identity that is set on a VM in the create call itself, never afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// Whose machine it is.
    pub deployment: DeploymentId,
    /// The space it was made for.
    pub space: SpaceName,
    /// The machinetype it was made for.
    pub machinetype: MachinetypeName,
    /// Its name.
    pub machine: MachineName,
    /// The intent that it answers.
    pub intent: IntentToken,
    /// The ownership under which it was made.
    pub generation: Generation,
    /// Its hard end: it ends by itself then, even if every manager is dead.
    pub deadline: Timestamp,
}

/// Who a VM belongs to, judged by its tags alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Carries a complete set of our tags (perhaps of another deployment: compare the id).
    Vcycle(Tags),
    /// Carries none, or not all of them: counted and reported, never changed.
    Foreign,
}

/// Keys of the tags, as they stand in a cloud's metadata.
mod key {
    pub(super) const DEPLOYMENT: &str = "vcycle_deployment";
    pub(super) const SPACE: &str = "vcycle_space";
    pub(super) const MACHINETYPE: &str = "vcycle_machinetype";
    pub(super) const MACHINE: &str = "vcycle_machine";
    pub(super) const INTENT: &str = "vcycle_intent";
    pub(super) const GENERATION: &str = "vcycle_generation";
    pub(super) const DEADLINE: &str = "vcycle_deadline";
}

impl Tags {
    /// The tags as a cloud's key-value metadata. The deadline is in Unix seconds.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let Self { deployment, space, machinetype, machine, intent, generation, deadline } = self;
        [
            (key::DEPLOYMENT, deployment.to_string()),
            (key::SPACE, space.to_string()),
            (key::MACHINETYPE, machinetype.to_string()),
            (key::MACHINE, machine.to_string()),
            (key::INTENT, intent.to_string()),
            (key::GENERATION, generation.to_string()),
            (key::DEADLINE, deadline.as_secs().to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

impl Identity {
    /// Reads a VM's metadata. Anything missing or malformed makes it foreign, which is the safe side.
    pub fn from_map(map: &BTreeMap<String, String>) -> Self {
        fn read(map: &BTreeMap<String, String>) -> Option<Tags> {
            Some(Tags {
                deployment: map.get(key::DEPLOYMENT)?.parse().ok()?,
                space: map.get(key::SPACE)?.parse().ok()?,
                machinetype: map.get(key::MACHINETYPE)?.parse().ok()?,
                machine: map.get(key::MACHINE)?.parse().ok()?,
                intent: map.get(key::INTENT)?.parse().ok()?,
                generation: Generation(map.get(key::GENERATION)?.parse().ok()?),
                deadline: Timestamp::from_secs(map.get(key::DEADLINE)?.parse().ok()?),
            })
        }
        read(map).map_or(Self::Foreign, Self::Vcycle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("a.example").unwrap(),
            machinetype: MachinetypeName::parse("dune").unwrap(),
            machine: MachineName::compose(&MachinetypeName::parse("dune").unwrap(), 3),
            intent: IntentToken::compose(9),
            generation: Generation(4),
            deadline: Timestamp::from_secs(1_767_200_000),
        }
    }

    #[test]
    fn tags_survive_the_cloud_metadata() {
        assert_eq!(Identity::from_map(&tags().to_map()), Identity::Vcycle(tags()));
    }

    #[test]
    fn a_missing_tag_makes_a_vm_foreign() {
        for key in tags().to_map().keys() {
            let mut map = tags().to_map();
            map.remove(key);
            assert_eq!(Identity::from_map(&map), Identity::Foreign, "without {key}");
        }
    }
}
