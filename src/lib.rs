//! `vcycle`: a VM lifecycle manager for research computing.
//!
//! Modules in reading order; arrows point only upwards (`tests/architecture.rs`):
//! `model` (words) <- `config` (files to settings) <- `library` (VM definitions) <- `plan` (the
//! brain, pure); `cooperate` (who works on what, pure); then `store` (the state directory), `observe`, `act`, `cycle`, `driver`; then
//! `server` and `cli`.

pub mod model;

pub mod config;
pub mod library;

pub mod plan;

pub mod cooperate;

pub mod store;

pub mod observe;

pub mod act;

pub mod cycle;

pub mod driver;

pub mod server;

pub mod telemetry;

pub mod reload;

pub mod systemd;

pub mod cli;
