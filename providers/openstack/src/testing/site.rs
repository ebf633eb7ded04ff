//! What the fake cloud is like before anything happens in it.

use std::time::Duration;

use vcycle_api::Timestamp;

/// A cloud. [`Site::small`] is a good beginning; every field may be changed before the start.
#[derive(Debug, Clone)]
pub struct Site {
    /// Regions of the catalogue; all lead to the same services.
    pub regions: Vec<String>,
    /// Projects, each with one user.
    pub tenants: Vec<SiteTenant>,
    /// Flavours, for everybody.
    pub flavors: Vec<SiteFlavor>,
    /// Images that are there from the start, for everybody.
    pub images: Vec<SiteImage>,
    /// Networks.
    pub networks: Vec<SiteNetwork>,
    /// Availability zones; the first is used when none is asked for.
    pub zones: Vec<String>,
    /// Leases of Blazar; empty: the catalogue has no such service.
    pub leases: Vec<SiteLease>,
    /// What CloudKitty rates; `None`: the catalogue has no such service.
    pub rating: Option<SiteRating>,
    /// Most items on a page (Nova's and Glance's default: 1000).
    pub max_limit: usize,
    /// Newest microversion of Nova, the `x` of `2.x`.
    pub microversion: u16,
    /// Time that a server waits for the scheduler.
    pub scheduling: Duration,
    /// Time from the accepted create to power.
    pub boot: Duration,
    /// Time from the accepted delete to the end.
    pub deletion: Duration,
    /// Life of a token.
    pub token_life: Duration,
}

/// A project, its one user, and what belongs to them.
#[derive(Debug, Clone)]
pub struct SiteTenant {
    /// Name of the project, in the domain `Default`.
    pub project: String,
    /// Id of the project.
    pub project_id: String,
    /// Name of the user, in the domain `Default`.
    pub user: String,
    /// Id of the user.
    pub user_id: String,
    /// Password of the user.
    pub password: String,
    /// Application credentials.
    pub credentials: Vec<SiteCredential>,
    /// Limits of the project.
    pub quota: SiteQuota,
}

/// An application credential.
#[derive(Debug, Clone)]
pub struct SiteCredential {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Secret.
    pub secret: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Limits of a project; -1: none.
#[derive(Debug, Clone, Copy)]
pub struct SiteQuota {
    /// Processors.
    pub cores: i64,
    /// Servers.
    pub instances: i64,
    /// Memory in MiB.
    pub ram: i64,
    /// Volumes.
    pub volumes: i64,
}

/// A flavour.
#[derive(Debug, Clone)]
pub struct SiteFlavor {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Processors.
    pub vcpus: i64,
    /// Memory in MiB.
    pub ram: i64,
    /// Disk in GiB. One of [`SiteFlavor::NO_HOST`] is more than any host has.
    pub disk: i64,
    /// Extra specifications.
    pub extra_specs: Vec<(String, String)>,
}

impl SiteFlavor {
    /// A disk that no host has: a server of it is accepted, and then in error.
    pub const NO_HOST: i64 = 90_000_000;

