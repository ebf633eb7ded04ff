//! How a question gets to Google: credentials, one client for each resource of the API, how many at a time, how
//! long. It repeats nothing: the library's own retries are off, and the next cycle is the retry.
//!
//! The library's token cache stays broken for good once the token endpoint has refused for good, and a key file may
//! be changed under us: after any trouble with credentials all clients are thrown away, and the next call makes
//! new ones.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials as Google};
use google_cloud_compute_v1::client::{
    Disks, Images, Instances, MachineTypes, Networks, Projects, Regions, Subnetworks,
    ZoneOperations, Zones,
};
use google_cloud_gax::retry_policy::NeverRetry;
use reqwest::header::HeaderMap;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tracing::{debug, info};
use vcycle_api::Clock;

use crate::call::Call;
use crate::failure::{Failure, Trouble};
use crate::{OpenError, Settings, credentials};

macro_rules! clients {
    ($($resource:ident: $client:ident),+ $(,)?) => {
        /// A client for each resource that we use, made when it is first needed: each brings its own connections.
        pub(crate) struct Clients {
            credentials: Google,
            endpoint: Option<String>,
            time: Duration,
            $($resource: OnceCell<$client>,)+
        }

        impl Clients {
            fn new(settings: &Settings, credentials: Google) -> Self {
                Self {
                    credentials,
                    endpoint: settings.endpoint.clone(),
                    time: settings.request_time,
                    $($resource: OnceCell::new(),)+
                }
            }

            /// What a request needs to be let in, for APIs that the library has no client of.
            pub(crate) async fn headers(&self) -> Result<HeaderMap, Trouble> {
                match self.credentials.headers(Default::default()).await.map_err(Trouble::Token)? {
                    CacheableResource::New { data, .. } => Ok(data),
                    // Only if we had told that we know them.
                    CacheableResource::NotModified => Ok(HeaderMap::new()),
                }
            }

            /// Time limit of one request.
            pub(crate) fn time(&self) -> Duration {
                self.time
            }

            $(
                /// The client of this resource.
                pub(crate) async fn $resource(&self) -> Result<&$client, Trouble> {
                    let make = || async {
                        let builder = $client::builder()
                            .with_credentials(self.credentials.clone())
                            .with_retry_policy(NeverRetry)
                            .with_attempt_timeout(self.time);
                        match &self.endpoint {
                            Some(endpoint) => builder.with_endpoint(endpoint).build().await,
                            None => builder.build().await,
                        }
                    };
                    self.$resource.get_or_try_init(make).await.map_err(Trouble::Client)
                }
            )+
        }
    };
}

clients! {
    disks: Disks,
    images: Images,
    instances: Instances,
    machine_types: MachineTypes,
    networks: Networks,
    projects: Projects,
    regions: Regions,
    subnetworks: Subnetworks,
    zone_operations: ZoneOperations,
    zones: Zones,
}

/// The way to one project.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    clients: Mutex<Option<Arc<Clients>>>,
    slots: Semaphore,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Session {
    /// Checks the settings and reads the credentials file. Does not speak to the network.
    pub(crate) fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        settings.check()?;
        credentials::check(&settings.credentials)?;
        let slots = Semaphore::new(settings.requests_at_once.max(1) as usize);
        Ok(Self { settings, clock, clients: Mutex::new(None), slots })
    }

    /// The project, as a request wants it.
    pub(crate) fn project(&self) -> String {
        self.settings.project.clone()
    }

    /// Makes one call. A failure says whether the request may have arrived.
    pub(crate) async fn call<T, F>(
        &self,
        call: Call,
        send: impl FnOnce(Arc<Clients>) -> F + Send,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Trouble>> + Send,
    {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let began = self.clock.monotonic();
        let clients = match self.logged_in().await {
            Ok(clients) => clients,
            Err(trouble) => return Err(self.failed(call, &trouble)),
        };
        // The client has the same limit on each attempt; this one is for what it does beside.
        let limit = self.settings.request_time + Duration::from_secs(1);
        let answer = match tokio::time::timeout(limit, send(Arc::clone(&clients))).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::Silence(self.settings.request_time)),
        };
        let took = self.clock.monotonic().saturating_sub(began);
        match answer {
            Ok(answer) => {
                debug!(call = call.words(), ?took, "google answered");
                Ok(answer)
            }
            Err(trouble) => {
                let failure = self.failed(call, &trouble);
                if failure.is_about_credentials() {
                    self.forget(&clients).await;
                }
                Err(failure)
            }
        }
    }

    fn failed(&self, call: Call, trouble: &Trouble) -> Failure {
        let failure = Failure::of(call, trouble);
        let Failure { call: _, status, reasons, message, request_id, retry_after: _, arrived } =
            &failure;
        info!(
            call = call.words(),
            status,
            ?reasons,
            message,
            request_id,
            ?arrived,
            "a call to google failed"
        );
        failure
    }

    /// The clients, with a token in their hands: a token that cannot be had is told before anything is sent, so
    /// that a create is never unclear because of it.
    async fn logged_in(&self) -> Result<Arc<Clients>, Trouble> {
        let clients = {
            let mut slot = self.clients.lock().await;
            match &*slot {
                Some(clients) => Arc::clone(clients),
                None => {
                    let google = credentials::make(&self.settings.credentials)
                        .map_err(|error| Trouble::Credentials(error.to_string()))?;
                    let fresh = Arc::new(Clients::new(&self.settings, google));
                    *slot = Some(Arc::clone(&fresh));
                    fresh
                }
            }
        };
        let token = clients.credentials.headers(Default::default());
        let trouble = match tokio::time::timeout(self.settings.request_time, token).await {
            Ok(Ok(_)) => return Ok(clients),
            Ok(Err(error)) => Trouble::Token(error),
            Err(_) => Trouble::NoToken(self.settings.request_time),
        };
        self.forget(&clients).await;
        Err(trouble)
    }

    /// Throws clients away, unless somebody else has done so already.
    async fn forget(&self, used: &Arc<Clients>) {
        let mut slot = self.clients.lock().await;
        if slot.as_ref().is_some_and(|now| Arc::ptr_eq(now, used)) {
            *slot = None;
        }
    }

    /// Forgets the login, so that the next call shows whether it works now.
    pub(crate) async fn log_out(&self) {
        *self.clients.lock().await = None;
    }
}
