//! The two traits. Decides how file work becomes answers of a cloud; every answer that proves
//! something (absence, "nothing was made") is given only where that is proven.
//!
//! What is asked here is blocking file work, so it runs on the threads that tokio has for that, each
//! call within [`LIMIT`]: a disk that hangs must not hang a space for ever.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Idempotency, Instance,
    InstanceId, IntentToken, Interruption, Listing, Observe, Offering, ProviderError, Quota,
    Resolution, SideResource, Timestamp,
};

use crate::folder::{self, Cause, Draft, Ended, Folder, Installed, Pinning, Spec};
use crate::launch::{self, Launched};
use crate::machines::{Machines, Place, Removal, Target};
use crate::procs::MARK;
use crate::script::Shebang;
use crate::settings::{self, Capacity, Settings};

/// Most bytes of `user_data`.
const USER_DATA_LIMIT: usize = 1 << 20;

/// Longest that a call may wait for the disk.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest that a create waits for the creates of others.
const ADMISSION_WAIT: Duration = Duration::from_secs(10);

/// Longest that a delete waits to see its end; afterwards it is under way.
const DELETE_WAIT: Duration = Duration::from_secs(1);

/// Pause between two tries while waiting.
const PAUSE: Duration = Duration::from_millis(10);

/// Time between two removals of old tombstones.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(600);

const CREATE: &str = "create machine";
const DELETE: &str = "delete machine";
const GET: &str = "get machine";
const LIST: &str = "list machines";
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

#[derive(Debug)]
struct Shared {
    settings: Settings,
    capacity: Capacity,
    capabilities: Capabilities,
    machines: Machines,
    clock: Arc<dyn Clock>,
    /// On the monotonic clock.
    cleaned_up: Mutex<Option<Duration>>,
}

/// How a create went on.
enum Admitted {
    /// The folder is in its place and its supervisor is ours to start.
    Made(Folder),
    Existed,
    /// Somebody else is just creating.
    Busy,
}

impl Local {
    /// Opens the folder of `settings`, making it if need be. Starts nothing.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let dir = settings.dir.clone();
        let folder_error = |source| OpenError::Folder { dir: dir.clone(), source };
        let machines = Machines::open(&settings.dir).map_err(folder_error)?;
        let file_system = settings::network_file_system(machines.dir()).map_err(folder_error)?;
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
        let cleaned_up = Mutex::new(None);
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

/// The file system failed; proves nothing.
fn unavailable(operation: &'static str, error: &io::Error) -> ProviderError {
    ProviderError::new(ErrorKind::Unavailable, operation, error.to_string())
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, CREATE, message)
}

impl Shared {
    /// Everything about a request that can be wrong by itself. Gives the offering as we have it.
    fn check(&self, request: &CreateRequest) -> Result<Offering, ProviderError> {
        let text = request.user_data.expose();
        if text.len() > USER_DATA_LIMIT {
            let length = text.len();
            return Err(invalid(format!(
                "user_data has {length} bytes, more than {USER_DATA_LIMIT}"
            )));
        }
        let shebang = Shebang::parse(text).map_err(|why| invalid(why.to_string()))?;
        if !std::path::Path::new(shebang.interpreter).exists() {
            let interpreter = shebang.interpreter;
            return Err(invalid(format!("the interpreter {interpreter:?} is not on this host")));
        }
        for (name, value) in &request.environment {
            let sound = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
            if !sound || name == MARK {
                // Without the value: it may be a secret.
                return Err(invalid(format!("{name:?} cannot be a variable of a machine")));
            }
        }
        self.capacity
            .offerings()
            .into_iter()
            .find(|offering| offering.id == request.offering.id)
            .ok_or_else(|| invalid(format!("there is no flavour {}", request.offering.id)))
    }

