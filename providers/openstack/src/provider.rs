//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;

use vcycle_api::Clock;

use crate::session::Session;
use crate::{OpenError, Settings};

/// A tenancy on OpenStack.
#[derive(Debug)]
pub struct OpenStack {
    session: Session,
    settings: Settings,
    clock: Arc<dyn Clock>,
}

impl OpenStack {
    /// Reads the credentials. Does not speak to the cloud.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let session = Session::open(&settings, Arc::clone(&clock))?;
        Ok(Self { session, settings, clock })
    }
}
