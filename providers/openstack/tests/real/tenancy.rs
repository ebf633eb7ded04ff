//! What a tenancy file says of a project that the tests may use (`tests/openstack/tenancy.toml` of the
//! repository is one with every key explained), and the entry of `clouds.yaml` that it names.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TenancyFile {
    pub(crate) name: String,
    pub(crate) cloud: String,
    pub(crate) region: Option<String>,
    /// The first is used.
    pub(crate) flavors: Vec<String>,
    pub(crate) image: String,
    pub(crate) networks: NetworkNames,
    #[serde(default)]
    pub(crate) security_groups: Vec<String>,
    pub(crate) machines: usize,
    #[serde(default)]
    pub(crate) options: Options,
    #[serde(default)]
    pub(crate) levers: Levers,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum NetworkNames {
    Word(String),
    These(Vec<String>),
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Options {
    pub(crate) patience_seconds: Option<u64>,
    pub(crate) boot_volume_gb: Option<u32>,
    pub(crate) data_volume_gb_per_processor: Option<u32>,
    #[serde(default)]
    pub(crate) config_drive: bool,
    pub(crate) broken_flavor: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Levers {
    pub(crate) quota: Option<String>,
}

impl TenancyFile {
    /// The one that `VCYCLE_OPENSTACK_TENANCY` names.
    pub(crate) fn read() -> Self {
        let path = env::var_os("VCYCLE_OPENSTACK_TENANCY").expect(
            "VCYCLE_OPENSTACK_TENANCY names a tenancy file: see tests/openstack/tenancy.toml",
        );
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// An entry of `clouds.yaml` with the secrets of `secure.yaml` beside it.
#[derive(Debug)]
pub(crate) struct Entry(pub(crate) Value);

impl Entry {
    /// From the file that `VCYCLE_OPENSTACK_CLOUDS` names.
    pub(crate) fn read(cloud: &str) -> Self {
        let path = env::var_os("VCYCLE_OPENSTACK_CLOUDS")
            .map(PathBuf::from)
            .expect("VCYCLE_OPENSTACK_CLOUDS names a clouds.yaml");
        let mut entry = read_yaml(&path)["clouds"][cloud].take();
        assert!(entry.is_object(), "{} has no cloud {cloud:?}", path.display());
        let secure = path.with_file_name("secure.yaml");
        if secure.exists() {
            merge(&mut entry, read_yaml(&secure)["clouds"][cloud].take());
        }
        Self(entry)
    }

    pub(crate) fn auth_url(&self) -> &str {
        self.0["auth"]["auth_url"].as_str().expect("the entry has an auth_url")
    }

    /// A client that trusts whom the entry trusts.
    pub(crate) fn http(&self) -> reqwest::Client {
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(file) = self.0["cacert"].as_str() {
            let pem = fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
            for certificate in reqwest::Certificate::from_pem_bundle(&pem).unwrap() {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if self.0["verify"] == Value::Bool(false) {
            builder = builder.danger_accept_invalid_certs(true);
        }
        if self.auth_url().starts_with("http://127.")
            || self.auth_url().starts_with("http://localhost")
        {
            builder = builder.no_proxy();
        }
        builder.build().unwrap()
    }

    /// Writes the entry with another address. JSON is YAML.
    pub(crate) fn write_through(&self, auth_url: &str, cloud: &str, folder: &Path) -> PathBuf {
        let mut entry = self.0.clone();
        entry["auth"]["auth_url"] = Value::from(auth_url);
        let map = entry.as_object_mut().unwrap();
        map.remove("cacert");
        map.remove("verify");
        let path = folder.join("clouds.yaml");
        fs::write(&path, serde_json::json!({"clouds": {cloud: entry}}).to_string()).unwrap();
        path
    }
}

fn read_yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (below, above) => *below = above,
    }
}