    /// A flavour with 2 GiB of memory and 20 GB of disk for each processor.
    pub fn new(id: &str, name: &str, vcpus: i64) -> Self {
        let (ram, disk) = (vcpus * 2048, vcpus * 20);
        Self { id: id.into(), name: name.into(), vcpus, ram, disk, extra_specs: Vec::new() }
    }
}

/// An image that everybody may use.
#[derive(Debug, Clone)]
pub struct SiteImage {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Content.
    pub content: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

/// A network with one subnet.
#[derive(Debug, Clone)]
pub struct SiteNetwork {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Name of the project whose it is; `None`: the site's, seen and used by all.
    pub project: Option<String>,
    /// Whether it leads outside: servers may not be put into it.
    pub external: bool,
}

/// A lease of Blazar with one host reservation.
#[derive(Debug, Clone)]
pub struct SiteLease {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Id of its reservation.
    pub reservation: String,
    /// Begin.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
}

/// What CloudKitty knows.
#[derive(Debug, Clone)]
pub struct SiteRating {
    /// Whether everybody may read its rules, which only administrators may as CloudKitty comes.
    pub open: bool,
    /// Enabled modules.
    pub modules: Vec<String>,
    /// Services that are rated.
    pub services: Vec<String>,
    /// Rules of the first of them.
    pub rules: Vec<SiteRule>,
    /// Names of fields with a threshold.
    pub thresholds: Vec<String>,
    /// What each project was charged for servers, in the last two hours.
    pub charges: Vec<SiteCharge>,
    /// The collect period.
    pub period: Duration,
}

impl Default for SiteRating {
    /// An open service with nothing in it.
    fn default() -> Self {
        Self {
            open: true,
            modules: vec!["hashmap".into(), "noop".into()],
            services: vec!["instance".into(), "volume.size".into()],
            rules: Vec::new(),
            thresholds: Vec::new(),
            charges: Vec::new(),
            period: Duration::from_secs(3600),
        }
    }
}

/// A rule ("mapping").
#[derive(Debug, Clone)]
pub struct SiteRule {
    /// Its field; empty: of the whole service.
    pub field: String,
    /// Value of the field.
    pub value: String,
    /// `flat`, `rate`.
    pub kind: String,
    /// Cost, as the service writes it.
    pub cost: String,
    /// Group.
    pub group: Option<String>,
    /// Id of the project that it is for.
    pub project_id: Option<String>,
    /// When it begins and ends.
    pub times: (Option<Timestamp>, Option<Timestamp>),
}

impl SiteRule {
    /// A cost of what a field says, for everybody and always.
    pub fn flat(field: &str, value: &str, cost: &str) -> Self {
        Self {
            field: field.into(),
            value: value.into(),
            kind: "flat".into(),
            cost: cost.into(),
            group: None,
            project_id: None,
            times: (None, None),
        }
    }
}

/// A charge for a server in a period.
#[derive(Debug, Clone)]
pub struct SiteCharge {
    /// Name of the flavour.
    pub flavor: String,
    /// How much of a server it was.
    pub quantity: f64,
    /// What it cost, as the service writes it: a number of JSON.
    pub price: String,
}

/// When the fixed parts of a small site were made: 2026-11-21T01:30:54Z.
const FOUNDED: Timestamp = Timestamp::from_secs(1_795_224_654);

impl Site {
    /// One project `site-a` with 4,000 processors, an own network, flavours of 1, 2, 4 and 8
    /// processors and one that no host can hold, and an image; a second project `site-b` with 16
    /// processors and 10 servers. The same as the real services behind the recorded exchanges.
    pub fn small() -> Self {
        let mut no_host = SiteFlavor::new("nohost", "lab.nohost", 1);
        (no_host.ram, no_host.disk) = (512, SiteFlavor::NO_HOST);
        let flavor = |id: &str, vcpus| SiteFlavor::new(id, &format!("lab.{id}"), vcpus);
        Self {
            regions: vec!["RegionOne".into()],
            tenants: vec![SiteTenant::a(), SiteTenant::b()],
            flavors: vec![
                flavor("c1", 1),
                flavor("c2", 2),
                flavor("c4", 4),
                flavor("c8", 8),
                no_host,
            ],
            images: vec![SiteImage {
                id: "e78c8710-260e-4fa2-ae53-be00db79ec58".into(),
                name: "lab-tiny".into(),
                content: vec![0; 1 << 20],
                created: FOUNDED,
            }],
            networks: vec![
                SiteNetwork::of("c896d7fc-fa87-4d69-b7c6-35ca023dc5a9", "site-a"),
                SiteNetwork::of("0b7b9a51-6f0d-4f0e-8f0b-2f4f6f4f5a11", "site-b"),
            ],
            zones: vec!["nova".into()],
            leases: Vec::new(),
            rating: None,
            max_limit: 1000,
            microversion: 104,
            scheduling: Duration::from_secs(1),
            boot: Duration::from_secs(5),
            deletion: Duration::from_secs(2),
            token_life: Duration::from_secs(3600),
        }
    }
}

impl SiteTenant {
    fn a() -> Self {
        Self {
            project: "site-a".into(),
            project_id: "b75d58f2d72a492682abe0b70b498e57".into(),
            user: "site-a-user".into(),
            user_id: "3e634dc8b95e4ce5880d76e54096ed69".into(),
            password: "site-a-secret".into(),
            credentials: vec![SiteCredential {
                id: "26c7c394d6344bb2b98720c0bf2899e0".into(),
                name: "vms".into(),
                secret: "application-secret-of-site-a".into(),
                expires: None,
            }],
            quota: SiteQuota { cores: 4000, instances: 2000, ram: -1, volumes: -1 },
        }
    }

    fn b() -> Self {
        Self {
            project: "site-b".into(),
            project_id: "161d0736c7974474bcda19ae69dc17c4".into(),
            user: "site-b-user".into(),
            user_id: "1e16bce587694e6883921ab05029dcf1".into(),
            password: "site-b-secret".into(),
            credentials: vec![SiteCredential {
                id: "7d0c5b3fbd6f4c0f9a0a1a0f0e9b6c11".into(),
                name: "vms".into(),
                secret: "application-secret-of-site-b".into(),
                expires: None,
            }],
            quota: SiteQuota { cores: 16, instances: 10, ram: 65_536, volumes: 10 },
        }
    }
}

impl SiteNetwork {
    fn of(id: &str, project: &str) -> Self {
        let name = format!("{project}-net");
        Self { id: id.into(), name, project: Some(project.into()), external: false }
    }
}
