//! `gcp`: machines are instances of Compute Engine, in zones of one region of one project.
//!
//! # What it promises
//!
//! - One intent makes at most one machine: its name is the machine's, unique in a zone, and the request id follows from
//!   the intent. A name that is taken is adopted only if the labels say that it is this very intent.
//! - Every machine has an end of Google's own (`maxRunDuration` with `DELETE`), its disk goes with it, and its
//!   identity stands in labels from the insert on.
//! - Google says yes to an insert before it knows whether it can: refusals that come later, inside an operation, are
//!   followed to the end and shown as failed machines, also after a restart.
//! - Nothing without our labels is ever changed. Nothing is retried here.
//!
//! The id of a machine is `PROJECT/ZONE/NAME`.

mod call;
mod catalogue;
mod create;
mod credentials;
mod delete;
mod failure;
mod image;
mod insert;
mod inspect;
mod instance;
mod interruptions;
mod list;
mod meaning;
mod memory;
mod offerings;
mod operations;
mod place;
mod provider;
mod quota;
mod resolve;
mod session;
mod settings;
mod side;
mod site;
#[cfg(feature = "testing")]
pub mod testing;

pub use catalogue::{Catalogue, LeftOut, MachinePrice};
pub use credentials::OpenError;
pub use insert::USER_DATA_LIMIT;
pub use provider::Gcp;
pub use settings::{BootDisk, Credentials, ExternalAddress, ServiceAccount, Settings, Source};
