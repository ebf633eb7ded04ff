//! Names that only spending knows. Each is parsed once, at the boundary.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct InvalidLabel {
    /// What it should have been.
    pub kind: &'static str,
    /// As it came.
    pub text: String,
    /// What a valid one looks like.
    pub rule: &'static str,
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a text; the only way to make one.
            ///
            /// # Errors
            /// With the rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, InvalidLabel> {
                let check: fn(&str) -> bool = $check;
                let invalid = || InvalidLabel { kind: $kind, text: text.to_owned(), rule: $rule };
                check(text).then(|| Self(text.into())).ok_or_else(invalid)
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidLabel;
            fn from_str(text: &str) -> Result<Self, InvalidLabel> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

label!(
    /// A community (an experiment, a project) that machinetypes work for: a label in the configuration.
    Community,
    "community",
    "1 to 63 printable characters, without blanks at its ends",
    |text| !text.is_empty()
        && text.chars().count() <= 63
        && text.trim() == text
        && !text.chars().any(char::is_control)
);

label!(
    /// The name of a cap or of a budget.
    CapName,
    "name of a cap",
    "1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit",
    |text| text.len() <= 63 && begins_with_letter_or_digit(text) && text.bytes().all(is_plain)
);

label!(
    /// Who sends the bill: `aws`, `gcp`, `openstack`, `local`, `sim`.
    ProviderName,
    "name of a provider",
    "1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit",
    |text| text.len() <= 63 && begins_with_letter_or_digit(text) && text.bytes().all(is_plain)
);

fn begins_with_letter_or_digit(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_confuse_are_refused() {
        for text in ["", " ska", "ska\n", &"x".repeat(64)] {
            assert!(Community::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "../x", "-x", "Grant", "a b"] {
            assert!(CapName::parse(text).is_err(), "{text:?}");
        }
        assert!(Community::parse("SKA, low").is_ok() && CapName::parse("2026-spring").is_ok());
    }
}
