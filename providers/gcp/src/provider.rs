//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Observe, Offering, ProviderError, Quota,
    Resolution, SideResource, Timestamp,
};

use crate::session::Session;
use crate::{OpenError, Settings, USER_DATA_LIMIT};

/// Zones of one region of one project.
#[derive(Debug)]
pub struct Gcp {
    session: Session,
    capabilities: Capabilities,
}

impl Gcp {
    /// Reads the credentials. Does not speak to the cloud.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let capabilities = Capabilities {
            provider: "gcp",
            idempotency: Idempotency::RequestIdAndUniqueName,
            settle: settings.settle,
            user_data_limit: USER_DATA_LIMIT,
        };
        Ok(Self { session: Session::open(settings, clock)?, capabilities })
    }

    /// The half that only looks: it cannot be made to act.
    pub fn observe(
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Observe>, OpenError> {
        Ok(Arc::new(Self::open(settings, clock)?))
    }

    fn later<T>(&self, operation: &'static str) -> Result<T, ProviderError> {
        let project = self.session.project();
        let message = format!("{project}: this part of the provider is not there yet");
        Err(ProviderError::new(ErrorKind::Unavailable, operation, message))
    }
}

#[async_trait]
impl Observe for Gcp {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        self.later("list instances")
    }

    async fn get(&self, _: &InstanceId) -> Result<Instance, ProviderError> {
        self.later("get instance")
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.later("list machine types")
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.later("get region")
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        Ok(Vec::new())
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.later("list disks")
    }
}

#[async_trait]
impl Act for Gcp {
    async fn create(&self, _: &CreateRequest) -> Result<Created, ProviderError> {
        self.later("insert instance")
    }

    async fn resolve(&self, _: &IntentToken, _: Timestamp) -> Result<Resolution, ProviderError> {
        self.later("list instances")
    }

    async fn delete(&self, _: &InstanceId) -> Result<Deletion, ProviderError> {
        self.later("delete instance")
    }

    async fn delete_side_resource(&self, _: &SideResource) -> Result<Deletion, ProviderError> {
        self.later("delete disk")
    }
}
