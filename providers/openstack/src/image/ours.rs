//! Images of ours: how they are marked, which version of which source one is, and what is to be done
//! next to have a version in Glance. Pure.
//!
//! Everything is in the image's own properties, so that the next manager knows what the last one
//! was doing. The id of an image is ours to choose, and follows from what it is: when the reply
//! to a create is lost, the same create cannot make a second image.

use serde_json::json;
use sha2::{Digest, Sha256};
use vcycle_api::DeploymentId;

use super::glance::{Image, Status};
use super::reference::{Source, hex};
use super::source::Stamp;
use super::tally::Digests;

/// Custom properties of our images. A site shows them to everybody in the project.
pub(super) mod property {
    pub(in crate::image) const DEPLOYMENT: &str = "vcycle_deployment";
    pub(in crate::image) const SOURCE: &str = "vcycle_source";
    pub(super) const FROM: &str = "vcycle_from";
    pub(super) const BYTES: &str = "vcycle_bytes";
    pub(super) const ETAG: &str = "vcycle_etag";
    pub(super) const MODIFIED: &str = "vcycle_modified";
    pub(super) const MD5: &str = "vcycle_md5";
    pub(super) const SHA256: &str = "vcycle_sha256";
    pub(super) const SHA512: &str = "vcycle_sha512";
}

/// Whose images, and where: what an image's id depends on beside what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// All managers that share one state directory.
    pub(crate) deployment: DeploymentId,
    /// Id of the project.
    pub(crate) project: String,
}

/// One version of a source.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// Of what.
    pub(crate) source: Source,
    /// What tells it from others without reading it.
    pub(crate) stamp: Stamp,
    /// What is in it; `None`: it was not read (a file elsewhere).
    pub(crate) digests: Option<Digests>,
    /// Glance's word for its format.
    pub(crate) format: &'static str,
}

impl Version {
    /// What names this version: its content where that is known.
    fn key(&self) -> String {
        let Stamp { bytes, etag, modified } = &self.stamp;
        match &self.digests {
            Some(digests) => digests.sha256.clone(),
            None => {
                let text = format!("{} {bytes} {etag:?} {modified:?}", self.source.key());
                hex(&Sha256::digest(text.as_bytes()), 64)
            }
        }
    }

    /// Its name in Glance.
    pub(crate) fn name(&self) -> String {
        format!("vcycle-{}", &self.key()[..16])
    }

    /// Its id in Glance. An id is used up for ever when its image is deleted, hence the attempt.
    pub(crate) fn id(&self, owner: &Owner, attempt: u32) -> String {
        let Owner { deployment, project } = owner;
        let (source, key) = (self.source.key(), self.key());
        let text = format!("vcycle image {deployment} {project} {source} {key} {attempt}");
        uuid_of(&Sha256::digest(text.as_bytes()))
    }

    /// The body of the create call.
    pub(crate) fn body(&self, owner: &Owner, id: &str) -> serde_json::Value {
        let mut body = json!({
            "id": id,
            "name": self.name(),
            "disk_format": self.format,
            "container_format": "bare",
            "visibility": "private",
            property::DEPLOYMENT: owner.deployment.to_string(),
            property::SOURCE: self.source.key(),
            property::FROM: short(&self.source.to_string()),
            property::BYTES: self.stamp.bytes.to_string(),
        });
        let digests = self.digests.as_ref();
        let more = [
            (property::ETAG, self.stamp.etag.as_deref().map(short)),
            (property::MODIFIED, self.stamp.modified.as_deref().map(short)),
            (property::MD5, digests.map(|d| d.md5.clone())),
            (property::SHA256, digests.map(|d| d.sha256.clone())),
            (property::SHA512, digests.map(|d| d.sha512.clone())),
        ];
        for (key, value) in more {
            if let Some(value) = value {
                body[key] = value.into();
            }
        }
        body
    }

    /// Whether an image of this source is of this version.
    pub(crate) fn is_of(&self, image: &Image) -> bool {
        match (&self.digests, image.property(property::SHA256)) {
            (Some(digests), Some(sha256)) => digests.sha256 == sha256,
            (Some(_), None) => false,
            (None, _) => stamp_of(image).is_some_and(|stamp| stamp.is_same(&self.stamp)),
        }
    }
}

/// Nova copies an image's properties to each server and takes 255 characters of one.
fn short(text: &str) -> String {
    text.chars().take(250).collect()
}

/// A UUID (version 8, which is for ids of one's own making) from a digest.
fn uuid_of(digest: &[u8]) -> String {
    let mut bytes: Vec<u8> = digest.iter().copied().take(16).collect();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes, 32);
    let part = |from: usize, to: usize| &digits[from..to];
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// The stamp of the source when an image of ours was made; `None`: not one of ours.
pub(crate) fn stamp_of(image: &Image) -> Option<Stamp> {
    let bytes = image.property(property::BYTES)?.parse().ok()?;
    let text = |key: &str| image.property(key).map(str::to_owned);
    Some(Stamp { bytes, etag: text(property::ETAG), modified: text(property::MODIFIED) })
}

