//! `openstack`: machines are servers of Nova, in one project of one region.
//!
//! # What it knows
//!
//! Keystone v3, Nova 2.1 and later, Glance v2, Neutron v2.0, Cinder v3 and, for sites with
//! reservations, Blazar v1. Credentials are entries of `clouds.yaml` or the `OS_*` environment, read
//! as other OpenStack clients read them.
//!
//! # What it promises
//!
//! - A lost reply is never taken for a refusal: Nova has no idempotency key, so `resolve` looks for
//!   our metadata until the settle time has passed.
//! - Nothing without our metadata is ever changed.
//! - Nothing is retried here, except once with a new token when Keystone ended the old one early.

mod clouds;
mod compute;
mod image;
mod inspect;
mod keypair;
mod lease;
mod memory;
mod network;
mod port;
mod prepare;
mod provider;
mod rating;
mod session;
mod settings;
mod side;
mod site;
mod terms;
#[cfg(feature = "testing")]
pub mod testing;
mod volume;

pub use clouds::OpenError;
pub use compute::USER_DATA_LIMIT;
pub use provider::OpenStack;
pub use rating::{Basis, FlavorRate, GroupRate, Rates};
pub use settings::{
    BootVolume, CloudRef, ConfigDrive, Credential, DataVolume, Networks, Preemptible, Settings,
};
