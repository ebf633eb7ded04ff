//! How EC2 writes ids, times and XML.

use std::fmt::{Display, Write as _};

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

    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// An id of a resource, for example `i-` and 17 hexadecimal digits that begin with a zero.
    pub(crate) fn resource(&mut self, prefix: &str) -> String {
        let hex = self.hex();
        format!("{prefix}-0{}", &hex[..16])
    }

    /// A UUID of version 4: ids of requests and messages.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex();
        let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20]);
        format!("{a}-{b}-4{c}-a{d}-{}", &hex[20..])
    }

    /// A secret or a session token.
    pub(crate) fn secret(&mut self) -> String {
        format!("{}{}", self.hex(), self.hex())
    }

    /// Sixteen characters after the four of an access key.
    pub(crate) fn key(&mut self) -> String {
        self.hex()[..16].to_uppercase()
    }
}

/// Whether a text has the form of an id of this kind: 8 or 17 hexadecimal digits.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn written(time: Timestamp, form: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    time.strftime(form).to_string()
}

/// `2026-11-21T01:34:55.000Z`, as EC2 writes times: whole seconds.
pub(crate) fn time(time: Timestamp) -> String {
    written(time, "%Y-%m-%dT%H:%M:%S.000Z")
}

/// `2026-11-21T01:34:55Z`, as STS and EventBridge write times.
pub(crate) fn seconds(time: Timestamp) -> String {
    written(time, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-11-21 01:34:55 GMT`, as it stands in a reason of a state transition.
pub(crate) fn gmt(time: Timestamp) -> String {
    written(time, "%Y-%m-%d %H:%M:%S GMT")
}

/// Whether a text fits a pattern with `*` (any text) and `?` (one character), as filters have them.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on when a later part does not fit: after the last star, one character further.
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[place] => (at, place) = (at + 1, place + 1),
            _ => {
                let Some((before, began)) = star else { return false };
                star = Some((before, began + 1));
                (at, place) = (before + 1, began + 1);
            }
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// An XML document under way.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// An element with a text.
    pub(crate) fn text(&mut self, tag: &str, value: impl Display) {
        write!(self.0, "<{tag}>").expect("a string takes everything");
        let start = self.0.len();
        write!(self.0, "{value}").expect("a string takes everything");
        if self.0[start..].contains(['&', '<', '>']) {
            let raw = self.0.split_off(start);
            for c in raw.chars() {
                match c {
                    '&' => self.0.push_str("&amp;"),
                    '<' => self.0.push_str("&lt;"),
                    '>' => self.0.push_str("&gt;"),
                    c => self.0.push(c),
                }
            }
        }
        write!(self.0, "</{tag}>").expect("a string takes everything");
    }

    /// An element with a text, if there is one.
    pub(crate) fn maybe(&mut self, tag: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    /// A text without an element of its own: an item of a list of words.
    pub(crate) fn word(&mut self, word: &str) {
        self.0.push_str(word);
    }

    /// An element with others inside.
    pub(crate) fn inside(&mut self, tag: &str, fill: impl FnOnce(&mut Self)) {
        write!(self.0, "<{tag}>").expect("a string takes everything");
        fill(self);
        write!(self.0, "</{tag}>").expect("a string takes everything");
    }

    /// A list: an element with one `item` for each.
    pub(crate) fn list<T>(
        &mut self,
        tag: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) {
        self.inside(tag, |xml| {
            for item in items {
                xml.inside("item", |xml| fill(xml, item));
            }
        });
    }

    /// Everything of another document, inside an element.
    pub(crate) fn append(&mut self, tag: &str, other: &Self) {
        self.inside(tag, |xml| xml.extend(other));
    }

    /// Everything of another document.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The whole document, with a root in this namespace.
    pub(crate) fn document(self, root: &str, namespace: &str) -> Vec<u8> {
        let (head, body) = (r#"<?xml version="1.0" encoding="UTF-8"?>"#, self.0);
        let space = match namespace {
            "" => String::new(),
            uri => format!(" xmlns=\"{uri}\""),
        };
        format!("{head}\n<{root}{space}>{body}</{root}>").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_of_ec2_and_do_not_repeat() {
        let mut ids = Ids::default();
        let (a, b) = (ids.resource("i"), ids.resource("i"));
        assert!(is_id(&a, "i") && is_id(&b, "i") && a != b, "{a} {b}");
        assert!(is_id("i-0123abcd", "i"), "ids of before 2018 are shorter");
        for bad in
            ["i-", "i-xyz", "vol-0123456789abcdef0", "0123456789abcdef0", "i-0123456789abcdeg0"]
        {
            assert!(!is_id(bad, "i"), "{bad}");
        }
    }

    #[test]
    fn patterns_of_filters_fit_as_documented() {
        for (pattern, text) in
            [("a*c", "abbc"), ("*", ""), ("?b*", "abc"), ("a*b*c", "a-b-b-c"), ("x", "x")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "ab"), ("?", ""), ("a?", "a"), ("x", "xy"), ("*b", "abc")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        let mut xml = Xml::default();
        xml.text("a", "<&>");
        let document = String::from_utf8(xml.document("r", "")).unwrap();
        assert!(document.ends_with("<r><a>&lt;&amp;&gt;</a></r>"), "{document}");
    }
}
