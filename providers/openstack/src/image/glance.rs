//! Images as Glance shows them, and the calls that we make about them (Image API v2).
//!
//! <https://docs.openstack.org/api-ref/image/v2/> says what is used here. A custom property stands
//! beside the other fields of an image, always as a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use vcycle_api::Timestamp;

use crate::session::{Arrived, Call, Failure, Method, Service, Session, segment};

/// Most images in one page of a listing; the site may give fewer.
const PAGE: &str = "100";

/// One image.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) status: Status,
    #[serde(default, deserialize_with = "time_if_any")]
    pub(crate) created_at: Option<Timestamp>,
    /// Bytes that were uploaded.
    #[serde(default)]
    pub(crate) size: Option<u64>,
    /// Bytes of the disk that a machine gets.
    #[serde(default)]
    pub(crate) virtual_size: Option<u64>,
    #[serde(default)]
    pub(crate) min_disk: Option<u32>,
    #[serde(default)]
    pub(crate) min_ram: Option<u32>,
    /// Project that it belongs to.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    #[serde(default)]
    pub(crate) visibility: Option<String>,
    #[serde(default)]
    pub(crate) protected: Option<bool>,
    #[serde(default)]
    pub(crate) disk_format: Option<String>,
    /// MD5 of what was uploaded, in hexadecimal. A Glance since Rocky tells [`Image::os_hash_value`] besides.
    #[serde(default)]
    pub(crate) checksum: Option<String>,
    #[serde(default)]
    pub(crate) os_hash_algo: Option<String>,
    #[serde(default)]
    pub(crate) os_hash_value: Option<String>,
    /// Everything else, with custom properties in it.
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, serde_json::Value>,
}

/// Where an image stands in its life.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) enum Status {
    /// Can be used.
    Active,
    /// Has a name and no data yet. Also after an upload that broke off.
    Queued,
    /// Data is coming in.
    Saving,
    /// An operator has forbidden its use.
    Deactivated,
    /// Failed, or being removed.
    Gone(String),
    /// A word that we have never seen.
    Other(String),
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.as_str() {
            "active" => Self::Active,
            "queued" => Self::Queued,
            "saving" | "uploading" | "importing" => Self::Saving,
            "deactivated" => Self::Deactivated,
            "killed" | "deleted" | "pending_delete" => Self::Gone(word),
            _ => Self::Other(word),
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Queued => f.write_str("queued"),
            Self::Saving => f.write_str("saving"),
            Self::Deactivated => f.write_str("deactivated"),
            Self::Gone(word) | Self::Other(word) => f.write_str(word),
        }
    }
}

impl Image {
    /// A custom property.
    pub(crate) fn property(&self, key: &str) -> Option<&str> {
        self.rest.get(key)?.as_str()
    }

    /// Disk that a machine needs at least, in GiB: what the owner of the image says, and what is in it.
    pub(crate) fn min_disk_gb(&self) -> u32 {
        let inside = self.virtual_size.unwrap_or(0).div_ceil(1 << 30);
        self.min_disk.unwrap_or(0).max(u32::try_from(inside).unwrap_or(u32::MAX))
    }
}

/// A time that cannot be read is no reason to see no images.
fn time_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let time = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Ok(time.map(|time| Timestamp::from_millis(time.as_millisecond())))
}

/// The one of several images of a name that the name means: an active one; of our own project before
/// one of others, since others can give their images any name; then the newest; then the highest id.
pub(crate) fn meant_by<'a>(name: &str, project: &str, images: &'a [Image]) -> Option<&'a Image> {
    images
        .iter()
        .filter(|image| image.name.as_deref() == Some(name) && image.status == Status::Active)
        .max_by_key(|image| {
            let own = image.owner.as_deref() == Some(project);
            (own, image.created_at, &image.id)
        })
}

