//! The two traits. Decides how file work becomes answers of a cloud; every answer that proves
//! something (absence, "nothing was made") is given only where that is proven.
//!
//! What is asked here is blocking file work, so it runs on the threads that tokio has for that, each
//! call within [`LIMIT`]: a disk that hangs must not hang a space for ever.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Observe, Offering, ProviderError, Quota,
    Resolution, SideResource, SystemClock, Timestamp,
};

use crate::admit::{Admitted, CREATE, Shared, USER_DATA_LIMIT, unavailable};
use crate::folder::Folder;
use crate::launch::{self, Launched};
use crate::machines::{Machines, Removal, Target};
use crate::records::{Cause, Ended};
use crate::settings::{self, Capacity, Settings};

/// Longest that a call may wait for the disk.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest that a create waits for the creates of others.
const ADMISSION_WAIT: Duration = Duration::from_secs(10);

/// Longest that a delete waits to see its end; afterwards it is under way.
const DELETE_WAIT: Duration = Duration::from_secs(1);

/// Pause between two tries while waiting.
const PAUSE: Duration = Duration::from_millis(10);

const DELETE: &str = "delete machine";
const GET: &str = "get machine";
const LIST: &str = "list machines";
const OFFERINGS: &str = "list offerings";
const QUOTA: &str = "read quota";
const RESOLVE: &str = "resolve intent";

/// Why the provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error("the folder {dir:?} of the local provider cannot be used: {source}")]
    Folder {
        /// Which.
        dir: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is shared with other hosts, which would take its machines for dead.
    #[error(
        "the folder {dir:?} of the local provider is on {file_system}: put it on a disk of this host"
    )]
    NetworkFileSystem {
        /// Which.
        dir: std::path::PathBuf,
        /// Its file system.
        file_system: &'static str,
    },
    /// The host does not say how big it is.
    #[error("cannot find out this host's processors and memory: {0}")]
    Host(io::Error),
}

/// The local provider. Several of them, in one process or many, may use one folder.
#[derive(Debug, Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

impl Local {
    /// Opens the folder of `settings`, making it if need be. Starts nothing.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let machines = Machines::open(&settings.dir);
        Self::of(settings, machines)
    }

    /// The half that only looks: it makes nothing, not even the folder, and cannot be made to act.
    pub fn observe(settings: Settings) -> Result<impl Observe, OpenError> {
        let machines = Machines::observe(&settings.dir);
        Self::of(settings, machines)
    }

    fn of(settings: Settings, machines: io::Result<Machines>) -> Result<Self, OpenError> {
        let dir = settings.dir.clone();
        let folder_error = |source| OpenError::Folder { dir: dir.clone(), source };
        let machines = machines.map_err(folder_error)?;
        // Where the folder is not made yet, its disk is that of the nearest folder above it.
        let on_disk = machines.dir().ancestors().find(|dir| dir.exists());
        let file_system = settings::network_file_system(on_disk.unwrap_or(machines.dir()))
            .map_err(folder_error)?;
        if let Some(file_system) = file_system {
            return Err(OpenError::NetworkFileSystem { dir, file_system });
        }
        let capacity = Capacity::of(&settings).map_err(OpenError::Host)?;
        let capabilities = Capabilities {
            provider: "local",
            idempotency: Idempotency::RequestIdAndUniqueName,
            settle: Duration::ZERO,
            user_data_limit: USER_DATA_LIMIT,
        };
        let (clock, cleaned_up) = (SystemClock::new(), Mutex::new(None));
        let shared = Shared { settings, capacity, capabilities, machines, clock, cleaned_up };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Does file work elsewhere. An answer that does not come in time is of the kind `lost`.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        lost: ErrorKind,
        work: impl FnOnce(&Shared) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || work(&shared));
        match tokio::time::timeout(LIMIT, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(ProviderError::new(lost, operation, error.to_string())),
            Err(_) => {
                let message = format!("the disk did not answer within {} s", LIMIT.as_secs());
                Err(ProviderError::new(lost, operation, message))
            }
        }
    }

    /// Starts the supervisor. From here on the machine exists, whatever comes of it: a machine that
    /// could not be started is a failed one, as in a cloud.
    async fn start(&self, folder: Folder) {
        let Settings { supervisor, start_window, .. } = &self.shared.settings;
        match launch::launch(supervisor, &folder, *start_window).await {
            Launched::Running => {}
            Launched::Unsure(why) => {
                tracing::warn!(folder = %folder.path().display(), why, "machine did not start");
            }
            Launched::Never(error) => {
                let why = format!("its supervisor could not be started: {error}");
                tracing::warn!(folder = %folder.path().display(), why, "machine did not start");
                let ended = Ended { at: self.shared.clock.now(), cause: Cause::NotStarted { why } };
                let written = self
                    .blocking(CREATE, ErrorKind::Unavailable, move |_| {
                        folder.write_ended(&ended).map_err(|error| unavailable(CREATE, &error))
                    })
                    .await;
                if let Err(error) = written {
                    tracing::warn!(%error, "cannot write down that a machine did not start");
                }
            }
        }
    }
}

