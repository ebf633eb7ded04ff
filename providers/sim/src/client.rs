//! One client of a simulated cloud: the provider, and the bad line between it and the cloud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Instance, InstanceId,
    IntentToken, Interruption, Listing, Observe, Offering, ProviderError, Quota, Resolution,
    Settling, SideResource, TenancyId, Timestamp,
};

use crate::cloud::SimCloud;
use crate::faults::{Call, Fate, Line};
use crate::world::World;
use crate::{CallFault, Rates, Span};

/// What a client has of its own.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// The clock of the host that it runs on; `None`: the cloud's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Chances of faults on its line; `None`: as in the settings.
    pub rates: Option<Rates>,
    /// How long each call takes on the runtime's time: half before it reaches the cloud, half after.
    /// `None`: no time, and calls never wait.
    pub latency: Option<Span>,
}

/// One client of a [`SimCloud`].
#[derive(Debug)]
pub struct SimProvider {
    cloud: SimCloud,
    clock: Arc<dyn Clock>,
    capabilities: Capabilities,
    number: u32,
    latency: Option<Span>,
    line: Mutex<Line>,
    settling: Mutex<Settling>,
}

impl SimProvider {
    pub(crate) fn new(
        cloud: SimCloud,
        clock: Arc<dyn Clock>,
        rng: ChaCha8Rng,
        (number, options): (u32, ClientOptions),
    ) -> Self {
        let world = cloud.world();
        let settings = &world.settings;
        let capabilities = Capabilities {
            provider: "sim",
            idempotency: settings.idempotency,
            settle: settings.settle,
            user_data_limit: settings.user_data_limit,
        };
        let rates = options.rates.unwrap_or(settings.faults.rates);
        drop(world);
        Self {
            cloud,
            clock: options.clock.unwrap_or(clock),
            capabilities,
            number,
            latency: options.latency,
            line: Mutex::new(Line::new(rng, rates)),
            settling: Mutex::default(),
        }
    }

    /// The cloud that it is a client of.
    pub fn cloud(&self) -> &SimCloud {
        &self.cloud
    }

    /// By this number the cloud's log knows it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Makes something happen to its next calls.
    pub fn inject(&self, fault: CallFault) {
        self.line().push(fault);
    }

    /// From now on faults strike its calls as often as this.
    pub fn set_rates(&self, rates: Rates) {
        self.line().set_rates(rates);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settling(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half of the way, there or back.
    async fn travel(&self) {
        let Some(latency) = self.latency else { return };
        let half = latency.draw(self.line().rng()) / 2;
        tokio::time::sleep(half).await;
    }

    /// Counts the call and lets it through to the cloud, or not.
    fn admit(&self, operation: &'static str) -> Result<(), ProviderError> {
        let mut world = self.cloud.world();
        *world.calls.entry(operation).or_default() += 1;
        self.line().admit(operation, &world.settings.faults, world.now)
    }

    /// A call that changes nothing, and whose reply always comes back.
    async fn read<T>(
        &self,
        operation: &'static str,
        answer: impl FnOnce(&World) -> Result<T, (ErrorKind, String)> + Send,
    ) -> Result<T, ProviderError> {
        self.travel().await;
        let answered = self.admit(operation).and_then(|()| {
            let refused = |(kind, message)| ProviderError::new(kind, operation, message);
            answer(&self.cloud.world()).map_err(refused)
        });
        let answered = answered.map_err(|error| self.signed(error));
        self.travel().await;
        answered
    }

    /// After an answer to a create, how long its intent takes to settle.
    fn remember(&self, intent: &IntentToken, answer: &Result<Created, ProviderError>) {
        match answer {
            Err(error) if !error.kind.create_made_nothing() => {
                self.settling().sent_again(intent, &*self.clock);
            }
            Ok(_) | Err(_) => self.settling().forget(intent),
        }
    }

    /// Gives an error the id that a cloud gives to each request.
    fn signed(&self, error: ProviderError) -> ProviderError {
        let calls: u64 = self.cloud.world().calls.values().sum();
        ProviderError { request_id: Some(format!("req-{}-{calls}", self.number)), ..error }
    }
}

fn lost(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::Ambiguous, operation, "the connection broke before a reply came")
}

#[async_trait]
impl Observe for SimProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        let project = self.cloud.world().settings.tenancy.clone();
        let elsewhere = self.line().leads_elsewhere();
        let project = project.map(|home| if elsewhere { format!("not {home}") } else { home });
        Ok(project.map(|project| TenancyId {
            id: format!("project {project}"),
            name: format!("project '{project}'"),
        }))
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        let elsewhere = self.line().leads_elsewhere();
        let pages = |world: &World| if elsewhere { vec![Vec::new()] } else { world.pages() };
        let mut pages = self.read("list machines", |world| Ok(pages(world))).await?;
        let count = pages.len();
        let missing = {
            let mut world = self.cloud.world();
            // The first page was counted as the call itself.
            *world.calls.entry("list machines").or_default() += count as u64 - 1;
            self.line().lost_pages(count, &world.settings.faults, world.now)
        };
        for page in &missing {
            pages[*page].clear();
        }
        let seen: Vec<_> = pages.into_iter().flatten().collect();
        if missing.is_empty() {
            return Ok(Listing::Complete(seen));
        }
        let why = format!("{} of {count} pages were lost", missing.len());
        Ok(Listing::Partial { seen, why })
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        let elsewhere = self.line().leads_elsewhere();
        let nothing = || (ErrorKind::NotFound, format!("there is no {id} in this project"));
        let get = |world: &World| if elsewhere { Err(nothing()) } else { world.get(id) };
        self.read("get machine", get).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.read("list offerings", |world| Ok(world.stock.offerings())).await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.read("get quota", |world| Ok(world.stock.quota())).await
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.read("list interruptions", |world| Ok(world.interruptions())).await
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.read("list side resources", |_| Ok(Vec::new())).await
    }
}

