//! The valid configuration: immutable, shared as `Arc<Config>`, swapped as a whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::aws::AwsConfig;
use super::gcp::GcpConfig;
use super::openstack::OpenStackConfig;
use super::settings::Settings;
use super::source::{Place, Placed};
use super::spending::{Metering, SpendingSettings};
use crate::model::{
    BlastRadius, EntryName, MachinetypeName, ManagerName, Market, Megabytes, Pace, Processors,
    SpaceName, Timestamp,
};
use vcycle_money::Community;

/// All files together, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[site]`.
    pub site: Site,
    /// `[library]`.
    pub library: LibraryConfig,
    /// `[server]`.
    pub server: ServerConfig,
    /// `[space."NAME"]`.
    pub spaces: BTreeMap<SpaceName, SpaceConfig>,
    /// `[spending]`; `None`: what is spent is not watched.
    pub spending: Option<SpendingSettings>,
    /// Every file that was read, in order, for watching.
    pub files: Vec<PathBuf>,
}

/// `[site]`: who we are.
#[derive(Debug, Clone)]
pub struct Site {
    /// GOCDB name of the site.
    pub name: String,
    /// The shared lock-and-state directory.
    pub state_dir: PathBuf,
    /// This manager; default: the short host name.
    pub manager: ManagerName,
    /// Time between the cycles of a space (default 60 s).
    pub cycle: Duration,
    /// How long an ownership stands without renewal (default 15 s; renewed every third of it).
    pub ownership_ttl: Duration,
}

/// `[library]`: where entries are found; the first folder that has an entry wins.
#[derive(Debug, Clone)]
pub struct LibraryConfig {
    /// Folders, in order.
    pub paths: Vec<PathBuf>,
}

/// `[server]`: what VMs and people connect to.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The name by which VMs reach us (ancestor: `https_host`).
    pub https_host: String,
    /// HTTPS for VMs.
    pub https: HttpsConfig,
    /// Plain HTTP for feature reads only; `None`: off.
    pub http_listen: Option<SocketAddr>,
    /// Status, metrics and health for people; loopback by default.
    pub admin_listen: SocketAddr,
    /// Limits.
    pub limits: ServerLimits,
}

/// The HTTPS listener.
#[derive(Debug, Clone)]
pub struct HttpsConfig {
    /// Where it listens (port 0: any free one, for tests and the demo).
    pub listen: SocketAddr,
    /// The port in the URLs given to VMs (ancestor: `https_port`); default: the listener's.
    pub port: Option<u16>,
    /// Certificate and key.
    pub identity: TlsIdentity,
    /// PEM file with the CAs that may sign client certificates; `None`: none are accepted.
    pub client_ca: Option<PathBuf>,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone)]
pub enum TlsIdentity {
    /// PEM files, reloaded when they change.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// Made at start, for `https_host`; VMs get it as their CA in `user_data`.
    SelfSigned,
}

/// What one client may use.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Bytes of one output file (default 10 MiB).
    pub file_bytes: u64,
    /// Bytes of all outputs of one machine (default 200 MiB).
    pub machine_bytes: u64,
    /// Time for a whole request (default 60 s).
    pub request_time: Duration,
    /// Time for the TLS handshake, and for a request's header (default 10 s).
    pub header_time: Duration,
    /// Connections from one address (default 50).
    pub connections_per_address: u32,
}

/// `[space."NAME"]`.
#[derive(Debug, Clone)]
pub struct SpaceConfig {
    /// Name.
    pub name: SpaceName,
    /// Its provider table: exactly one.
    pub provider: ProviderConfig,
    /// That table, and the path of its key.
    pub provider_section: Placed<()>,
    /// As in [`crate::model::SpacePolicy`].
    pub processors_limit: Option<Processors>,
    /// As in [`crate::model::SpacePolicy`].
    pub machines_limit: Option<u32>,
    /// Markets of its machinetypes that name none themselves, the best first.
    pub markets: Vec<Market>,
    /// As in [`crate::model::SpacePolicy`].
    pub pace: Pace,
    /// As in [`crate::model::SpacePolicy`].
    pub shutdown_time: Option<Timestamp>,
    /// As in [`crate::model::SpacePolicy`].
    pub cleanup: Duration,
    /// As in [`crate::model::SpacePolicy`].
    pub blast_radius: BlastRadius,
    /// As in [`crate::model::SpacePolicy`].
    pub delete_pause: Duration,
    /// As in [`crate::model::SpacePolicy`].
    pub delete_pause_max: Duration,
    /// As in [`crate::model::SpacePolicy`].
    pub hs23: BTreeMap<String, f64>,
    /// Whether its machines cost money.
    pub metering: Metering,
    /// How much longer than to its hard end a machine here is reserved. `None`: as `[spending]` says.
    pub overstay: Option<Duration>,
    /// As written; the library turns them into policies and definitions.
    pub machinetypes: BTreeMap<MachinetypeName, MachinetypeConfig>,
}

