//! What a cloud is like before anything happens in it.

use std::time::Duration;

/// A project in a region.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Id of the project.
    pub project: String,
    /// Its number.
    pub project_number: u64,
    /// Its region.
    pub region: String,
    /// Zones of the region.
    pub zones: Vec<String>,
    /// Machine types, in every zone.
    pub machine_types: Vec<SiteMachineType>,
    /// Images, of the project and of others.
    pub images: Vec<SiteImage>,
    /// Networks.
    pub networks: Vec<String>,
    /// Subnetworks.
    pub subnetworks: Vec<SiteSubnetwork>,
    /// Quotas of the region.
    pub quotas: Vec<SiteQuota>,
    /// What the billing catalogue sells.
    pub skus: Vec<SiteSku>,
    /// Most of them on a page.
    pub skus_on_a_page: usize,
    /// How long things take.
    pub times: SiteTimes,
    /// Requests per minute; `None`: as many as you like.
    pub rates: Option<Rates>,
    /// Whether a token is wanted.
    pub login: Login,
    /// The service account whose key file is given out.
    pub account: String,
    /// Service accounts whose tokens it may ask for.
    pub impersonates: Vec<String>,
}

/// Whether a token is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// As in Google's cloud.
    Required,
    /// A request without a token is everybody's.
    Anyone,
}

/// A machine type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteMachineType {
    /// Name.
    pub name: String,
    /// Processors.
    pub cpus: u32,
    /// Memory.
    pub memory_mb: u32,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteImage {
    /// Project that it is in.
    pub project: String,
    /// Name.
    pub name: String,
    /// Family. The last of a family is the newest.
    pub family: Option<String>,
    /// Size.
    pub gb: u32,
}

/// A subnetwork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSubnetwork {
    /// Name.
    pub name: String,
    /// Network that it is part of.
    pub network: String,
}

/// A quota.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteQuota {
    /// `CPUS`, `PREEMPTIBLE_CPUS`, `INSTANCES`, `IN_USE_ADDRESSES`, `DISKS_TOTAL_GB`, or one of a family,
    /// `N2_CPUS`.
    pub metric: String,
    /// Limit.
    pub limit: f64,
}

/// Something on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSku {
    /// Id.
    pub id: String,
    /// Description.
    pub description: String,
    /// `OnDemand`, `Preemptible`, `Commit1Yr`.
    pub usage: String,
    /// Region.
    pub region: String,
    /// `h`, `GiBy.h`.
    pub unit: String,
    /// Billionths of a dollar for a unit.
    pub nanos: i64,
}

impl SiteSku {
    /// Both parts of a series in London, on demand and spot, at prices for a vCPU and a GiB.
    pub fn series(words: &str, on_demand: (i64, i64), spot: (i64, i64)) -> Vec<Self> {
        let sku = |(usage, before): (&str, &str), (part, unit): (&str, &str), nanos| Self {
            id: format!("{:04X}-{part}-{usage}", words.len()),
            description: format!("{before}{words} {part} running in London"),
            usage: usage.to_owned(),
            region: "europe-west2".to_owned(),
            unit: unit.to_owned(),
            nanos,
        };
        let markets = [(("OnDemand", ""), on_demand), (("Preemptible", "Spot Preemptible "), spot)];
        let both = markets.into_iter().flat_map(|(market, (core, memory))| {
            [sku(market, ("Core", "h"), core), sku(market, ("Ram", "GiBy.h"), memory)]
        });
        both.collect()
    }
}

/// How long things take, by the cloud's clock. What takes no time is done at the next look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteTimes {
    /// An operation that goes well.
    pub operation: Duration,
    /// An operation that fails.
    pub refusal: Duration,
    /// From the insert to STAGING.
    pub provisioning: Duration,
    /// From there to RUNNING.
    pub staging: Duration,
    /// STOPPING, when somebody asked for it.
    pub stopping: Duration,
    /// STOPPING of a preempted machine: the guest has 30 s.
    pub preempting: Duration,
    /// How long a `requestId` is remembered.
    pub request_memory: Duration,
    /// How long a finished operation is remembered.
    pub operation_memory: Duration,
    /// The longest that `wait` waits, by the host's clock. Google: two minutes, but it may be none.
    pub wait: Duration,
    /// How long a token is good, by the host's clock.
    pub token: Duration,
}

impl Default for SiteTimes {
    fn default() -> Self {
        Self {
            operation: Duration::ZERO,
            refusal: Duration::ZERO,
            provisioning: Duration::from_secs(2),
            staging: Duration::from_secs(3),
            stopping: Duration::from_secs(3),
            preempting: Duration::from_secs(30),
            request_memory: Duration::from_secs(3600),
            operation_memory: Duration::from_secs(14 * 86_400),
            wait: Duration::ZERO,
            token: Duration::from_secs(3599),
        }
    }
}

/// Requests per minute; the minutes are those of the clock (cloud.google.com/compute/api-quota).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Calls that change something.
    pub mutations: u32,
    /// Calls that read one thing.
    pub reads: u32,
    /// Calls that list.
    pub lists: u32,
}

impl Rates {
    /// The older table of Google's page: 1,500 a minute for each group.
    pub const GOOGLE: Self = Self { mutations: 1500, reads: 1500, lists: 1500 };
}

impl Site {
    /// A small project in London.
    pub fn small() -> Self {
        let kind = |name: &str, cpus, memory_mb| {
            let name = name.to_owned();
            SiteMachineType { name, cpus, memory_mb }
        };
        let image = |project: &str, name: &str, family: &str| SiteImage {
            project: project.to_owned(),
            name: name.to_owned(),
            family: Some(family.to_owned()),
            gb: 10,
        };
        let quota = |metric: &str, limit| SiteQuota { metric: metric.to_owned(), limit };
        Self {
            project: "vcycle-lab".to_owned(),
            project_number: 415_104_041_262,
            region: "europe-west2".to_owned(),
            zones: ["a", "b", "c"].map(|zone| format!("europe-west2-{zone}")).into(),
            machine_types: vec![
                kind("e2-standard-2", 2, 8192),
                kind("n2-standard-4", 4, 16_384),
                kind("n2-standard-8", 8, 32_768),
            ],
            images: vec![
                image("vcycle-lab", "lab-tiny-1", "lab-tiny"),
                image("vcycle-lab", "lab-tiny-2", "lab-tiny"),
                image("debian-cloud", "debian-13-trixie-v20261104", "debian-13"),
            ],
            networks: vec!["default".to_owned()],
            subnetworks: vec![SiteSubnetwork {
                name: "default".to_owned(),
                network: "default".to_owned(),
            }],
            quotas: vec![
                quota("CPUS", 20_000.0),
                quota("PREEMPTIBLE_CPUS", 20_000.0),
                quota("N2_CPUS", 20_000.0),
                quota("INSTANCES", 6000.0),
                quota("IN_USE_ADDRESSES", 6000.0),
                quota("DISKS_TOTAL_GB", 500_000.0),
            ],
            skus: [
                // Prices of March 2025, from the table of Apache Libcloud.
                SiteSku::series("N2 Instance", (40_730_000, 5_458_000), (9_368_000, 1_253_000)),
                SiteSku::series("E2 Instance", (28_103_700, 3_766_020), (5_623_500, 752_100)),
            ]
            .concat(),
            skus_on_a_page: 5000,
            times: SiteTimes::default(),
            rates: None,
            login: Login::Required,
            account: "vcycle@vcycle-lab.iam.gserviceaccount.com".to_owned(),
            impersonates: vec!["robot@vcycle-lab.iam.gserviceaccount.com".to_owned()],
        }
    }
}
