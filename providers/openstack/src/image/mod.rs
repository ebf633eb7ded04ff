//! Images: found by name or id, uploaded, and removed when nobody uses them (Glance).
//!
//! - `image:ID` or a UUID is that image. A name is the newest active image of that name, of our own
//!   project before those of others ([`glance::meant_by`]). Either is remembered for five minutes.
//! - A file or a URL is uploaded as an image of ours ([`keeper`], [`upload`]), which a change of the
//!   source replaces by another. Until the new one is active, the old one is used.
//!
//! No call here waits for an upload.

mod describe;
mod format;
mod glance;
mod keeper;
mod ours;
mod reference;
mod source;
mod standing;
mod tally;
#[cfg(test)]
mod tests;
mod trouble;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::AbortHandle;
use vcycle_api::{Clock, ErrorKind, Need, ProviderError, Readiness};

use crate::Settings;
use crate::session::{Failure, Session};
pub(crate) use describe::describe;
use glance::{Image, Status};
use keeper::Keeper;
pub(crate) use reference::{Reference, Source};
use standing::Standing;
use trouble::Lasts;
use upload::Pace;

/// How long an image that was found by name or id is taken for found.
const FOUND_FOR: Duration = Duration::from_secs(5 * 60);

/// How long a first look at files and web servers is waited for, so that what is there already is
/// ready at once after a start. An upload is not waited for.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// An image that servers can be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageId {
    /// Its id in Glance.
    pub(crate) id: String,
    /// Disk that a machine needs at least, in GiB: what its owner says, and what is in it.
    pub(crate) min_disk_gb: u32,
    /// Memory that a machine needs at least, in MiB.
    pub(crate) min_ram: u32,
}

impl ImageId {
    fn of(image: &Image) -> Self {
        let min_ram = image.min_ram.unwrap_or(0);
        Self { id: image.id.clone(), min_disk_gb: image.min_disk_gb(), min_ram }
    }
}

/// The images of one tenancy.
pub(crate) struct Images {
    session: Session,
    clock: Arc<dyn Clock>,
    found: Mutex<BTreeMap<Reference, (Duration, ImageId)>>,
    keeper: Arc<Keeper>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Images")
    }
}

/// Uploads end with the provider: the next manager finds them half-made and goes on.
impl Drop for Images {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Images {
    /// Does not speak to the cloud. Nothing is uploaded where the settings name no deployment.
    pub(crate) fn new(session: Session, settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        Self::with_pace(session, settings, clock, Pace::default())
    }

    fn with_pace(session: Session, settings: &Settings, clock: Arc<dyn Clock>, pace: Pace) -> Self {
        let deployment = settings.deployment.clone();
        let keeper = Keeper::new(session.clone(), Arc::clone(&clock), deployment, pace);
        let (found, tasks) = (Mutex::default(), Mutex::default());
        Self { session, clock, found, keeper: Arc::new(keeper), tasks }
    }

    /// Whether the images of these machinetypes can be used; begins the uploads that are needed. An
    /// error (credentials, too many requests) says nothing of any.
    pub(crate) async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        let references: Vec<_> = needs.iter().map(reference_of).collect();
        let sources: BTreeSet<Source> = references
            .iter()
            .filter_map(|reference| match reference {
                Ok(Reference::Source(source)) => Some(source.clone()),
                Ok(Reference::Id(_) | Reference::Name(_)) | Err(_) => None,
            })
            .collect();
        self.keeper.want_only(&sources);
        let answers = references.into_iter().map(|reference| async {
            match reference {
                Ok(reference) => self.ensure_ready(&reference).await,
                Err(why) => Ok(Readiness::Cannot { why }),
            }
        });
        join_all(answers).await.into_iter().collect()
    }

    /// Whether an image can be used; begins its upload if it needs one.
    pub(crate) async fn ensure_ready(
        &self,
        reference: &Reference,
    ) -> Result<Readiness, ProviderError> {
        match self.find(reference).await {
            Ok(_) => Ok(Readiness::Ready),
            Err(NotFound::NotYet(why)) => Ok(Readiness::NotYet { why }),
            Err(NotFound::Never(why)) => Ok(Readiness::Cannot { why }),
            Err(NotFound::Unknown(failure)) => {
                let error = failure.of_read();
                match error.kind {
                    ErrorKind::AuthFailed | ErrorKind::Throttled { .. } => Err(error),
                    ErrorKind::NotFound
                    | ErrorKind::Ambiguous
                    | ErrorKind::InsufficientCapacity { .. }
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::InvalidSpec
                    | ErrorKind::Unavailable => Ok(Readiness::NotYet { why: error.to_string() }),
                }
            }
        }
    }

    /// The image that a new server is to be made from. `InvalidSpec`: there is none and will be none;
    /// `Unavailable`: there is none yet, or it cannot be told. Nothing was made in either case.
    pub(crate) async fn resolve(&self, reference: &str) -> Result<ImageId, ProviderError> {
        let error = |kind, why| ProviderError::new(kind, "find image", why);
        let reference = Reference::parse(reference)
            .map_err(|no| error(ErrorKind::InvalidSpec, format!("root_image: {no}")))?;
        self.find(&reference).await.map_err(|not_found| match not_found {
            NotFound::NotYet(why) => error(ErrorKind::Unavailable, why),
            NotFound::Never(why) => error(ErrorKind::InvalidSpec, why),
            NotFound::Unknown(failure) => failure.of_read(),
        })
    }

