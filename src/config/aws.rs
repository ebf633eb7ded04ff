//! `[space."NAME".aws]`: one region of an AWS account.

use std::path::PathBuf;
use std::time::Duration;

use super::clouds::{endpoint, line, lines, needs, positive, settle, wares, zones_of};
use super::defaults;
use super::problem::{Problem, Wrong};
use super::reader::Reader;
use super::source::Placed;
use super::tree::Value;
use super::values::{self, Read};

/// One region of an AWS account. Secrets are not here: they stay where other clients of Amazon look for them,
/// and are read by the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsConfig {
    /// The region.
    pub region: String,
    /// Instance types to offer.
    pub instance_types: Vec<String>,
    /// Availability zones to offer; empty: those of the subnets, else all of the region.
    pub zones: Vec<String>,
    /// Who we are.
    pub credentials: AwsCredentials,
    /// Subnets; empty: those of the default VPC.
    pub subnets: Vec<String>,
    /// Security groups; empty: the default group.
    pub security_groups: Vec<String>,
    /// Whether machines get a public address; `None`: as the subnet says.
    pub public_address: Option<bool>,
    /// The role of machines, as an instance profile.
    pub instance_profile: Option<String>,
    /// The root volume, where it is not to be as the image says.
    pub root_volume: Option<RootVolumeConfig>,
    /// URL of an SQS queue with notices of interruptions.
    pub interruption_queue: Option<String>,
    /// Among whose images names are looked for.
    pub image_owners: Vec<String>,
    /// URL at which all services are asked.
    pub endpoint: Option<String>,
    /// Most requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one request.
    pub request_time: Duration,
    /// How long after a lost reply an instance may still appear.
    pub settle: Duration,
}

/// Where credentials are. With nothing written: where every client of Amazon looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AwsCredentials {
    /// Profile of the files.
    pub profile: Option<String>,
    /// In place of `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// In place of `~/.aws/config`.
    pub config_file: Option<PathBuf>,
    /// A role to assume.
    pub role: Option<RoleConfig>,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleConfig {
    /// Its ARN.
    pub arn: String,
    /// What the owner of the role asks for besides.
    pub external_id: Option<String>,
}

/// The root volume of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootVolumeConfig {
    /// Size in GiB.
    pub gb: Option<u32>,
    /// GiB for each processor, added to it.
    pub gb_per_processor: Option<u32>,
    /// Type.
    pub volume_type: Option<String>,
    /// Always encrypted; else as image and account say.
    pub encrypted: bool,
    /// Name of the root device; `None`: EC2 is asked.
    pub device: Option<String>,
}

/// Reads the table; what is wrong is noted, and replaced by its default.
pub(super) fn read_aws(from: &Reader<'_>) -> Option<AwsConfig> {
    let region = from.required("region", region, "a region, such as \"eu-west-2\"");
    let types = |value: &Value| wares(value, "[\"c7i.2xlarge\", \"m7i.2xlarge\"]");
    let instance_types = from.required(
        "instance_types",
        types,
        "the instance types that may be used, the best first",
    );
    let zones = zones_of(from, region.as_ref(), |zone, region| {
        // A local zone has more between them (`us-west-2-lax-1a`).
        zone.strip_prefix(region).is_some_and(|rest| !rest.is_empty())
    });
    let owners = from.get("image_owners", |v| values::list(v, values::line));
    let read = AwsConfig {
        region: String::new(),
        instance_types: Vec::new(),
        zones,
        credentials: read_credentials(from),
        subnets: lines(from, "subnets"),
        security_groups: lines(from, "security_groups"),
        public_address: from.get("public_address", values::flag).map(|flag| flag.value),
        instance_profile: line(from, "instance_profile"),
        root_volume: read_root_volume(from),
        interruption_queue: from.get("interruption_queue", queue).map(|queue| queue.value),
        image_owners: owners.map_or_else(|| vec!["self".to_owned()], |owners| owners.value),
        endpoint: from.get("endpoint", endpoint).map(|url| url.value),
        requests_at_once: positive(from, "requests_at_once")
            .unwrap_or(defaults::AWS_REQUESTS_AT_ONCE),
        request_time: from
            .get_or("request_time", values::duration_above_zero, defaults::AWS_REQUEST_TIME)
            .value,
        settle: settle(from, (defaults::AWS_SETTLE, defaults::AWS_SETTLE_SHORT)),
    };
    let (region, instance_types) = (region?.value, instance_types?.value);
    Some(AwsConfig { region, instance_types, ..read })
}

fn region(value: &Value) -> Read<String> {
    let text = values::line(value)?;
    let is_zone =
        text.ends_with(|c: char| c.is_ascii_lowercase()) && text.matches('-').count() >= 2;
    if is_zone {
        let wrong = format!("{text:?} is a zone, not a region");
        return Err(Wrong::new(wrong, "a region, such as \"eu-west-2\"; zones stand in `zones`"));
    }
    Ok(text)
}

fn queue(value: &Value) -> Read<String> {
    let text = values::line(value)?;
    if text.starts_with("https://") || text.starts_with("http://") {
        Ok(text)
    } else {
        let right = "the URL of a queue: \"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME\"";
        Err(Wrong::new(format!("{text:?} is not a URL"), right))
    }
}

fn read_credentials(from: &Reader<'_>) -> AwsCredentials {
    let arn = from.get("role_arn", |value: &Value| {
        let text = values::line(value)?;
        if text.starts_with("arn:") && text.contains(":role/") {
            Ok(text)
        } else {
            let right = "\"arn:aws:iam::ACCOUNT:role/NAME\"";
            Err(Wrong::new(format!("{text:?} is not the ARN of a role"), right))
        }
    });
    let external_id = from.get("external_id", values::line);
    if from.has("role_arn").is_none() {
        needs(from, external_id.as_ref(), "`role_arn`");
    }
    refuse_secrets(from);
    let path = |written: Option<Placed<PathBuf>>| written.map(|written| written.value);
    AwsCredentials {
        profile: line(from, "profile"),
        credentials_file: path(from.path_of("credentials_file")),
        config_file: path(from.path_of("config_file")),
        role: arn
            .map(|arn| RoleConfig { arn: arn.value, external_id: external_id.map(|id| id.value) }),
    }
}

/// Keys do not belong into a configuration that is shown in messages and shared by managers.
fn refuse_secrets(from: &Reader<'_>) {
    for key in ["access_key_id", "secret_access_key", "session_token"] {
        if let Some(place) = from.refused(key) {
            let wrong = Wrong::new(
                "credentials do not stand in the configuration",
                "`profile` with a file of credentials, or `AWS_*` variables of the environment",
            );
            let key = super::tree::join(from.path(), key);
            from.problems().add(Problem::at_place(place, key, wrong).hidden());
        }
    }
}

fn read_root_volume(from: &Reader<'_>) -> Option<RootVolumeConfig> {
    let volume = RootVolumeConfig {
        gb: positive(from, "root_volume_gb"),
        gb_per_processor: positive(from, "root_volume_gb_per_processor"),
        volume_type: line(from, "root_volume_type"),
        encrypted: from.get_or("root_volume_encrypted", values::flag, false).value,
        device: line(from, "root_device"),
    };
    let RootVolumeConfig { gb, gb_per_processor, volume_type, encrypted, device } = &volume;
    let is_written = gb.or(*gb_per_processor).is_some()
        || volume_type.is_some()
        || *encrypted
        || device.is_some();
    is_written.then_some(volume)
}
