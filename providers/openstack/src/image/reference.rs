//! What a machinetype's `root_image` means. Pure.
//!
//! `image:ID` and a UUID are an image of the cloud; `file:///PATH` and an absolute path are a file of
//! this host; `https://` and `http://` are a file elsewhere; anything else is the name of an image of
//! the cloud. Files here and elsewhere are uploaded as images of ours.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use url::Url;

/// What a `root_image` refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// An image by its id.
    Id(String),
    /// The newest active image of a name.
    Name(String),
    /// Something that becomes an image of ours.
    Source(Source),
}

/// Where an image of ours comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A file of this host.
    File(PathBuf),
    /// A file elsewhere, by HTTP.
    Url(Url),
}

/// A text that is no reference to an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wrong}; root_image is the name or the id of an image, the absolute path of a file, or a URL of http or https"
)]
pub(crate) struct NoReference {
    wrong: String,
}

impl Reference {
    /// Reads a `root_image`.
    pub(crate) fn parse(text: &str) -> Result<Self, NoReference> {
        let no = |wrong: &str| NoReference { wrong: wrong.to_owned() };
        let text = text.trim();
        if let Some(id) = text.strip_prefix("image:") {
            return match id.trim() {
                "" => Err(no("`image:` without an id")),
                id => Ok(Self::Id(id.to_owned())),
            };
        }
        if text.is_empty() {
            return Err(no("it is empty"));
        }
        if is_uuid(text) {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        if Path::new(text).is_absolute() {
            return Ok(Self::Source(Source::File(PathBuf::from(text))));
        }
        match text.split_once("://") {
            Some((scheme, _)) => Self::of_url(&scheme.to_ascii_lowercase(), text),
            None => Ok(Self::Name(text.to_owned())),
        }
    }

    fn of_url(scheme: &str, text: &str) -> Result<Self, NoReference> {
        let no = |wrong: String| NoReference { wrong };
        // The parser's own error does not quote the text, which may hold a password.
        let url = Url::parse(text).map_err(|e| no(format!("not a URL: {e}")))?;
        match scheme {
            "http" | "https" => Ok(Self::Source(Source::Url(url))),
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::Source(Source::File(path))),
                Err(()) => Err(no("a `file://` of another host".to_owned())),
            },
            other => Err(no(format!("images are not fetched by `{other}`"))),
        }
    }
}

impl Source {
    /// What names this source for ever, also when what is there changes. Holds no secrets: a URL's
    /// query and password are only in the digest.
    pub(crate) fn key(&self) -> String {
        let text = match self {
            Self::File(path) => format!("file {}", path.display()),
            Self::Url(url) => format!("url {url}"),
        };
        hex(&Sha256::digest(text.as_bytes()), 16)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => {
                // Neither user, password nor query: links to stores are signed in the query.
                let mut shown = url.clone();
                shown.set_query(None);
                shown.set_fragment(None);
                let without_user = shown.set_username("").and_then(|()| shown.set_password(None));
                match without_user {
                    Ok(()) => write!(f, "{shown}"),
                    Err(()) => f.write_str("a URL"),
                }
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

/// The first `digits` digits of a digest.
pub(super) fn hex(digest: &[u8], digits: usize) -> String {
    let mut text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    text
}

/// `8-4-4-4-12` hexadecimal digits: what Nova takes for an id of an image.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Reference {
        Reference::Source(Source::File(path.into()))
    }

    #[test]
    fn each_way_to_write_an_image_is_told_apart() {
        let uuid = "e78c8710-260e-4fa2-ae53-be00db79ec58";
        let id = Reference::Id(uuid.to_owned());
        assert_eq!(Reference::parse(uuid), Ok(id.clone()));
        assert_eq!(Reference::parse(&uuid.to_uppercase()), Ok(id.clone()));
        assert_eq!(Reference::parse(&format!("image:{uuid}")), Ok(id));
        assert_eq!(Reference::parse("image: own-id"), Ok(Reference::Id("own-id".to_owned())));
        assert_eq!(Reference::parse("/images/a.qcow2"), Ok(file("/images/a.qcow2")));
        assert_eq!(Reference::parse("file:///images/a%20b.qcow2"), Ok(file("/images/a b.qcow2")));
        for url in ["https://a.example/x.img", "HTTP://a.example/x.img?v=1"] {
            let url_of = |text: &str| Reference::Source(Source::Url(Url::parse(text).unwrap()));
            assert_eq!(Reference::parse(url), Ok(url_of(url)));
        }
        for name in ["CentOS 9", "Alma Linux 9 – 2026", "e78c8710", "images/x.img", "a:b"] {
            assert_eq!(Reference::parse(name), Ok(Reference::Name(name.to_owned())));
        }
    }

    #[test]
    fn what_cannot_be_an_image_is_refused_with_what_would_be_right() {
        for (text, wrong) in [
            ("", "it is empty"),
            ("  ", "it is empty"),
            ("image:", "`image:` without an id"),
            ("file://host/x.img", "a `file://` of another host"),
            ("s3://bucket/x.img", "images are not fetched by `s3`"),
            ("https://", "not a URL"),
        ] {
            let refused = Reference::parse(text).unwrap_err().to_string();
            assert!(refused.starts_with(wrong), "{text:?}: {refused}");
            assert!(refused.contains("absolute path"), "{refused}");
        }
    }

    #[test]
    fn the_secret_parts_of_a_url_are_not_shown() {
        let text = "https://me:hunter2@store.example/x.img?X-Signature=abc#part";
        let Ok(Reference::Source(source)) = Reference::parse(text) else { panic!("a URL") };
        assert_eq!(source.to_string(), "https://store.example/x.img");
        assert_eq!(format!("{source:?}"), "Source(https://store.example/x.img)");
    }

    #[test]
    fn sources_have_different_keys_that_do_not_change() {
        let key = |text: &str| match Reference::parse(text) {
            Ok(Reference::Source(source)) => source.key(),
            other => panic!("{other:?}"),
        };
        assert_eq!(key("/a"), key("file:///a"));
        assert_eq!(key("/a").len(), 16);
        assert_ne!(key("/a"), key("/b"));
        assert_ne!(key("https://a.example/x?v=1"), key("https://a.example/x?v=2"));
    }
}
