//! `[space."NAME".gcp]`: one region of a Google Cloud project.

use std::path::PathBuf;
use std::time::Duration;

use super::clouds::{endpoint, line, lines, needs, positive, settle, wares, zones_of};
use super::defaults;
use super::problem::Wrong;
use super::reader::Reader;
use super::tree::Value;
use super::values::{self, Read};

/// One region of a Google Cloud project. Secrets are not here: they stay where other clients of Google look for
/// them, and are read by the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpConfig {
    /// Id of the project.
    pub project: String,
    /// The region.
    pub region: String,
    /// Machine types to offer.
    pub machine_types: Vec<String>,
    /// Zones to offer; empty: all of the region.
    pub zones: Vec<String>,
    /// File of credentials; `None`: application-default credentials.
    pub credentials_file: Option<PathBuf>,
    /// Service account that they stand in for.
    pub impersonate: Option<String>,
    /// Network of a machine.
    pub network: Option<String>,
    /// Subnetwork of a machine.
    pub subnetwork: Option<String>,
    /// Whether machines get an external address.
    pub external_address: bool,
    /// The service account of machines.
    pub service_account: Option<ServiceAccountConfig>,
    /// The disk that machines boot from.
    pub boot_disk: BootDiskConfig,
    /// Network tags of a machine.
    pub network_tags: Vec<String>,
    /// URL at which the API is asked.
    pub endpoint: Option<String>,
    /// URL at which the billing catalogue is asked.
    pub billing_endpoint: Option<String>,
    /// Most requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one request.
    pub request_time: Duration,
    /// How long a create waits to hear whether an accepted machine can be made.
    pub insert_wait: Duration,
    /// How long after a lost reply a machine may still appear.
    pub settle: Duration,
}

/// The service account of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountConfig {
    /// Its address.
    pub email: String,
    /// OAuth scopes; empty: all that the roles of the account allow.
    pub scopes: Vec<String>,
}

/// The disk that a machine boots from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootDiskConfig {
    /// Size in GiB; with the other one, the least.
    pub gb: Option<u32>,
    /// GiB for each processor.
    pub gb_per_processor: Option<u32>,
    /// Type.
    pub disk_type: Option<String>,
}

/// Reads the table; what is wrong is noted, and replaced by its default.
pub(super) fn read_gcp(from: &Reader<'_>) -> Option<GcpConfig> {
    let project = from.required("project", project, "the id of a project");
    let region = from.required("region", region, "a region, such as \"europe-west2\"");
    let types = |value: &Value| wares(value, "[\"n2-standard-8\", \"c3-standard-8\"]");
    let machine_types =
        from.required("machine_types", types, "the machine types that may be used, the best first");
    let zones = zones_of(from, region.as_ref(), |zone, region| {
        zone.strip_prefix(region).is_some_and(|rest| rest.starts_with('-'))
    });
    let duration = |key, standard| from.get_or(key, values::duration_above_zero, standard).value;
    let read = GcpConfig {
        project: String::new(),
        region: String::new(),
        machine_types: Vec::new(),
        zones,
        credentials_file: from.path_of("credentials_file").map(|path| path.value),
        impersonate: from.get("impersonate", account).map(|email| email.value),
        network: line(from, "network"),
        subnetwork: line(from, "subnetwork"),
        external_address: from.get_or("external_address", values::flag, false).value,
        service_account: read_service_account(from),
        boot_disk: BootDiskConfig {
            gb: positive(from, "boot_disk_gb"),
            gb_per_processor: positive(from, "boot_disk_gb_per_processor"),
            disk_type: line(from, "boot_disk_type"),
        },
        network_tags: lines(from, "network_tags"),
        endpoint: from.get("endpoint", endpoint).map(|url| url.value),
        billing_endpoint: from.get("billing_endpoint", endpoint).map(|url| url.value),
        requests_at_once: positive(from, "requests_at_once")
            .unwrap_or(defaults::GCP_REQUESTS_AT_ONCE),
        request_time: duration("request_time", defaults::GCP_REQUEST_TIME),
        insert_wait: duration("insert_wait", defaults::GCP_INSERT_WAIT),
        settle: settle(from, (defaults::GCP_SETTLE, defaults::GCP_SETTLE_SHORT)),
    };
    let (project, region, machine_types) = (project?.value, region?.value, machine_types?.value);
    Some(GcpConfig { project, region, machine_types, ..read })
}

fn project(value: &Value) -> Read<String> {
    const RIGHT: &str = "the id of a project, such as \"grid-burst-2026\"";
    let text = values::line(value)?;
    if text.chars().all(|c| c.is_ascii_digit()) {
        return Err(Wrong::new(format!("{text:?} is the number of a project, not its id"), RIGHT));
    }
    let fits =
        text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c));
    if fits { Ok(text) } else { Err(Wrong::new(format!("{text:?} is no id of a project"), RIGHT)) }
}

fn region(value: &Value) -> Read<String> {
    let text = values::line(value)?;
    if text.matches('-').count() >= 2 {
        let wrong = format!("{text:?} is a zone, not a region");
        return Err(Wrong::new(
            wrong,
            "a region, such as \"europe-west2\"; zones stand in `zones`",
        ));
    }
    Ok(text)
}

fn account(value: &Value) -> Read<String> {
    let text = values::line(value)?;
    if text.contains('@') {
        Ok(text)
    } else {
        let right = "\"NAME@PROJECT.iam.gserviceaccount.com\"";
        Err(Wrong::new(format!("{text:?} is not the address of a service account"), right))
    }
}

fn read_service_account(from: &Reader<'_>) -> Option<ServiceAccountConfig> {
    let email = from.get("service_account", account);
    let scopes = from.get("scopes", |v| values::list(v, values::line));
    if from.has("service_account").is_none() {
        needs(from, scopes.as_ref(), "`service_account`");
    }
    let scopes = scopes.map(|scopes| scopes.value).unwrap_or_default();
    Some(ServiceAccountConfig { email: email?.value, scopes })
}