#[async_trait]
impl Act for SimProvider {
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        const OPERATION: &str = "create machine";
        self.travel().await;
        let answer = self.admit(OPERATION).and_then(|()| {
            let fate = self.line().fate(Call::Create);
            match fate {
                Fate::Lost => Err(lost(OPERATION)),
                Fate::ReplyLost => {
                    self.cloud.world().create_in_flight(self.number, request);
                    Err(lost(OPERATION))
                }
                Fate::Answered => self
                    .cloud
                    .world()
                    .create(self.number, request)
                    .map_err(|(kind, message)| ProviderError::new(kind, OPERATION, message)),
            }
        });
        let answer = answer.map_err(|error| self.signed(error));
        self.travel().await;
        self.remember(&request.tags.intent, &answer);
        answer
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        // Asked before the cloud is: only a look that began after the wait proves an absence.
        let settle = self.capabilities.settle;
        let settled = self.settling().has_settled(intent, since, settle, &*self.clock);
        let elsewhere = self.line().leads_elsewhere();
        let find = |world: &World| if elsewhere { None } else { world.find(intent) };
        let found = self.read("resolve intent", |world| Ok(find(world))).await?;
        let resolution = match found {
            Some(id) => Resolution::Found(id),
            None if settled => Resolution::ProvenAbsent,
            None => Resolution::Unknown,
        };
        if resolution != Resolution::Unknown {
            self.settling().forget(intent);
        }
        Ok(resolution)
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        const OPERATION: &str = "delete machine";
        self.travel().await;
        let answer = self.admit(OPERATION).and_then(|()| {
            let (fate, elsewhere) = {
                let mut line = self.line();
                (line.fate(Call::Delete), line.leads_elsewhere())
            };
            match fate {
                Fate::ReplyLost | Fate::Answered if elsewhere => Ok(Deletion::AlreadyGone),
                Fate::Lost => Err(lost(OPERATION)),
                Fate::ReplyLost => {
                    self.cloud.world().delete(self.number, id);
                    Err(lost(OPERATION))
                }
                Fate::Answered => Ok(self.cloud.world().delete(self.number, id)),
            }
        });
        let answer = answer.map_err(|error| self.signed(error));
        self.travel().await;
        answer
    }

    async fn delete_side_resource(
        &self,
        _resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        // The simulated cloud has no side resources, so this one is gone.
        self.read("delete side resource", |_| Ok(Deletion::AlreadyGone)).await
    }
}
