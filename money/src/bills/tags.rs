//! Whose resource a line of a bill is for, by the tags that every machine of ours carries from its creation on.

use std::collections::BTreeMap;

use vcycle_api::{DeploymentId, MachineName, MachinetypeName, SpaceName};

/// Whose resource a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A machine of a space, or something that belongs to it.
    Ours(Ours),
    /// Something else.
    Others,
}

/// What the bill says about a resource of a space. A provider shows only those tags that somebody has chosen for its
/// bills, so that the space alone is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its deployment, if the bill says it.
    pub deployment: Option<DeploymentId>,
    /// Its space.
    pub space: SpaceName,
    /// Its machinetype, if the bill says it, or the name of the machine does.
    pub machinetype: Option<MachinetypeName>,
    /// The machine, if the bill says it.
    pub machine: Option<MachineName>,
}

impl Whose {
    /// By tags with the keys of [`vcycle_api::Tags`]. A tag that makes no sense counts as none.
    pub(super) fn by_tags(tags: &BTreeMap<String, String>) -> Self {
        fn read<T: std::str::FromStr>(tags: &BTreeMap<String, String>, key: &str) -> Option<T> {
            tags.get(key)?.parse().ok()
        }
        read(tags, "vcycle_space").map_or(Self::Others, |space| {
            let machine: Option<MachineName> = read(tags, "vcycle_machine");
            let by_name = || machine.as_ref().map(MachineName::machinetype);
            Self::Ours(Ours {
                deployment: read(tags, "vcycle_deployment"),
                space,
                machinetype: read(tags, "vcycle_machinetype").or_else(by_name),
                machine,
            })
        })
    }
}
