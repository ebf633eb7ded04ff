//! The provider against what no account can be made to show: each flaw of Compute Engine that operators and other
//! clients have reported, on the in-process fake. Both sides must speak as Google's description says.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "faults/ends.rs"]
mod ends;
#[path = "faults/logins.rs"]
mod logins;
#[path = "faults/making.rs"]
mod making;
#[path = "faults/zones.rs"]
mod zones;
