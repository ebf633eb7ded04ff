//! Tags as labels of Google Cloud, and back without loss. Here, since they stand on machines and on bills.
//!
//! Google allows in a label's value at most 63 of lower-case letters, digits, `-` and `_`, and in its key the same,
//! beginning with a letter (<https://cloud.google.com/compute/docs/labeling-resources>). A space is named like a host,
//! with dots, and may be longer. So:
//!
//! - letters, digits and `-` stand for themselves, so that labels are readable and can be searched for;
//! - `_` begins an escape: `__` is `_`, `_d` is `.`, `_xHH` is any other byte;
//! - what is longer is cut between characters, and goes on in the labels `KEY_2`, `KEY_3`. A part that is not the last
//!   ends with `_c`, so that a lost part is noticed and never read as a shorter name.

use std::collections::BTreeMap;

/// Longest value of a label.
const LONGEST: usize = 63;
/// Ends a part that is not the last.
const CONTINUED: &str = "_c";

/// The tags as labels.
pub fn encode(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in tags {
        let mut parts = parts(value);
        let last = parts.pop().unwrap_or_default();
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            labels.insert(part_key(key, number), part + CONTINUED);
        }
        labels.insert(part_key(key, count), last);
    }
    labels
}

/// The tags that stand in labels. What was not written by [`encode`] is left out, or comes out as something that
/// is no tag of ours.
pub fn decode<'a>(
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<String, String> {
    let labels: BTreeMap<&str, &str> =
        labels.into_iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    labels.keys().filter_map(|key| Some(((*key).to_owned(), join(&labels, key)?))).collect()
}

/// The value as it stands in one label, for searches; `None` if it does not fit into one.
pub fn searchable(value: &str) -> Option<String> {
    let escaped = parts(value);
    match escaped.as_slice() {
        [] => Some(String::new()),
        [whole] => Some(whole.clone()),
        _ => None,
    }
}

fn part_key(key: &str, number: usize) -> String {
    if number == 0 { key.to_owned() } else { format!("{key}_{}", number + 1) }
}

/// The escaped value in parts that leave room for [`CONTINUED`]; one that fits as a whole is one part.
fn parts(value: &str) -> Vec<String> {
    let characters: Vec<String> = value.bytes().map(escape).collect();
    let whole = characters.concat();
    if whole.len() <= LONGEST {
        return vec![whole];
    }
    let mut parts = vec![String::new()];
    for character in characters {
        let part = parts.last_mut().expect("there is always a part");
        if part.len() + character.len() + CONTINUED.len() > LONGEST {
            parts.push(character);
        } else {
            part.push_str(&character);
        }
    }
    parts
}

fn escape(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        b'_' => "__".to_owned(),
        b'.' => "_d".to_owned(),
        other => format!("_x{other:02x}"),
    }
}

fn join(labels: &BTreeMap<&str, &str>, key: &str) -> Option<String> {
    let mut bytes = Vec::new();
    for number in 0.. {
        let part = labels.get(part_key(key, number).as_str())?;
        if let End::Here = unescape(part, &mut bytes)? {
            return String::from_utf8(bytes).ok();
        }
    }
    None
}

enum End {
    Here,
    Continued,
}

fn unescape(part: &str, into: &mut Vec<u8>) -> Option<End> {
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'_' {
            into.push(byte);
            continue;
        }
        match rest.next()? {
            b'_' => into.push(b'_'),
            b'd' => into.push(b'.'),
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                into.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'c' if rest.len() == 0 => return Some(End::Continued),
            _ => return None,
        }
    }
    Some(End::Here)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        DeploymentId, Generation, Identity, IntentToken, MachineName, MachinetypeName, SpaceName,
        Tags, Timestamp,
    };

    fn tags(space: &str, machinetype: &str) -> Tags {
        let machinetype = MachinetypeName::parse(machinetype).unwrap();
        Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse(space).unwrap(),
            machine: MachineName::compose(&machinetype, 3),
            machinetype,
            intent: IntentToken::compose(9),
            generation: Generation(u64::MAX),
            deadline: Timestamp::from_secs(1_767_200_000),
        }
    }

    /// The rules of the API, written down once more.
    fn assert_valid(labels: &BTreeMap<String, String>) {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        assert!(labels.len() <= 64, "{} labels", labels.len());
        for (key, value) in labels {
            assert!(key.len() <= 63 && value.len() <= 63, "{key}: {value}");
            assert!(key.starts_with(|c: char| c.is_ascii_lowercase()), "{key}");
            assert!(key.chars().all(good) && value.chars().all(good), "{key}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_identity_comes_back_from_valid_labels(
            space in "[a-z0-9]([a-z0-9_-]|[.][a-z0-9]){0,49}", machinetype in "[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?",
        ) {
            prop_assume!(SpaceName::parse(&space).is_ok());
            let tags = tags(&space, &machinetype);
            let labels = encode(&tags.to_map());
            assert_valid(&labels);
            prop_assert_eq!(Identity::from_map(&decode(&labels)), Identity::Vcycle(tags));
        }

        #[test]
        fn any_text_comes_back_from_valid_labels(value in ".{0,200}") {
            let map = BTreeMap::from([("key".to_owned(), value)]);
            let labels = encode(&map);
            prop_assert!(labels.values().all(|value| value.len() <= 63));
            let decoded = decode(&labels);
            prop_assert_eq!(&decoded["key"], &map["key"]);
        }

        /// A person may take any label away: it must never read as another name.
        #[test]
        fn a_lost_part_loses_the_tag(value in "[a-z._]{70,180}", lost: prop::sample::Index) {
            let map = BTreeMap::from([("key".to_owned(), value)]);
            let mut labels = encode(&map);
            let key = lost.get(&labels.keys().cloned().collect::<Vec<_>>()).clone();
            labels.remove(&key);
            prop_assert!(!decode(&labels).contains_key("key"));
        }

        #[test]
        fn labels_of_others_do_no_harm(key in "[a-z][a-z0-9_-]{0,62}", value in "[a-z0-9_-]{0,63}") {
            decode(&BTreeMap::from([(key, value)]));
        }
    }

    #[test]
    fn the_longest_identity_comes_back() {
        let space = format!("a_b-c.{}.9", "s".repeat(92));
        let mut tags = tags(&space, &format!("0-{}", "m".repeat(38)));
        tags.deployment = DeploymentId::parse(&"d9".repeat(16)).unwrap();
        let labels = encode(&tags.to_map());
        assert_valid(&labels);
        assert_eq!(Identity::from_map(&decode(&labels)), Identity::Vcycle(tags));
    }

    #[test]
    fn labels_stay_readable() {
        let labels = encode(&tags("cumulus.iris.example", "dune").to_map());
        assert_eq!(labels["vcycle_space"], "cumulus_diris_dexample");
        assert_eq!(labels["vcycle_machinetype"], "dune");
        assert_eq!(labels["vcycle_intent"], IntentToken::compose(9).to_string());
    }

    #[test]
    fn what_was_not_written_by_us_is_left_out() {
        for value in ["_", "a_", "_x1", "_xzz", "_q", "_cc", "a_c"] {
            let labels = BTreeMap::from([("key".to_owned(), value.to_owned())]);
            assert_eq!(decode(&labels), BTreeMap::new(), "{value}");
        }
    }

    #[test]
    fn a_short_value_can_be_searched_for() {
        assert_eq!(searchable("a.b").as_deref(), Some("a_db"));
        assert_eq!(searchable(&"a".repeat(64)), None);
    }
}
