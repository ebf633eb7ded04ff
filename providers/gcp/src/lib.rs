//! `gcp`: machines are instances of Compute Engine, in zones of one region of one project.
//!
//! The id of a machine is `PROJECT/ZONE/NAME`.

mod call;
mod credentials;
mod failure;
mod labels;
mod meaning;
mod place;
mod provider;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use credentials::OpenError;
pub use provider::Gcp;
pub use settings::{BootDisk, Credentials, ExternalAddress, ServiceAccount, Settings, Source};

/// Most bytes of a metadata value (https://cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations).
pub const USER_DATA_LIMIT: usize = 262_144;
