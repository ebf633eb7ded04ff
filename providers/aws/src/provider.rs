//! The provider: forwards each call of the contract to the module that knows how.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, Finding, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota,
    Readiness, Resolution, SideResource, TenancyId, Timestamp, UserData,
};

use crate::account::Account;
use crate::spot_prices::SpotPrice;
use crate::userdata::USER_DATA_LIMIT;
use crate::{
    OpenError, Settings, create, delete, inspect, interruptions, list, prepare, quota, resolve,
    side, spot_prices, tenancy, types, userdata,
};

/// One region of one account.
#[derive(Debug)]
pub struct Aws {
    account: Account,
    capabilities: Capabilities,
}

impl Aws {
    /// Checks what can be checked from files. Does not speak to Amazon.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let capabilities = Capabilities {
            provider: "aws",
            idempotency: Idempotency::ClientToken,
            settle: settings.settle,
            user_data_limit: USER_DATA_LIMIT,
        };
        Ok(Self { account: Account::open(settings, clock)?, capabilities })
    }

    /// The half that only looks: it cannot be made to act.
    pub fn observe(
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Observe>, OpenError> {
        Ok(Arc::new(Self::open(settings, clock)?))
    }

    /// What spot costs now, for the configured types, in each zone.
    ///
    /// # Errors
    /// As of every call that reads.
    pub async fn spot_prices(&self) -> Result<Vec<SpotPrice>, ProviderError> {
        spot_prices::spot_prices(&self.account).await
    }
}

#[async_trait]
impl Observe for Aws {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        userdata::user_data_bytes(user_data.expose())
    }

    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        tenancy::tenancy(&self.account).await.map(Some)
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        list::list(&self.account).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        list::get(&self.account, id).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        types::offerings(&self.account).await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        quota::quota(&self.account).await
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        interruptions::interruptions(&self.account).await
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        side::list(&self.account).await
    }

    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        // Many questions side by side: too much for the stack of every caller.
        Box::pin(inspect::inspect(&self.account, needs)).await
    }
}

#[async_trait]
impl Act for Aws {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        prepare::prepare(&self.account, needs).await
    }

    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.account.pace.take(patience)
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        create::create(&self.account, request).await
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        resolve::resolve(&self.account, intent, since).await
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        delete::delete(&self.account, id).await
    }

    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        side::delete(&self.account, resource).await
    }
}
