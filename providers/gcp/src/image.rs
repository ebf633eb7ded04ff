//! Images: how they are named in entries and settings, which concrete image a name means now, and whether a
//! machinetype has one. Nothing is ever uploaded.
//!
//! A family means its newest image, and moves. It is looked up once in [`KEPT`], so that all machines of that time
//! are alike, and the machine is made of the concrete image, so that the cloud's own books say which.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use google_cloud_compute_v1::model::{Image, deprecation_status, image};
use vcycle_api::{ErrorKind, Need, ProviderError, Readiness};

use crate::call::Call;
use crate::failure::Failure;
use crate::meaning::{Attempt, Meaning, error, meaning};
use crate::place::is_name;
use crate::session::Clients;
use crate::site::Site;

/// For how long a name means the same image.
const KEPT: Duration = Duration::from_secs(600);

/// Shown to who wrote something else.
const FORMS: &str = "projects/PROJECT/global/images/family/FAMILY, family/FAMILY, \
                     projects/PROJECT/global/images/NAME or NAME";

/// An image as it is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reference {
    /// The newest of a family.
    Family { project: String, family: String },
    /// This one.
    Image { project: String, name: String },
}

impl Reference {
    /// Reads a name; without a project it is in ours.
    pub(crate) fn parse(text: &str, ours: &str) -> Result<Self, String> {
        let bad = || format!("image '{text}' is not written as {FORMS}");
        // URLs, as consoles and listings show them, end in the same path.
        let path = match text.find("projects/") {
            Some(at) if text.starts_with("https://") => &text[at..],
            Some(_) | None => text,
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (project, family, name) = match parts.as_slice() {
            ["projects", project, "global", "images", "family", family] => {
                (*project, true, *family)
            }
            ["projects", project, "global", "images", name] => (*project, false, *name),
            ["global", "images", "family", family] | ["family", family] => (ours, true, *family),
            ["global", "images", name] | [name] => (ours, false, *name),
            _ => return Err(bad()),
        };
        if project.is_empty() || !is_name(name) {
            return Err(bad());
        }
        let (project, name) = (project.to_owned(), name.to_owned());
        Ok(if family {
            Self::Family { project, family: name }
        } else {
            Self::Image { project, name }
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family { project, family } => {
                write!(f, "projects/{project}/global/images/family/{family}")
            }
            Self::Image { project, name } => write!(f, "projects/{project}/global/images/{name}"),
        }
    }
}

/// The image that a name means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Concrete {
    /// As an insert wants it.
    pub(crate) link: String,
    /// Its size: the least of a disk.
    pub(crate) gb: i64,
}

/// What names meant when they were last looked up.
#[derive(Debug, Default)]
pub(crate) struct Images {
    known: Mutex<HashMap<Reference, (Concrete, Duration)>>,
}

impl Images {
    fn fresh(&self, reference: &Reference, now: Duration) -> Option<Concrete> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (concrete, at) = known.get(reference)?;
        (now.saturating_sub(*at) < KEPT).then(|| concrete.clone())
    }

    fn keep(&self, reference: Reference, concrete: Concrete, now: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(reference, (concrete, now));
    }
}

/// Why a name means no image.
#[derive(Debug)]
pub(crate) enum NoImage {
    /// Somebody must change something.
    Never(String),
    /// It could not be told.
    Failed(Failure),
}

/// The image that a name means, looked up if that was long ago.
pub(crate) async fn concrete(site: &Site, named: Option<&str>) -> Result<Concrete, NoImage> {
    let named = named.ok_or_else(|| NoImage::Never("it names no image".to_owned()))?;
    let reference = Reference::parse(named, &site.settings().project).map_err(NoImage::Never)?;
    let now = site.clock().monotonic();
    if let Some(concrete) = site.images.fresh(&reference, now) {
        return Ok(concrete);
    }
    let image = look_up(site, &reference).await?;
    let concrete = judge(&reference, &image).map_err(NoImage::Never)?;
    site.images.keep(reference, concrete.clone(), now);
    Ok(concrete)
}

/// Asks for an image.
pub(crate) async fn look_up(site: &Site, reference: &Reference) -> Result<Image, NoImage> {
    let wanted = reference.clone();
    let call = match reference {
        Reference::Family { .. } => Call::GetImageFamily,
        Reference::Image { .. } => Call::GetImage,
    };
    let ask = |clients: Arc<Clients>| async move {
        let images = clients.images().await?;
        Ok(match wanted {
            Reference::Family { project, family } => {
                images.get_from_family().set_project(project).set_family(family).send().await?
            }
            Reference::Image { project, name } => {
                images.get().set_project(project).set_image(name).send().await?
            }
        })
    };
    site.session.call(call, ask).await.map_err(|failure| {
        match meaning(failure.status, &failure.reasons, &failure.message) {
            Meaning::NotFound | Meaning::Forbidden | Meaning::Invalid => {
                NoImage::Never(format!("{reference}: {}", failure.words()))
            }
            Meaning::Capacity
            | Meaning::Quota
            | Meaning::Rate
            | Meaning::Auth
            | Meaning::Exists
            | Meaning::Fault => NoImage::Failed(failure),
        }
    })
}

