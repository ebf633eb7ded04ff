//! The decisions of a create and of a resolve: what is refused and why, what is admitted, and what is
//! certain at each point. Blocking file work; starts no process.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vcycle_api::{
    Capabilities, Clock, CreateRequest, ErrorKind, IntentToken, Offering, ProviderError,
    Resolution, SystemClock, Timestamp,
};

use crate::folder::{self, Draft, Folder, Installed};
use crate::machines::{Machines, Place};
use crate::procs::MARK;
use crate::records::{FORMAT, Pinning, Spec};
use crate::script::Shebang;
use crate::settings::{Capacity, Settings};

/// Most bytes of `user_data`.
pub const USER_DATA_LIMIT: usize = 1 << 20;

/// Time between two removals of old tombstones.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(600);

/// The name of the operation in errors.
pub(crate) const CREATE: &str = "create machine";

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) capacity: Capacity,
    pub(crate) capabilities: Capabilities,
    pub(crate) machines: Machines,
    /// The host's: it is the clock of the supervisors, who play the cloud, whatever the manager believes.
    pub(crate) clock: SystemClock,
    /// On the monotonic clock.
    pub(crate) cleaned_up: Mutex<Option<Duration>>,
}

/// How a create went on.
pub(crate) enum Admitted {
    /// The folder is in its place and its supervisor is ours to start.
    Made(Folder),
    Existed,
    /// Somebody else is just creating.
    Busy,
}

/// The file system failed; proves nothing.
pub(crate) fn unavailable(operation: &'static str, error: &io::Error) -> ProviderError {
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
    pub(crate) fn admit(
        &self,
        request: &CreateRequest,
        now: Timestamp,
    ) -> Result<Admitted, ProviderError> {
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
        let Settings { grace, patience, start_window, console_bytes, .. } = &self.settings;
        let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Spec {
            format: FORMAT,
            tags: request.tags.clone(),
            flavour: offering.id.flavour.clone(),
            processors: offering.processors,
            memory: offering.memory,
            created: now,
            mark: format!("{:032x}", rand::random::<u128>()),
            pinning: if self.capacity.is_overcommitted() { Pinning::Free } else { Pinning::Pinned },
            start_window_ms: millis(start_window),
            grace_ms: millis(grace),
            patience_ms: millis(patience),
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

    pub(crate) fn resolve(&self, intent: &IntentToken) -> io::Result<Resolution> {
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
