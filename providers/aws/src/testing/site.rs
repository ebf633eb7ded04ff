//! What the fake cloud is like before anything happens in it.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::Timestamp;

use super::bucket::Rates;

/// One account in one region. [`Site::small`] is a good beginning; every field may be changed before the start.
#[derive(Debug, Clone)]
pub struct Site {
    /// Number of the account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Availability zones.
    pub zones: Vec<String>,
    /// Access keys.
    pub keys: Vec<SiteKey>,
    /// Roles that may be assumed.
    pub roles: Vec<SiteRole>,
    /// Instance types.
    pub types: Vec<SiteType>,
    /// Images.
    pub images: Vec<SiteImage>,
    /// Public parameters of Systems Manager: name and id of an image.
    pub parameters: BTreeMap<String, String>,
    /// Subnets.
    pub subnets: Vec<SiteSubnet>,
    /// Security groups.
    pub groups: Vec<SiteGroup>,
    /// Names of instance profiles.
    pub profiles: Vec<String>,
    /// Limits of the account.
    pub limits: SiteLimits,
    /// Name of the queue of interruption notices.
    pub queue: String,
    /// How long things take.
    pub times: SiteTimes,
    /// Token buckets; `None`: nobody is throttled.
    pub rates: Option<Rates>,
    /// What guests do, unless a test says otherwise.
    pub guest: Guest,
}

/// An access key.
#[derive(Debug, Clone)]
pub struct SiteKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Name of the user.
    pub user: String,
}

/// A role.
#[derive(Debug, Clone)]
pub struct SiteRole {
    /// Name.
    pub name: String,
    /// The external id that must be said.
    pub external_id: Option<String>,
    /// The web identity token that may be exchanged for it.
    pub web_token: Option<String>,
    /// How long a session lasts on the host's clock, by which clients judge it.
    pub life: Duration,
}

