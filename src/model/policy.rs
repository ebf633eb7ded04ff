//! The rules that the planner obeys: a space and its machinetypes, valid by construction
//! (`config` and `library` make them). Names are the ancestor's where it had the setting.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    EntryName, Hs06, MachinetypeName, Market, Megabytes, OutcomeRules, Processors, Share,
    SpaceName, Timestamp,
};

/// The rules of one space.
#[derive(Debug, Clone)]
pub struct SpacePolicy {
    /// The space.
    pub space: SpaceName,
    /// Most processors in the tenancy, foreign machines counted. `None`: the cloud's quota alone.
    pub processors_limit: Option<Processors>,
    /// Most machines in the tenancy, foreign machines counted.
    pub machines_limit: Option<u32>,
    /// How fast the space may grow.
    pub pace: Pace,
    /// The space ends at this time: nothing is made that cannot live `min_wallclock` before it,
    /// and what still runs then is deleted.
    pub shutdown_time: Option<Timestamp>,
    /// How long the folders of deleted machines are kept (ancestor: `cleanup_hours`, 72).
    pub cleanup: Duration,
    /// When to suspect ourselves.
    pub blast_radius: BlastRadius,
    /// From which age a preemptible machine that is not there any more, without a delete of ours, was taken back.
    /// `None`: the provider itself says when it takes one back.
    pub taken_back_after: Option<Duration>,
    /// First pause before a delete is repeated; doubles up to `delete_pause_max`.
    pub delete_pause: Duration,
    /// Longest pause between two deletes of one machine (ancestor: 60 minutes).
    pub delete_pause_max: Duration,
    /// What a whole machine delivers, in HS23, of flavours of which that was measured.
    pub hs23: BTreeMap<String, f64>,
    /// Its machinetypes.
    pub machinetypes: BTreeMap<MachinetypeName, MachinetypePolicy>,
}

/// How many processors may be created in one cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// This fraction of the space's limit (configured or the cloud's quota), rounded up, at least
    /// one machine. Ancestor: a tenth.
    FractionOfLimit(f64),
    /// This many machines.
    Machines(u32),
}

/// A limit on how many running machines may be found dead and deleted at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlastRadius {
    /// Never hold back this many or fewer.
    pub machines: u32,
    /// Hold back when more than this fraction of the running machines looks dead in one cycle.
    pub fraction: f64,
}

/// What decides which offering comes first, among those that a machinetype may be made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ranking {
    /// The order of its lists.
    Listed,
    /// What an hour of work costs; its lists only say what may be used.
    Price {
        /// How strongly machines are spread over offerings. 0: the cheapest first; 1: what is used twice as much must
        /// cost half as much. `None`: as the budget says that pays for them, else 0.
        spreading: Option<f64>,
    },
}

/// When failures stop a machinetype, per offering, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// First time it stays open; doubles with each failed probe, up to `pause_max`.
    pub pause: Duration,
    /// Longest time it stays open.
    pub pause_max: Duration,
}

/// The heartbeat that machines of a machinetype must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRule {
    /// The file in joboutputs.
    pub file: String,
    /// The longest silence. `None` (written `"0s"`): the file need only exist.
    pub every: Option<Duration>,
}

/// The rules of one machinetype in one space: entry defaults with the configuration's overrides.
#[derive(Debug, Clone)]
pub struct MachinetypePolicy {
    /// Its name in the space.
    pub name: MachinetypeName,
    /// Its library entry.
    pub entry: EntryName,
    /// Version of the entry.
    pub entry_version: String,
    /// Its share. Zero: nothing is made.
    pub target_share: Share,
    /// Fewest processors that a machine may have.
    pub min_processors: Processors,
    /// Most processors that a machine may have; `None`: any.
    pub max_processors: Option<Processors>,
    /// Offerings that may be used, by flavour name, best first; empty: all that fit, smallest first.
    pub flavors: Vec<String>,
    /// Markets that may be used, best first: all of the first is tried before the next; empty: any, and a flavor
    /// on demand before the same flavor that may be taken back.
    pub markets: Vec<Market>,
    /// Zones that may be used, best first; empty: any, each as good as the others.
    pub zones: Vec<String>,
    /// Whether the order of these lists counts.
    pub ranking: Ranking,
    /// Memory that each processor needs.
    pub mb_per_processor: Megabytes,
    /// Most processors of this machinetype in this space.
    pub processors_limit: Option<Processors>,
    /// Most processors that may be starting at once.
    pub max_starting_processors: Option<Processors>,
    /// Power of a processor; shares are then weighted by power, else by processors.
    pub hs06_per_processor: Option<Hs06>,
    /// No creation for this long after an abort.
    pub backoff: Duration,
    /// A machine that ends sooner than this without a message counts as an abort; and until this
    /// age a machine proves nothing, so after a backoff only one at a time is made.
    pub fizzle: Duration,
    /// A machine that does not run by then is deleted (ancestor: 3600 s).
    pub start_timeout: Duration,
    /// A machine is deleted when it has run this long.
    pub max_wallclock: Duration,
    /// Nothing is made when less than this is left before a shutdown time.
    pub min_wallclock: Duration,
    /// The heartbeat, if machines must give one.
    pub heartbeat: Option<HeartbeatRule>,
    /// What shutdown codes mean.
    pub outcomes: OutcomeRules,
    /// When failures stop it.
    pub breaker: Breaker,
    /// A shutdown time that we set is never nearer than this when we set it.
    pub grace: Duration,
}

impl MachinetypePolicy {
    /// What one machine adds to its machinetype's weight: power if known, else processors.
    pub fn weight_of(&self, processors: Processors) -> f64 {
        f64::from(processors.0) * self.hs06_per_processor.map_or(1.0, |hs06| hs06.0)
    }

    /// The hard end of a machine that is asked for at `now`: no machine outlives it, even with
    /// every manager dead (invariant 9).
    pub fn deadline(&self, now: Timestamp) -> Timestamp {
        now + self.start_timeout + self.max_wallclock
    }
}
