//! An EC2 in this process, for tests: what no real account can be made to show.
//!
//! [`FakeCloud::start`] listens on a free port of the loopback interface and answers as EC2, STS, SQS and Service
//! Quotas do, all at one address. Signatures are verified. Time is the [`vcycle_api::Clock`] that it is given, so a
//! test with a manual clock waits for nothing.
//!
//! What goes wrong is said in two ways. [`FakeCloud::befall`] troubles requests: lost, refused, slow, stale.
//! [`FakeCloud::runs_short`], [`FakeCloud::interrupt`], [`FakeCloud::zone_fails`] and the like change what the cloud
//! is in truth. [`FakeCloud::ledger`] has every machine ever made and every call.
//!
//! What it cannot show: how long real lags are, how much capacity there is, conditions of IAM policies, booting.

mod access;
mod account;
mod actions;
mod addresses;
mod ask;
mod bucket;
mod describe;
mod disks;
mod fake;
#[cfg(test)]
mod fake_tests;
mod handle;
mod images;
mod keypairs;
mod launch;
mod ledger;
mod levers;
mod life;
mod machine;
mod network;
mod paging;
mod params;
mod queue;
mod quotas;
mod reply;
mod serve;
mod short;
mod sigv4;
mod site;
mod spot;
mod spot_prices;
mod sts;
mod tags;
mod terminate;
mod trouble;
mod types;
mod wanted;
mod words;
mod world;

pub use ask::Service;
pub use bucket::{Rate, Rates};
pub use fake::FakeCloud;
pub use handle::{MachineView, NewMachine, VolumeView};
pub use ledger::{CallRecord, End, Ledger, MachineRecord};
pub use machine::{Reason, State};
pub use reply::Refusal;
pub use short::Pool;
pub use site::{
    Guest, Site, SiteGroup, SiteImage, SiteKey, SiteLimits, SiteRole, SiteSubnet, SiteTimes,
    SiteType,
};
pub use trouble::{On, Trouble};
