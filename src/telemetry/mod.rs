//! What the daemon tells of itself: log and metrics.

pub mod logging;
