//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Observe, Offering, ProviderError, Quota,
    Resolution, SideResource, Timestamp,
};

use crate::session::Session;
use crate::{OpenError, Settings};

/// One region of one account.
#[derive(Debug)]
pub struct Aws {
    session: Session,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
}

impl Aws {
    /// Checks what can be checked from files. Does not speak to Amazon.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let capabilities = Capabilities {
            provider: "aws",
            idempotency: Idempotency::ClientToken,
            settle: settings.settle,
            user_data_limit: 16_384,
        };
        Ok(Self { session: Session::open(Arc::new(settings))?, capabilities, clock })
    }

    /// The half that only looks: it cannot be made to act.
    pub fn observe(
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Observe>, OpenError> {
        Ok(Arc::new(Self::open(settings, clock)?))
    }
}

fn not_yet<T>(operation: &'static str) -> Result<T, ProviderError> {
    Err(ProviderError::new(ErrorKind::Unavailable, operation, "not built yet"))
}

#[async_trait]
impl Observe for Aws {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        drop((self.session.line().await.ec2.clone(), self.clock.now()));
        not_yet("list instances")
    }

    async fn get(&self, _: &InstanceId) -> Result<Instance, ProviderError> {
        not_yet("get instance")
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        not_yet("list instance types")
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        not_yet("read quota")
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        not_yet("read interruptions")
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        not_yet("list side resources")
    }
}

#[async_trait]
impl Act for Aws {
    async fn create(&self, _: &CreateRequest) -> Result<Created, ProviderError> {
        not_yet("run instance")
    }

    async fn resolve(&self, _: &IntentToken, _: Timestamp) -> Result<Resolution, ProviderError> {
        not_yet("find instance of an intent")
    }

    async fn delete(&self, _: &InstanceId) -> Result<Deletion, ProviderError> {
        not_yet("terminate instance")
    }

    async fn delete_side_resource(&self, _: &SideResource) -> Result<Deletion, ProviderError> {
        not_yet("delete side resource")
    }
}
