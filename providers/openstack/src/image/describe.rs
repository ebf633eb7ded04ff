//! What is behind a `root_image`, for people. Only looks.

use vcycle_api::{Timestamp, Verdict};

use super::ImageId;
use super::format::disk_format;
use super::glance::{self, Image, Status};
use super::ours::{self, property};
use super::reference::{NoReference, Reference, Source};
use super::source;
use super::tally::Bytes;
use super::trouble::{Lasts, Trouble};
use crate::session::{Failure, Session};

/// What is behind a `root_image`.
pub(crate) struct Described {
    /// Whether machines can be made from it.
    pub(crate) verdict: Verdict,
    /// What it is, or what is wrong and what to do.
    pub(crate) detail: String,
    /// The image, if it is in the cloud.
    pub(crate) image: Option<ImageId>,
}

impl Described {
    fn fails(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fails, detail: detail.into(), image: None }
    }

    fn works(detail: impl Into<String>, image: Option<&Image>) -> Self {
        let image = image.map(ImageId::of);
        Self { verdict: Verdict::Works, detail: detail.into(), image }
    }
}

impl From<Failure> for Described {
    fn from(failure: Failure) -> Self {
        let detail = format!("{}: {}", failure.operation, failure.message);
        Self { verdict: Verdict::Unknown, detail, image: None }
    }
}

impl From<NoReference> for Described {
    fn from(no: NoReference) -> Self {
        Self::fails(no.to_string())
    }
}

impl From<Trouble> for Described {
    fn from(trouble: Trouble) -> Self {
        let verdict = match trouble.lasts {
            Lasts::ForNow => Verdict::Unknown,
            Lasts::UntilMended => Verdict::Fails,
        };
        Self { verdict, detail: trouble.why, image: None }
    }
}

/// Looks what is behind a `root_image`, as a project sees it.
pub(crate) async fn describe(
    session: &Session,
    text: &str,
    project: &str,
    now: Timestamp,
) -> Described {
    let described = match Reference::parse(text) {
        Ok(Reference::Id(id)) => of_id(session, &id, project, now).await,
        Ok(Reference::Name(name)) => of_name(session, &name, project, now).await,
        Ok(Reference::Source(source)) => of_source(session, &source, project, now).await,
        Err(no) => return no.into(),
    };
    described.unwrap_or_else(|unknown| unknown)
}

async fn of_id(
    session: &Session,
    id: &str,
    project: &str,
    now: Timestamp,
) -> Result<Described, Described> {
    Ok(match glance::get(session, id).await? {
        Some(image) if image.status == Status::Active => {
            let name = image.name.as_deref().unwrap_or("without a name");
            Described::works(format!("'{name}', {}", about(&image, project, now)), Some(&image))
        }
        Some(image) => Described::fails(format!("its status is {}", image.status)),
        None => Described::fails(format!("no image with id {id} that this project may see")),
    })
}

async fn of_name(
    session: &Session,
    name: &str,
    project: &str,
    now: Timestamp,
) -> Result<Described, Described> {
    let images = glance::named(session, name).await?;
    Ok(match (glance::meant_by(name, project, &images), images.as_slice()) {
        (Some(image), all) => {
            let others = match all.len() - 1 {
                0 => String::new(),
                others => format!("; chosen before {others} other(s) of this name"),
            };
            let about = about(image, project, now);
            Described::works(format!("'{name}', {} {about}{others}", image.id), Some(image))
        }
        (None, [image, ..]) => Described::fails(format!("'{name}' is {}", image.status)),
        (None, []) => Described::fails(format!(
            "no image '{name}' that this project may see: look at the names on the site's web page, where \
             capitals and blanks count"
        )),
    })
}

async fn of_source(
    session: &Session,
    source: &Source,
    project: &str,
    now: Timestamp,
) -> Result<Described, Described> {
    let web = source::web().map_err(|error| Described::fails(error.to_string()))?;
    let opened = source::open(source, &web).await?;
    let bytes = Bytes(opened.stamp.bytes);
    let format =
        disk_format(&opened.head).map_err(|no| Described::fails(format!("{source}: {no}")))?;
    let key = source.key();
    let images = glance::with_property(session, (property::SOURCE, &key), project).await?;
    let what = format!("{source}, {format}, {bytes}");
    let right = images
        .iter()
        .filter(|image| ours::is_sound(image))
        .find(|image| ours::stamp_of(image).is_some_and(|stamp| stamp.is_same(&opened.stamp)));
    Ok(match right {
        Some(image) => {
            let about = about(image, project, now);
            Described::works(format!("{what}; uploaded as {} {about}", image.id), Some(image))
        }
        None => {
            let before = images.len();
            Described::works(
                format!("{what}; a manager will upload it ({before} other versions are there)"),
                None,
            )
        }
    })
}

fn about(image: &Image, project: &str, now: Timestamp) -> String {
    let of = match (&image.owner, &image.visibility) {
        (Some(owner), _) if owner == project => "of this project".to_owned(),
        (_, Some(visibility)) => visibility.clone(),
        (_, None) => "of others".to_owned(),
    };
    let size = image.size.map_or_else(|| "size not told".to_owned(), |n| Bytes(n).to_string());
    let days = image.created_at.map(|created| now.since(created).as_secs() / 86_400);
    let age = days.map_or_else(String::new, |days| format!(", {days} days old"));
    let format = image.disk_format.as_deref().unwrap_or("format not told");
    format!("({of}, {format}, {size}{age})")
}
