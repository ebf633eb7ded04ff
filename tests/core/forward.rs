//! A provider that stands before another: every call passes through a [`Line`], which may change it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use vcycle::model::Timestamp;
use vcycle_api::{
    Act, Capabilities, CreateRequest, Created, Deletion, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, UserData,
};

/// A call that has not been made yet.
pub type Call<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// What happens to calls on their way. By default nothing does.
pub trait Line: Send + Sync {
    /// A call that changes nothing.
    fn observe<'a, T: Send + 'a>(
        &'a self,
        _operation: &'static str,
        call: Call<'a, T>,
    ) -> Call<'a, T> {
        call
    }

    /// A call that acts.
    fn act<'a, T: Send + 'a>(&'a self, _operation: &'static str, call: Call<'a, T>) -> Call<'a, T> {
        call
    }

    /// What a listing showed.
    fn listed(&self, listing: Listing) -> Listing {
        listing
    }
}

/// The provider.
pub struct Forward<L> {
    inner: Arc<dyn Act>,
    line: L,
}

impl<L: Line> Forward<L> {
    pub fn new(inner: Arc<dyn Act>, line: L) -> Self {
        Self { inner, line }
    }
}

#[async_trait]
impl<L: Line> Observe for Forward<L> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.inner.user_data_bytes(user_data)
    }
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.line.observe("tenancy", self.inner.tenancy()).await
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        let listing = self.line.observe("list", self.inner.list()).await?;
        Ok(self.line.listed(listing))
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.line.observe("get", self.inner.get(id)).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.line.observe("offerings", self.inner.offerings()).await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.line.observe("quota", self.inner.quota()).await
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.line.observe("interruptions", self.inner.interruptions()).await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.line.observe("side resources", self.inner.side_resources()).await
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.line.observe("terms", self.inner.terms()).await
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        self.inner.inspect(needs).await
    }
}

#[async_trait]
impl<L: Line> Act for Forward<L> {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.line.act("prepare", self.inner.prepare(needs)).await
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.line.act("create", self.inner.create(request)).await
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        self.line.act("resolve", self.inner.resolve(intent, since)).await
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.line.act("delete", self.inner.delete(id)).await
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.line.act("delete side resource", self.inner.delete_side_resource(resource)).await
    }
}
