//! What a provider was promised: from when until when the tenancy may be used, and how long its
//! credentials are good.

use crate::Timestamp;

/// The terms of a tenancy, as far as the cloud tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Nothing can be made before (the start of a lease).
    pub opens: Option<Timestamp>,
    /// The cloud takes everything away then (the end of a lease).
    pub closes: Option<Timestamp>,
    /// The credentials in use are good until then.
    pub credential_expires: Option<Timestamp>,
    /// What people should know, one line each: a lease that is degraded, a second credential in use.
    pub notices: Vec<String>,
}
