//! The line of one process to one cloud: calls take real time on the way, and the process may die at a create.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use vcycle::model::Timestamp;
use vcycle::store::testing::MemoryFs;
use vcycle_api::{
    Act, Capabilities, CreateRequest, Created, Deletion, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, UserData,
};

use super::time::Time;
use crate::support::mortal::Fate;
use vcycle_api::testing::{Call, Line};

/// How a process dies at a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The intent is durable; nothing was sent.
    Before,
    /// The request is on its way and arrives this much later, when the process is dead.
    Late(Duration),
    /// The request was carried out; its reply is never read.
    Unread,
    /// The reply was read; nothing of it is in the record.
    Unwritten,
}

/// What is in store for whoever makes the next machine.
pub type Doom = Arc<Mutex<Option<Death>>>;

/// What the lines of all processes have seen that must never be.
pub type Breaches = Arc<Mutex<Vec<String>>>;

/// The line.
pub struct Post {
    pub inner: Arc<dyn Act>,
    pub time: Arc<Time>,
    pub fate: Arc<Fate>,
    pub disk: MemoryFs,
    pub doom: Doom,
    pub breaches: Breaches,
}

impl Post {
    async fn look<T>(&self, call: Call<'_, T>) -> Result<T, ProviderError> {
        self.time.asking(call).await
    }

    async fn act<T: Send>(
        &self,
        operation: &'static str,
        call: Call<'_, T>,
    ) -> Result<T, ProviderError> {
        self.fate.act(operation, self.time.asking(call).boxed()).await
    }

    /// Invariant 3: no create without a durable intent.
    fn check(&self, request: &CreateRequest) {
        let (space, machine) = (&request.tags.space, &request.machine);
        let record = format!("spaces/{space}/current/{machine}/record.json");
        if self.disk.mode(record).is_none() {
            let breach = format!("{machine} of {space} was asked for without a durable intent");
            self.breaches.lock().unwrap().push(breach);
        }
    }

    async fn die<T>(&self) -> T {
        self.fate.kill();
        pending().await
    }

    /// The process dies, and its request goes on without it.
    async fn send_late<T>(&self, request: &CreateRequest, way: Duration) -> T {
        let (inner, time, sent) = (self.inner.clone(), self.time.clone(), request.clone());
        tokio::spawn(async move {
            tokio::time::sleep(way).await;
            drop(time.asking(inner.create(&sent)).await);
        });
        self.die().await
    }

    /// The process dies when the cloud has done what was asked for, with the reply on the way.
    async fn leave_unread<T>(&self, request: &CreateRequest) -> T {
        // As good as any reply that nobody reads.
        drop(self.time.asking(self.inner.create(request)).await);
        self.die().await
    }
}

#[async_trait]
impl Observe for Post {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.inner.user_data_bytes(user_data)
    }
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.look(self.inner.tenancy()).await
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        self.look(self.inner.list()).await
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.look(self.inner.get(id)).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.look(self.inner.offerings()).await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.look(self.inner.quota()).await
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.look(self.inner.interruptions()).await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.look(self.inner.side_resources()).await
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.look(self.inner.terms()).await
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        self.time.asking(self.inner.inspect(needs)).await
    }
}

#[async_trait]
impl Act for Post {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.act("prepare", self.inner.prepare(needs)).await
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.check(request);
        let doom = self.doom.lock().unwrap().take();
        match doom {
            None => self.act("create", self.inner.create(request)).await,
            Some(Death::Before) => self.die().await,
            Some(Death::Late(way)) => self.send_late(request, way).await,
            Some(Death::Unread) => self.leave_unread(request).await,
            Some(Death::Unwritten) => {
                // Its next operation is that of the record.
                self.fate.decree(2, crate::support::mortal::Strike::DieBefore);
                self.act("create", self.inner.create(request)).await
            }
        }
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