/// An instance type.
#[derive(Debug, Clone)]
pub struct SiteType {
    /// Name.
    pub name: String,
    /// Processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// Processor architecture: `x86_64` or `arm64`.
    pub architecture: String,
    /// Whether it is sold as spot, too.
    pub spot: bool,
    /// Zones in which it is sold; empty: all.
    pub zones: Vec<String>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct SiteImage {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Account of the owner; the site's own is `self`.
    pub owner: String,
    /// Word for the owner, for example `amazon`.
    pub alias: Option<String>,
    /// Processor architecture.
    pub architecture: String,
    /// When it was made.
    pub created: Timestamp,
    /// Size of its root volume in GiB.
    pub gb: u32,
    /// `available`, `pending`, `failed`, `deregistered`, ...
    pub state: String,
    /// Whether everybody may use it.
    pub public: bool,
    /// Whether its root volume goes with the machine by itself.
    pub deletes_root: bool,
}

/// A subnet.
#[derive(Debug, Clone)]
pub struct SiteSubnet {
    /// Id.
    pub id: String,
    /// Zone.
    pub zone: String,
    /// Its tag `Name`.
    pub name: String,
    /// VPC.
    pub vpc: String,
    /// Whether it is used when nothing is asked for.
    pub default: bool,
    /// Free addresses.
    pub free: u32,
    /// Whether machines get a public address by themselves.
    pub public: bool,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SiteGroup {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// VPC.
    pub vpc: String,
}

/// Limits of the account, in processors.
#[derive(Debug, Clone, Copy)]
pub struct SiteLimits {
    /// On demand, of the standard families.
    pub on_demand: u32,
    /// Spot, of the standard families.
    pub spot: u32,
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct SiteTimes {
    /// From the accepted launch to `running`.
    pub boot: Duration,
    /// From `shutting-down` to `terminated`.
    pub shutdown: Duration,
    /// From `terminated` until the tags are gone.
    pub tags: Duration,
    /// From `terminated` until the record is gone.
    pub forget: Duration,
    /// From `terminated` until its client token may mean something new.
    pub token: Duration,
    /// How long a new id is unknown to other calls.
    pub new_lag: Duration,
    /// How long a change of state does not show.
    pub state_lag: Duration,
}

/// What the inside of a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// Shuts down at the deadline in its tags; without one never.
    ObeysItsTimer,
    /// Shuts down this long after the machine got power, or at its deadline if that is earlier.
    Ends(Duration),
    /// Never shuts down.
    IgnoresItsTimer,
}

/// When the fixed parts of a small site were made: 2026-11-01T00:00:00Z.
const FOUNDED: Timestamp = Timestamp::from_secs(1_793_491_200);

impl Site {
    /// One account in `eu-west-2` with three zones, a default VPC, the types `m5.large` to `m5.4xlarge`,
    /// `c5.large`, `c5.4xlarge` and `m6g.large`, three images, limits of 8,000 processors, and no throttling.
    pub fn small() -> Self {
        let (account, region) = ("123456789012".to_owned(), "eu-west-2".to_owned());
        let zones: Vec<String> = ["a", "b", "c"].iter().map(|z| format!("{region}{z}")).collect();
        let vpc = "vpc-0a1b2c3d4e5f60718".to_owned();
        let subnet = |(number, zone): (usize, &String)| SiteSubnet {
            id: format!("subnet-0a1b2c3d4e5f6070{number}"),
            zone: zone.clone(),
            name: format!("default-{zone}"),
            vpc: vpc.clone(),
            default: true,
            free: 4091,
            public: true,
        };
        let mut graviton = SiteType::new("m6g.large", 2, 8);
        graviton.architecture = "arm64".to_owned();
        let group = |id: &str, name: &str| SiteGroup {
            id: id.to_owned(),
            name: name.to_owned(),
            vpc: vpc.clone(),
        };
        Self {
            keys: vec![SiteKey {
                id: "AKIAFAKEFAKEFAKE0001".to_owned(),
                secret: "fakefakefakefakefakefakefakefakefake0001".to_owned(),
                user: "vcycle".to_owned(),
            }],
            roles: vec![SiteRole {
                name: "vcycle-role".to_owned(),
                external_id: Some("external-0001".to_owned()),
                web_token: None,
                life: Duration::from_secs(3600),
            }],
            types: vec![
                SiteType::new("m5.large", 2, 8),
                SiteType::new("m5.xlarge", 4, 16),
                SiteType::new("m5.2xlarge", 8, 32),
                SiteType::new("m5.4xlarge", 16, 64),
                SiteType::new("c5.large", 2, 4),
                SiteType::new("c5.4xlarge", 16, 32),
                graviton,
            ],
            images: images(),
            parameters: BTreeMap::from([(
                "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64".to_owned(),
                "ami-0bbbbbbbbbbbbbbb1".to_owned(),
            )]),
            subnets: zones.iter().enumerate().map(subnet).collect(),
            groups: vec![
                group("sg-0a1b2c3d4e5f60701", "default"),
                group("sg-0a1b2c3d4e5f60702", "workers"),
            ],
            profiles: vec!["vcycle-worker".to_owned()],
            limits: SiteLimits { on_demand: 8000, spot: 8000 },
            queue: "vcycle-interruptions".to_owned(),
            times: SiteTimes::default(),
            rates: None,
            guest: Guest::ObeysItsTimer,
            account,
            region,
            zones,
        }
    }
}

fn images() -> Vec<SiteImage> {
    vec![
        SiteImage::own("ami-0aaaaaaaaaaaaaaa1", "worker-2026-10"),
        SiteImage {
            created: FOUNDED + Duration::from_secs(14 * 86_400),
            ..SiteImage::own("ami-0aaaaaaaaaaaaaaa2", "worker-2026-11")
        },
        SiteImage {
            owner: "137112412989".to_owned(),
            alias: Some("amazon".to_owned()),
            public: true,
            ..SiteImage::own("ami-0bbbbbbbbbbbbbbb1", "al2023-ami-2026.11-x86_64")
        },
    ]
}

impl Default for SiteTimes {
    /// Seconds to boot and to end, an hour until a record is forgotten, no lag.
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(15),
            shutdown: Duration::from_secs(20),
            tags: Duration::from_secs(20 * 60),
            forget: Duration::from_secs(3600),
            token: Duration::from_secs(24 * 3600),
            new_lag: Duration::ZERO,
            state_lag: Duration::ZERO,
        }
    }
}

impl SiteType {
    /// A type of every zone and market, with this many processors and GiB of memory.
    pub fn new(name: &str, vcpus: u32, gib: u64) -> Self {
        let (name, architecture) = (name.to_owned(), "x86_64".to_owned());
        Self { name, vcpus, memory: gib * 1024, architecture, spot: true, zones: Vec::new() }
    }

    pub(crate) fn sold_in(&self, zone: &str) -> bool {
        self.zones.is_empty() || self.zones.iter().any(|one| one == zone)
    }
}

impl SiteImage {
    /// A private image of the account itself, 8 GiB, made on 2026-11-01.
    pub fn own(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            owner: "self".to_owned(),
            alias: None,
            architecture: "x86_64".to_owned(),
            created: FOUNDED,
            gb: 8,
            state: "available".to_owned(),
            public: false,
            deletes_root: true,
        }
    }
}
