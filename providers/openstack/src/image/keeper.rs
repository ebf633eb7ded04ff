//! Keeps the sources of a tenancy as images in the background: one task looks whether they are there
//! and as they should be, another uploads, one at a time. Neither is ever waited for by a cycle.
//!
//! What is known is in memory only and can be lost at any time: all of it is in Glance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, watch};
use vcycle_api::{Clock, DeploymentId};

use super::glance::{self, Image, Removal};
use super::ours::{self, Owner};
use super::reference::Source;
use super::source;
use super::standing::{Current, Held, Look, Stage, Standing, judge};
use super::tally::Tally;
use super::trouble::Trouble;
use super::upload::{Pace, Upload, images_of};
use crate::session::{Failure, Session};

/// How often Glance is asked whether an image of ours is still there.
const CLOUD_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// For how long an image must have been replaced before it is removed: by then no create call
/// that named it can still be under way.
const REPLACED_FOR: Duration = Duration::from_secs(60 * 60);

/// The sources of one tenancy.
pub(crate) struct Keeper {
    session: Session,
    /// `Err`: this host cannot speak HTTPS, with the reason.
    web: Result<reqwest::Client, String>,
    clock: Arc<dyn Clock>,
    deployment: Option<DeploymentId>,
    pace: Pace,
    owner: OnceCell<Owner>,
    held: Mutex<BTreeMap<Source, Held>>,
    looks: Notify,
    uploads: Notify,
    changes: watch::Sender<()>,
}

impl Keeper {
    /// Does nothing yet.
    pub(crate) fn new(
        session: Session,
        clock: Arc<dyn Clock>,
        deployment: Option<DeploymentId>,
        pace: Pace,
    ) -> Self {
        Self {
            session,
            web: source::web().map_err(|error| error.to_string()),
            clock,
            deployment,
            pace,
            owner: OnceCell::new(),
            held: Mutex::default(),
            looks: Notify::new(),
            uploads: Notify::new(),
            changes: watch::Sender::new(()),
        }
    }

    /// These are the sources that are needed now; others are forgotten once nothing is done for them.
    pub(crate) fn want_only(&self, sources: &BTreeSet<Source>) {
        let mut held = self.held();
        held.retain(|source, known| {
            sources.contains(source) || matches!(known.stage, Stage::Working(_))
        });
        for source in sources {
            held.entry(source.clone()).or_default();
        }
        drop(held);
        self.looks.notify_one();
    }

    /// This source is needed, too.
    pub(crate) fn want(&self, source: &Source) {
        self.held().entry(source.clone()).or_default();
        self.looks.notify_one();
    }

    /// Perhaps an image of ours is not there any more: the next look at its source asks Glance.
    pub(crate) fn doubt(&self) {
        self.held().values_mut().for_each(|known| known.listed = None);
    }

    /// What a source amounts to now.
    pub(crate) fn standing(&self, source: &Source) -> Standing {
        self.held().get(source).map_or(Standing::Unseen, Held::standing)
    }

    /// When Glance was last asked for the images of a source, all that follows from its answer being
    /// done; on our monotonic clock.
    #[cfg(test)]
    pub(super) fn last_listed(&self, source: &Source) -> Option<Duration> {
        self.held().get(source)?.listed
    }

    /// Changes whenever a standing may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Looks at sources, whenever it is wanted, for ever.
    pub(crate) async fn look_on(self: Arc<Self>) {
        loop {
            for source in self.due() {
                let seen = self.look(&source).await;
                let now = self.clock.monotonic();
                self.note(&source, |known| known.note_look(seen, now));
                self.uploads.notify_one();
            }
            self.looks.notified().await;
        }
    }

