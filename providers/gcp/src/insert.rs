//! The body of `instances.insert`. Pure: the same request gives the same body, but for the time that the machine has
//! left.

use std::collections::BTreeMap;

use google_cloud_compute_v1::model::{
    AccessConfig, AttachedDisk, AttachedDiskInitializeParams, Duration as GoogleDuration, Instance,
    Metadata, NetworkInterface, Scheduling, ServiceAccount as GoogleAccount, Tags as NetworkTags,
    access_config, metadata, scheduling,
};
use sha2::{Digest as _, Sha256};
use vcycle_api::{CreateRequest, IntentToken, Market, Processors, Timestamp, labels};

use crate::image::Concrete;
use crate::place;
use crate::settings::{BootDisk, ExternalAddress, ServiceAccount, Settings};

/// Most bytes of one metadata value
/// (<https://cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations>).
pub const USER_DATA_LIMIT: usize = 262_144;

/// Shortest and longest `maxRunDuration` (<https://cloud.google.com/compute/docs/instances/limit-vm-runtime>).
const RUN_LEAST: i64 = 30;
const RUN_MOST: i64 = 120 * 86_400;

/// Where cloud-init and ignition look (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/gce.html>).
const USER_DATA: &str = "user-data";
/// The exact identity, for people and for tools in the machine. We ourselves read labels.
const IDENTITY: &str = "vcycle-identity";
/// Keys for people, in the form `root:ssh-ed25519 ...`.
const SSH_KEYS: &str = "ssh-keys";

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Families of machine types that cannot be moved to another host while they run
/// (<https://cloud.google.com/compute/docs/instances/live-migration-process#limitations>): accelerators and the
/// high-performance ones. Google refuses them unless told to end them for maintenance.
const IMMOVABLE: [&str; 10] =
    ["a2-", "a3-", "a4-", "a4x-", "g2-", "g4-", "h3-", "h4d-", "ct", "x4-"];

/// Why a request can never be carried out.
pub(crate) fn refusal(request: &CreateRequest, now: Timestamp) -> Option<String> {
    let bytes = request.user_data.expose().len();
    if bytes > USER_DATA_LIMIT {
        let why = format!("user_data has {bytes} bytes, Google takes at most {USER_DATA_LIMIT}");
        return Some(why);
    }
    if !place::is_name(request.machine.as_str()) {
        return Some(format!("{} is not a name that Google takes", request.machine));
    }
    (request.tags.deadline <= now).then(|| "its deadline has passed".to_owned())
}