    /// A create was refused: perhaps an image that we had found is not there any more.
    pub(crate) fn forget_found(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.keeper.doubt();
    }

    async fn find(&self, reference: &Reference) -> Result<ImageId, NotFound> {
        let source = match reference {
            Reference::Source(source) => source,
            Reference::Id(_) | Reference::Name(_) => return self.find_in_cloud(reference).await,
        };
        self.keeper.want(source);
        self.work_in_background();
        let standing = self.first_look(source).await;
        match (&standing, standing.why()) {
            (Standing::Ready(image), _) => Ok(image.clone()),
            (_, Some((why, Lasts::UntilMended))) => {
                Err(NotFound::Never(format!("image of {source}: {why}")))
            }
            (_, Some((why, Lasts::ForNow))) => {
                Err(NotFound::NotYet(format!("image of {source}: {why}")))
            }
            (_, None) => Err(NotFound::NotYet(format!("image of {source}: being looked for"))),
        }
    }

    /// By name or id. While Glance does not answer, what was found before is good enough.
    async fn find_in_cloud(&self, reference: &Reference) -> Result<ImageId, NotFound> {
        let now = self.clock.monotonic();
        let found = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let known = found().get(reference).cloned();
        if let Some((at, image)) = &known
            && now.saturating_sub(*at) < FOUND_FOR
        {
            return Ok(image.clone());
        }
        match look_up(&self.session, reference).await {
            Ok(image) => {
                found().insert(reference.clone(), (now, image.clone()));
                Ok(image)
            }
            Err(NotFound::Unknown(failure)) => match known {
                Some((_, image)) => Ok(image),
                None => Err(NotFound::Unknown(failure)),
            },
            Err(other @ (NotFound::NotYet(_) | NotFound::Never(_))) => {
                found().remove(reference);
                Err(other)
            }
        }
    }

    /// What a source amounts to, when somebody has looked at it or the patience is at its end.
    async fn first_look(&self, source: &Source) -> Standing {
        let mut changes = self.keeper.changes();
        let looked = async {
            while let Standing::Unseen = self.keeper.standing(source) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Too late is no error: the standing says then that nobody has looked yet.
        tokio::time::timeout(FIRST_LOOK, looked).await.ok();
        self.keeper.standing(source)
    }

    /// Starts the tasks, again if need be (they end with the runtime that they were started on).
    fn work_in_background(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_empty() || tasks.iter().any(AbortHandle::is_finished) {
            for task in tasks.drain(..) {
                task.abort();
            }
            let (looks, uploads) = (Arc::clone(&self.keeper), Arc::clone(&self.keeper));
            tasks.push(tokio::spawn(looks.look_on()).abort_handle());
            tasks.push(tokio::spawn(uploads.upload_on()).abort_handle());
        }
    }
}

/// Why there is no image to give.
enum NotFound {
    /// There will be one by itself.
    NotYet(String),
    /// Somebody has to do something.
    Never(String),
    /// The cloud did not tell.
    Unknown(Failure),
}

fn reference_of(need: &Need) -> Result<Reference, String> {
    let Some(text) = &need.image else {
        return Err("no root_image, in the entry or in the configuration".to_owned());
    };
    Reference::parse(text).map_err(|no| format!("root_image: {no}"))
}

async fn look_up(session: &Session, reference: &Reference) -> Result<ImageId, NotFound> {
    match reference {
        Reference::Id(id) => {
            let image = glance::get(session, id).await.map_err(NotFound::Unknown)?;
            match image {
                Some(image) => usable(&image, &format!("image {id}")),
                None => {
                    Err(NotFound::Never(format!("no image with id {id} that this project sees")))
                }
            }
        }
        Reference::Name(name) => {
            let images = glance::named(session, name).await.map_err(NotFound::Unknown)?;
            let project = session.whoami().await.map_err(NotFound::Unknown)?.project_id;
            match (glance::meant_by(name, &project, &images), images.as_slice()) {
                (Some(image), _) => Ok(ImageId::of(image)),
                (None, [image, ..]) => usable(image, &format!("image '{name}'")),
                (None, []) => Err(NotFound::Never(format!("no image with name '{name}'"))),
            }
        }
        Reference::Source(source) => Err(NotFound::Never(format!("{source} is not in the cloud"))),
    }
}

fn usable(image: &Image, what: &str) -> Result<ImageId, NotFound> {
    match &image.status {
        Status::Active => Ok(ImageId::of(image)),
        Status::Queued | Status::Saving => {
            let status = &image.status;
            Err(NotFound::NotYet(format!("{what} is still being made ({status})")))
        }
        Status::Deactivated => {
            Err(NotFound::Never(format!("{what} was deactivated by an operator of the cloud")))
        }
        Status::Gone(status) | Status::Other(status) => {
            Err(NotFound::Never(format!("{what} cannot be used, its status is {status}")))
        }
    }
}