/// Whether machines can be made of an image.
fn judge(reference: &Reference, found: &Image) -> Result<Concrete, String> {
    use deprecation_status::State;
    let project = match reference {
        Reference::Family { project, .. } | Reference::Image { project, .. } => project,
    };
    let name = found.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        return Err(format!("{reference}: Google tells no name of it"));
    }
    // One that is still being made is refused by the insert, and is ready later.
    if let Some(image::Status::Failed | image::Status::Deleting) = &found.status {
        return Err(format!("{reference}: image {name} is broken or being deleted"));
    }
    let state = found.deprecated.as_ref().and_then(|it| it.state.as_ref());
    if let Some(State::Obsolete | State::Deleted) = state {
        return Err(format!("{reference}: image {name} is obsolete, and makes no machines"));
    }
    let link = format!("projects/{project}/global/images/{name}");
    Ok(Concrete { link, gb: found.disk_size_gb.unwrap_or(0) })
}

/// Whether each machinetype has an image. Costs a call for each image once in [`KEPT`].
pub(crate) async fn prepare(site: &Site, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
    let mut answers = Vec::with_capacity(needs.len());
    for need in needs {
        answers.push(match concrete(site, need.image.as_deref()).await {
            Ok(_) => Readiness::Ready,
            Err(NoImage::Never(why)) => Readiness::Cannot { why },
            Err(NoImage::Failed(failure)) => {
                let error = error(&failure, Attempt::Read, site.clock());
                match error.kind {
                    ErrorKind::Throttled { .. } | ErrorKind::AuthFailed => return Err(error),
                    _ => Readiness::NotYet { why: error.to_string() },
                }
            }
        });
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use google_cloud_compute_v1::model::DeprecationStatus;

    use super::*;

    fn parse(text: &str) -> Result<Reference, String> {
        Reference::parse(text, "ours")
    }

    #[test]
    fn an_image_may_be_named_in_every_usual_way() {
        for (text, wanted) in [
            ("cernvm-5", "projects/ours/global/images/cernvm-5"),
            ("family/cernvm", "projects/ours/global/images/family/cernvm"),
            ("global/images/cernvm-5", "projects/ours/global/images/cernvm-5"),
            (
                "projects/debian-cloud/global/images/family/debian-13",
                "projects/debian-cloud/global/images/family/debian-13",
            ),
            (
                "https://www.googleapis.com/compute/v1/projects/p/global/images/i",
                "projects/p/global/images/i",
            ),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_image_is_told_with_the_forms() {
        for text in ["", "ami-0abc/x", "Family/x", "projects//global/images/x", "image:uuid", "a b"]
        {
            let why = parse(text).unwrap_err();
            assert!(why.contains("family/FAMILY"), "{why}");
        }
    }

    #[test]
    fn the_concrete_image_of_a_family_is_used() {
        let image = Image::new().set_name("cernvm-5-2").set_disk_size_gb(20);
        let concrete = judge(&parse("family/cernvm").unwrap(), &image).unwrap();
        assert_eq!(
            concrete,
            Concrete { link: "projects/ours/global/images/cernvm-5-2".to_owned(), gb: 20 }
        );
    }

    #[test]
    fn an_obsolete_image_cannot_be_used_and_a_deprecated_one_can() {
        let image = |state| {
            let status = DeprecationStatus::new().set_state(state);
            Image::new().set_name("old").set_deprecated(status)
        };
        let reference = parse("old").unwrap();
        assert!(judge(&reference, &image(deprecation_status::State::Obsolete)).is_err());
        assert!(judge(&reference, &image(deprecation_status::State::Deprecated)).is_ok());
    }

    #[test]
    fn a_name_means_the_same_for_a_while() {
        let (images, reference) = (Images::default(), parse("family/cernvm").unwrap());
        let concrete = Concrete { link: "x".to_owned(), gb: 1 };
        images.keep(reference.clone(), concrete.clone(), Duration::ZERO);
        assert_eq!(images.fresh(&reference, KEPT - Duration::from_secs(1)), Some(concrete));
        assert_eq!(images.fresh(&reference, KEPT), None);
    }
}
