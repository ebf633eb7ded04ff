//! What the manager tells about itself: log and metrics.

pub mod logging;
pub mod metrics;
mod metrics_board;
mod metrics_spending;

pub use metrics::Metrics;