/// The request id: the intent itself, and after `refused` failed operations another that follows from it, because Google
/// answers a known id with the old operation for ever.
pub(crate) fn request_id(intent: &IntentToken, refused: u32) -> String {
    if refused == 0 {
        return intent.to_string();
    }
    let hash = Sha256::digest(format!("{intent}/{refused}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The machine as Google is asked to make it.
pub(crate) fn body(
    request: &CreateRequest,
    settings: &Settings,
    image: &Concrete,
    now: Timestamp,
) -> Instance {
    let offering = &request.offering.id;
    let labels = labels::encode(&request.tags.to_map());
    let body = Instance::new()
        .set_name(request.machine.as_str())
        .set_description(format!("made by vcycle for {}", request.tags.space))
        .set_machine_type(format!("zones/{}/machineTypes/{}", offering.zone, offering.flavour))
        .set_labels(labels.clone())
        .set_scheduling(scheduling(request, now))
        .set_disks([disk(request, settings, image, labels)])
        .set_network_interfaces([interface(settings)])
        .set_metadata(metadata(request))
        // Without any, Google attaches no account: the default account is a custom of its consoles, not of this call.
        .set_service_accounts(settings.service_account.iter().map(account));
    if settings.network_tags.is_empty() {
        body
    } else {
        body.set_tags(NetworkTags::new().set_items(settings.network_tags.iter().cloned()))
    }
}

/// The end that needs no manager: Google deletes the machine, and its disk with it.
fn scheduling(request: &CreateRequest, now: Timestamp) -> Scheduling {
    let left = request.tags.deadline.as_secs().saturating_sub(now.as_secs());
    let model = match request.offering.id.market {
        Market::OnDemand => scheduling::ProvisioningModel::Standard,
        Market::Preemptible => scheduling::ProvisioningModel::Spot,
    };
    let is_immovable =
        IMMOVABLE.iter().any(|family| request.offering.id.flavour.starts_with(family));
    let ends_for_maintenance = is_immovable || request.offering.id.market == Market::Preemptible;
    let scheduling = Scheduling::new()
        .set_provisioning_model(model)
        .set_automatic_restart(false)
        .set_instance_termination_action(scheduling::InstanceTerminationAction::Delete)
        .set_max_run_duration(GoogleDuration::new().set_seconds(left.clamp(RUN_LEAST, RUN_MOST)));
    if ends_for_maintenance {
        scheduling.set_on_host_maintenance(scheduling::OnHostMaintenance::Terminate)
    } else {
        scheduling
    }
}

fn disk(
    request: &CreateRequest,
    settings: &Settings,
    image: &Concrete,
    labels: BTreeMap<String, String>,
) -> AttachedDisk {
    let mut params = AttachedDiskInitializeParams::new()
        .set_source_image(&image.link)
        // The same as of the machine: a disk that is left behind is known as ours.
        .set_labels(labels);
    if let Some(gb) = gigabytes(&settings.boot_disk, request.offering.processors, image.gb) {
        params = params.set_disk_size_gb(gb);
    }
    if let Some(kind) = &settings.boot_disk.disk_type {
        let zone = &request.offering.id.zone;
        params = params.set_disk_type(format!("zones/{zone}/diskTypes/{kind}"));
    }
    AttachedDisk::new().set_boot(true).set_auto_delete(true).set_initialize_params(params)
}

/// The size of the disk; `None`: the image's own. Never smaller than the image, which Google refuses.
fn gigabytes(disk: &BootDisk, processors: Processors, image: i64) -> Option<i64> {
    let wanted = i64::try_from(disk.size(processors)?).unwrap_or(i64::MAX);
    Some(wanted.max(image))
}

fn interface(settings: &Settings) -> NetworkInterface {
    let mut interface = NetworkInterface::new();
    if let Some(subnetwork) = &settings.subnetwork {
        interface = interface.set_subnetwork(subnetwork_link(settings, subnetwork));
    }
    match (&settings.network, &settings.subnetwork) {
        (Some(network), _) => interface = interface.set_network(network_link(network)),
        (None, None) => interface = interface.set_network(network_link("default")),
        (None, Some(_)) => {}
    }
    match settings.external_address {
        ExternalAddress::No => interface,
        ExternalAddress::Yes => interface.set_access_configs([AccessConfig::new()
            .set_name("External NAT")
            .set_type(access_config::Type::OneToOneNat)]),
    }
}

fn network_link(network: &str) -> String {
    if network.contains('/') { network.to_owned() } else { format!("global/networks/{network}") }
}

fn subnetwork_link(settings: &Settings, subnetwork: &str) -> String {
    if subnetwork.contains('/') {
        return subnetwork.to_owned();
    }
    format!("regions/{}/subnetworks/{subnetwork}", settings.region)
}

fn metadata(request: &CreateRequest) -> Metadata {
    let item = |key: &str, value: &str| metadata::Items::new().set_key(key).set_value(value);
    let identity = serde_json::to_string(&request.tags.to_map()).expect("texts are JSON");
    let mut items = vec![item(USER_DATA, request.user_data.expose()), item(IDENTITY, &identity)];
    if let Some(key) = &request.public_key {
        items.push(item(SSH_KEYS, &format!("root:{}", key.trim())));
    }
    // Keys of the whole project are for the machines of people.
    items.push(item("block-project-ssh-keys", "true"));
    Metadata::new().set_items(items)
}

fn account(account: &ServiceAccount) -> GoogleAccount {
    let scopes = if account.scopes.is_empty() {
        vec![CLOUD_PLATFORM.to_owned()]
    } else {
        account.scopes.clone()
    };
    GoogleAccount::new().set_email(&account.email).set_scopes(scopes)
}

#[cfg(test)]
#[path = "insert_tests.rs"]
mod tests;
