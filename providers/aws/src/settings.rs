//! What the provider is told about one account and region. Already validated by who makes it.

use std::path::PathBuf;
use std::time::Duration;

use vcycle_api::{DeploymentId, Market, Processors};

/// Settings of the provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are.
    pub credentials: Credentials,
    /// The region, for example `eu-west-2`.
    pub region: String,
    /// URL at which all services are asked in place of Amazon's own, for private endpoints and tests.
    pub endpoint: Option<String>,
    /// Instance types to offer, in the order of preference.
    pub instance_types: Vec<String>,
    /// Availability zones to offer; empty: those of the subnets, else all of the region.
    pub zones: Vec<String>,
    /// Markets to offer, in the order of preference.
    pub markets: Vec<Market>,
    /// Subnets by id or by `Name` tag, one or more for a zone; empty: those of the default VPC.
    pub subnets: Vec<String>,
    /// Security groups by id or name; empty: the default group of the VPC.
    pub security_groups: Vec<String>,
    /// Whether machines get a public IPv4 address.
    pub public_address: PublicAddress,
    /// Instance profile by name or ARN; `None`: machines have no role.
    pub instance_profile: Option<String>,
    /// The root volume where it is not to be as the image says.
    pub root_volume: Option<RootVolume>,
    /// URL of an SQS queue of EventBridge notices of interruptions.
    pub interruption_queue: Option<String>,
    /// Owners of the images that name patterns are looked for among (`self`, `amazon`, account numbers).
    pub image_owners: Vec<String>,
    /// Most requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one request.
    pub request_time: Duration,
    /// How long after a lost reply an instance may still appear ([`vcycle_api::Capabilities::settle`]).
    pub settle: Duration,
    /// Whose side resources are ours. `None`, for who only looks: nobody's are.
    pub deployment: Option<DeploymentId>,
}

impl Settings {
    /// The usual settings in a region, with the default chain of credentials.
    pub fn new(region: impl Into<String>, instance_types: Vec<String>) -> Self {
        Self {
            credentials: Credentials::default(),
            region: region.into(),
            endpoint: None,
            instance_types,
            zones: Vec::new(),
            markets: vec![Market::OnDemand],
            subnets: Vec::new(),
            security_groups: Vec::new(),
            public_address: PublicAddress::BySubnet,
            instance_profile: None,
            root_volume: None,
            interruption_queue: None,
            image_owners: vec!["self".to_owned()],
            requests_at_once: 8,
            request_time: Duration::from_secs(60),
            settle: Duration::from_secs(600),
            deployment: None,
        }
    }
}

/// Where credentials come from. All empty: the default chain of the SDK, which is environment, profile
/// `default`, web identity, and the role of the container or instance that we run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Profile of the files. With a profile or a file named, nothing else is asked.
    pub profile: Option<String>,
    /// The files of profiles.
    pub files: CredentialFiles,
    /// A role that is assumed with what was found so far.
    pub role: Option<AssumedRole>,
}

/// Files of profiles; `None`: the standard places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialFiles {
    /// In place of `~/.aws/credentials`.
    pub credentials: Option<PathBuf>,
    /// In place of `~/.aws/config`.
    pub config: Option<PathBuf>,
}

/// A role of this or another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// Its ARN.
    pub arn: String,
    /// What the owner of the role asks for besides.
    pub external_id: Option<String>,
}

/// Whether machines get a public IPv4 address. Each costs by the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicAddress {
    /// As the subnet says.
    BySubnet,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// The root volume. It is always removed with its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootVolume {
    /// Size in GiB.
    pub gb: Option<u32>,
    /// GiB for each processor, added to `gb`. Without both it is as large as the image says.
    pub gb_per_processor: Option<u32>,
    /// Type, for example `gp3`; `None`: as the image says.
    pub volume_type: Option<String>,
    /// Whether it is encrypted.
    pub encrypted: Encryption,
    /// Name of the root device, for example `/dev/xvda`; `None`: EC2 is asked. It cannot be asked of an image
    /// that is a parameter of SSM.
    pub device: Option<String>,
}

impl RootVolume {
    /// Its size in GiB; `None`: as the image says.
    pub(crate) fn size(&self, processors: Processors) -> Option<u32> {
        let each = self.gb_per_processor.map(|gb| gb.saturating_mul(processors.0));
        match (self.gb, each) {
            (None, None) => None,
            (gb, each) => Some(gb.unwrap_or(0).saturating_add(each.unwrap_or(0))),
        }
    }
}

/// Whether a volume is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// As the image and the account say.
    ByImage,
    /// Always, with the account's default key.
    Yes,
}
