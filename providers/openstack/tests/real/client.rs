//! The provider under test, with two things added: calls are counted for the gateway's storms, and
//! servers that were in the project before are not shown, as the suite wants an empty tenancy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, CreateRequest, Created, Deletion, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, Timestamp, UserData,
};
use vcycle_openstack::OpenStack;

use crate::gateway::Gateway;

pub(crate) struct Client {
    pub(crate) provider: OpenStack,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) before: BTreeSet<InstanceId>,
}

impl Client {
    fn ended<T>(&self, answer: T) -> T {
        self.gateway.called();
        answer
    }

    fn without_others(&self, mut all: Vec<Instance>) -> Vec<Instance> {
        all.retain(|instance| !self.before.contains(&instance.id));
        all
    }
}

#[async_trait]
impl Observe for Client {
    fn capabilities(&self) -> &Capabilities {
        self.provider.capabilities()
    }
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.provider.user_data_bytes(user_data)
    }
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.ended(self.provider.tenancy().await)
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        Ok(match self.ended(self.provider.list().await)? {
            Listing::Complete(all) => Listing::Complete(self.without_others(all)),
            Listing::Partial { seen, why } => {
                Listing::Partial { seen: self.without_others(seen), why }
            }
        })
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.ended(self.provider.get(id).await)
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.ended(self.provider.offerings().await)
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.ended(self.provider.quota().await)
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.ended(self.provider.interruptions().await)
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.ended(self.provider.side_resources().await)
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.ended(self.provider.terms().await)
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        self.ended(self.provider.inspect(needs).await)
    }
}

#[async_trait]
impl Act for Client {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.ended(self.provider.prepare(needs).await)
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.provider.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.ended(self.provider.create(request).await)
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        self.ended(self.provider.resolve(intent, since).await)
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.ended(self.provider.delete(id).await)
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.ended(self.provider.delete_side_resource(resource).await)
    }
}
