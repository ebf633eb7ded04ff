//! Many managers in one world, deterministic by a seed.

#![allow(unreachable_pub, reason = "a test has no users")]

pub mod cloud;
pub mod gate;
pub mod host;
pub mod judge;
pub mod life;
pub mod managers;
pub mod meter;
pub mod overdue;
pub mod pace;
pub mod paid;
pub mod peace;
pub mod purse;
pub mod refusal;
pub mod rules;
pub mod site;
pub mod trace;
pub mod weather;
pub mod world;
