//! How OpenStack writes ids, times, and Python values in its messages.

use serde_json::Value;
use vcycle_api::Timestamp;

/// Makes ids that look random and are the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Ids(u64);

impl Ids {
    /// The splitmix64 sequence: spreads a counter over all bits.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 32 hexadecimal digits, as Keystone makes them.
    pub(crate) fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// A UUID of version 4, as the other services make them.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex();
        let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20]);
        format!("{a}-{b}-4{c}-a{d}-{}", &hex[20..])
    }

    /// An id of a request.
    pub(crate) fn request(&mut self) -> String {
        format!("req-{}", self.uuid())
    }

    /// A token in Fernet's form.
    pub(crate) fn token(&mut self) -> String {
        format!("gAAAAAB{}{}_{}", self.hex(), self.hex(), self.hex())
    }
}

/// Whether a text has the form of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn written(time: Timestamp, form: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    time.strftime(form).to_string()
}

/// `2026-11-21T01:34:55Z`, as Nova writes `created` and `updated`.
pub(crate) fn seconds(time: Timestamp) -> String {
    written(time, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-11-21T01:35:00.000000`: UTC without saying so, as Nova writes `OS-SRV-USG:launched_at`.
pub(crate) fn micros(time: Timestamp) -> String {
    written(time, "%Y-%m-%dT%H:%M:%S.000000")
}

/// `2026-11-21T02:34:44.000000Z`, as Keystone writes the times of a token.
pub(crate) fn micros_zulu(time: Timestamp) -> String {
    written(time, "%Y-%m-%dT%H:%M:%S.000000Z")
}

/// Reads a time in any of these forms.
pub(crate) fn time_of(text: &str) -> Option<Timestamp> {
    let zoned = if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") };
    let time: jiff::Timestamp = zoned.parse().ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// A JSON value as Python's `repr` writes it: so it stands in messages of Nova's validation.
pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') => format!("\"{text}\""),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let items: Vec<String> =
                map.iter().map(|(key, value)| format!("'{key}': {}", python(value))).collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_of_openstack_and_do_not_repeat() {
        let mut ids = Ids::default();
        let (a, b) = (ids.uuid(), ids.uuid());
        assert!(is_uuid(&a) && is_uuid(&b) && a != b, "{a} {b}");
        assert_eq!(ids.hex().len(), 32);
        assert!(!is_uuid("not-a-uuid"));
    }

    #[test]
    fn times_survive_each_form() {
        let time = Timestamp::from_secs(1_795_224_654);
        assert_eq!(seconds(time), "2026-11-21T01:30:54Z");
        for text in [seconds(time), micros(time), micros_zulu(time)] {
            assert_eq!(time_of(&text), Some(time), "{text}");
        }
    }
}
