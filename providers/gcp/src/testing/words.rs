//! How Compute Engine writes ids, times, names and fingerprints.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
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

    /// The number of a resource: 19 digits, more than a double can hold exactly.
    pub(crate) fn number(&mut self) -> u64 {
        1_000_000_000_000_000_000 + self.next() % 8_000_000_000_000_000_000
    }

    /// The name of an operation that a request began.
    pub(crate) fn operation(&mut self, now: Timestamp) -> String {
        let (a, b) = (self.next(), self.next());
        let ms = now.as_millis();
        format!("operation-{ms}-{:013x}-{:08x}-{:08x}", a >> 12, b >> 32, b & 0xffff_ffff)
    }

    /// The name of an operation that the cloud began.
    pub(crate) fn system_event(&mut self, now: Timestamp) -> String {
        let (a, b) = (self.next(), self.next());
        let ms = now.as_millis();
        format!("systemevent-{ms}-{:013x}-{:08x}-{:08x}", a >> 12, b >> 32, b & 0xffff_ffff)
    }

    /// An access token.
    pub(crate) fn token(&mut self) -> String {
        format!("ya29.c.{:016x}{:016x}{:016x}", self.next(), self.next(), self.next())
    }
}

/// `2026-11-21T04:14:44.123-08:00`: the API writes the time of its home, not UTC.
pub(crate) fn written(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    let home = jiff::tz::TimeZone::fixed(jiff::tz::offset(-8));
    time.to_zoned(home).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// The fingerprint of what has been changed so often.
pub(crate) fn fingerprint(of: u64, version: u64) -> String {
    let mut bytes = Ids(of ^ version.rotate_left(32)).next().to_be_bytes();
    bytes[7] = u8::try_from(version & 0xff).unwrap_or_default();
    URL_SAFE.encode(bytes)
}

/// A UUID, but not the one of zeros, as the API wants a `requestId`.
pub(crate) fn is_request_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| !matches!(byte, b'-' | b'0'))
}

/// The last segment of a URL or partial URL.
pub(crate) fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The segment after this one.
pub(crate) fn after<'a>(url: &'a str, word: &str) -> Option<&'a str> {
    let mut segments = url.split('/');
    segments.find(|segment| *segment == word)?;
    segments.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_california_and_ids_are_numbers_of_64_bits() {
        assert_eq!(
            written(Timestamp::from_millis(1_795_224_884_007)),
            "2026-11-20T17:34:44.007-08:00"
        );
        let number = Ids::default().number();
        assert_eq!(number.to_string().len(), 19);
        assert_ne!(fingerprint(number, 1), fingerprint(number, 2));
        assert_eq!(fingerprint(number, 1), fingerprint(number, 1));
    }

    #[test]
    fn a_request_id_is_a_uuid_and_not_zero() {
        assert!(is_request_id("7d2c1b3e-9a55-4f0e-8b1c-0a5d1f2e3c4b"));
        assert!(!is_request_id("00000000-0000-0000-0000-000000000000"));
        assert!(!is_request_id("7d2c1b3e9a554f0e8b1c0a5d1f2e3c4b"));
    }
}
