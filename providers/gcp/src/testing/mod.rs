//! A Compute Engine in this process, for tests: what no account may be made to show.
//!
//! [`FakeCloud::start`] listens on a free port of the loopback interface and answers as the Compute Engine API
//! does, and also as the billing catalogue, the token endpoint, the IAM credentials API and the metadata server that stand around
//! it. Every request and every answer is held against Google's own description of the API
//! (`tests/schema`): what does not fit is among [`FakeCloud::problems`]. Time is the
//! [`vcycle_api::Clock`] that it is given, so a test with a manual clock waits for nothing.
//!
//! What goes wrong is said in two ways. [`FakeCloud::befall`] troubles requests: lost, refused, slow.
//! [`FakeCloud::stock_out`], [`FakeCloud::preempt`], [`FakeCloud::zone_down`] and the like change what the cloud
//! is in truth. Whatever happens, [`FakeCloud::ledger`] knows every machine that there ever was.

mod ask;
mod billing;
mod compute;
mod fake;
mod handle;
mod ledger;
mod levers;
mod login;
mod reply;
mod schema;
mod serve;
mod site;
mod trouble;
mod words;
mod world;

pub use compute::{OpError, Outage, Shortage, Told};
pub use fake::FakeCloud;
pub use handle::{DiskView, MachineView, NewMachine, OperationView};
pub use ledger::{Called, End, Entry};
pub use schema::{Problem, Side};
pub use site::{
    Login, Rates, Site, SiteImage, SiteMachineType, SiteQuota, SiteSku, SiteSubnetwork, SiteTimes,
};
pub use trouble::{On, Refusal, Trouble};
