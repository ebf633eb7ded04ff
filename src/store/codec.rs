//! Text of files to types and back: format versions, and what to do with files that cannot be read.
//!
//! A format number changes only when an old reader would misunderstand; then a step is added to
//! the chain in [`UPGRADES`], and the version before can still be read. New optional fields come
//! without a new number: an older reader keeps those at the top of a machine's record
//! ([`Extras`]) and drops those elsewhere, which is therefore not allowed within one format.
//! A file that cannot be read is left as it is, and never taken for an absent one.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{StatePath, StoreError};
use crate::model::{MachineName, MachineRecord, SpaceName};

/// A record that is there and cannot be read. It may stand for a VM: nothing may be made in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptRecord {
    /// The machine, by the name of its folder.
    pub machine: MachineName,
    /// What is wrong with it.
    pub why: String,
}

/// Fields of records that we do not know, by machine.
pub(super) type Extras = HashMap<(SpaceName, MachineName), BTreeMap<String, Value>>;

type Object = Map<String, Value>;
type Upgrade = fn(Object) -> Result<Object, String>;

/// The chain of machine records: the step at index `i` turns format `i + 1` into format `i + 2`.
const UPGRADES: &[Upgrade] = &[];

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    Corrupt(String),
    Newer { found: u64, newest: u32 },
}

impl Unreadable {
    /// As the error of one file.
    pub(super) fn at(self, path: &StatePath) -> StoreError {
        let path = path.to_string();
        match self {
            Self::Corrupt(why) => StoreError::Corrupt { path, why },
            Self::Newer { found, newest } => StoreError::Newer { path, found, newest },
        }
    }
}

/// Reads any versioned file that has a `format` at its top.
pub(super) fn decode<T: DeserializeOwned>(content: &[u8], newest: u32) -> Result<T, Unreadable> {
    let object = object_of(content)?;
    match format_of(&object)? {
        found if found > u64::from(newest) => Err(Unreadable::Newer { found, newest }),
        _ => typed(object),
    }
}

/// The text of a file for people to read, with a newline at its end.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value)
        .expect("our types have text keys and no failing serializers");
    text.push(b'\n');
    text
}

/// Reads a machine's record, of this format or an older one, and the fields that we do not know.
pub(super) fn decode_record(
    content: &[u8],
) -> Result<(MachineRecord, BTreeMap<String, Value>), Unreadable> {
    let object = upgraded(object_of(content)?, UPGRADES)?;
    let record: MachineRecord = typed(object.clone())?;
    let extras = unknown_fields(object, &record);
    Ok((record, extras))
}

/// The text of a machine's record, with fields that only a newer version knows.
pub(super) fn encode_record(
    record: &MachineRecord,
    extras: Option<&BTreeMap<String, Value>>,
) -> Vec<u8> {
    let Some(extras) = extras else { return encode(record) };
    let mut object = object_from(record);
    for (key, value) in extras {
        object.entry(key).or_insert_with(|| value.clone());
    }
    encode(&object)
}

fn object_of(content: &[u8]) -> Result<Object, Unreadable> {
    if content.is_empty() {
        return Err(Unreadable::Corrupt("it is empty".to_owned()));
    }
    serde_json::from_slice(content).map_err(|error| Unreadable::Corrupt(error.to_string()))
}

fn format_of(object: &Object) -> Result<u64, Unreadable> {
    let format = object.get("format").and_then(Value::as_u64).filter(|format| *format > 0);
    format.ok_or_else(|| Unreadable::Corrupt("it has no format number".to_owned()))
}

fn typed<T: DeserializeOwned>(object: Object) -> Result<T, Unreadable> {
    serde_json::from_value(Value::Object(object))
        .map_err(|error| Unreadable::Corrupt(error.to_string()))
}

fn upgraded(mut object: Object, chain: &[Upgrade]) -> Result<Object, Unreadable> {
    let found = format_of(&object)?;
    let newest = u32::try_from(chain.len() + 1).expect("a short chain");
    if found > u64::from(newest) {
        return Err(Unreadable::Newer { found, newest });
    }
    let done = usize::try_from(found - 1).expect("not above the length of the chain");
    for (step, upgrade) in chain.iter().enumerate().skip(done) {
        object = upgrade(object).map_err(Unreadable::Corrupt)?;
        object.insert("format".to_owned(), Value::from(step + 2));
    }
    Ok(object)
}

fn object_from(record: &MachineRecord) -> Object {
    match serde_json::to_value(record) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => unreachable!("a record is a struct of plain fields"),
    }
}

fn unknown_fields(object: Object, record: &MachineRecord) -> BTreeMap<String, Value> {
    let known = object_from(record);
    // Every field of ours is always written, so this alone tells in nearly all cases.
    if object.len() == known.len() && object.keys().all(|key| known.contains_key(key)) {
        return BTreeMap::new();
    }
    object.into_iter().filter(|(key, _)| !known.contains_key(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn older_formats_go_up_the_chain_and_newer_ones_are_refused() {
        let rename: Upgrade = |mut object| {
            let old = object.remove("name").ok_or("no name")?;
            object.insert("machine".to_owned(), old);
            Ok(object)
        };
        let add: Upgrade = |mut object| {
            object.insert("zone".to_owned(), Value::from("z"));
            Ok(object)
        };
        let chain = [rename, add];
        let up = |text: &str| upgraded(object(text), &chain).map(|o| Value::Object(o).to_string());
        let newest = r#"{"format":3,"machine":"m","zone":"z"}"#;
        assert_eq!(up(r#"{"format":1,"name":"m"}"#).unwrap(), newest);
        assert_eq!(up(r#"{"format":2,"machine":"m"}"#).unwrap(), newest);
        assert_eq!(up(newest).unwrap(), newest);
        assert_eq!(up(r#"{"format":4}"#), Err(Unreadable::Newer { found: 4, newest: 3 }));
        assert_eq!(up(r#"{"format":1}"#), Err(Unreadable::Corrupt("no name".to_owned())));
    }

    #[test]
    fn a_file_without_a_number_is_corrupt_not_old() {
        for text in [r#"{"a":1}"#, r#"{"format":0}"#, r#"{"format":"1"}"#, r#"{"format":-1}"#] {
            let read = decode_record(text.as_bytes());
            assert_eq!(read, Err(Unreadable::Corrupt("it has no format number".to_owned())));
        }
        assert_eq!(decode_record(b""), Err(Unreadable::Corrupt("it is empty".to_owned())));
        assert!(matches!(decode_record(b"{\"format\":1,"), Err(Unreadable::Corrupt(_))));
        assert!(matches!(decode_record(b"\0\0\0\0"), Err(Unreadable::Corrupt(_))));
        assert!(matches!(decode_record(b"[1]"), Err(Unreadable::Corrupt(_))));
    }
}
