//! Names and tokens. Each is parsed once, at the boundary, and is valid from then on.
//!
//! Every name here may become a file name, a URL segment, a cloud tag and a host name, so the
//! alphabets are narrow on purpose: nothing that passes can hold `/`, `..`, blanks or capitals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;
use uuid::Uuid;

/// Why a text is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct InvalidName {
    /// What the text should have been, for example `space name`.
    pub kind: &'static str,
    /// The text as it came.
    pub text: String,
    /// What a valid one looks like.
    pub rule: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Parses a text; the only way to make one.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        written_as_text!($name);
    };
}

/// What every name can do, given `parse` and `Display`.
macro_rules! written_as_text {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
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

fn is_lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Starts and ends with a letter or digit, holds only those and `inner`, never two dots in a row.
fn is_label(text: &str, inner: &[char], longest: usize) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && text.chars().all(|c| is_lower_or_digit(c) || inner.contains(&c))
        && text.starts_with(is_lower_or_digit)
        && text.ends_with(is_lower_or_digit)
        && !text.contains("..")
}

/// Characters of the random part of a machine name.
const MACHINE_SUFFIX_CHARS: usize = 10;

fn is_machine_name(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(MachineName::PREFIX) else { return false };
    let Some((machinetype, suffix)) = rest.rsplit_once('-') else { return false };
    is_label(machinetype, &['-'], 40)
        && suffix.len() == MACHINE_SUFFIX_CHARS
        && suffix.chars().all(is_lower_or_digit)
}

name_type!(
    /// All managers that share one state directory, as one identity in the clouds.
    DeploymentId, "deployment id", "8 to 32 lower-case letters and digits",
    |t| (8..=32).contains(&t.len()) && t.chars().all(is_lower_or_digit)
);
name_type!(
    /// One tenancy with one set of credentials, named like a host in the DNS.
    SpaceName, "space name",
    "up to 100 lower-case letters, digits, `.`, `-`, `_`, beginning and ending with a letter or digit, without `..`",
    |t| is_label(t, &['.', '-', '_'], 100)
);
name_type!(
    /// A VM type in a space.
    MachinetypeName, "machinetype name",
    "up to 40 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
    |t| is_label(t, &['-'], 40)
);
name_type!(
    /// A VM definition in the library; also the name of its folder.
    EntryName, "library entry name",
    "up to 40 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
    |t| is_label(t, &['-'], 40)
);
name_type!(
    /// One running copy of the daemon, usually the short host name.
    ManagerName, "manager name",
    "up to 100 lower-case letters, digits, `.`, `-`, `_`, beginning and ending with a letter or digit, without `..`",
    |t| is_label(t, &['.', '-', '_'], 100)
);
name_type!(
    /// One VM we asked for: `vcycle-MACHINETYPE-` and ten random characters, at most 58 in all,
    /// so that it is also a valid host name and a valid Compute Engine instance name.
    MachineName, "machine name", "vcycle-MACHINETYPE- followed by 10 lower-case letters or digits",
    is_machine_name
);
name_type!(
    /// The provider's own name of a VM. Opaque to us; never empty.
    InstanceId, "instance id", "1 to 200 printable characters without blanks",
    |t| !t.is_empty() && t.len() <= 200 && t.chars().all(|c| c.is_ascii_graphic())
);

impl MachineName {
    /// What every machine name begins with, as the ancestor's did.
    pub const PREFIX: &'static str = "vcycle-";

    /// Composes the name of a machine from its machinetype and 50 random bits.
    pub fn compose(machinetype: &MachinetypeName, random: u64) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let suffix: String = (0..MACHINE_SUFFIX_CHARS)
            .map(|i| char::from(ALPHABET[((random >> (5 * i)) & 31) as usize]))
            .collect();
        Self(smol_str::format_smolstr!("{}{machinetype}-{suffix}", Self::PREFIX))
    }

    /// The machinetype that the name was composed from.
    pub fn machinetype(&self) -> MachinetypeName {
        let (machinetype, _) = self.0[Self::PREFIX.len()..]
            .rsplit_once('-')
            .expect("a machine name has a machinetype and a suffix, or it would not have parsed");
        MachinetypeName(machinetype.into())
    }
}

/// Identifies one intent to create one machine, for ever: a UUID in its usual text form,
/// as EC2 `ClientToken` and Compute Engine `requestId` want it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentToken(Uuid);

impl IntentToken {
    /// Parses a text; only the lower-case form with hyphens is one.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        match Uuid::parse_str(text).map(Self) {
            Ok(token) if token.to_string() == text => Ok(token),
            Ok(_) | Err(_) => Err(InvalidName {
                kind: "intent token",
                text: text.to_owned(),
                rule: "a lower-case UUID such as 6f2c1c0e-1111-4222-8333-0123456789ab",
            }),
        }
    }

    /// Composes a token (UUID version 4) from 128 random bits, of which it keeps 122.
    pub fn compose(random: u128) -> Self {
        Self(uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid())
    }

    /// Its bits, in the order of tokens: for whoever keeps many of them apart.
    pub fn bits(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for IntentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

written_as_text!(IntentToken);

impl DeploymentId {
    /// Composes an id of 12 characters from 60 random bits.
    pub fn compose(random: u64) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        Self((0..12).map(|i| char::from(ALPHABET[((random >> (5 * i)) & 31) as usize])).collect())
    }
}

/// The number of an ownership of a space, and so the fencing token. Only grows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_composed_machine_name_parses_and_gives_its_machinetype_back(
            machinetype in "[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", random: u64,
        ) {
            let machinetype = MachinetypeName::parse(&machinetype).unwrap();
            let name = MachineName::compose(&machinetype, random);
            prop_assert_eq!(MachineName::parse(name.as_str()).unwrap(), name.clone());
            prop_assert_eq!(name.machinetype(), machinetype);
        }

        #[test]
        fn a_composed_token_is_a_version_4_uuid(random: u128) {
            let token = IntentToken::compose(random);
            let text = token.to_string();
            prop_assert!(IntentToken::parse(&text) == Ok(token));
            prop_assert_eq!(&text[14..15], "4");
            prop_assert!("89ab".contains(&text[19..20]));
        }

        #[test]
        fn no_name_can_leave_its_folder(text in ".*") {
            for valid in [
                SpaceName::parse(&text).is_ok(), MachinetypeName::parse(&text).is_ok(),
                ManagerName::parse(&text).is_ok(), MachineName::parse(&text).is_ok(),
            ] {
                prop_assert!(!valid || (!text.contains('/') && !text.contains("..") && !text.starts_with('.')));
            }
        }
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        for bad in ["", ".", "..", "a/b", "../a", "a..b", "A", "a b", "-a", "a-", ".a"] {
            assert!(SpaceName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
