//! What is simulated.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::{OfferingId, SpaceName, Timestamp};

use crate::book::Violation;
use crate::plan::{Budget, InvalidBudget};
use crate::{Cap, Community, Currency, Permille, ProviderName, Tariff};

/// A deployment, its budget, and its world.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// In what is reckoned.
    pub currency: Currency,
    /// The budget; it is simulated from its begin to its end.
    pub budget: Budget,
    /// Caps beside that of the budget itself.
    pub caps: Vec<Cap>,
    /// How often it is planned.
    pub cycle: Duration,
    /// How much longer than its hard end each machine is reserved.
    pub overstay: Duration,
    /// What chance follows from.
    pub seed: u64,
    /// Who has work.
    pub communities: Vec<CommunityModel>,
    /// What can be had.
    pub offerings: Vec<OfferingModel>,
}

/// A community: how much work it has and how its machines live.
#[derive(Debug, Clone, PartialEq)]
pub struct CommunityModel {
    /// Its name.
    pub community: Community,
    /// How many machines would find work.
    pub demand: Demand,
    /// How long a machine works that finds work, on the mean: from half of it to one and a half.
    pub life: Duration,
    /// When it ends at the latest.
    pub max_wallclock: Duration,
    /// Less time than this is of no use to it.
    pub min_wallclock: Duration,
    /// For how long it is promised to be left alone.
    pub guaranteed: Duration,
    /// How long it may take to end when it is told to.
    pub grace: Duration,
    /// After which time it ends when it finds no work.
    pub fizzle: Duration,
    /// For how long no other is made then.
    pub backoff: Duration,
    /// How many of a thousand find no work although there is some.
    pub fizzles: Permille,
    /// Only at these providers; empty: at all.
    pub providers: BTreeSet<ProviderName>,
}

/// How many machines of a community would find work, over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// From a time on; in the order of time. Before the first: none.
    pub steps: Vec<(Timestamp, u32)>,
    /// Day by day it is more or less by up to so much, by chance.
    pub jitter: Permille,
}

/// Something that machines can be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferingModel {
    /// Who sends the bill.
    pub provider: ProviderName,
    /// In which space its machines are made.
    pub space: SpaceName,
    /// What it is.
    pub offering: OfferingId,
    /// What it costs while nothing happens.
    pub tariff: Tariff,
    /// Its processors.
    pub processors: u32,
    /// What they deliver, where that was measured.
    pub hs23: Option<f64>,
    /// How many there may be.
    pub most: u32,
    /// How long it takes to start.
    pub boot: Duration,
    /// How many of a thousand never start.
    pub never_start: Permille,
    /// How often a machine is taken back, in an hour, while nothing happens.
    pub reclaimed_per_hour: f64,
    /// Times in which it is otherwise.
    pub waves: Vec<Wave>,
    /// More of them, by chance.
    pub storms: Option<Storms>,
}

/// A time in which an offering is scarce.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wave {
    /// Begins.
    pub from: Timestamp,
    /// Ends.
    pub to: Timestamp,
    /// How often a machine is taken back, in an hour.
    pub reclaimed_per_hour: f64,
    /// What new machines cost, in thousandths of the usual price.
    pub price: Permille,
    /// Whether new machines can be had.
    pub stock: Stock,
}

/// Whether new machines can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stock {
    /// They can.
    Available,
    /// They cannot.
    Out,
}

/// Waves that come by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storms {
    /// How long it is from one to the next, on the mean.
    pub every: Duration,
    /// How long one lasts, on the mean.
    pub lasts: Duration,
    /// How often a machine is taken back meanwhile, in an hour.
    pub reclaimed_per_hour: f64,
    /// What new machines cost meanwhile, in thousandths of the usual price.
    pub price: Permille,
    /// Whether new machines can be had meanwhile.
    pub stock: Stock,
}

/// Why a scenario cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScenario {
    /// The budget is wrong.
    #[error("the budget: {0}")]
    Budget(#[from] InvalidBudget),
    /// Nothing can be had.
    #[error("there is no offering")]
    NoOffering,
    /// Planned without a pause.
    #[error("a cycle must take a second or more, and be shorter than the time of the budget")]
    Cycle,
    /// Nobody of the budget has a model.
    #[error("{0} of the budget has no demand: say how many of its machines would find work")]
    NoDemand(Community),
    /// A model of somebody who is not in the budget.
    #[error("{0} has a demand, and the budget does not name it")]
    NotInBudget(Community),
    /// A machine that costs nothing.
    #[error("{0} costs nothing")]
    Free(OfferingId),
    /// The book refuses something.
    #[error("{0}")]
    Book(#[from] Violation),
    /// A machine that lives for no time.
    #[error("`life`, `max_wallclock` and `fizzle` of {0} must be more than nothing")]
    NoLife(Community),
}

impl Scenario {
    /// Whether it can be simulated.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidScenario> {
        self.budget.check()?;
        if self.offerings.is_empty() {
            return Err(InvalidScenario::NoOffering);
        }
        let whole = self.budget.to.since(self.budget.from);
        if self.cycle < Duration::from_secs(1) || self.cycle >= whole {
            return Err(InvalidScenario::Cycle);
        }
        let named: Vec<&Community> = self.budget.named().collect();
        let modelled: Vec<&Community> = self.communities.iter().map(|own| &own.community).collect();
        if let Some(missing) = named.iter().find(|own| !modelled.contains(own)) {
            return Err(InvalidScenario::NoDemand((*missing).clone()));
        }
        if let Some(other) = modelled.iter().find(|own| !named.contains(own)) {
            return Err(InvalidScenario::NotInBudget((*other).clone()));
        }
        if let Some(free) = self.offerings.iter().find(|own| own.tariff.hourly.is_nothing()) {
            return Err(InvalidScenario::Free(free.offering.clone()));
        }
        let no_life = |own: &&CommunityModel| {
            own.life.is_zero() || own.max_wallclock.is_zero() || own.fizzle.is_zero()
        };
        match self.communities.iter().find(no_life) {
            Some(dead) => Err(InvalidScenario::NoLife(dead.community.clone())),
            None => Ok(()),
        }
    }
}
