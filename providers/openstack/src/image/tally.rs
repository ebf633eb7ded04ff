//! What passes on its way to the cloud: counted for people, digested for the proof.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

use super::reference::hex;
use super::source::Chunks;

/// How far a piece of work is.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    doing: Mutex<Doing>,
    done: AtomicU64,
    of: AtomicU64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing that takes long yet.
    #[default]
    Beginning,
    /// Reading the source to know what is in it.
    Reading,
    /// Sending it to the cloud.
    Uploading,
    /// Waiting for the cloud to have stored it.
    Storing,
}

impl Tally {
    /// A new part of the work, with so many bytes to do.
    pub(crate) fn begin(&self, doing: Doing, bytes: u64) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = doing;
        self.done.store(0, Ordering::Relaxed);
        self.of.store(bytes, Ordering::Relaxed);
    }

    /// Bytes done of this part.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// So many bytes more are done.
    fn add(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = *self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, of) = (Bytes(self.done()), Bytes(self.of.load(Ordering::Relaxed)));
        match doing {
            Doing::Beginning => f.write_str("upload begins"),
            Doing::Reading => write!(f, "being read: {done} of {of}"),
            Doing::Uploading => write!(f, "being uploaded: {done} of {of}"),
            Doing::Storing => f.write_str("uploaded; the cloud is storing it"),
        }
    }
}

/// A number of bytes, for people: in powers of ten, as image sites do.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        match units.into_iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => {
                let tenths = self.0 / (size / 10);
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// The digests that Glance may compare with: `os_hash_algo`, which has been `sha512` since it has any, and a site
/// may choose; and `checksum`, the MD5, which it has always had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Hexadecimal.
    pub(crate) md5: String,
    /// Hexadecimal.
    pub(crate) sha256: String,
    /// Hexadecimal.
    pub(crate) sha512: String,
}

impl Digests {
    /// The digest by an algorithm; `None`: not one that we know.
    pub(crate) fn by(&self, algorithm: &str) -> Option<&str> {
        match algorithm {
            "sha256" => Some(&self.sha256),
            "sha512" => Some(&self.sha512),
            _ => None,
        }
    }
}

/// Digests of what has passed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passing(Arc<Mutex<Digesting>>);

#[derive(Debug, Clone, Default)]
struct Digesting {
    md5: Md5,
    sha256: Sha256,
    sha512: Sha512,
}

impl Passing {
    /// The digests, when all has passed.
    pub(crate) fn digests(&self) -> Digests {
        let Digesting { md5, sha256, sha512 } =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Digests {
            md5: hex(&md5.finalize(), 32),
            sha256: hex(&sha256.finalize(), 64),
            sha512: hex(&sha512.finalize(), 128),
        }
    }

    /// The same chunks, each counted and digested as it passes.
    pub(crate) fn watch(&self, chunks: Chunks, tally: Arc<Tally>) -> Chunks {
        let passing = self.clone();
        let watched = chunks.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                let mut digests = passing.0.lock().unwrap_or_else(PoisonError::into_inner);
                digests.md5.update(chunk);
                digests.sha256.update(chunk);
                digests.sha512.update(chunk);
                tally.add(chunk.len());
            }
        });
        watched.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn what_passes_is_counted_and_digested() {
        let (passing, tally) = (Passing::default(), Arc::new(Tally::default()));
        tally.begin(Doing::Uploading, 2_000_003);
        let chunks = stream::iter([Ok(b"a".to_vec()), Ok(b"bc".to_vec())]).boxed();
        let passed: Vec<_> = passing.watch(chunks, Arc::clone(&tally)).collect().await;
        assert_eq!(passed.len(), 2);
        assert_eq!(tally.to_string(), "being uploaded: 3 bytes of 2.0 MB");
        let digests = passing.digests();
        // The examples of FIPS 180-2 for "abc".
        assert!(digests.by("sha256").unwrap().starts_with("ba7816bf8f01cfea"));
        assert!(digests.by("sha512").unwrap().starts_with("ddaf35a193617aba"));
        // And of RFC 1321.
        assert_eq!(digests.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(digests.by("sha384"), None);
    }

    #[test]
    fn bytes_are_told_as_people_tell_them() {
        let shown = [0, 999, 1_500, 1_000_000, 3_449_999_999].map(|n| Bytes(n).to_string());
        assert_eq!(shown, ["0 bytes", "999 bytes", "1.5 kB", "1.0 MB", "3.4 GB"]);
    }
}