/// One image by its id; `None`: there is none that we may see.
pub(crate) async fn get(session: &Session, id: &str) -> Result<Option<Image>, Failure> {
    let call = Call::get(Service::Image, format!("/images/{}", segment(id)), "read image");
    match session.call(call).await {
        Ok(reply) => Ok(Some(reply.body)),
        Err(failure) if is_refused(&failure, &[404]) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether Glance itself answered so, and not a login that was refused on the way.
pub(super) fn is_refused(failure: &Failure, statuses: &[u16]) -> bool {
    failure.arrived == Arrived::Certainly && failure.status.is_some_and(|s| statuses.contains(&s))
}

/// All images of a name, in any state; images that the site has hidden are not among them.
pub(crate) async fn named(session: &Session, name: &str) -> Result<Vec<Image>, Failure> {
    let mut call = list();
    // Glance takes a value that begins so for a list of values.
    if !name.starts_with("in:") {
        call = call.with_query("name", name);
    }
    let mut images: Vec<Image> = session.pages(call, "images").await?;
    // The database of a site may compare without regard to case.
    images.retain(|image| image.name.as_deref() == Some(name));
    Ok(images)
}

/// All images that have this value in a custom property and belong to this project.
pub(crate) async fn with_property(
    session: &Session,
    (key, value): (&str, &str),
    project: &str,
) -> Result<Vec<Image>, Failure> {
    let mut images: Vec<Image> = session.pages(list().with_query(key, value), "images").await?;
    images.retain(|image| {
        image.property(key) == Some(value) && image.owner.as_deref() == Some(project)
    });
    Ok(images)
}

fn list() -> Call<'static> {
    Call::get(Service::Image, "/images", "list images").with_query("limit", PAGE)
}

/// Makes an image without data.
pub(crate) async fn create(session: &Session, body: serde_json::Value) -> Result<Image, Failure> {
    let call = Call::post(Service::Image, "/images", body, "create image");
    Ok(session.call(call).await?.body)
}

/// Fills an image with data.
pub(crate) async fn fill(session: &Session, id: &str, data: reqwest::Body) -> Result<(), Failure> {
    let path = format!("/images/{}/file", segment(id));
    let call = Call::new(Service::Image, Method::PUT, path, "upload image");
    session.stream_put(call.with_content_type("application/octet-stream"), data).await?;
    Ok(())
}

/// What became of a wish to remove an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is not there any more.
    Gone,
    /// The store still needs it (a volume was cloned from it), or it is protected.
    Needed,
}

/// Removes an image.
pub(crate) async fn remove(session: &Session, id: &str) -> Result<Removal, Failure> {
    let path = format!("/images/{}", segment(id));
    match session.send(Call::delete(Service::Image, path, "delete image")).await {
        Ok(_) => Ok(Removal::Gone),
        Err(failure) if is_refused(&failure, &[404]) => Ok(Removal::Gone),
        Err(failure) if is_refused(&failure, &[403, 409]) => Ok(Removal::Needed),
        Err(failure) => Err(failure),
    }
}

/// Whether a server of the project was made from this image.
pub(crate) async fn is_used(session: &Session, id: &str) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Servers {
        servers: Vec<serde_json::Value>,
    }
    let call = Call::get(Service::Compute, "/servers", "list servers of an image")
        .with_query("image", id)
        .with_query("limit", "1");
    Ok(!session.call::<Servers>(call).await?.body.servers.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: &str = "ours";

    fn image(id: &str, owner: &str, created: &str, status: &str) -> Image {
        let value = json!({ "id": id, "name": "alma", "status": status, "owner": owner,
                            "created_at": created });
        serde_json::from_value(value).unwrap()
    }

    fn meant(images: &[Image]) -> Option<&str> {
        meant_by("alma", OWN, images).map(|image| image.id.as_str())
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-02-01T00:00:00Z";

    #[test]
    fn a_name_means_the_newest_active_image() {
        let images = [image("a", OWN, OLD, "active"), image("b", OWN, NEW, "active")];
        assert_eq!(meant(&images), Some("b"));
        let images = [image("a", OWN, OLD, "active"), image("b", OWN, NEW, "deactivated")];
        assert_eq!(meant(&images), Some("a"));
        let images = [image("a", OWN, OLD, "queued"), image("b", OWN, NEW, "killed")];
        assert_eq!(meant(&images), None);
    }

    #[test]
    fn a_name_means_an_image_of_ours_before_a_newer_one_of_others() {
        let images = [image("a", OWN, OLD, "active"), image("b", "others", NEW, "active")];
        assert_eq!(meant(&images), Some("a"));
    }

    #[test]
    fn of_images_of_one_name_and_time_the_highest_id_is_meant() {
        let images = [image("b", OWN, OLD, "active"), image("a", OWN, OLD, "active")];
        assert_eq!(meant(&images), Some("b"));
    }

    #[test]
    fn a_name_means_no_image_that_is_only_spelt_alike() {
        let images = [image("a", OWN, OLD, "active")];
        assert_eq!(meant_by("Alma", OWN, &images), None);
    }

    #[test]
    fn an_image_of_a_real_glance_is_read() {
        let text = include_str!("../../tests/captures/2026.2/040-image.json");
        let exchange: serde_json::Value = serde_json::from_str(text).unwrap();
        let image: Image = serde_json::from_value(exchange["response"]["body"].clone()).unwrap();
        assert_eq!((image.name.as_deref(), image.size), (Some("lab-tiny"), Some(1 << 20)));
        assert_eq!((image.status.clone(), image.min_disk_gb()), (Status::Active, 1));
        assert_eq!(image.os_hash_algo.as_deref(), Some("sha512"));
        assert_eq!(image.property("stores"), Some("disk"));
        assert!(image.created_at.is_some());
    }
}