    /// The whole of a create but the start of the supervisor.
    fn admit(&self, request: &CreateRequest, now: Timestamp) -> Result<Admitted, ProviderError> {
        let offering = self.check(request)?;
        if self.has_place(request)? {
            return Ok(Admitted::Existed);
        }
        // Until the folder is in its place nothing is made, so these are all certain.
        let nothing_made = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let kind = ErrorKind::InsufficientCapacity { offering: offering.id.clone() };
                ProviderError::new(kind, CREATE, error.to_string())
            }
            _ => unavailable(CREATE, &error),
        };
        let Some(_admission) = self.machines.admission().map_err(nothing_made)? else {
            return Ok(Admitted::Busy);
        };
        self.clean_up_sometimes(now);
        if self.has_place(request)? {
            return Ok(Admitted::Existed);
        }
        self.check_room(&offering, now)?;
        let spec = self.spec(request, &offering, now);
        let draft = Draft {
            spec: &spec,
            environment: &request.environment,
            user_data: request.user_data.expose(),
        };
        let draft = self.machines.draft(&draft).map_err(nothing_made)?;
        let place = self.machines.place_of(&request.tags.intent);
        match folder::install(draft, &place) {
            Ok(Installed::Now) => Ok(Admitted::Made(place)),
            Ok(Installed::ThereWasOne) => Ok(Admitted::Existed),
            Err(error) => match place.spec() {
                Ok(there) if there.mark == spec.mark => Ok(Admitted::Made(place)),
                Ok(_) | Err(_) => {
                    Err(ProviderError::new(ErrorKind::Ambiguous, CREATE, error.to_string()))
                }
            },
        }
    }

    fn has_place(&self, request: &CreateRequest) -> Result<bool, ProviderError> {
        match self.machines.place(&request.tags.intent) {
            Ok(Place::Free) => Ok(false),
            // A tombstone is what is left of this intent: it is absent when asked for.
            Ok(Place::Machine | Place::Fenced) => Ok(true),
            Ok(Place::Unclear(why)) => Err(ProviderError::new(ErrorKind::Ambiguous, CREATE, why)),
            // An earlier call may have made it.
            Err(error) => Err(ProviderError::new(ErrorKind::Ambiguous, CREATE, error.to_string())),
        }
    }

    fn check_room(&self, offering: &Offering, now: Timestamp) -> Result<(), ProviderError> {
        let used = self.machines.in_use(now).map_err(|error| unavailable(CREATE, &error))?;
        let (processors, memory) =
            (used.processors.plus(offering.processors), used.memory.plus(offering.memory));
        if processors <= self.capacity.processors && memory <= self.capacity.memory {
            return Ok(());
        }
        let message = format!(
            "{} processors and {} MB would be in use, of {} and {}",
            processors, memory, self.capacity.processors, self.capacity.memory
        );
        Err(ProviderError::new(ErrorKind::QuotaExceeded, CREATE, message))
    }

    fn spec(&self, request: &CreateRequest, offering: &Offering, now: Timestamp) -> Spec {
        let Settings { grace, start_window, console_bytes, .. } = &self.settings;
        let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Spec {
            format: folder::FORMAT,
            tags: request.tags.clone(),
            flavour: offering.id.flavour.clone(),
            processors: offering.processors,
            memory: offering.memory,
            created: now,
            mark: format!("{:032x}", rand::random::<u128>()),
            pinning: if self.capacity.is_overcommitted() { Pinning::Free } else { Pinning::Pinned },
            start_window_ms: millis(start_window),
            grace_ms: millis(grace),
            console_bytes: *console_bytes,
        }
    }

    /// Old tombstones are no reason to fail a create.
    fn clean_up_sometimes(&self, now: Timestamp) {
        let monotonic = self.clock.monotonic();
        {
            let mut last = self.cleaned_up.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| monotonic.saturating_sub(last) < CLEAN_UP_EVERY) {
                return;
            }
            *last = Some(monotonic);
        }
        if let Err(error) = self.machines.clean_up(now) {
            tracing::warn!(%error, "cannot remove what is left of old machines");
        }
    }

    fn resolve(&self, intent: &IntentToken) -> io::Result<Resolution> {
        // Twice at most: a place that was free and could not be fenced has something in it.
        for _ in 0..2 {
            match self.machines.place(intent)? {
                Place::Machine => return Ok(Resolution::Found(Machines::id_of(intent))),
                Place::Fenced => return Ok(Resolution::ProvenAbsent),
                Place::Unclear(why) => {
                    tracing::warn!(%intent, why, "the place of an intent cannot be read");
                    return Ok(Resolution::Unknown);
                }
                Place::Free => match self.machines.fence(intent)? {
                    Installed::Now => return Ok(Resolution::ProvenAbsent),
                    Installed::ThereWasOne => {}
                },
            }
        }
        Ok(Resolution::Unknown)
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
        Ok(self.shared.capacity.offerings())
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
        let intent = intent.clone();
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