#[async_trait]
impl Observe for Local {
    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        self.blocking(LIST, ErrorKind::Unavailable, |shared| {
            let now = shared.clock.now();
            let seen = shared.machines.list(now).map_err(|error| unavailable(LIST, &error))?;
            Ok(match seen.problems.is_empty() {
                true => Listing::Complete(seen.instances),
                false => Listing::Partial { seen: seen.instances, why: seen.problems.join("; ") },
            })
        })
        .await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        let id = id.clone();
        self.blocking(GET, ErrorKind::Unavailable, move |shared| {
            let now = shared.clock.now();
            match shared.machines.look(&id, now) {
                Ok(Some(instance)) => Ok(instance),
                Ok(None) => {
                    let message = format!("there is no machine {id}");
                    Err(ProviderError::new(ErrorKind::NotFound, GET, message))
                }
                Err(error) => Err(unavailable(GET, &error)),
            }
        })
        .await
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.blocking(OFFERINGS, ErrorKind::Unavailable, |shared| {
            // Without its folder nothing can be had.
            shared.machines.check().map_err(|error| unavailable(OFFERINGS, &error))?;
            Ok(shared.capacity.offerings())
        })
        .await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.blocking(QUOTA, ErrorKind::Unavailable, |shared| {
            let now = shared.clock.now();
            let used = shared.machines.in_use(now).map_err(|error| unavailable(QUOTA, &error))?;
            Ok(shared.capacity.quota(used.machines, used.processors, used.memory))
        })
        .await
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        Ok(Vec::new())
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Act for Local {
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        let id = Machines::id_of(&request.tags.intent);
        let provider = self.clone();
        let request = request.clone();
        // A task of its own: a caller that stops waiting must not leave a folder without a supervisor.
        let task = tokio::spawn(async move {
            let until = provider.shared.clock.monotonic() + ADMISSION_WAIT;
            loop {
                let request = request.clone();
                let admit = move |shared: &Shared| shared.admit(&request, shared.clock.now());
                match provider.blocking(CREATE, ErrorKind::Ambiguous, admit).await? {
                    Admitted::Existed => return Ok(Created::AlreadyExists(id)),
                    Admitted::Made(folder) => {
                        provider.start(folder).await;
                        return Ok(Created::New(id));
                    }
                    Admitted::Busy if provider.shared.clock.monotonic() > until => {
                        let kind = ErrorKind::Throttled { after: None };
                        let message = "too many machines are being created at once";
                        return Err(ProviderError::new(kind, CREATE, message));
                    }
                    Admitted::Busy => tokio::time::sleep(PAUSE).await,
                }
            }
        });
        task.await.unwrap_or_else(|error| {
            Err(ProviderError::new(ErrorKind::Ambiguous, CREATE, error.to_string()))
        })
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        _since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        let intent = *intent;
        self.blocking(RESOLVE, ErrorKind::Unavailable, move |shared| {
            shared.resolve(&intent).map_err(|error| unavailable(RESOLVE, &error))
        })
        .await
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        let id = id.clone();
        let target = self
            .blocking(DELETE, ErrorKind::Unavailable, move |shared| {
                let failed = |error: io::Error| unavailable(DELETE, &error);
                match shared.machines.target(&id).map_err(failed)? {
                    Target::Absent => Ok(None),
                    Target::Stranger(why) => {
                        let message = format!("{id} is not a machine of ours: {why}");
                        Err(ProviderError::new(ErrorKind::Unavailable, DELETE, message))
                    }
                    Target::Machine(folder, spec) => {
                        folder.unwant().map_err(failed)?;
                        Ok(Some((folder, spec)))
                    }
                }
            })
            .await?;
        let Some((folder, spec)) = target else { return Ok(Deletion::AlreadyGone) };
        let until = self.shared.clock.monotonic() + DELETE_WAIT;
        loop {
            let (folder, spec) = (folder.clone(), spec.clone());
            let removal = self
                .blocking(DELETE, ErrorKind::Unavailable, move |shared| {
                    let removal = shared.machines.remove(&folder, &spec);
                    removal.map_err(|error| unavailable(DELETE, &error))
                })
                .await?;
            if removal == Removal::Done || self.shared.clock.monotonic() > until {
                return Ok(Deletion::Accepted);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn delete_side_resource(
        &self,
        _resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        Ok(Deletion::AlreadyGone)
    }
}