/// Which cloud, with its settings.
#[derive(Debug, Clone)]
pub enum ProviderConfig {
    /// `[space."NAME".local]`
    Local(LocalConfig),
    /// `[space."NAME".sim]`
    Sim(SimConfig),
    /// `[space."NAME".openstack]`
    OpenStack(Box<OpenStackConfig>),
    /// `[space."NAME".aws]`
    Aws(Box<AwsConfig>),
    /// `[space."NAME".gcp]`
    Gcp(Box<GcpConfig>),
}

impl ProviderConfig {
    /// Its name, as price lists, caps and accounts have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Sim(_) => "sim",
            Self::OpenStack(_) => "openstack",
            Self::Aws(_) => "aws",
            Self::Gcp(_) => "gcp",
        }
    }

    /// The region that its prices are of; empty: it has none, or the configuration does not tell it.
    pub fn region(&self) -> &str {
        match self {
            Self::Local(_) | Self::Sim(_) => "",
            Self::OpenStack(openstack) => openstack.region.as_deref().unwrap_or_default(),
            Self::Aws(aws) => &aws.region,
            Self::Gcp(gcp) => &gcp.region,
        }
    }

    /// The flavours that it can have, where the configuration names them.
    pub fn flavours(&self) -> Option<&[String]> {
        match self {
            Self::Local(_) | Self::Sim(_) | Self::OpenStack(_) => None,
            Self::Aws(aws) => Some(&aws.instance_types),
            Self::Gcp(gcp) => Some(&gcp.machine_types),
        }
    }

    /// Markets of machinetypes for which neither they nor the space name any: on a cloud that takes money nothing is
    /// made that may be taken back, unless somebody wanted that. Empty: whatever it offers.
    pub fn standard_markets(&self) -> Vec<Market> {
        match self {
            Self::Local(_) | Self::Sim(_) | Self::OpenStack(_) => Vec::new(),
            Self::Aws(_) | Self::Gcp(_) => vec![Market::OnDemand],
        }
    }

    /// From which age a preemptible machine that is not there any more was taken back. `None`: the
    /// provider itself says when it takes one back.
    pub fn taken_back_after(&self) -> Option<Duration> {
        match self {
            // These say themselves when they take one back.
            Self::Local(_) | Self::Sim(_) | Self::Aws(_) | Self::Gcp(_) => None,
            Self::OpenStack(openstack) => {
                openstack.preemptible.as_ref().map(|preemptible| preemptible.guaranteed)
            }
        }
    }
}

/// Machines are process groups on this host.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Where the machines' folders are: a local disk, never the shared directory.
    pub dir: PathBuf,
    /// Processors to give to machines; default: the host's.
    pub processors: Option<Processors>,
    /// Memory to give to machines; default: the host's.
    pub memory: Option<Megabytes>,
}

/// A simulated cloud that lives as long as the process: for rehearsals.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Seed of everything that happens in it.
    pub seed: u64,
    /// Processors of the tenancy.
    pub processors: Processors,
    /// Time a machine takes to boot.
    pub boot: Duration,
    /// Time a machine works.
    pub life: Duration,
}

/// `[space."NAME".machinetype.NAME]` as written: what it means together with its entry is decided
/// by `library`, which reports problems at the places kept here.
#[derive(Debug, Clone)]
pub struct MachinetypeConfig {
    /// Name.
    pub name: MachinetypeName,
    /// `entry = "..."`.
    pub entry: Placed<EntryName>,
    /// The section, and the path of its key.
    pub section: Placed<()>,
    /// For whom it works: what it costs is booked there, too.
    pub community: Option<Community>,
    /// Settings that are written here, over those of the entry.
    pub settings: Settings,
    /// `[...options]`: values by name.
    pub options: BTreeMap<String, WrittenOption>,
    /// `[...files]`: resolved paths by name.
    pub files: BTreeMap<String, WrittenFile>,
}

/// An option's value as written. May be secret: only its type is shown by `Debug`.
#[derive(Debug, Clone)]
pub struct WrittenOption {
    /// Where its name is.
    pub name_at: Place,
    /// The value with its place and key.
    pub value: Placed<OptionValue>,
}

/// A value that an option can have.
#[derive(Clone, PartialEq)]
pub enum OptionValue {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
    /// Something that no option can be, by the name of its type.
    Other(&'static str),
}

impl OptionValue {
    /// The type, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Flag(_) => "a boolean",
            Self::Other(kind) => kind,
        }
    }
}

impl std::fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

/// A file whose content becomes part of `user_data`. Its path is not shown by `Debug`: what stands
/// there by mistake may be the secret itself.
#[derive(Clone)]
pub struct WrittenFile {
    /// Where its name is.
    pub name_at: Place,
    /// The path to read.
    pub path: Placed<PathBuf>,
}

impl std::fmt::Debug for WrittenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a path at {:?}", self.path.place)
    }
}
