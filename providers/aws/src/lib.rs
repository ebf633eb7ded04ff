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

mod open;
mod provider;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use open::OpenError;
pub use provider::Aws;
pub use settings::{
    AssumedRole, CredentialFiles, Credentials, Encryption, PublicAddress, RootVolume, Settings,
};
