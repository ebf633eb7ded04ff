//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, Finding, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota,
    Readiness, Resolution, SideResource, TenancyId, Timestamp,
};

use crate::insert::USER_DATA_LIMIT;
use crate::site::Site;
use crate::{
    Catalogue, OpenError, Settings, catalogue, create, delete, image, inspect, interruptions, list,
    offerings, quota, resolve, side,
};

/// Zones of one region of one project.
#[derive(Debug)]
pub struct Gcp {
    site: Site,
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
        Ok(Self { site: Site::open(settings, clock)?, capabilities })
    }

    /// What the machine types of the settings cost, by Google's public catalogue, in a currency (three letters of ISO 4217).
    pub async fn catalogue(&self, currency: &str) -> Result<Catalogue, ProviderError> {
        catalogue::prices(&self.site, currency).await
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
impl Observe for Gcp {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Each request names its project, by an id that is never given out again, and its region's zones.
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        let Settings { project, region, .. } = self.site.settings();
        let id = format!("project {project}, region {region}");
        Ok(Some(TenancyId { name: id.clone(), id }))
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        list::list(&self.site).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        list::get(&self.site, id).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        offerings::offerings(&self.site).await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        quota::quota(&self.site).await
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        interruptions::interruptions(&self.site).await
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        side::list(&self.site).await
    }

    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        // Many questions one after the other: too much for the stack of every caller.
        Box::pin(inspect::inspect(&self.site, needs)).await
    }
}

#[async_trait]
impl Act for Gcp {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        image::prepare(&self.site, needs).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        Box::pin(create::create(&self.site, request)).await
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        resolve::resolve(&self.site, intent, since).await
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        delete::delete(&self.site, id).await
    }

    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        side::delete(&self.site, resource).await
    }
}
