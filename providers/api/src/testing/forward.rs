//! A provider that stands before another: every call passes through a [`Line`], which may change it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Act, Capabilities, CreateRequest, Created, Deletion, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, Timestamp, UserData,
};

/// A call that has not been made yet.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

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

    /// A call has ended, well or not.
    fn ended(&self) {}
}

impl<L: Line> Line for Arc<L> {
    fn observe<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: Call<'a, T>,
    ) -> Call<'a, T> {
        L::observe(self, operation, call)
    }

    fn act<'a, T: Send + 'a>(&'a self, operation: &'static str, call: Call<'a, T>) -> Call<'a, T> {
        L::act(self, operation, call)
    }

    fn listed(&self, listing: Listing) -> Listing {
        L::listed(self, listing)
    }

    fn ended(&self) {
        L::ended(self);
    }
}

/// The provider.
pub struct Forward<L> {
    inner: Arc<dyn Act>,
    line: L,
}

impl<L: Line> Forward<L> {
    /// Stands before this one.
    pub fn new(inner: Arc<dyn Act>, line: L) -> Self {
        Self { inner, line }
    }

    async fn look<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: Call<'a, T>,
    ) -> Result<T, ProviderError> {
        let answer = self.line.observe(operation, call).await;
        self.line.ended();
        answer
    }

    async fn act<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: Call<'a, T>,
    ) -> Result<T, ProviderError> {
        let answer = self.line.act(operation, call).await;
        self.line.ended();
        answer
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
        self.look("tenancy", self.inner.tenancy()).await
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        let listing = self.look("list", self.inner.list()).await?;
        Ok(self.line.listed(listing))
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.look("get", self.inner.get(id)).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.look("offerings", self.inner.offerings()).await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.look("quota", self.inner.quota()).await
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.look("interruptions", self.inner.interruptions()).await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.look("side resources", self.inner.side_resources()).await
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.look("terms", self.inner.terms()).await
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        let findings = self.inner.inspect(needs).await;
        self.line.ended();
        findings
    }
}

#[async_trait]
impl<L: Line> Act for Forward<L> {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.act("prepare", self.inner.prepare(needs)).await
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.act("create", self.inner.create(request)).await
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        self.act("resolve", self.inner.resolve(intent, since)).await
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.act("delete", self.inner.delete(id)).await
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.act("delete side resource", self.inner.delete_side_resource(resource)).await
    }
}

/// A line for faults that last for a number of calls: a storm of refusals, an outage. Each call of the contract counts
/// that may speak to the cloud, whether it does so this time or answers from memory: the suite knows calls and not
/// requests.
pub struct Counted {
    left: Mutex<u32>,
    calm: Box<dyn Fn() + Send + Sync>,
}

impl Counted {
    /// `calm` ends the fault.
    pub fn new(calm: impl Fn() + Send + Sync + 'static) -> Self {
        Self { left: Mutex::new(0), calm: Box::new(calm) }
    }

    /// A fault has begun that ends with this number of calls.
    pub fn begin(&self, calls: u32) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = calls;
    }
}

impl Line for Counted {
    fn ended(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left > 0 {
            *left -= 1;
            if *left == 0 {
                (self.calm)();
            }
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counted({:?})", self.left)
    }
}
