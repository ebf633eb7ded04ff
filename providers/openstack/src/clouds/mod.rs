//! Credentials: `clouds.yaml`, `secure.yaml` and the `OS_*` environment, read as other clients do.

mod error;

pub use error::OpenError;
