//! What the provider is told about one tenancy. Already validated by who makes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use vcycle_api::DeploymentId;

/// Settings of the provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One or two; the second is tried when the first is refused.
    pub credentials: Vec<Credential>,
    /// Networks of a new server.
    pub networks: Networks,
    /// Security groups of a new server, by name or id; empty: the project's default.
    pub security_groups: Vec<String>,
    /// Availability zones to offer; empty: the cloud chooses, and offerings have an empty zone.
    pub zones: Vec<String>,
    /// Boot from a volume in place of the flavour's own disk.
    pub boot_volume: Option<BootVolume>,
    /// A volume for data.
    pub data_volume: Option<DataVolume>,
    /// Whether servers get a config drive.
    pub config_drive: ConfigDrive,
    /// Scheduler hints, for example `reservation` with the id of a host reservation.
    pub hints: BTreeMap<String, String>,
    /// Name or id of the Blazar lease that bounds this tenancy.
    pub lease: Option<String>,
    /// Which flavours the site takes back, and when at the earliest.
    pub preemptible: Option<Preemptible>,
    /// Servers asked for in one page; `None`: 1000. The cloud may give fewer.
    pub page: Option<u32>,
    /// Most HTTP requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one request.
    pub request_time: Duration,
    /// How long after a lost reply a server may still appear ([`vcycle_api::Capabilities::settle`]).
    pub settle: Duration,
    /// Whose side resources and images are ours. `None`, for who only looks: nothing is, and nothing is
    /// uploaded.
    pub deployment: Option<DeploymentId>,
}

impl Settings {
    /// The usual settings, with one credential.
    pub fn new(credential: Credential) -> Self {
        Self {
            credentials: vec![credential],
            networks: Networks::Auto,
            security_groups: Vec::new(),
            zones: Vec::new(),
            boot_volume: None,
            data_volume: None,
            config_drive: ConfigDrive::No,
            hints: BTreeMap::new(),
            lease: None,
            preemptible: None,
            page: None,
            requests_at_once: 8,
            request_time: Duration::from_secs(60),
            settle: Duration::from_secs(120),
            deployment: None,
        }
    }
}

/// Where a credential is, and what of the cloud it is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Where it is.
    pub cloud: CloudRef,
    /// Region; goes before what the entry says.
    pub region: Option<String>,
    /// Interface of the catalogue (`public`, `internal`, `admin`); goes before what the entry says.
    pub interface: Option<String>,
}

/// Where a credential is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudRef {
    /// An entry of `clouds.yaml`.
    Named {
        /// Name of the entry.
        cloud: String,
        /// The file; `None`: the standard places.
        file: Option<PathBuf>,
    },
    /// The `OS_*` variables of the environment.
    Environment,
}

/// Networks of a new server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// The one that the project has; the cloud's choice where the microversion has one.
    Auto,
    /// None.
    None,
    /// These, by name or id, in this order.
    These(Vec<String>),
}

/// Boot from a volume. It is always removed with its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootVolume {
    /// Size in GiB.
    pub gb: u32,
    /// Type of the volume; `None`: the site's default.
    pub volume_type: Option<String>,
}

/// An empty volume for data. It is always removed with its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataVolume {
    /// Size in GiB for each processor of the flavour.
    pub gb_per_processor: u32,
    /// Type of the volume; `None`: the site's default.
    pub volume_type: Option<String>,
}

/// Whether servers get a config drive, for sites whose metadata service is unreliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigDrive {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Flavours whose servers the site may take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preemptible {
    /// Their names.
    pub flavors: Vec<String>,
    /// Time for which the site promises to leave a server alone.
    pub guaranteed: Duration,
}
