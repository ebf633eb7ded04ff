//! vcycle.
fn main() {}
