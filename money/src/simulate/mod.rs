//! A deployment's spending in virtual time: communities with work that comes and goes, clouds that take spot machines back
//! and run out of stock, and between them the real controller, the real tariffs and the real book of the ledger.
//!
//! Pure, and quick: one event for the start and one for the end of a machine, one decision a cycle. Everything that is by
//! chance follows from the seed. What is not simulated: files, replies that are lost, managers that die; for these the
//! other simulations of this project are there.

mod crowd;
mod events;
mod fleet;
mod outcome;
mod random;
mod run;
mod scenario;
mod till;
mod watch;
mod weather;

#[cfg(test)]
mod tests;

pub use outcome::{CommunityResult, Outcome, ProviderResult, Sample};
pub use run::{Progress, simulate};
pub use scenario::{
    CommunityModel, Demand, InvalidScenario, OfferingModel, Scenario, Stock, Storms, Wave,
};
