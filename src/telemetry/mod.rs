//! What the manager tells about itself: metrics here, the log in its own file.

pub mod metrics;
mod metrics_board;

pub use metrics::Metrics;
