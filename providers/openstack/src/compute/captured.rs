//! Recorded exchanges, for tests.

use serde_json::Value;

/// One of `tests/captures/2026.2`, by its file name without `.json`.
pub(crate) fn exchange(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/2026.2");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).expect("it was recorded");
    serde_json::from_str(&text).expect("a recording is JSON")
}

/// The body of its answer.
pub(crate) fn body(name: &str) -> Value {
    exchange(name)["response"]["body"].take()
}
