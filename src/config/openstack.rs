//! `[space."NAME".openstack]`: a project of an OpenStack site.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::clouds::{line, lines, needs, positive, settle};
use super::defaults;
use super::problem::{Problem, Wrong};
use super::reader::Reader;
use super::source::Placed;
use super::tree::Value;
use super::values::{self, Read};

/// A project of an OpenStack site, in one region. Secrets are not here: they stay in `clouds.yaml`,
/// `secure.yaml` or the environment, and are read by the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStackConfig {
    /// Where the credentials are.
    pub credential: CredentialConfig,
    /// Tried when the first is refused.
    pub fallback: Option<CredentialConfig>,
    /// Region; default: what the entry of `clouds.yaml` says.
    pub region: Option<String>,
    /// Interface of the catalogue; default: what the entry of `clouds.yaml` says.
    pub interface: Option<String>,
    /// Networks of a machine.
    pub networks: NetworksConfig,
    /// Security groups of a machine; empty: the project's default.
    pub security_groups: Vec<String>,
    /// Availability zones; empty: the cloud chooses.
    pub zones: Vec<String>,
    /// Size of the volume to boot from; `None`: from the flavour's own disk.
    pub boot_volume_gb: Option<u32>,
    /// Size of a data volume for each processor; `None`: no such volume.
    pub volume_gb_per_processor: Option<u32>,
    /// Type of these volumes.
    pub volume_type: Option<String>,
    /// Whether machines get a config drive.
    pub config_drive: bool,
    /// Scheduler hints.
    pub scheduler_hints: BTreeMap<String, String>,
    /// Blazar lease that bounds the space.
    pub lease: Option<String>,
    /// Flavors whose machines the site may take back.
    pub preemptible: Option<PreemptibleConfig>,
    /// Machines on one page of a listing.
    pub page: Option<u32>,
    /// Most HTTP requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one HTTP request.
    pub request_time: Duration,
    /// How long after a lost reply a machine may still appear.
    pub settle: Duration,
}

/// Where credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialConfig {
    /// Entry of `clouds.yaml`; `None`: the `OS_*` variables of the environment.
    pub cloud: Option<String>,
    /// The file; `None`: the standard places.
    pub file: Option<PathBuf>,
}

/// Networks of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworksConfig {
    /// The only one that the project has, or the cloud's choice.
    Auto,
    /// None.
    None,
    /// These, by name or id.
    These(Vec<String>),
}

/// Flavors whose machines the site may take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreemptibleConfig {
    /// Their names.
    pub flavors: Vec<String>,
    /// How long a machine is left alone.
    pub guaranteed: Duration,
}

/// Reads the table; what is wrong is noted, and replaced by its default.
pub(super) fn read_openstack(from: &Reader<'_>) -> OpenStackConfig {
    let (credential, fallback) = read_credentials(from);
    let boot_volume_gb = positive(from, "boot_volume_gb");
    let per_processor = positive(from, "volume_gb_per_processor");
    let volume_type = from.get("volume_type", values::line);
    if boot_volume_gb.or(per_processor).is_none() {
        needs(from, volume_type.as_ref(), "`boot_volume_gb` or `volume_gb_per_processor`");
    }
    OpenStackConfig {
        credential,
        fallback,
        region: line(from, "region"),
        interface: from.get("interface", interface).map(|interface| interface.value),
        networks: from.get_or("networks", networks, NetworksConfig::Auto).value,
        security_groups: lines(from, "security_groups"),
        zones: lines(from, "zones"),
        boot_volume_gb,
        volume_gb_per_processor: per_processor,
        volume_type: volume_type.map(|name| name.value),
        config_drive: from.get_or("config_drive", values::flag, false).value,
        scheduler_hints: read_hints(from),
        lease: line(from, "lease"),
        preemptible: read_preemptible(from),
        page: positive(from, "page"),
        requests_at_once: from
            .get_or("requests_at_once", values::positive, defaults::OPENSTACK_REQUESTS_AT_ONCE)
            .value,
        request_time: from
            .get_or("request_time", values::duration_above_zero, defaults::OPENSTACK_REQUEST_TIME)
            .value,
        settle: settle(from, (defaults::OPENSTACK_SETTLE, defaults::OPENSTACK_SETTLE_SHORT)),
    }
}

fn read_credentials(from: &Reader<'_>) -> (CredentialConfig, Option<CredentialConfig>) {
    let (cloud, file) = (from.get("cloud", values::line), from.path_of("clouds_file"));
    let second = from.get("fallback_cloud", values::line);
    let second_file = from.path_of("fallback_clouds_file");
    if cloud.is_none() {
        needs(from, file.as_ref(), "`cloud`");
    }
    if second.is_none() {
        needs(from, second_file.as_ref(), "`fallback_cloud`");
    }
    let value = |written: &Option<Placed<PathBuf>>| written.as_ref().map(|file| file.value.clone());
    let first = CredentialConfig { cloud: cloud.map(|cloud| cloud.value), file: value(&file) };
    let fallback = second.map(|second| {
        let file = value(&second_file).or(value(&file));
        let fallback = CredentialConfig { cloud: Some(second.value.clone()), file };
        if fallback == first {
            let wrong = Wrong::new("the same as `cloud`", "an entry with other credentials");
            from.problems().add(Problem::at_value(&second, wrong));
        }
        fallback
    });
    (first, fallback)
}

fn interface(value: &Value) -> Read<String> {
    let text = values::line(value)?;
    if ["public", "internal", "admin"].contains(&text.as_str()) {
        Ok(text)
    } else {
        let wrong = format!("{text:?} is no interface of a service catalogue");
        Err(Wrong::new(wrong, "\"public\", \"internal\" or \"admin\""))
    }
}

fn networks(value: &Value) -> Read<NetworksConfig> {
    const RIGHT: &str = "\"auto\", \"none\", or a list of names or ids of networks";
    match value {
        Value::Text(text) if text == "auto" => Ok(NetworksConfig::Auto),
        Value::Text(text) if text == "none" => Ok(NetworksConfig::None),
        Value::Text(text) => Err(Wrong::new(format!("{text:?} stands for nothing here"), RIGHT)),
        other => match values::list(other, values::line)? {
            these if these.is_empty() => Err(Wrong::new("an empty list", RIGHT)),
            these => Ok(NetworksConfig::These(these)),
        },
    }
}

fn read_hints(from: &Reader<'_>) -> BTreeMap<String, String> {
    let mut hints = BTreeMap::new();
    for (name, _, written) in from.values_of("scheduler_hints") {
        match values::line(written.value) {
            Ok(hint) => {
                hints.insert(name, hint);
            }
            Err(wrong) => from.problems().add(Problem::at_value(&written, wrong)),
        }
    }
    hints
}

fn read_preemptible(from: &Reader<'_>) -> Option<PreemptibleConfig> {
    let flavors = from.get("preemptible_flavors", |v| values::list(v, values::line));
    let guaranteed = from.get("preemptible_guaranteed", values::duration);
    let Some(flavors) = flavors.map(|flavors| flavors.value).filter(|names| !names.is_empty())
    else {
        needs(from, guaranteed.as_ref(), "`preemptible_flavors`");
        return None;
    };
    let guaranteed = guaranteed.map_or(defaults::OPENSTACK_GUARANTEED, |written| written.value);
    Some(PreemptibleConfig { flavors, guaranteed })
}
