//! The servers from outside: real sockets, real TLS, a real state directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

#[path = "core/acquire.rs"]
mod acquire;
#[path = "server/admin.rs"]
mod admin;
#[path = "server/certificates.rs"]
mod certificates;
#[path = "server/curl.rs"]
mod curl;
#[path = "server/features.rs"]
mod features;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/outputs.rs"]
mod outputs;
#[path = "server/site.rs"]
mod site;
