//! `aws`: machines are instances of EC2, in one region of one account.
//!
//! # What it knows
//!
//! EC2, and beside it STS (who we are), Service Quotas (limits) and SQS (notices of interruptions).
//! Credentials are found as other clients of Amazon find them.
//!
//! # What it promises
//!
//! - A lost reply is never taken for a refusal: the intent is the client token of the call, so the same
//!   request makes one instance, and `resolve` looks for it until the settle time has passed.
//! - Nothing without our tags is ever changed.
//! - Nothing is retried here, the SDK's own retries included.

mod account;
mod codes;
mod create;
mod delete;
mod errors;
mod image;
mod inspect;
mod instance;
mod interruptions;
mod keypair;
mod launch;
mod list;
mod network;
mod open;
mod pacing;
mod prepare;
mod provider;
mod quota;
mod resolve;
mod session;
mod settings;
mod side;
mod spot_prices;
mod tenancy;
#[cfg(feature = "testing")]
pub mod testing;
mod types;
mod usage;
mod userdata;
mod watch;

pub use open::OpenError;
pub use provider::Aws;
pub use settings::{
    AssumedRole, CredentialFiles, Credentials, Encryption, PublicAddress, RootVolume, Settings,
};
pub use spot_prices::SpotPrice;
pub use userdata::{USER_DATA_LIMIT, user_data_bytes};
