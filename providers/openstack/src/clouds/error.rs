//! Why a credential cannot be used, said so that its owner knows which line to change.

use std::path::PathBuf;

/// The credentials of a tenancy cannot be used as they are written.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that was named, or that holds what was asked for, cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
