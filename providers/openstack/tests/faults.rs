//! The provider against what real services cannot be made to show: each flaw of a cloud
//! that operators and other clients have reported, on the in-process fake.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "faults/cells.rs"]
mod cells;
mod common;
#[path = "faults/ends.rs"]
mod ends;
#[path = "faults/images.rs"]
mod images;
#[path = "faults/making.rs"]
mod making;
#[path = "faults/pages.rs"]
mod pages;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/terms.rs"]
mod terms;
