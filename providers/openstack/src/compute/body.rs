//! The body of the create call. Pure: the same parts give the same body (API reference, "Create
//! server").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use vcycle_api::{CreateRequest, IntentToken, ProviderError, Tags, UserData};

use super::create::invalid;
use super::dialect::Dialect;
use super::flavors::Flavor;
use crate::image::ImageId;
use crate::{BootVolume, ConfigDrive, DataVolume, Networks, Settings};

/// Nova takes user data up to this many bytes, counted after base64 (API reference, `user_data`).
const ENCODED_LIMIT: usize = 65_535;

/// The most bytes of user data: base64 makes four bytes of each three begun.
pub const USER_DATA_LIMIT: usize = ENCODED_LIMIT / 4 * 3;

/// What a body is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) request: &'a CreateRequest,
    pub(crate) settings: &'a Settings,
    pub(crate) dialect: Dialect,
    pub(crate) flavor: &'a Flavor,
    pub(crate) image: &'a ImageId,
    /// Ids, in their order, where the settings name networks.
    pub(crate) networks: &'a [String],
    /// Name of the key pair.
    pub(crate) key: Option<&'a str>,
}

/// Refuses what Nova would refuse, before anything is sent.
pub(crate) fn check_user_data(user_data: &UserData) -> Result<(), ProviderError> {
    let bytes = user_data.expose().len();
    if bytes <= USER_DATA_LIMIT {
        return Ok(());
    }
    Err(invalid(format!("user_data has {bytes} bytes; Nova takes {USER_DATA_LIMIT}")))
}

/// The tag by which all servers of a deployment can be listed. At most 60 characters are allowed.
pub(crate) fn deployment_tag(tags: &Tags) -> String {
    format!("vcycle-{}", tags.deployment)
}

/// The tag by which the server of an intent is found in one request. What counts is the metadata.
pub(crate) fn intent_tag(intent: &IntentToken) -> String {
    format!("vcycle-intent-{intent}")
}

/// The body.
pub(crate) fn body(parts: &Parts<'_>) -> Result<Value, ProviderError> {
    let Parts { request, settings, dialect, flavor, image, networks, key } = *parts;
    check_user_data(&request.user_data)?;
    let mut server = Map::new();
    let mut set = |key: &str, value: Value| server.insert(key.to_owned(), value);
    set("name", json!(request.machine));
    set("flavorRef", json!(flavor.id));
    set("metadata", json!(request.tags.to_map()));
    set("user_data", json!(STANDARD.encode(request.user_data.expose())));
    if dialect.has_tags() {
        set("tags", json!([deployment_tag(&request.tags), intent_tag(&request.tags.intent)]));
    }
    if dialect.has_description() {
        let Tags { machinetype, space, .. } = &request.tags;
        set("description", json!(format!("vcycle: {machinetype} of {space}")));
    }
    let devices = devices(parts)?;
    if settings.boot_volume.is_none() {
        set("imageRef", json!(image.id));
    }
    if !devices.is_empty() {
        set("block_device_mapping_v2", Value::Array(devices));
    }
    if let Some(networks) = networks_of(settings, dialect, networks)? {
        set("networks", networks);
    }
    if !settings.security_groups.is_empty() && settings.networks != Networks::None {
        let groups = settings.security_groups.iter().map(|name| json!({ "name": name }));
        set("security_groups", groups.collect());
    }
    if !request.offering.id.zone.is_empty() {
        set("availability_zone", json!(request.offering.id.zone));
    }
    if let Some(key) = key {
        set("key_name", json!(key));
    }
    match settings.config_drive {
        ConfigDrive::Yes => drop(set("config_drive", json!(true))),
        ConfigDrive::No => {}
    }
    let mut body = Map::new();
    body.insert("server".to_owned(), Value::Object(server));
    if !settings.hints.is_empty() {
        body.insert("os:scheduler_hints".to_owned(), json!(settings.hints));
    }
    Ok(Value::Object(body))
}

/// What Nova's `networks` says. Before 2.37 there are no words for it: without the field a server gets the
/// project's only network.
fn networks_of(
    settings: &Settings,
    dialect: Dialect,
    ids: &[String],
) -> Result<Option<Value>, ProviderError> {
    let by_id = || ids.iter().map(|id| json!({ "uuid": id })).collect();
    match (&settings.networks, dialect.has_network_words()) {
        (Networks::These(_), _) => Ok(Some(by_id())),
        (Networks::Auto, true) => Ok(Some(json!("auto"))),
        (Networks::Auto, false) => Ok(None),
        (Networks::None, true) => Ok(Some(json!("none"))),
        (Networks::None, false) => Err(invalid(
            "this site cannot make a server without network: its Nova is older than microversion 2.37",
        )),
    }
}

/// The disks that are not the flavour's own. Each goes with its server; Nova's default is to leave it.
fn devices(parts: &Parts<'_>) -> Result<Vec<Value>, ProviderError> {
    let Parts { request, settings, dialect, image, .. } = *parts;
    let mut devices = Vec::new();
    if let Some(BootVolume { gb, volume_type }) = &settings.boot_volume {
        devices.push(with_type(
            json!({
                "boot_index": 0,
                "source_type": "image",
                "uuid": image.id,
                "destination_type": "volume",
                "volume_size": image.min_disk_gb.max(*gb),
                "delete_on_termination": true,
            }),
            volume_type.as_deref(),
            dialect,
        )?);
    }
    if let Some(DataVolume { gb_per_processor, volume_type }) = &settings.data_volume {
        if devices.is_empty() {
            // As soon as there is a list, the root disk must stand in it.
            devices.push(json!({
                "boot_index": 0,
                "source_type": "image",
                "uuid": image.id,
                "destination_type": "local",
                "delete_on_termination": true,
            }));
        }
        let size = gb_per_processor.saturating_mul(request.offering.processors.0);
        devices.push(with_type(
            json!({
                "boot_index": -1,
                "source_type": "blank",
                "destination_type": "volume",
                "volume_size": size,
                "delete_on_termination": true,
            }),
            volume_type.as_deref(),
            dialect,
        )?);
    }
    Ok(devices)
}

/// A volume of the wrong type may cost another budget, so it is not made where it cannot be chosen.
fn with_type(
    mut device: Value,
    volume_type: Option<&str>,
    dialect: Dialect,
) -> Result<Value, ProviderError> {
    let Some(volume_type) = volume_type else { return Ok(device) };
    if !dialect.has_volume_type() {
        return Err(invalid(format!(
            "this site cannot make a volume of type {volume_type} with a server: its Nova is older than microversion 2.67"
        )));
    }
    device["volume_type"] = json!(volume_type);
    Ok(device)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
