//! Every default of the configuration, with its unit and its reason. A library entry may have its
//! own defaults for the settings of machinetypes; these here are what is below them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::model::{BlastRadius, Breaker, Megabytes, Pace, Processors};
use vcycle_money::Permille;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn hours(n: u64) -> Duration {
    minutes(n * 60)
}

// [site]

/// Between cycles of a space: as the ancestor; a listing a minute is within every cloud's budget.
pub const CYCLE: Duration = Duration::from_secs(60);
/// Shortest cycle: below it a slow shared directory would be the bottleneck.
pub const CYCLE_MIN: Duration = Duration::from_millis(100);
/// Longest cycle: beyond an hour nothing that depends on time would be kept.
pub const CYCLE_MAX: Duration = hours(1);
/// Life of an ownership without renewal: three renewals may be missed, and a take-over still
/// happens within half a minute.
pub const OWNERSHIP_TTL: Duration = Duration::from_secs(15);
/// Shortest: a busy NFS server may take a second for a renewal.
pub const OWNERSHIP_TTL_MIN: Duration = Duration::from_secs(3);
/// Longest that is not worth a warning: nobody manages a space for this long after a crash.
pub const OWNERSHIP_TTL_LONG: Duration = minutes(2);
/// Longest: other managers do not wait longer for a silent owner, whatever its file says (`store::ownership`).
pub const OWNERSHIP_TTL_MAX: Duration = minutes(24 * 60);

// [library]

/// Where entries are: the packaged ones, then the site's own. The first that has a name wins.
pub const LIBRARY_PATHS: [&str; 2] = ["/usr/share/vcycle/vm-library", "/etc/vcycle/vm-library"];

// [server]

/// HTTPS for machines, on all addresses: a port that needs no privilege.
pub const HTTPS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);
/// Status and metrics: people and Prometheus on this host only, unless somebody says otherwise.
pub const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// Bytes of one output: log files of a job are smaller, a core dump is not.
pub const FILE_BYTES: u64 = 10 << 20;
/// Bytes of all outputs of a machine: twenty of the largest.
pub const MACHINE_BYTES: u64 = 200 << 20;
/// A whole request: 10 MiB at 170 KiB/s.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Handshake and header: a few round trips round the world.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// Connections from one address: a site behind one NAT address still fits.
pub const CONNECTIONS_PER_ADDRESS: u32 = 50;

// [spending]

/// A price that nobody looked at for a quarter may have changed.
pub const PRICE_AGE: Duration = hours(90 * 24);
/// A rate of exchange that is older than a month is not one of this month's bill.
pub const RATE_AGE: Duration = hours(31 * 24);
/// Between the day of a rate and that of the bill the larger currencies have moved less, as a rule.
pub const RATE_MARGIN: Permille = Permille(50);
/// A machine that ignores its timer is deleted by a manager: this is the time in which that must succeed.
pub const OVERSTAY: Duration = hours(1);

// [space."NAME"]

/// Growth per cycle: a tenth of the limit, as the ancestor.
pub const PACE: Pace = Pace::FractionOfLimit(0.10);
/// Folders of deleted machines are kept: three days, as the ancestor's `cleanup_hours`: a weekend.
pub const CLEANUP: Duration = hours(72);
/// First pause before a delete is repeated: most clouds have finished by then.
pub const DELETE_PAUSE: Duration = minutes(1);
/// Longest pause between deletes: as the ancestor.
pub const DELETE_PAUSE_MAX: Duration = hours(1);
/// More than a fifth of the running machines, and more than five, dead at once is rather us than them.
pub const BLAST_RADIUS: BlastRadius = BlastRadius { machines: 5, fraction: 0.20 };

/// `[space."NAME".sim]`: processors of the simulated tenancy.
pub const SIM_PROCESSORS: Processors = Processors(100);
/// Boot time in the simulated cloud: a usual OpenStack.
pub const SIM_BOOT: Duration = minutes(2);
/// Working time in the simulated cloud.
pub const SIM_LIFE: Duration = hours(2);
/// Seed of the simulated cloud: any fixed number, so that two rehearsals agree.
pub const SIM_SEED: u64 = 1;

// [space."NAME".openstack]

/// HTTP requests at one time: a fifth of what a small site's API serves, and enough for 20 servers a second.
pub const OPENSTACK_REQUESTS_AT_ONCE: u32 = 8;
/// One HTTP request: as long as the load balancers before these services wait for an answer.
pub const OPENSTACK_REQUEST_TIME: Duration = minutes(1);
/// A server may still appear after a lost reply: twice the time limit of the request.
pub const OPENSTACK_SETTLE: Duration = minutes(2);
/// Shortest that is not worth a warning: proxies hold requests for a minute.
pub const OPENSTACK_SETTLE_SHORT: Duration = minutes(1);
/// What a site promises that says nothing: a machine that it takes back may have just begun.
pub const OPENSTACK_GUARANTEED: Duration = Duration::ZERO;

// [space."NAME".aws]

/// HTTP requests at one time: more would only be throttled.
pub const AWS_REQUESTS_AT_ONCE: u32 = 8;
/// One HTTP request: as the SDKs of Amazon wait.
pub const AWS_REQUEST_TIME: Duration = minutes(1);
/// An instance may still appear after a lost reply: EC2 promises no time, and tells of minutes in outages.
pub const AWS_SETTLE: Duration = minutes(10);
/// Shortest that is not worth a warning.
pub const AWS_SETTLE_SHORT: Duration = minutes(2);

// [space."NAME".gcp]

/// HTTP requests at one time: a fifth of what a project may ask in a second.
pub const GCP_REQUESTS_AT_ONCE: u32 = 16;
/// One HTTP request: an accepted insert is answered within seconds.
pub const GCP_REQUEST_TIME: Duration = Duration::from_secs(30);
/// Most refusals for capacity or quota come within this time after an insert was accepted.
pub const GCP_INSERT_WAIT: Duration = Duration::from_secs(5);
/// A machine may still appear after a lost reply: as long as an operation may be pending.
pub const GCP_SETTLE: Duration = minutes(2);
/// Shortest that is not worth a warning.
pub const GCP_SETTLE_SHORT: Duration = minutes(1);

// [space."NAME".machinetype.NAME] and [defaults] of an entry

/// Share: nothing is made for a machinetype that nobody gave a share.
pub const TARGET_SHARE: f64 = 0.0;
/// Fewest processors of a machine.
pub const MIN_PROCESSORS: Processors = Processors(1);
/// Memory per processor: what grid jobs are promised, and the ancestor's default.
pub const MB_PER_PROCESSOR: Megabytes = Megabytes(2048);
/// After an abort: as the ancestor's examples; a task queue may have work again by then.
pub const BACKOFF: Duration = minutes(10);
/// Youngest age that proves a machine to work: as the ancestor's examples.
pub const FIZZLE: Duration = minutes(10);
/// Time to be running: as the ancestor.
pub const START_TIMEOUT: Duration = hours(1);
/// Longest run: a day, as the ancestor's 86400 s.
pub const MAX_WALLCLOCK: Duration = hours(24);
/// Notice before a shutdown time that we set: enough to end a job's event and upload.
pub const GRACE: Duration = minutes(10);
/// Failures in a row that open the breaker, first pause and longest pause: a broken image is
/// noticed after five machines, a mended one within an hour.
pub const BREAKER: Breaker = Breaker { failures: 5, pause: minutes(10), pause_max: hours(1) };