/// Whether an image of ours can be used, and is what it should be, as far as its size and digests tell.
pub(crate) fn is_sound(image: &Image) -> bool {
    let digest = match image.os_hash_algo.as_deref() {
        Some("sha256") => image.property(property::SHA256),
        Some("sha512") => image.property(property::SHA512),
        Some(_) | None => None,
    };
    image.status == Status::Active
        && stamp_of(image).is_some_and(|stamp| image.size == Some(stamp.bytes))
        && digest.is_none_or(|digest| image.os_hash_value.as_deref() == Some(digest))
        && image.property(property::MD5).is_none_or(|md5| has_checksum(image, md5))
}

/// Whether the MD5 is this one, if the site tells it: one that may not compute MD5 (FIPS) does not.
fn has_checksum(image: &Image, md5: &str) -> bool {
    image.checksum.as_deref().is_none_or(|checksum| checksum.eq_ignore_ascii_case(md5))
}

/// Whether Glance has stored what we have sent.
pub(crate) fn is_what_was_sent(image: &Image, sent: &Digests) -> bool {
    let expected = image.os_hash_algo.as_deref().and_then(|algorithm| sent.by(algorithm));
    is_sound(image)
        && expected.is_none_or(|digest| image.os_hash_value.as_deref() == Some(digest))
        && has_checksum(image, &sent.md5)
}

/// The newest image of ours of one source that can be used.
pub(crate) fn newest_sound(images: &[Image]) -> Option<&Image> {
    images.iter().filter(|image| is_sound(image)).max_by_key(|i| (i.created_at, &i.id))
}

