//! What a simulated cloud is like: sizes, times, prices, and how much goes wrong.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{
    Attached, Availability, Idempotency, Market, Megabytes, Money, Offering, OfferingId, Price,
    Processors,
};

use crate::{FaultPlan, Script};

/// A time that is drawn anew for each use, evenly between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    shortest: Duration,
    longest: Duration,
}

impl Span {
    /// Always the same.
    pub const fn exactly(time: Duration) -> Self {
        Self { shortest: time, longest: time }
    }

    /// Between the two, in whole milliseconds, both included. The order does not matter.
    pub fn between(one: Duration, other: Duration) -> Self {
        Self { shortest: one.min(other), longest: one.max(other) }
    }

    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (shortest, longest) = (millis(self.shortest), millis(self.longest));
        if shortest == longest {
            return self.shortest;
        }
        Duration::from_millis(rng.random_range(shortest..=longest))
    }
}

/// Something that the simulated cloud sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOffering {
    /// As clients see it.
    pub offering: Offering,
    /// How many machines of it there can be; `None`: as many as the quota allows. Beyond it, a
    /// create is refused as `InsufficientCapacity`.
    pub stock: Option<u32>,
}

/// When a cloud says that it has too little of something, or that a quota is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusing {
    /// The create is refused.
    AtOnce,
    /// The create is accepted, and fails when it should have booted.
    Late,
}

/// What a simulated cloud is like. Begin with [`Settings::simple`] and change what matters.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From which everything random is drawn.
    pub seed: u64,
    /// Quota of processors, foreign use included.
    pub processors: Option<Processors>,
    /// Quota of machines.
    pub machines: Option<u32>,
    /// Quota of memory.
    pub memory: Option<Megabytes>,
    /// What can be bought.
    pub offerings: Vec<SimOffering>,
    /// When it says that it has too little.
    pub refusing: Refusing,
    /// From an accepted create to power.
    pub boot: Span,
    /// What machines do that have no script of their own.
    pub script: Script,
    /// From an accepted delete to the end.
    pub deletion: Span,
    /// As in [`vcycle_api::Capabilities::settle`]. A machine may stay out of listings and gets for
    /// up to half of it, and a create whose reply was lost may be carried out up to half of it later.
    pub settle: Duration,
    /// How long a removed machine is still shown as `Gone`.
    pub tombstone: Duration,
    /// Machines on one page of a listing.
    pub page: usize,
    /// As in [`vcycle_api::Capabilities::user_data_limit`].
    pub user_data_limit: usize,
    /// Which of the three kinds of cloud this is.
    pub idempotency: Idempotency,
    /// How long before it takes a machine back the cloud gives notice.
    pub notice: Duration,
    /// A machine that got power pays at least for this long.
    pub minimum_charge: Duration,
    /// The project that it says it is; `None`: it does not tell.
    pub tenancy: Option<String>,
    /// What goes wrong by itself.
    pub faults: FaultPlan,
}

impl Settings {
    /// A cloud that works: four flavours of 1, 2, 4 and 8 processors, listings that are exact, names
    /// that are unique, deletes that take two seconds. Machines boot for `boot`, work for `life` and
    /// end with `200 Success`. Only the processors are limited.
    pub fn simple(seed: u64, processors: Processors, boot: Duration, life: Duration) -> Self {
        Self {
            seed,
            processors: Some(processors),
            machines: None,
            memory: None,
            offerings: [1, 2, 4, 8].into_iter().map(Self::flavour).collect(),
            refusing: Refusing::AtOnce,
            boot: Span::exactly(boot),
            script: Script::works_for(Span::exactly(life)),
            deletion: Span::exactly(Duration::from_secs(2)),
            settle: Duration::ZERO,
            tombstone: Duration::ZERO,
            page: 1000,
            user_data_limit: 65_535,
            idempotency: Idempotency::RequestIdAndUniqueName,
            notice: Duration::from_secs(120),
            minimum_charge: Duration::from_secs(60),
            tenancy: None,
            faults: FaultPlan::default(),
        }
    }

    /// On demand, in the only zone, at 0.02 GBP an hour and processor, with 2 GiB for each.
    fn flavour(processors: u32) -> SimOffering {
        let id = OfferingId {
            flavour: format!("sim.{processors}"),
            zone: String::new(),
            market: Market::OnDemand,
        };
        let hourly = Money { micros: i64::from(processors) * 20_000, currency: "GBP".to_owned() };
        let offering = Offering {
            id,
            processors: Processors(processors),
            memory: Megabytes(u64::from(processors) * 2048),
            attached: Attached::default(),
            price: Price::PerHour(hourly),
            availability: Availability::Available,
        };
        SimOffering { offering, stock: None }
    }

    /// The same flavours again, preemptible and at a third of the price.
    #[must_use]
    pub fn with_preemptible(mut self) -> Self {
        let cheaper: Vec<_> = self.offerings.iter().cloned().map(preemptible).collect();
        self.offerings.extend(cheaper);
        self
    }
}

fn preemptible(mut sold: SimOffering) -> SimOffering {
    sold.offering.id.market = Market::Preemptible;
    sold.offering.price = match sold.offering.price {
        Price::PerHour(Money { micros, currency }) => {
            Price::PerHour(Money { micros: micros / 3, currency })
        }
        price @ (Price::Unmetered | Price::Unknown) => price,
    };
    sold
}
