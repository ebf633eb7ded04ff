//! Two JSON values side by side: ids, times and addresses count by their form, all else by its value.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Keys whose values are made up anew each time and have no form of their own; their type counts.
const MADE_UP: [&str; 9] = [
    "adminPass",
    "fingerprint",
    "audit_ids",
    "secret",
    "addr",
    "ip_address",
    "mac_address",
    "mac_addr",
    "OS-EXT-IPS-MAC:mac_addr",
];

/// Lists whose order means nothing, with the key by which they are brought into one.
const UNORDERED: [(&str, &str); 3] =
    [("roles", "name"), ("catalog", "type"), ("endpoints", "interface")];

/// Addresses of services, and the word that stands for each.
pub(crate) type Hosts = Vec<(String, String)>;

/// A text without what differs from run to run.
pub(crate) fn normal_text(text: &str, hosts: &Hosts) -> String {
    let mut text = text.to_owned();
    for (address, word) in hosts {
        text = text.replace(address, word);
    }
    times(&ids(&text))
}

fn is_id_letter(letter: char) -> bool {
    letter == '-' || letter.is_ascii_digit() || ('a'..='f').contains(&letter)
}

/// Runs of 32 and more hexadecimal digits and dashes become `{id}`.
fn ids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|letter| !is_id_letter(letter)).unwrap_or(rest.len());
        if run >= 32 {
            out.push_str("{id}");
        } else {
            out.push_str(&rest[..run]);
        }
        rest = &rest[run..];
        let other = rest.find(is_id_letter).unwrap_or(rest.len());
        out.push_str(&rest[..other]);
        rest = &rest[other..];
    }
    out
}

/// Whether a text is one id and nothing else.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() >= 32 && text.chars().all(is_id_letter)
}

/// Digits of times become zeros, so that their form stays.
fn times(text: &str) -> String {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let mut out = text.as_bytes().to_vec();
    for begin in 0..out.len().saturating_sub(FORM.len() - 1) {
        let fits = FORM.iter().zip(&text.as_bytes()[begin..]).all(|(form, byte)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
        if !fits {
            continue;
        }
        out[begin..begin + FORM.len()].copy_from_slice(FORM);
        let fraction = begin + FORM.len();
        if out.get(fraction) == Some(&b'.') {
            let digits = out[fraction + 1..].iter_mut().take_while(|byte| byte.is_ascii_digit());
            digits.for_each(|digit| *digit = b'0');
        }
    }
    String::from_utf8(out).expect("only digits were changed")
}

/// A value without what differs from run to run.
pub(crate) fn normal(value: &Value, hosts: &Hosts) -> Value {
    match value {
        Value::String(text) => json!(normal_text(text, hosts)),
        Value::Array(items) => items.iter().map(|item| normal(item, hosts)).collect(),
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| (key.clone(), field(key, value, hosts)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn field(key: &str, value: &Value, hosts: &Hosts) -> Value {
    if MADE_UP.contains(&key) {
        return json!(format!("{{{}}}", kind(value)));
    }
    let mut value = normal(value, hosts);
    let by = UNORDERED.iter().find(|(list, _)| *list == key);
    if let (Some((_, by)), Value::Array(items)) = (by, &mut value) {
        items.sort_by_key(|item| item[by].as_str().unwrap_or_default().to_owned());
    }
    value
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What was found when two normal values were compared.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Scalars and keys that were compared.
    pub(crate) compared: usize,
    /// What differs, with its place.
    pub(crate) differences: Vec<String>,
}

/// Whether a place fits a pattern: the same segments, `*` for any.
fn fits(pattern: &str, place: &str) -> bool {
    let (pattern, place): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), place.split('/').collect());
    pattern.len() == place.len()
        && pattern.iter().zip(&place).all(|(one, other)| one == other || *one == "*")
}

impl Findings {
    /// Compares; places that fit one of `left_out` are passed by.
    pub(crate) fn compare(
        &mut self,
        place: &str,
        recorded: &Value,
        fake: &Value,
        left_out: &[&str],
    ) {
        if left_out.iter().any(|pattern| fits(pattern, place)) {
            return;
        }
        self.compared += 1;
        match (recorded, fake) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, value) in one {
                    let place = format!("{place}/{key}");
                    let nothing = Value::String("(no such key)".into());
                    self.compare(&place, value, other.get(key).unwrap_or(&nothing), left_out);
                }
                for key in other.keys().filter(|key| !one.contains_key(*key)) {
                    let place = format!("{place}/{key}");
                    if !left_out.iter().any(|pattern| fits(pattern, &place)) {
                        self.differences.push(format!("{place}: only the fake has it"));
                    }
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    let (one, other) = (one.len(), other.len());
                    self.differences
                        .push(format!("{place}: {one} recorded, {other} from the fake"));
                }
                for (number, (one, other)) in one.iter().zip(other).enumerate() {
                    self.compare(&format!("{place}/{number}"), one, other, left_out);
                }
            }
            (one, other) if one == other => {}
            (one, other) => {
                let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
                let (one, other) = (short(one), short(other));
                self.differences.push(format!("{place}: {one} recorded, {other} from the fake"));
            }
        }
    }
}

/// Learns which id of the fake stands at the place of which recorded one.
pub(crate) fn learn(recorded: &Value, fake: &Value, ids: &mut BTreeMap<String, String>) {
    match (recorded, fake) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                let own = other.get(key).unwrap_or(&Value::Null);
                match (key.as_str(), value.as_str(), own.as_str()) {
                    ("secret", Some(one), Some(other)) => {
                        ids.insert(one.to_owned(), other.to_owned());
                    }
                    _ => learn(value, own, ids),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for (one, other) in one.iter().zip(other) {
                learn(one, other, ids);
            }
        }
        (Value::String(one), Value::String(other))
            if is_id(one) && is_id(other) && one != other =>
        {
            ids.insert(one.clone(), other.clone());
        }
        _ => {}
    }
}

#[test]
fn what_differs_is_found_and_what_is_made_up_is_not() {
    let hosts = vec![("http://a:1".to_owned(), "{nova}".to_owned())];
    let one = json!({ "id": "b75d58f2d72a492682abe0b70b498e57", "at": "2026-11-21T02:34:44.5Z",
        "to": "http://a:1/x", "n": 1 });
    let two = json!({ "id": "161d0736c7974474bcda19ae69dc17c4", "at": "2027-01-02T03:04:05.6Z",
        "to": "{nova}/x", "n": 2, "more": null });
    let mut findings = Findings::default();
    findings.compare("", &normal(&one, &hosts), &normal(&two, &hosts), &[]);
    let wanted = ["/n: 1 recorded, 2 from the fake", "/more: only the fake has it"];
    assert_eq!(findings.differences, wanted);
    let mut passed_by = Findings::default();
    passed_by.compare("", &normal(&one, &hosts), &normal(&two, &hosts), &["/n", "/more"]);
    assert!(passed_by.differences.is_empty(), "{passed_by:?}");
}
