//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, Finding, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota,
    Readiness, Resolution, SideResource, TenancyId, Terms, Timestamp,
};

use crate::compute::USER_DATA_LIMIT;
use crate::site::Site;
use crate::{OpenError, Rates, Settings, compute, inspect, prepare, rating, side, terms};

/// A tenancy on OpenStack.
#[derive(Debug)]
pub struct OpenStack {
    site: Site,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
}

impl OpenStack {
    /// Reads the credentials. Does not speak to the cloud.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let capabilities = Capabilities {
            provider: "openstack",
            idempotency: Idempotency::ListAndMatch,
            settle: settings.settle,
            user_data_limit: USER_DATA_LIMIT,
        };
        Ok(Self { site: Site::open(settings, &clock)?, capabilities, clock })
    }

    /// What the flavours of the space cost by the site's rating service.
    pub async fn rates(&self) -> Result<Rates, ProviderError> {
        rating::rates(&self.site, self.clock.now()).await
    }

    /// The half that only looks: it cannot be made to act.
    pub fn observe(
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Observe>, OpenError> {
        Ok(Arc::new(Self::open(settings, clock)?))
    }
}

#[async_trait]
impl Observe for OpenStack {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        let tenancy = self.site.session.tenancy().await;
        tenancy.map(Some).map_err(|failure| failure.of_read())
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        compute::list(&self.site).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        compute::get(&self.site, id).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        compute::offerings(&self.site).await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        compute::quota(&self.site).await
    }

    /// OpenStack gives no notices. A machine that a site took back vanishes, or is stopped.
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        Ok(Vec::new())
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        side::list(&self.site).await
    }

    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        let Site { session, settings, .. } = &self.site;
        // Many questions side by side: too much for the stack of every caller.
        Box::pin(inspect::inspect(session, settings, self.clock.now(), needs)).await
    }

    async fn terms(&self) -> Result<Terms, ProviderError> {
        terms::terms(&self.site).await
    }
}

#[async_trait]
impl Act for OpenStack {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        prepare::prepare(&self.site, needs).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        compute::create(&self.site, request).await
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        compute::resolve(&self.site, intent, since).await
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        compute::delete(&self.site, id).await
    }

    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        side::delete(&self.site, resource).await
    }
}
