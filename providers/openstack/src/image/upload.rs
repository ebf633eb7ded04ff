//! Brings one source into Glance: looks what is there already, goes on with it or makes it, sends the
//! data, and proves that what Glance has stored is what was sent.
//!
//! Each step looks anew and follows from what it sees, so it does not matter what became of a
//! step before: it may have been another process's.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::format::disk_format;
use super::glance::{self, Image, Removal, Status};
use super::ours::{self, Owner, Step, Version, property};
use super::reference::Source;
use super::source::{self, Opened, Stamp};
use super::tally::{Digests, Doing, Passing, Tally};
use super::trouble::Trouble;
use crate::session::{Failure, Session};

/// Times of an upload. A type of its own so that tests need not wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two looks at an image that is being stored.
    pub(crate) poll: Duration,
    /// After this time without progress an upload is given up: Glance copies an image into its
    /// store only when it has all of it, which takes minutes for tens of gigabytes.
    pub(crate) stall: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { poll: Duration::from_secs(5), stall: Duration::from_secs(30 * 60) }
    }
}

/// Ids that are tried for one version: each is used up when its image was deleted.
const ATTEMPTS: u32 = 64;

/// Steps for one version, waiting aside; more are a sign that Glance does not do what it says.
const ROUNDS: u32 = 20;

/// What an upload is made with.
pub(crate) struct Upload<'a> {
    pub(crate) session: &'a Session,
    pub(crate) web: &'a reqwest::Client,
    pub(crate) owner: &'a Owner,
    pub(crate) pace: Pace,
    pub(crate) tally: &'a Arc<Tally>,
}

