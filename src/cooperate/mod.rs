//! Who of several managers should work on which space: pure. What I have seen, and when on my own
//! monotonic clock, to who lives, whose turn it is, and to whom a space is handed over.
//!
//! Nothing here makes it safe: that is the generation log's affair (`store::ownership`), and it holds
//! whatever is decided here, also when two managers see different members. This only spreads the work and keeps
//! managers from running for the same space at once.

mod members;
mod spread;

pub use members::{Member, Members, Sign};
pub use spread::{Placing, STEADY, Vacancy, best_other, place, turn};
