//! An OpenStack in this process, for tests: what real services cannot be made to show.
//!
//! [`FakeCloud::start`] listens on a free port of the loopback interface and answers as Keystone,
//! Nova, Glance, Neutron, Cinder, Blazar and CloudKitty do, under one address with a path for each service.
//! `tests/fake_is_true.rs` holds its answers to recorded ones of real services. Time is the
//! [`vcycle_api::Clock`] that it is given, so a test with a manual clock waits for nothing.
//!
//! What goes wrong is said in two ways. [`FakeCloud::befall`] troubles requests: lost, refused,
//! slow. [`FakeCloud::becomes`], [`FakeCloud::fail_next_boots`] and the like change what the cloud
//! is in truth: ghosts, locked servers, a cell that is down.

mod ask;
mod blazar;
mod cinder;
mod cloudkitty;
mod fake;
mod glance;
mod handle;
mod identity;
mod neutron;
mod nova;
mod reply;
mod serve;
mod site;
mod trouble;
mod words;
mod world;

pub use fake::FakeCloud;
pub use handle::{ImageView, NewServer, ServerView};
pub use nova::{Fate, Fault};
pub use site::{
    Site, SiteCharge, SiteCredential, SiteFlavor, SiteImage, SiteLease, SiteNetwork, SiteQuota,
    SiteRating, SiteRule, SiteTenant,
};
pub use trouble::{On, Refusal, Trouble};
pub use world::Asked;
