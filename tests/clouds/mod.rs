//! Managers on the doubles of the commercial clouds.

#![allow(dead_code, unreachable_pub, reason = "a test has no users")]

pub mod books;
mod crash;
pub mod daemon;
mod day;
pub mod double;
pub mod ec2;
pub mod gce;
mod late;
pub mod laws;
pub mod post;
pub mod site;
pub mod time;
pub mod weather;
pub mod worker;
pub mod world;