    /// Uploads sources that need it, one at a time, for ever.
    pub(crate) async fn upload_on(self: Arc<Self>) {
        loop {
            while let Some((source, tally)) = self.next_upload() {
                let done = self.upload(&source, &tally).await;
                let now = self.clock.monotonic();
                self.note(&source, |known| known.note_upload(done, now));
            }
            self.uploads.notified().await;
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Source, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> Vec<Source> {
        let now = self.clock.monotonic();
        let held = self.held();
        let due = held.iter().filter(|(source, known)| known.is_due(source, now));
        due.map(|(source, _)| source.clone()).collect()
    }

    fn next_upload(&self) -> Option<(Source, Arc<Tally>)> {
        let mut held = self.held();
        let (source, known) =
            held.iter_mut().find(|(_, known)| matches!(known.stage, Stage::Waiting))?;
        let tally = Arc::new(Tally::default());
        known.stage = Stage::Working(Arc::clone(&tally));
        Some((source.clone(), tally))
    }

    /// Takes something in, and says once what went wrong.
    fn note(&self, source: &Source, take: impl FnOnce(&mut Held)) {
        let mut held = self.held();
        if let Some(known) = held.get_mut(source) {
            take(known);
            if let Stage::Failed(trouble) = &known.stage {
                let older = known.current.as_ref().map(|current| current.image.id.as_str());
                tracing::warn!(%source, why = %trouble, older, "image is not up to date");
            }
        }
        drop(held);
        self.changes.send_replace(());
    }

    async fn owner(&self) -> Result<&Owner, Trouble> {
        let Some(deployment) = &self.deployment else {
            return Err(Trouble::until_mended("who only looks at a cloud uploads nothing"));
        };
        let owner = self.owner.get_or_try_init(|| async {
            let project = self.session.whoami().await?.project_id;
            Ok::<_, Failure>(Owner { deployment: deployment.clone(), project })
        });
        Ok(owner.await?)
    }

    fn web(&self) -> Result<&reqwest::Client, Trouble> {
        self.web.as_ref().map_err(Trouble::until_mended)
    }

    /// Finds out whether the image of a source is there and of the version that the source has now.
    async fn look(&self, source: &Source) -> Result<Look, Trouble> {
        let stamp = source::stamp(source, self.web()?).await;
        let asked = self.clock.monotonic();
        let (known, is_due) = {
            let held = self.held();
            let known = held.get(source);
            let listed = known.and_then(|known| known.listed);
            let is_due = listed.is_none_or(|at| asked.saturating_sub(at) >= CLOUD_INTERVAL);
            (known.and_then(|known| known.current.clone()), is_due)
        };
        if let (Some(known), Ok(stamp)) = (&known, &stamp)
            && known.stamp.is_same(stamp)
            && !is_due
        {
            let current = Some(known.clone());
            return Ok(Look { current, is_right: true, listed: None, wrong: None });
        }
        let images = images_of(&self.session, self.owner().await?, source).await?;
        let now = self.clock.monotonic();
        let (current, is_right) = judge(known.as_ref(), stamp.as_ref().ok(), &images, now);
        if let Some(current) = current.as_ref().filter(|_| is_right) {
            self.remove_replaced(source, current, &images).await;
        }
        Ok(Look { current, is_right, listed: Some(asked), wrong: stamp.err() })
    }

    async fn upload(&self, source: &Source, tally: &Arc<Tally>) -> Result<Current, Trouble> {
        let (owner, web) = (self.owner().await?, self.web()?);
        let (session, pace) = (&self.session, self.pace);
        let (image, stamp) = Upload { session, web, owner, pace, tally }.run(source).await?;
        Ok(Current { image, stamp, since: self.clock.monotonic() })
    }

    /// Removes images of ours that the current one has replaced long ago and no server was made from.
    async fn remove_replaced(&self, source: &Source, current: &Current, images: &[Image]) {
        if self.clock.monotonic().saturating_sub(current.since) < REPLACED_FOR {
            return;
        }
        for image in ours::replaced_by(&current.image, images) {
            match self.remove_unused(image).await {
                Ok(Removal::Gone) => {
                    tracing::info!(image = %image.id, %source, "replaced image of ours removed");
                }
                Ok(Removal::Needed) => {}
                Err(failure) => {
                    let why = failure.message;
                    tracing::debug!(image = %image.id, why, "replaced image of ours not removed");
                }
            }
        }
    }

    async fn remove_unused(&self, image: &Image) -> Result<Removal, Failure> {
        if glance::is_used(&self.session, &image.id).await? {
            return Ok(Removal::Needed);
        }
        glance::remove(&self.session, &image.id).await
    }
}
