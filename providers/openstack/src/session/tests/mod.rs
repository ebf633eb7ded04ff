//! Sessions against a tiny cloud in this process, and the error table over real bodies.

mod login;
mod requests;
mod table;
pub(crate) mod tiny;
mod tls;

/// A captured exchange with real services.
fn capture(name: &str) -> serde_json::Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/");
    let text = std::fs::read_to_string(format!("{root}{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
