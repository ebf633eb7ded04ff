//! A cloud as a process sees it: every call goes through the process's gate, and may find the line cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use vcycle::model::Timestamp;
use vcycle_api::{
    Act, Capabilities, CreateRequest, Created, Deletion, ErrorKind, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, UserData,
};
use vcycle_sim::SimProvider;

use super::gate::{Kind, Line};
use super::host::Process;

/// How long a call waits for an answer over a line that is cut.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// The provider of one process for one space.
pub struct GatedCloud {
    pub process: Arc<Process>,
    pub line: Arc<Line>,
    pub space: usize,
    pub inner: Arc<SimProvider>,
}

impl GatedCloud {
    fn is_cut(&self) -> bool {
        self.process.host.cloud_cut.load(Ordering::SeqCst) > self.process.world.trace.now()
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.process.world.trace.note(self.process.who(Some(self.space)), text);
    }

    /// A call that changes nothing, or that a repetition finds as it was.
    async fn look<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let through = async {
            if self.is_cut() {
                sleep(TIME_LIMIT).await;
                let kind = ErrorKind::Unavailable;
                return Err(ProviderError::new(kind, operation, "there is no answer"));
            }
            call.await
        };
        let answer = self.line.pass(&self.process, Kind::Look, through).await;
        self.process.world.look(self.space);
        answer
    }

    /// A call that acts. On a line that is cut it may have arrived all the same.
    async fn act<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let ambiguous =
            || Err(ProviderError::new(ErrorKind::Ambiguous, operation, "there is no answer"));
        let through = async {
            if self.is_cut() {
                sleep(TIME_LIMIT).await;
                return ambiguous();
            }
            let answer = call.await;
            if self.is_cut() { ambiguous() } else { answer }
        };
        let answer = self.line.pass(&self.process, Kind::Act, through).await;
        self.process.world.look(self.space);
        answer
    }

    /// The process may die with the request on its way.
    async fn on_its_way(&self, call: impl Future<Output = ()> + Send + 'static) {
        if self.line.dies_in_flight() && !self.process.world.is_calm() {
            let longest = self.process.world.shape.settle.as_millis() as u64 / 4;
            let way = Duration::from_millis(self.line.draw(longest.max(1)));
            self.process.running().await;
            self.note(|| format!("dies with the request on its way for {way:?}"));
            tokio::spawn(async move {
                sleep(way).await;
                call.await;
            });
            self.process.die().await
        }
    }
}

#[async_trait]
impl Observe for GatedCloud {
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
        self.look("list", self.inner.list()).await
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.look("get", self.inner.get(id)).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.look("offerings", self.inner.offerings()).await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        let quota = self.look("quota", self.inner.quota()).await?;
        let nothing =
            Quota { machines_used: None, processors_used: None, memory_used: None, ..quota };
        Ok(if self.process.world.shape.tells_use { quota } else { nothing })
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
        let inspected = async { Ok(self.inner.inspect(needs).await) };
        let answer = self.look("inspect", inspected).await;
        answer.unwrap_or_else(|error| vec![Finding::unknown("login", error.to_string())])
    }
}

#[async_trait]
impl Act for GatedCloud {
    // What it makes ready stays so, however often it is asked.
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.look("prepare", self.inner.prepare(needs)).await
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.note(|| format!("asks for {}", request.tags.machine));
        self.process.world.judge().creates(&self.process, self.space, &request.tags);
        let (inner, sent) = (self.inner.clone(), request.clone());
        self.on_its_way(async move { drop(inner.create(&sent).await) }).await;
        let answer = self.act("create", self.inner.create(request)).await;
        self.note(|| format!("asked for {}: {}", request.tags.machine, told(&answer)));
        answer
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        let answer = self.look("resolve", self.inner.resolve(intent, since)).await;
        self.note(|| format!("resolved {intent}: {}", told(&answer)));
        answer
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.note(|| format!("deletes {id}"));
        self.process.world.deletes(&self.process, self.space, id);
        if let Some(refused) = self.process.world.refuses(self.space, id) {
            let answer = self.act("delete", async { refused }).await;
            self.note(|| format!("may not delete {id}: {}", told(&answer)));
            return answer;
        }
        let (inner, sent) = (self.inner.clone(), id.clone());
        self.on_its_way(async move { drop(inner.delete(&sent).await) }).await;
        let answer = self.act("delete", self.inner.delete(id)).await;
        self.note(|| format!("deleted {id}: {}", told(&answer)));
        answer
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.act("delete side resource", self.inner.delete_side_resource(resource)).await
    }
}

fn told<T: std::fmt::Debug>(answer: &Result<T, ProviderError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.kind.word().to_owned(),
    }
}
