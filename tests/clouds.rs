//! The commercial clouds as a whole: the real driver, cycle, planner and store on the doubles of EC2 and Compute
//! Engine, over their real wire, for a simulated day, and with a manager that dies at every point of a create. What
//! must hold is read off the doubles' own ledgers (`clouds/laws.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "clouds/mod.rs"]
mod clouds;
#[path = "core/mod.rs"]
mod support;
