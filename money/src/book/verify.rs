//! The chain of entries: each holds its number and the SHA-256 of the one before it, so that nothing can be lost,
//! changed or put between without being seen.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Entry;

/// The format of entries that this version writes, and the newest that it reads.
pub const ENTRY_FORMAT: u32 = 1;

/// The last entry of a chain: what the next one must follow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0: there is none yet.
    pub number: u64,
    /// Its SHA-256 (hex); empty: there is none yet.
    pub hash: String,
}

/// An entry with the bytes of its file: its hash is that of these bytes. Only [`Head`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    entry: Entry,
    head: Head,
}

impl Sealed {
    /// What it says.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What the next entry must follow.
    pub fn head(&self) -> &Head {
        &self.head
    }
}

/// Why bytes are not the entry that must stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not an entry at all.
    #[error("it cannot be understood ({why})")]
    Unreadable {
        /// Why.
        why: String,
    },
    /// Another version wrote it.
    #[error(
        "it has format {found}, and this version reads up to {ENTRY_FORMAT}: upgrade this vcycle"
    )]
    Newer {
        /// Its format.
        found: u64,
    },
    /// It is an entry, but another one.
    #[error("it is entry {found}")]
    WrongNumber {
        /// Its number.
        found: u64,
    },
    /// It follows something else than what stands before it: one of the two was changed.
    #[error("it does not follow the entry before it (SHA-256 {expected}, it says {found})")]
    BrokenChain {
        /// Of the entry before it.
        expected: String,
        /// What it says.
        found: String,
    },
}

impl Head {
    /// Reads the bytes of the next entry.
    ///
    /// # Errors
    /// [`Damage`]: these bytes are not it.
    pub fn open(&self, bytes: &[u8]) -> Result<Sealed, Damage> {
        let body = body_of(bytes).map_err(|why| Damage::Unreadable { why: why.to_owned() })?;
        // Before the rest: a newer version may write fields that cannot be read here.
        let Versioned { format } = parse(body)?;
        if format != u64::from(ENTRY_FORMAT) {
            return Err(Damage::Newer { found: format });
        }
        let entry: Entry = parse(body)?;
        self.followed_by(&entry)?;
        let head = Self { number: entry.number, hash: sha256(bytes) };
        Ok(Sealed { entry, head })
    }

    /// Makes the next entry, and the bytes of its file, one line. Its number and what it follows are put in here.
    pub fn seal(&self, entry: Entry) -> (Sealed, Vec<u8>) {
        let entry = Entry {
            format: ENTRY_FORMAT,
            number: self.number + 1,
            previous: self.hash.clone(),
            ..entry
        };
        let body = serde_json::to_vec(&entry)
            .expect("our types have text keys and no failing serializers");
        let bytes = [TITLE, sha256(&body).as_bytes(), MIDDLE, &body, END].concat();
        let head = Self { number: entry.number, hash: sha256(&bytes) };
        (Sealed { entry, head }, bytes)
    }

    /// The next entry of a simulated ledger, which is in no file: half of the time would go into hashes of it.
    pub(crate) fn seal_unwritten(&self, entry: Entry) -> Sealed {
        let (number, previous) = (self.number + 1, self.hash.clone());
        let head = Self { number, hash: String::new() };
        Sealed { entry: Entry { format: ENTRY_FORMAT, number, previous, ..entry }, head }
    }

    /// Whether an entry is the next one.
    pub(super) fn followed_by(&self, entry: &Entry) -> Result<(), Damage> {
        if entry.format != ENTRY_FORMAT {
            return Err(Damage::Newer { found: u64::from(entry.format) });
        }
        if entry.number != self.number + 1 {
            return Err(Damage::WrongNumber { found: entry.number });
        }
        if entry.previous != self.hash {
            let found = entry.previous.clone();
            return Err(Damage::BrokenChain { expected: self.hash.clone(), found });
        }
        Ok(())
    }
}

/// The line of an entry: `{"sha256":"...","entry":{...}}`. Its own SHA-256 is in it too, since the last entry has none after
/// it that would tell of a change.
const TITLE: &[u8] = b"{\"sha256\":\"";
const MIDDLE: &[u8] = b"\",\"entry\":";
const END: &[u8] = b"}\n";
/// SHA-256 in hex.
const DIGITS: usize = 64;

/// The entry itself within its line, unchanged.
fn body_of(bytes: &[u8]) -> Result<&[u8], &'static str> {
    if bytes.is_empty() {
        return Err("it is empty");
    }
    let rest = bytes.strip_prefix(TITLE).ok_or("it does not begin as an entry does")?;
    let (digest, rest) = rest.split_at_checked(DIGITS).ok_or("it is cut off")?;
    let rest = rest.strip_prefix(MIDDLE).ok_or("it does not begin as an entry does")?;
    let body = rest.strip_suffix(END).ok_or("it is cut off")?;
    if sha256(body).as_bytes() != digest {
        return Err("it was changed: its SHA-256 is another");
    }
    Ok(body)
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Damage> {
    serde_json::from_slice(body).map_err(|error| Damage::Unreadable { why: error.to_string() })
}

#[derive(Deserialize)]
struct Versioned {
    format: u64,
}

/// In hex, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}
