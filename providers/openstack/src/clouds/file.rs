//! One YAML file of clouds: text to tables. Knows the shape of the file, not what keys mean.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::OpenError;

/// A file that was read.
pub(super) struct CloudsFile {
    pub(super) path: PathBuf,
    pub(super) others_can_read: bool,
    pub(super) tables: Tables,
}

/// Its content.
#[derive(Default, serde::Deserialize)]
pub(super) struct Tables {
    #[serde(default)]
    pub(super) clouds: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(default, rename = "public-clouds")]
    pub(super) profiles: Option<BTreeMap<String, Option<Entry>>>,
}

/// One entry. Keys are in lower case with `_` for `-`; values as they are written.
#[derive(Clone, Default)]
pub(super) struct Entry {
    /// Under `auth`.
    pub(super) auth: BTreeMap<String, SecretString>,
    /// Single values beside `auth`.
    pub(super) plain: BTreeMap<String, SecretString>,
    /// `region_name`, which may be a list, and `regions`.
    pub(super) regions: Vec<String>,
}

impl Entry {
    /// The first of these keys that has a value, under `auth` or, as old files have it, beside it.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&str> {
        let here = |key: &&str| self.auth.get(*key).or_else(|| self.plain.get(*key));
        keys.iter().filter_map(here).map(ExposeSecret::expose_secret).find(|v| !v.is_empty())
    }

    /// As [`Self::get`], still secret.
    pub(super) fn secret(&self, keys: &[&str]) -> Option<SecretString> {
        self.get(keys).map(SecretString::from)
    }

    /// Whether anything in it must be kept from others.
    pub(super) fn has_secret(&self) -> bool {
        let keys = ["password", "application_credential_secret", "token", "auth_token"];
        self.get(&keys).is_some()
    }

    /// Lays another entry over this one: what it says goes before.
    pub(super) fn overlay(&mut self, over: Self) {
        let Self { auth, plain, regions } = over;
        self.auth.extend(auth);
        self.plain.extend(plain);
        if !regions.is_empty() {
            self.regions = regions;
        }
    }
}

/// Reads a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<CloudsFile>, OpenError> {
    let failed = |source| OpenError::Read { file: path.to_owned(), source };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let tables = parse(&text, path)?;
    let others_can_read = others_can_read(path).map_err(failed)?;
    Ok(Some(CloudsFile { path: path.to_owned(), others_can_read, tables }))
}

fn others_can_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o004 != 0)
}

