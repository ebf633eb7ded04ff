//! The state directory: the only code that knows a path in it. Durable writes, records, ownership.

mod fs;
mod layout;

pub use fs::{Mode, PutOutcome, SharedFs};
pub use layout::StatePath;