impl Upload<'_> {
    /// Makes the source as it is now an image that can be used.
    pub(crate) async fn run(&self, source: &Source) -> Result<(Image, Stamp), Trouble> {
        let (version, mut opened) = self.read(source).await?;
        let mut made: Option<Image> = None;
        let mut waited = Duration::ZERO;
        let mut rounds = 0;
        while rounds < ROUNDS {
            rounds += 1;
            let images = match made.take() {
                Some(image) => vec![image],
                None => self.images(source).await?,
            };
            match ours::next_step(&images, &version) {
                Step::Use(image) => return Ok((image.clone(), version.stamp)),
                Step::Forbidden(image) => return Err(forbidden(image)),
                Step::Remove(image) => self.remove(image).await?,
                Step::Wait(image) if waited >= self.pace.stall => {
                    // Nobody sends into it any more: the data of a dead process, or a dead Glance.
                    self.remove(image).await?;
                    waited = Duration::ZERO;
                }
                Step::Wait(_) => {
                    self.tally.begin(Doing::Storing, version.stamp.bytes);
                    tokio::time::sleep(self.pace.poll).await;
                    waited += self.pace.poll;
                    rounds -= 1;
                }
                Step::Make => made = Some(self.make(&version).await?),
                Step::Fill(image) => {
                    let from = match opened.take() {
                        Some(opened) => opened,
                        None => self.open_again(&version).await?,
                    };
                    let image = self.fill(&image.id, &version, from).await?;
                    return Ok((image, version.stamp));
                }
            }
        }
        Err(Trouble::for_now(format!("{source}: its image in the cloud changes all the time")))
    }

    /// Which version there is. A file of this host is read for its digest first, as its time may
    /// change without its content; what is elsewhere is read only once.
    async fn read(&self, source: &Source) -> Result<(Version, Option<Opened>), Trouble> {
        let opened = source::open(source, self.web).await?;
        let format = disk_format(&opened.head)
            .map_err(|no| Trouble::until_mended(format!("{source}: {no}")))?;
        let stamp = opened.stamp.clone();
        let mut version = Version { source: source.clone(), stamp, digests: None, format };
        match source {
            Source::Url(_) => Ok((version, Some(opened))),
            Source::File(_) => {
                self.tally.begin(Doing::Reading, opened.stamp.bytes);
                version.digests = Some(self.digest(source, opened).await?);
                Ok((version, None))
            }
        }
    }

    async fn digest(&self, source: &Source, opened: Opened) -> Result<Digests, Trouble> {
        let passing = Passing::default();
        let mut chunks = passing.watch(opened.chunks, Arc::clone(self.tally));
        while let Some(chunk) = chunks.next().await {
            chunk.map_err(|error| Trouble::for_now(format!("read {source}: {error}")))?;
            // Digesting is work for the processor; others of this thread get their turn.
            tokio::task::yield_now().await;
        }
        Ok(passing.digests())
    }

    async fn open_again(&self, version: &Version) -> Result<Opened, Trouble> {
        let opened = source::open(&version.source, self.web).await?;
        if opened.stamp.is_same(&version.stamp) {
            Ok(opened)
        } else {
            Err(Trouble::for_now(format!("{}: it changed just now", version.source)))
        }
    }

    async fn images(&self, source: &Source) -> Result<Vec<Image>, Failure> {
        images_of(self.session, self.owner, source).await
    }

    /// An image of this version without data: a new one, or the one that an earlier create made
    /// whose reply was lost.
    async fn make(&self, version: &Version) -> Result<Image, Trouble> {
        for attempt in 0..ATTEMPTS {
            let id = version.id(self.owner, attempt);
            match glance::create(self.session, version.body(self.owner, &id)).await {
                Ok(image) => {
                    tracing::info!(image = %image.id, source = %version.source, "image made");
                    return Ok(image);
                }
                Err(failure) if glance::is_refused(&failure, &[409]) => {
                    // The id has been used. If its image was deleted, the id is used up.
                    match glance::get(self.session, &id).await? {
                        Some(image) if !matches!(image.status, Status::Gone(_)) => {
                            return Ok(image);
                        }
                        Some(_) | None => {}
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let source = &version.source;
        Err(Trouble::until_mended(format!("{source}: {ATTEMPTS} images of it have been deleted")))
    }

    /// Sends the data and proves that it has arrived.
    async fn fill(&self, id: &str, version: &Version, from: Opened) -> Result<Image, Trouble> {
        let source = &version.source;
        self.tally.begin(Doing::Uploading, from.stamp.bytes);
        let passing = Passing::default();
        let body = reqwest::Body::wrap_stream(passing.watch(from.chunks, Arc::clone(self.tally)));
        let sent = self.unless_stalled(glance::fill(self.session, id, body)).await;
        let digests = passing.digests();
        self.tally.begin(Doing::Storing, from.stamp.bytes);
        let image = self.stored(id, source).await?;
        let is_intended = version.digests.as_ref().is_none_or(|intended| *intended == digests);
        if image.status == Status::Active && is_intended && ours::is_what_was_sent(&image, &digests)
        {
            // Also when the reply to the upload was lost: what is stored proves that it arrived.
            tracing::info!(image = id, source = %source, "image uploaded");
            return Ok(image);
        }
        match sent {
            // A queued image stays for the next try, which goes on with it.
            Err(trouble) => Err(trouble),
            Ok(()) => {
                self.remove(&image).await?;
                let status = &image.status;
                let why = if is_intended {
                    format!("{source}: the cloud stored something else than was sent ({status})")
                } else {
                    format!("{source}: it changed while it was read")
                };
                Err(Trouble::for_now(why))
            }
        }
    }

    /// The image when the cloud has done with what was sent.
    async fn stored(&self, id: &str, source: &Source) -> Result<Image, Trouble> {
        let mut waited = Duration::ZERO;
        loop {
            match glance::get(self.session, id).await? {
                Some(image) if image.status != Status::Saving || waited >= self.pace.stall => {
                    return Ok(image);
                }
                Some(_) => {}
                None => {
                    let why = format!("{source}: its image was deleted while it was uploaded");
                    return Err(Trouble::for_now(why));
                }
            }
            tokio::time::sleep(self.pace.poll).await;
            waited += self.pace.poll;
        }
    }

    /// Ends an upload that has stood still for too long.
    async fn unless_stalled(
        &self,
        sending: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Trouble> {
        let watch = async {
            let mut last = self.tally.done();
            loop {
                tokio::time::sleep(self.pace.stall).await;
                let now = self.tally.done();
                if now == last {
                    return;
                }
                last = now;
            }
        };
        tokio::select! {
            sent = sending => sent.map_err(Trouble::from),
            () = watch => Err(Trouble::for_now("upload image: the cloud takes no more data")),
        }
    }

    async fn remove(&self, image: &Image) -> Result<(), Trouble> {
        tracing::info!(image = %image.id, status = %image.status, "image of ours removed: not whole");
        match glance::remove(self.session, &image.id).await? {
            Removal::Gone => Ok(()),
            Removal::Needed => {
                let id = &image.id;
                let why =
                    format!("image {id} of ours is not whole and cannot be removed: delete it");
                Err(Trouble::until_mended(why))
            }
        }
    }
}

/// All images of ours of a source, in any state.
pub(crate) async fn images_of(
    session: &Session,
    owner: &Owner,
    source: &Source,
) -> Result<Vec<Image>, Failure> {
    let key = source.key();
    let mut images =
        glance::with_property(session, (property::SOURCE, &key), &owner.project).await?;
    let deployment = owner.deployment.as_str();
    images.retain(|image| image.property(property::DEPLOYMENT) == Some(deployment));
    Ok(images)
}

fn forbidden(image: &Image) -> Trouble {
    let why = format!("an operator of the cloud has deactivated its image {}: ask them", image.id);
    Trouble::until_mended(why)
}