/// Parses the text of a file. The error says where, never what stands there: the parser's own
/// messages quote the source, and the source holds passwords.
pub(super) fn parse(text: &str, path: &Path) -> Result<Tables, OpenError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed = serde_saphyr::from_str_with_options::<Option<Tables>>(text, options);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let at = error.location();
        let why = match error.without_snippet() {
            serde_saphyr::Error::Unexpected { expected, .. } => format!("expected {expected}"),
            serde_saphyr::Error::DuplicateMappingKey { .. } => "this key stands twice".to_owned(),
            _ => "not YAML as clouds.yaml has it".to_owned(),
        };
        OpenError::Yaml {
            file: path.to_owned(),
            line: at.map_or(0, |at| at.line()),
            column: at.map_or(0, |at| at.column()),
            why,
        }
    })
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key::<String>()? {
            let key = canonical(&key);
            if key == "auth" {
                let auth = map.next_value::<Option<BTreeMap<String, Option<String>>>>()?;
                let set = auth.unwrap_or_default().into_iter();
                let set = set.filter_map(|(k, v)| Some((canonical(&k), SecretString::from(v?))));
                entry.auth.extend(set);
            } else if key == "region_name" {
                entry.regions = map.next_value::<Names>()?.0;
            } else if key == "regions" {
                let all = map.next_value::<Names>()?.0;
                if entry.regions.is_empty() {
                    entry.regions = all;
                }
            } else if is_plain(&key) {
                if let Some(value) = map.next_value::<Option<String>>()? {
                    entry.plain.insert(key, SecretString::from(value));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }
}

fn canonical(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

/// Keys beside `auth` that mean something to us. All others may have values of any shape.
fn is_plain(key: &str) -> bool {
    const PLAIN: [&str; 36] = [
        "profile",
        "cloud",
        "auth_type",
        "auth_url",
        "interface",
        "endpoint_type",
        "verify",
        "insecure",
        "cacert",
        "cert",
        "key",
        "username",
        "user_name",
        "user_id",
        "password",
        "token",
        "auth_token",
        "project_name",
        "project_id",
        "tenant_name",
        "tenant_id",
        "user_domain_name",
        "user_domain_id",
        "project_domain_name",
        "project_domain_id",
        "default_domain",
        "default_domain_name",
        "default_domain_id",
        "domain_name",
        "domain_id",
        "application_credential_id",
        "application_credential_name",
        "application_credential_secret",
        "identity_api_version",
        "passcode",
        "system_scope",
    ];
    PLAIN.contains(&key) || key.ends_with("_endpoint_override")
}

/// A name, a list of names, or a list of tables with a name.
struct Names(Vec<String>);

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a list of names")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Names, E> {
        Ok(Names(Vec::new()))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Names, E> {
        Ok(Names(if name.is_empty() { Vec::new() } else { vec![name.to_owned()] }))
    }

    fn visit_u64<E: serde::de::Error>(self, name: u64) -> Result<Names, E> {
        Ok(Names(vec![name.to_string()]))
    }

    fn visit_i64<E: serde::de::Error>(self, name: i64) -> Result<Names, E> {
        Ok(Names(vec![name.to_string()]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names, A::Error> {
        let one = Named::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Names(vec![one.name]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
        let mut all = Vec::new();
        while let Some(Names(some)) = seq.next_element::<Names>()? {
            all.extend(some);
        }
        Ok(Names(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(text: &str) -> Entry {
        let tables = parse(text, Path::new("clouds.yaml")).unwrap_or_else(|e| panic!("{e}"));
        tables.clouds.unwrap().remove("a").unwrap().unwrap()
    }

    #[test]
    fn values_that_look_like_numbers_or_truths_stay_as_they_are_written() {
        let text = "clouds:\n  a:\n    auth: {password: 0123, project-id: 1e5, username: yes}\n";
        let entry = entry(text);
        assert_eq!(entry.get(&["password"]), Some("0123"));
        assert_eq!(entry.get(&["project_id"]), Some("1e5"));
        assert_eq!(entry.get(&["username"]), Some("yes"));
    }

    #[test]
    fn a_region_may_be_a_name_a_list_or_a_list_of_tables() {
        for (text, regions) in [
            ("region_name: R1", vec!["R1"]),
            ("region_name: [R1, R2]", vec!["R1", "R2"]),
            ("regions: [R1, {name: R2, values: {x: 1}}]", vec!["R1", "R2"]),
            ("{regions: [R1, R2], region_name: R2}", vec!["R2"]),
            ("{region_name: R2, regions: [R1, R2]}", vec!["R2"]),
            ("region_name: ~", vec![]),
        ] {
            let text = format!("clouds:\n  a:\n    {text}\n");
            assert_eq!(entry(&text).regions, regions, "{text}");
        }
    }

    #[test]
    fn keys_we_do_not_know_may_have_any_shape() {
        let text = "clouds:\n  a:\n    networks: [{name: x}]\n    image_format: {a: [1]}\n    \
                    interface: internal\n    image_endpoint_override: http://i\n";
        let entry = entry(text);
        assert_eq!(entry.get(&["interface"]), Some("internal"));
        assert_eq!(entry.get(&["image_endpoint_override"]), Some("http://i"));
    }

    #[test]
    fn an_error_says_where_and_never_what_stands_there() {
        for text in [
            "clouds:\n  a:\n    auth:\n      password: [hunter2\n",
            "clouds:\n  a:\n    auth: hunter2\n",
            "clouds:\n  a: hunter2\n",
            "clouds:\n  a:\n    auth: {password: {x: hunter2}}\n",
            "clouds:\n  a:\n    auth:\n     password: hunter2\n     password: hunter2\n",
        ] {
            let error = parse(text, Path::new("/c.yaml")).err().expect("it is wrong");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(error.to_string().starts_with("/c.yaml:"), "{shown}");
            assert!(!error.to_string().starts_with("/c.yaml:0"), "{shown}");
        }
    }

    #[test]
    fn an_empty_file_has_no_clouds() {
        for text in ["", "# nothing\n", "clouds:\n", "{}\n"] {
            let tables = parse(text, Path::new("c")).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            assert!(tables.clouds.unwrap_or_default().is_empty(), "{text:?}");
        }
    }

    /// Text that comes near the shape of the file more often than chance.
    fn nearly_a_file() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("clouds:"),
            Just("\n  a:"),
            Just("\n    auth:"),
            Just("\n      password: "),
            Just("region_name: "),
            Just("["),
            Just("]"),
            Just("{"),
            Just("}"),
            Just("&x "),
            Just("*x"),
            Just("<<: "),
            Just("- "),
            Just("!!binary "),
            Just("\n"),
            Just("|"),
            Just("\""),
            Just("~"),
            Just("é\u{0}"),
        ];
        proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn the_reader_never_panics(text in prop_oneof![nearly_a_file(), any::<String>()]) {
            let read = parse(&text, Path::new("c"));
            prop_assert!(read.is_ok() || read.is_err());
        }
    }
}
