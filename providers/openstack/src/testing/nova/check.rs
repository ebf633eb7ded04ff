//! Nova's validation of a create body: what the schema refuses, in the schema's words.
//!
//! Its messages repeat the value that is refused, `user_data` included (as recorded): a client must
//! not show them whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::ask::Ask;
use super::super::reply::{self, Reply};
use super::super::words::{is_uuid, python};
use super::Micro;

/// Most characters of `user_data`, after base64 (`nova/api/openstack/compute/schemas/servers.py`).
const USER_DATA: usize = 65_535;

/// Properties of `server`, with the microversions from and before which they are known.
const PROPERTIES: [(&str, Micro, Micro); 24] = [
    ("name", 1, 999),
    ("flavorRef", 1, 999),
    ("imageRef", 1, 999),
    ("adminPass", 1, 999),
    ("metadata", 1, 999),
    ("networks", 1, 999),
    ("OS-DCF:diskConfig", 1, 999),
    ("accessIPv4", 1, 999),
    ("accessIPv6", 1, 999),
    ("personality", 1, 57),
    ("availability_zone", 1, 999),
    ("block_device_mapping", 1, 999),
    ("block_device_mapping_v2", 1, 999),
    ("config_drive", 1, 999),
    ("key_name", 1, 999),
    ("min_count", 1, 999),
    ("max_count", 1, 999),
    ("return_reservation_id", 1, 999),
    ("security_groups", 1, 999),
    ("user_data", 1, 999),
    ("description", 19, 999),
    ("tags", 52, 999),
    ("trusted_image_certificates", 63, 999),
    ("hostname", 90, 999),
];

fn invalid(field: &str, shown: &str, why: &str) -> Reply {
    let message = format!("Invalid input for field/attribute {field}. Value: {shown}. {why}");
    reply::fault(400, message)
}

/// A refusal that repeats the whole request.
pub(crate) fn repeating(ask: &Ask) -> Reply {
    let body = ask.json().unwrap_or_default();
    let why = "Additional properties are not allowed ('colour' was unexpected)";
    invalid("server", &python(&body["server"]), why)
}

/// The value of a field in a message: text as it is, other values as Python writes them.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| python(value), str::to_owned)
}

/// The `server` of a create body that the schema takes, and the scheduler hints beside it.
pub(super) fn body(ask: &Ask, micro: Micro) -> Result<(Map<String, Value>, Value), Reply> {
    let malformed = || reply::fault(400, "Malformed request body");
    let Some(Value::Object(mut whole)) = ask.json() else { return Err(malformed()) };
    let hints = whole
        .remove("os:scheduler_hints")
        .or_else(|| whole.remove("OS-SCH-HNT:scheduler_hints"))
        .unwrap_or_else(|| Value::Object(Map::new()));
    let Some(server) = whole.remove("server") else {
        return Err(reply::fault(400, "'server' is a required property"));
    };
    known_properties(&server, micro)?;
    let Value::Object(fields) = server else { return Err(malformed()) };
    texts(&fields)?;
    metadata(&fields)?;
    tags(&fields)?;
    volumes(&fields, micro)?;
    Ok((fields, hints))
}

fn known_properties(server: &Value, micro: Micro) -> Result<(), Reply> {
    let fields = server.as_object().into_iter().flatten();
    for (name, _) in fields {
        let known = PROPERTIES
            .iter()
            .any(|(known, from, before)| known == name && (*from..*before).contains(&micro));
        if !known {
            let why = format!("Additional properties are not allowed ('{name}' was unexpected)");
            return Err(invalid("server", &python(server), &why));
        }
    }
    let mut required = vec!["flavorRef", "name"];
    if micro >= 37 {
        required.push("networks");
    }
    match required.into_iter().find(|name| server.get(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let why = format!("'{name}' is a required property");
            Err(invalid("server", &python(server), &why))
        }
    }
}

fn texts(fields: &Map<String, Value>) -> Result<(), Reply> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if let Some(name) = text("name") {
        if name.is_empty() {
            return Err(invalid("name", "", "'' should be non-empty"));
        }
        too_long("name", name, 255)?;
    }
    too_long("description", text("description").unwrap_or_default(), 255)?;
    if let Some(image) = text("imageRef").filter(|image| !image.is_empty() && !is_uuid(image)) {
        let why = format!("'{image}' is not valid under any of the given schemas");
        return Err(invalid("imageRef", image, &why));
    }
    if let Some(data) = text("user_data") {
        too_long("user_data", data, USER_DATA)?;
        // Only what base64 knows is looked at: text that is none passes (as recorded).
        let known = |letter: &u8| letter.is_ascii_alphanumeric() || b"+/=".contains(letter);
        let kept: Vec<u8> = data.bytes().filter(known).collect();
        drop(STANDARD.decode(kept));
    }
    Ok(())
}

fn too_long(field: &str, text: &str, most: usize) -> Result<(), Reply> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(invalid(field, text, &format!("'{text}' is too long")))
}

fn metadata(fields: &Map<String, Value>) -> Result<(), Reply> {
    let Some(metadata) = fields.get("metadata") else { return Ok(()) };
    let Some(map) = metadata.as_object() else {
        let why = format!("{} is not of type 'object'", python(metadata));
        return Err(invalid("metadata", &shown(metadata), &why));
    };
    for (key, value) in map {
        match value.as_str() {
            Some(text) => too_long(key, text, 255)?,
            None => {
                let why = format!("{} is not of type 'string'", python(value));
                return Err(invalid(key, &shown(value), &why));
            }
        }
        too_long("metadata", key, 255)?;
    }
    // A quota, not the schema: 403 (as recorded, with its spelling).
    if map.len() > 128 {
        return Err(reply::fault(403, "Maximum number of metadata items exceeds 128"));
    }
    Ok(())
}

/// At most 50 tags of at most 60 characters, without comma and slash.
fn tags(fields: &Map<String, Value>) -> Result<(), Reply> {
    let Some(Value::Array(tags)) = fields.get("tags") else { return Ok(()) };
    if tags.len() > 50 {
        return Err(invalid("tags", &python(&fields["tags"]), "[...] is too long"));
    }
    for tag in tags.iter().filter_map(Value::as_str) {
        too_long("tags", tag, 60)?;
        if tag.contains([',', '/']) {
            let why = format!("'{tag}' does not match '^[^,/]*$'");
            return Err(invalid("tags", tag, &why));
        }
    }
    Ok(())
}

fn volumes(fields: &Map<String, Value>, micro: Micro) -> Result<(), Reply> {
    let Some(Value::Array(devices)) = fields.get("block_device_mapping_v2") else { return Ok(()) };
    for device in devices {
        if micro < 67 && device.get("volume_type").is_some() {
            let why = "Additional properties are not allowed ('volume_type' was unexpected)";
            return Err(invalid("0", &python(device), why));
        }
    }
    Ok(())
}
