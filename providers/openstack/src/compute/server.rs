//! A server as Nova shows it. Only the fields that we use, and each of them may be missing: servers
//! of a cell that is down come with few (API guide, "Down cells"), and older versions know fewer.

use std::collections::BTreeMap;

use serde::Deserialize;
use vcycle_api::{Identity, Tags};

/// A server in an answer of Nova.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: Option<String>,
    /// `None`: its cell is down, and nobody can say whose it is.
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) created: Option<String>,
    pub(crate) updated: Option<String>,
    pub(crate) flavor: Option<FlavorOfServer>,
    /// By network.
    pub(crate) addresses: Option<BTreeMap<String, Vec<Address>>>,
    pub(crate) fault: Option<Fault>,
    /// Empty while it has never been on a host.
    #[serde(rename = "hostId")]
    pub(crate) host: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(crate) task: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub(crate) zone: Option<String>,
    #[serde(rename = "OS-SRV-USG:launched_at")]
    pub(crate) launched: Option<String>,
    #[serde(rename = "OS-SRV-USG:terminated_at")]
    pub(crate) terminated: Option<String>,
    #[serde(default, rename = "os-extended-volumes:volumes_attached")]
    pub(crate) volumes: Vec<VolumeOfServer>,
}

/// Until 2.46 an id, from 2.47 the sizes and the name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct FlavorOfServer {
    pub(crate) id: Option<String>,
    pub(crate) original_name: Option<String>,
    pub(crate) vcpus: Option<u32>,
    /// MiB.
    pub(crate) ram: Option<u64>,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Address {
    pub(crate) addr: String,
    /// `fixed` or `floating`.
    #[serde(rename = "OS-EXT-IPS:type")]
    pub(crate) kind: Option<String>,
}

/// Why a server is in ERROR.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: Option<u16>,
    pub(crate) message: Option<String>,
    pub(crate) created: Option<String>,
}

/// An attached volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct VolumeOfServer {
    pub(crate) id: String,
    /// Told from 2.3 on.
    pub(crate) delete_on_termination: Option<bool>,
}

impl Server {
    /// The status, in Nova's capitals.
    pub(crate) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_default()
    }

    /// Whether it is said whose it is.
    pub(crate) fn is_told(&self) -> bool {
        self.metadata.is_some() && self.name.is_some()
    }

    /// Its volumes that go with it. One that stays was attached by a person, and may hold that person's data.
    pub(crate) fn own_volumes(&self) -> impl Iterator<Item = &str> {
        let goes = |volume: &&VolumeOfServer| volume.delete_on_termination == Some(true);
        self.volumes.iter().filter(goes).map(|volume| volume.id.as_str())
    }

    /// Whether it is gone, or being deleted, or kept by the site after its delete.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.status(), "DELETED" | "SOFT_DELETED")
            || matches!(self.task.as_deref(), Some("deleting" | "soft-deleting"))
    }

    /// Whose it is, by its metadata.
    pub(crate) fn identity(&self) -> Identity {
        self.metadata.as_ref().map_or(Identity::Foreign, Identity::from_map)
    }

    /// Its tags, when it has them all.
    pub(crate) fn tags(&self) -> Option<Tags> {
        match self.identity() {
            Identity::Vcycle(tags) => Some(tags),
            Identity::Foreign => None,
        }
    }
}