/// What is to be done next to have a version in Glance.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<'a> {
    /// Nothing: here it is.
    Use(&'a Image),
    /// Send the data into this one.
    Fill(&'a Image),
    /// Data is coming in, or the cloud uses a word that we do not know.
    Wait(&'a Image),
    /// This one is spoilt.
    Remove(&'a Image),
    /// An operator has forbidden it; making another would be to go behind their back.
    Forbidden(&'a Image),
    /// There is none.
    Make,
}

/// What is to be done next, given all images of ours of the source.
pub(crate) fn next_step<'a>(images: &'a [Image], version: &Version) -> Step<'a> {
    let of_version = images.iter().filter(|image| version.is_of(image));
    let steps = of_version.filter_map(|image| match &image.status {
        Status::Active if is_sound(image) => Some((0, Step::Use(image))),
        Status::Deactivated => Some((1, Step::Forbidden(image))),
        Status::Queued => Some((2, Step::Fill(image))),
        Status::Saving | Status::Other(_) => Some((3, Step::Wait(image))),
        Status::Active => Some((4, Step::Remove(image))),
        Status::Gone(word) if word == "killed" => Some((4, Step::Remove(image))),
        Status::Gone(_) => None,
    });
    steps.min_by_key(|(rank, _)| *rank).map_or(Step::Make, |(_, step)| step)
}

/// Images of ours of one source that the current one has replaced.
pub(crate) fn replaced_by<'a>(current: &Image, images: &'a [Image]) -> Vec<&'a Image> {
    images
        .iter()
        .filter(|image| image.id != current.id && image.created_at < current.created_at)
        .filter(|image| image.protected != Some(true) && image.status != Status::Deactivated)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { deployment: DeploymentId::compose(7), project: "p1".to_owned() }
    }

    fn digests(digit: &str) -> Digests {
        let [md5, sha256, sha512] = [32, 64, 128].map(|digits| digit.repeat(digits));
        Digests { md5, sha256, sha512 }
    }

    fn version(content: &str) -> Version {
        Version {
            source: Source::File("/images/a.img".into()),
            stamp: Stamp { bytes: 3, etag: None, modified: Some("monday".to_owned()) },
            digests: Some(digests(content)),
            format: "raw",
        }
    }

    /// As Glance shows an image that was made by the body, with what else is given.
    fn stored(version: &Version, attempt: u32, more: &serde_json::Value) -> Image {
        let mut image = version.body(&owner(), &version.id(&owner(), attempt));
        for (key, value) in more.as_object().unwrap() {
            image[key] = value.clone();
        }
        serde_json::from_value(image).unwrap()
    }

    fn active(version: &Version, attempt: u32) -> Image {
        let hash = &version.digests.as_ref().unwrap().sha512;
        let more = json!({ "status": "active", "size": 3, "created_at": "2026-01-01T00:00:00Z",
                           "os_hash_algo": "sha512", "os_hash_value": hash });
        stored(version, attempt, &more)
    }

    fn in_state(version: &Version, attempt: u32, status: &str) -> Image {
        stored(version, attempt, &json!({ "status": status }))
    }

    #[test]
    fn the_id_of_an_image_follows_from_what_it_is_and_for_whom() {
        let (a, b) = (version("a"), version("b"));
        let id = a.id(&owner(), 0);
        assert_eq!(id, a.id(&owner(), 0));
        let other = Owner { project: "p2".to_owned(), ..owner() };
        let others = [a.id(&owner(), 1), b.id(&owner(), 0), a.id(&other, 0)];
        assert!(others.iter().all(|other| *other != id), "{others:?}");
        let parsed = crate::image::reference::Reference::parse(&id);
        assert_eq!(parsed, Ok(crate::image::reference::Reference::Id(id)));
    }

    #[test]
    fn a_marked_image_is_known_again_with_its_stamp() {
        let version = version("a");
        let image = active(&version, 0);
        assert_eq!(stamp_of(&image), Some(version.stamp.clone()));
        assert!(version.is_of(&image) && is_sound(&image));
        assert_eq!(image.name.as_deref(), Some("vcycle-aaaaaaaaaaaaaaaa"));
    }

    #[test]
    fn an_image_with_other_content_or_size_than_it_should_have_is_not_sound() {
        let version = version("a");
        let sound = active(&version, 0);
        assert!(!is_sound(&Image { size: Some(2), ..sound.clone() }));
        assert!(!is_sound(&Image { os_hash_value: Some("b".repeat(128)), ..sound.clone() }));
        assert!(!is_sound(&Image { status: Status::Saving, ..sound.clone() }));
        assert!(is_sound(&Image { os_hash_algo: Some("md5".to_owned()), ..sound.clone() }));
        assert!(!is_what_was_sent(&sound, &digests("b")));
        assert!(is_what_was_sent(&sound, version.digests.as_ref().unwrap()));
    }

    /// A Glance before Rocky tells nothing else; one may be told to use an algorithm that we do not know.
    #[test]
    fn where_only_a_checksum_tells_the_content_it_is_compared() {
        let version = version("a");
        let sent = version.digests.as_ref().unwrap();
        for algorithm in [None, Some("blake2b".to_owned())] {
            let hash = algorithm.as_ref().map(|_| "0".repeat(128));
            let with = |checksum: Option<&str>| Image {
                os_hash_algo: algorithm.clone(),
                os_hash_value: hash.clone(),
                checksum: checksum.map(|digit| digit.repeat(32)),
                ..active(&version, 0)
            };
            assert!(is_sound(&with(Some("a"))) && is_what_was_sent(&with(Some("a")), sent));
            assert!(is_sound(&with(Some("A"))), "some write hexadecimal in capitals");
            assert!(!is_sound(&with(Some("b"))) && !is_what_was_sent(&with(Some("b")), sent));
            assert!(is_sound(&with(None)), "then its size is all that there is");
            // An image of an older version of ours does not say what its checksum should be.
            let mut older = with(Some("b"));
            older.rest.remove(property::MD5);
            assert!(is_sound(&older) && !is_what_was_sent(&older, sent));
        }
    }

    #[test]
    fn a_half_made_image_is_gone_on_with_and_a_spoilt_one_replaced() {
        let version = version("a");
        let step = |images: &[Image]| match next_step(images, &version) {
            Step::Use(image) => format!("use {}", image.status),
            Step::Fill(_) => "fill".to_owned(),
            Step::Wait(_) => "wait".to_owned(),
            Step::Remove(_) => "remove".to_owned(),
            Step::Forbidden(_) => "forbidden".to_owned(),
            Step::Make => "make".to_owned(),
        };
        let sound = active(&version, 0);
        let spoilt = Image { size: Some(1), ..active(&version, 1) };
        let queued = in_state(&version, 2, "queued");
        let saving = in_state(&version, 3, "saving");
        assert_eq!(step(&[]), "make");
        assert_eq!(step(std::slice::from_ref(&queued)), "fill");
        assert_eq!(step(std::slice::from_ref(&saving)), "wait");
        assert_eq!(step(std::slice::from_ref(&spoilt)), "remove");
        assert_eq!(step(&[in_state(&version, 0, "killed")]), "remove");
        assert_eq!(step(&[in_state(&version, 0, "pending_delete")]), "make");
        assert_eq!(step(&[in_state(&version, 0, "deactivated"), queued.clone()]), "forbidden");
        assert_eq!(step(&[spoilt, saving, queued, sound]), "use active");
        assert_eq!(step(&[active(&self::version("b"), 0)]), "make");
    }

    #[test]
    fn only_older_images_that_are_not_protected_are_replaced() {
        let at = |created: &str| {
            let value = json!({ "id": "x", "status": "active", "created_at": created });
            serde_json::from_value::<Image>(value).unwrap()
        };
        let current = Image { id: "current".to_owned(), ..at("2026-01-02T00:00:00Z") };
        let before = at("2026-01-01T00:00:00Z");
        let later = at("2026-01-03T00:00:00Z");
        let images = [
            Image { id: "old".to_owned(), ..before.clone() },
            Image { id: "protected".to_owned(), protected: Some(true), ..before.clone() },
            Image { id: "judged".to_owned(), status: Status::Deactivated, ..before },
            later,
            current.clone(),
        ];
        let ids: Vec<&str> = replaced_by(&current, &images).iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["old"]);
    }
}
