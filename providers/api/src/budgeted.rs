//! A provider whose calls wait for their turn in the space's request budget.
//!
//! A decorator: it changes no call and no answer, retries nothing, and learns from `Throttled`.
//! It waits on the runtime's time, which tests can pause, and never longer than the patience of the
//! settings: a caller that has just made sure that it may act must not have its call sent much later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::budget::{Budget, BudgetSettings, BudgetState, Feedback, Priority, Shed, Ticket, Turn};
use crate::{
    Act, Capabilities, CreateRequest, Created, Deletion, ErrorKind, Finding, Instance, InstanceId,
    IntentToken, Interruption, Listing, Need, Observe, Offering, ProviderError, Quota, Readiness,
    Resolution, SideResource, TenancyId, Terms, Timestamp, UserData,
};

/// A provider with a request budget. It implements what the inner one implements: around an
/// [`Observe`] alone it cannot act.
#[derive(Debug)]
pub struct Budgeted<P: ?Sized> {
    pacer: Arc<Pacer>,
    reads: Priority,
    inner: Arc<P>,
}

#[derive(Debug)]
struct Pacer {
    budget: Mutex<Budget>,
    started: Instant,
    changed: Notify,
    patience: Duration,
}

impl<P: ?Sized> Budgeted<P> {
    /// A provider with a full budget of its own.
    pub fn new(inner: Arc<P>, settings: BudgetSettings) -> Self {
        let budget = Mutex::new(Budget::new(settings, Duration::ZERO));
        let (changed, patience) = (Notify::new(), settings.patience);
        let pacer = Pacer { budget, started: Instant::now(), changed, patience };
        Self { pacer: Arc::new(pacer), reads: Priority::Observe, inner }
    }

    /// The provider inside.
    pub fn inner(&self) -> &Arc<P> {
        &self.inner
    }

    /// The state of the budget, for status and metrics.
    pub fn budget(&self) -> BudgetState {
        self.pacer.lock().state(self.pacer.now())
    }
}

impl<P: Observe + ?Sized + 'static> Budgeted<P> {
    /// The same provider with the same budget for reads that only people wait for. When the budget is
    /// short they are refused at once, as `Throttled`, without a call.
    pub fn for_people(&self) -> Arc<dyn Observe> {
        let (pacer, inner) = (Arc::clone(&self.pacer), Arc::clone(&self.inner));
        Arc::new(Self { pacer, reads: Priority::People, inner })
    }
}

impl Pacer {
    fn lock(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for the call's turn, calls, and tells the budget how it went. Without a turn within the
    /// patience there is no call: it is `Throttled`.
    async fn paced<T>(
        &self,
        (priority, operation): (Priority, &'static str),
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let mut place = self.enter(priority).map_err(|shed| refused(operation, shed))?;
        place.turn().await.map_err(|shed| refused(operation, shed))?;
        let answer = call.await;
        place.feedback = match &answer {
            Err(ProviderError { kind: ErrorKind::Throttled { after }, .. }) => {
                Feedback::Throttled { after: *after }
            }
            Ok(_) | Err(_) => Feedback::Calm,
        };
        answer
    }

    fn enter(&self, priority: Priority) -> Result<Place<'_>, Shed> {
        let ticket = self.lock().enter(self.now(), priority)?;
        Ok(Place { pacer: self, ticket, step: PlaceStep::Waiting, feedback: Feedback::Calm })
    }
}

fn refused(operation: &'static str, shed: Shed) -> ProviderError {
    let kind = ErrorKind::Throttled { after: Some(shed.after) };
    let message =
        "our own request budget refused it, nothing was sent: the cloud is asked too much";
    ProviderError::new(kind, operation, message)
}

/// A place in the queue, then a call in flight; given back when dropped, however that comes about.
struct Place<'a> {
    pacer: &'a Pacer,
    ticket: Ticket,
    step: PlaceStep,
    feedback: Feedback,
}

enum PlaceStep {
    Waiting,
    InFlight,
}

impl Place<'_> {
    /// `Err` when it is not our turn within the patience, as soon as that is known. Never a turn after
    /// it, even if this task was not run for long.
    async fn turn(&mut self) -> Result<(), Shed> {
        let until = self.pacer.now().saturating_add(self.pacer.patience);
        loop {
            let mut changed = std::pin::pin!(self.pacer.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let now = self.pacer.now();
            if now > until {
                return Err(self.pacer.lock().give_up(now, self.ticket));
            }
            let turn = self.pacer.lock().turn(now, self.ticket);
            let again = match turn {
                Turn::Go => {
                    self.step = PlaceStep::InFlight;
                    // The next in the queue is at its head now.
                    self.pacer.changed.notify_waiters();
                    return Ok(());
                }
                Turn::At(time) => time,
                Turn::AfterAnother => until,
            };
            // The dropped place wakes the others.
            if again > until || now >= until {
                return Err(self.pacer.lock().give_up(now, self.ticket));
            }
            let pause = tokio::time::sleep(again.saturating_sub(now));
            tokio::select! { biased; () = changed => {} () = pause => {} }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let now = self.pacer.now();
        match self.step {
            PlaceStep::Waiting => self.pacer.lock().leave(self.ticket),
            PlaceStep::InFlight => self.pacer.lock().done(now, self.feedback),
        }
        self.pacer.changed.notify_waiters();
    }
}

#[async_trait]
impl<P: Observe + ?Sized> Observe for Budgeted<P> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.inner.user_data_bytes(user_data)
    }

    // It costs nothing but a login, for which no other call has a turn of its own either.
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.inner.tenancy().await
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        self.pacer.paced((self.reads, "list"), self.inner.list()).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.pacer.paced((self.reads, "get"), self.inner.get(id)).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.pacer.paced((self.reads, "offerings"), self.inner.offerings()).await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.pacer.paced((self.reads, "quota"), self.inner.quota()).await
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.pacer.paced((self.reads, "interruptions"), self.inner.interruptions()).await
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.pacer.paced((self.reads, "side resources"), self.inner.side_resources()).await
    }

    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.pacer.paced((self.reads, "terms"), self.inner.terms()).await
    }

    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        let inspected = async { Ok(self.inner.inspect(needs).await) };
        let answer = self.pacer.paced((self.reads, "inspect"), inspected).await;
        answer.unwrap_or_else(|error| vec![Finding::unknown("login", error.to_string())])
    }
}

#[async_trait]
impl<P: Act + ?Sized> Act for Budgeted<P> {
    // Before reads, because creates wait for it; after deletes, because those never wait for an image.
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.pacer.paced((Priority::Create, "prepare"), self.inner.prepare(needs)).await
    }

    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.pacer.paced((Priority::Create, "create"), self.inner.create(request)).await
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        self.pacer.paced((Priority::Create, "resolve"), self.inner.resolve(intent, since)).await
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.pacer.paced((Priority::Delete, "delete"), self.inner.delete(id)).await
    }

    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        let what = (Priority::Delete, "delete side resource");
        self.pacer.paced(what, self.inner.delete_side_resource(resource)).await
    }
}
