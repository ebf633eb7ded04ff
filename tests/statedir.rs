//! The state directory from outside, through the interface that the rest of the program uses: on a
//! real directory and on one in memory, whole and broken, alone and with others.

#![expect(clippy::unwrap_used, reason = "tests: a failure is a panic, in helpers too")]

#[path = "core/acquire.rs"]
mod acquire;
#[path = "statedir/bench.rs"]
mod bench;
#[path = "statedir/crashes.rs"]
mod crashes;
#[path = "statedir/faults.rs"]
mod faults;
#[path = "statedir/formats.rs"]
mod formats;
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of cycles")]
#[path = "core/forward.rs"]
mod forward;
#[path = "statedir/ledger.rs"]
mod ledger;
#[path = "statedir/machines.rs"]
mod machines;
#[path = "core/mortal.rs"]
#[allow(dead_code, unreachable_pub, reason = "only its filesystem is used here")]
mod mortal;
#[path = "statedir/mounts.rs"]
mod mounts;
#[path = "statedir/ownership.rs"]
mod ownership;
#[path = "statedir/people.rs"]
mod people;
#[path = "statedir/rolling.rs"]
mod rolling;
#[path = "statedir/simulation.rs"]
mod simulation;
