//! A simulated cloud, in memory and on a given clock: for tests, benches and rehearsals.
//!
//! [`SimCloud`] is the world: machines that boot, work and end, strangers, quota, stock, and a log
//! from which the true cost is metered. [`SimProvider`] is one client of it, with its own faults
//! between it and the cloud; several managers have several clients of one cloud. Everything that
//! happens follows from the seed, the clock and the calls, so a run can be repeated exactly.
//!
//! It has no policy and no threads, and waits for nothing but (if asked to) its simulated latency.

mod client;
mod cloud;
mod faults;
mod life;
mod log;
mod machine;
mod settings;
mod skew;
mod stock;
mod world;

pub use client::{ClientOptions, SimProvider};
pub use cloud::{SimCloud, SimMachine, Stranger};
pub use faults::{CallFault, FaultPlan, Rates, Spell, Window, WorldFault};
pub use life::{EndCause, Heartbeats, Script};
pub use log::{LogEntry, LogEvent};
pub use settings::{Refusing, Settings, SimOffering, Span};
pub use skew::SkewedClock;
pub use vcycle_api::ManualClock;
