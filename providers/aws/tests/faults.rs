//! The provider against what no real account can be made to show on demand: each flaw of EC2 that is documented, or that
//! other managers of instances have reported, on the in-process fake. The ledger of the fake is the judge.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "faults/ends.rs"]
mod ends;
#[path = "faults/launches.rs"]
mod launches;
#[path = "faults/seeing.rs"]
mod seeing;
#[path = "faults/tokens.rs"]
mod tokens;
