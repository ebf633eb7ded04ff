//! Glance v2: images, their content, tags, and the list of them in pages.
//!
//! `checksum` is the MD5 of the content, `os_hash_value` its SHA-512.

use std::collections::{BTreeMap, BTreeSet};

use md5::Md5;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::identity::Caller;
use super::reply::{self, Answer, Reply};
use super::site::Site;
use super::words::seconds;
use super::world::World;

/// Where an image is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Queued,
    Saving,
    Active,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Active => "active",
        }
    }
}

/// An image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whose it is; `None`: the site's, for everybody.
    pub(crate) tenant: Option<usize>,
    pub(crate) status: Status,
    pub(crate) size: Option<usize>,
    /// SHA-512 of the content, in hexadecimal digits.
    pub(crate) hash: Option<Hashes>,
    /// The content is what was sent.
    pub(crate) intact: bool,
    pub(crate) formats: (Value, Value),
    pub(crate) minima: (i64, i64),
    pub(crate) tags: BTreeSet<String>,
    /// What the owner added.
    pub(crate) properties: BTreeMap<String, Value>,
    pub(crate) protected: bool,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// Glance's own state.
#[derive(Debug)]
pub(crate) struct Images {
    pub(crate) all: Vec<Image>,
    /// Ids of deleted images: none is given out again.
    used_up: BTreeSet<String>,
    /// The next upload breaks off after this many bytes.
    pub(crate) cut_after: Option<usize>,
    /// The next upload is stored with a byte changed.
    pub(crate) corrupt: bool,
}

/// In hexadecimal.
#[derive(Debug, Clone)]
pub(crate) struct Hashes {
    md5: String,
    sha512: String,
}

fn hash_of(content: &[u8]) -> Hashes {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Hashes { md5: hex(&Md5::digest(content)), sha512: hex(&Sha512::digest(content)) }
}

impl Images {
    pub(crate) fn new(site: &Site) -> Self {
        let all = site.images.iter().map(|image| Image {
            id: image.id.clone(),
            name: image.name.clone(),
            tenant: None,
            status: Status::Active,
            size: Some(image.content.len()),
            hash: Some(hash_of(&image.content)),
            intact: true,
            formats: (json!("raw"), json!("bare")),
            minima: (0, 0),
            tags: BTreeSet::new(),
            properties: BTreeMap::new(),
            protected: false,
            created: image.created,
            updated: image.created,
        });
        let (all, used_up) = (all.collect(), BTreeSet::new());
        Self { all, used_up, cut_after: None, corrupt: false }
    }

    /// Whether a server of this project can be made from it.
    pub(crate) fn usable(&self, id: &str, tenant: usize) -> bool {
        let mut seen = self.all.iter().filter(|image| image.tenant.is_none_or(|t| t == tenant));
        seen.any(|image| image.id == id && image.status == Status::Active)
    }

    fn own_mut(&mut self, id: &str, tenant: usize) -> Result<&mut Image, Reply> {
        let found = self
            .all
            .iter_mut()
            .find(|image| image.id == id && image.tenant.is_none_or(|owner| owner == tenant));
        match found {
            None => Err(no_image(id)),
            Some(image) if image.tenant.is_none() => {
                let message = "You are not authorized to complete this action.";
                Err(reply::webob(403, "Forbidden", message))
            }
            Some(image) => Ok(image),
        }
    }
}

fn no_image(id: &str) -> Reply {
    reply::webob(404, "Not Found", &format!("No image found with ID {id}"))
}

/// Answers a request to Glance.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let (method, path) = ask.route();
    if let ("GET", [] | ["versions"]) = (method, path.as_slice()) {
        let link = json!({ "rel": "self", "href": format!("{}/image/v2/", world.base) });
        let version = json!({ "id": "v2.17", "status": "CURRENT", "links": [link] });
        return Ok(Reply::json(300, &json!({ "versions": [version] })));
    }
    let caller = world.caller(ask)?;
    match (method, path.as_slice()) {
        ("GET", ["v2", "images"]) => list(world, ask, &caller),
        ("POST", ["v2", "images"]) => create(world, ask, &caller),
        ("GET", ["v2", "images", id]) => show(world, &caller, id),
        ("PATCH", ["v2", "images", id]) => patch(world, ask, &caller, id),
        ("DELETE", ["v2", "images", id]) => delete(world, &caller, id),
        ("PUT", ["v2", "images", id, "file"]) => store(world, ask, &caller, id),
        ("PUT", ["v2", "images", id, "tags", tag]) => {
            world.images.own_mut(id, caller.tenant)?.tags.insert((*tag).to_owned());
            Ok(Reply::empty(204))
        }
        ("DELETE", ["v2", "images", id, "tags", tag]) => {
            world.images.own_mut(id, caller.tenant)?.tags.remove(*tag);
            Ok(Reply::empty(204))
        }
        _ => Err(reply::no_such_path()),
    }
}

fn fields(world: &World, image: &Image) -> Value {
    let owner = match image.tenant {
        Some(tenant) => world.site.tenants[tenant].project_id.as_str(),
        None => "6442094c4492406e846754ce33146b2b",
    };
    let (id, active) = (&image.id, image.status == Status::Active);
    let size = image.size.filter(|_| active);
    let hash = image.hash.as_ref().filter(|_| active);
    let mut shown = json!({
        "name": image.name,
        "disk_format": image.formats.0,
        "container_format": image.formats.1,
        "visibility": if image.tenant.is_none() { "public" } else { "private" },
        "size": size,
        "virtual_size": size,
        "status": image.status.word(),
        "checksum": hash.map(|hash| &hash.md5),
        "protected": image.protected,
        "min_ram": image.minima.0,
        "min_disk": image.minima.1,
        "owner": owner,
        "os_hidden": false,
        "os_hash_algo": hash.map(|_| "sha512"),
        "os_hash_value": hash.map(|hash| &hash.sha512),
        "id": id,
        "created_at": seconds(image.created),
        "updated_at": seconds(image.updated),
        "tags": image.tags,
        "self": format!("/v2/images/{id}"),
        "file": format!("/v2/images/{id}/file"),
        "schema": "/v2/schemas/image",
    });
    if active {
        shown["stores"] = json!("disk");
    }
    for (key, value) in &image.properties {
        shown[key] = value.clone();
    }
    shown
}

fn seen<'a>(world: &'a World, caller: &Caller) -> impl Iterator<Item = &'a Image> {
    let tenant = caller.tenant;
    world.images.all.iter().filter(move |image| image.tenant.is_none_or(|owner| owner == tenant))
}

/// Youngest first, unless the query says otherwise; `next` is a path, not an address.
fn list(world: &World, ask: &Ask, caller: &Caller) -> Answer {
    let limit = ask.param("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(25).min(world.site.max_limit);
    let mut all: Vec<Value> = seen(world, caller)
        .map(|image| fields(world, image))
        .filter(|image| asked_for(ask, image))
        .collect();
    let oldest_first =
        ask.param("sort_dir") == Some("asc") || ask.param("sort") == Some("created_at:asc");
    let time = |image: &Value| image["created_at"].as_str().unwrap_or_default().to_owned();
    all.sort_by_key(time);
    if !oldest_first {
        all.reverse();
    }
    if let Some(marker) = ask.param("marker") {
        let place = all.iter().position(|image| image["id"] == marker);
        let missing = || reply::webob(400, "Bad Request", &format!("Marker {marker} not found"));
        all.drain(..=place.ok_or_else(missing)?);
    }
    all.truncate(limit);
    // A full page always has a next one, whether more comes or not (as recorded).
    let full = all.len() == limit;
    let query: Vec<_> = ask.query.iter().filter(|(key, _)| key != "marker").collect();
    let path = |marker: Option<&str>| {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(query.iter().map(|(key, value)| (key, value)));
        marker.map(|marker| text.append_pair("marker", marker));
        let text = text.finish();
        if text.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{text}") }
    };
    let mut body = json!({ "first": path(None), "schema": "/v2/schemas/images" });
    if let Some(last) = all.last().filter(|_| full) {
        body["next"] = json!(path(last["id"].as_str()));
    }
    body["images"] = Value::Array(all);
    Ok(Reply::json(200, &body))
}

fn asked_for(ask: &Ask, image: &Value) -> bool {
    let controls = ["limit", "marker", "sort", "sort_key", "sort_dir", "member_status"];
    ask.query.iter().all(|(key, value)| match key.as_str() {
        key if controls.contains(&key) => true,
        "tag" => image["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == value)),
        key => match (&image[key], value.strip_prefix("in:")) {
            (Value::String(text), Some(list)) => list.split(',').any(|one| one == text),
            (Value::String(text), None) => text == value,
            (other, _) => format!("{other}") == *value,
        },
    })
}

fn show(world: &World, caller: &Caller, id: &str) -> Answer {
    let image = seen(world, caller).find(|image| image.id == id);
    Ok(Reply::json(200, &fields(world, image.ok_or_else(|| no_image(id))?)))
}

/// What a create body may say beside properties of the owner's own.
const KNOWN: [&str; 9] = [
    "id",
    "name",
    "disk_format",
    "container_format",
    "visibility",
    "protected",
    "min_ram",
    "min_disk",
    "tags",
];

fn create(world: &mut World, ask: &Ask, caller: &Caller) -> Answer {
    let Some(Value::Object(body)) = ask.json() else {
        return Err(reply::webob(400, "Bad Request", "Malformed JSON in request body."));
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| body.get(key).and_then(Value::as_i64).unwrap_or(0);
    let value = |key: &str| body.get(key).cloned().unwrap_or(Value::Null);
    if text("visibility").is_some_and(|wanted| wanted == "public") {
        let message = "You are not authorized to complete publicize_image action.";
        return Err(reply::webob(403, "Forbidden", message));
    }
    let tags = body.get("tags").and_then(Value::as_array).into_iter().flatten();
    let own = body.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
    let (now, fresh) = (world.now(), world.ids.uuid());
    let id = text("id").unwrap_or(fresh);
    let taken = world.images.all.iter().any(|image| image.id == id);
    if taken || world.images.used_up.contains(&id) {
        let message = format!("Image ID {id} already exists!");
        return Err(reply::webob(409, "Conflict", &message));
    }
    let image = Image {
        id,
        name: text("name").unwrap_or_default(),
        tenant: Some(caller.tenant),
        status: Status::Queued,
        size: None,
        hash: None,
        intact: true,
        formats: (value("disk_format"), value("container_format")),
        minima: (number("min_ram"), number("min_disk")),
        tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
        properties: own.map(|(key, value)| (key.clone(), value.clone())).collect(),
        protected: body.get("protected").is_some_and(|value| value == true),
        created: now,
        updated: now,
    };
    let shown = fields(world, &image);
    let location = format!("{}/image/v2/images/{}", world.base, image.id);
    world.images.all.push(image);
    Ok(Reply::json(201, &shown).with("Location", location))
}

/// `application/openstack-images-v2.1-json-patch`: add, replace, remove.
fn patch(world: &mut World, ask: &Ask, caller: &Caller, id: &str) -> Answer {
    let now = world.now();
    let changes = ask.json().unwrap_or_default();
    let image = world.images.own_mut(id, caller.tenant)?;
    for change in changes.as_array().into_iter().flatten() {
        let key = change["path"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        let value = change["value"].clone();
        match (change["op"].as_str(), key.as_str()) {
            (Some("remove"), key) => drop(image.properties.remove(key)),
            (_, "name") => image.name = value.as_str().unwrap_or_default().to_owned(),
            (_, "protected") => image.protected = value == true,
            (_, "tags") => {
                let tags = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                image.tags = tags.map(str::to_owned).collect();
            }
            (_, _) => drop(image.properties.insert(key, value)),
        }
    }
    image.updated = now;
    show(world, caller, id)
}

fn delete(world: &mut World, caller: &Caller, id: &str) -> Answer {
    let image = world.images.own_mut(id, caller.tenant)?;
    if image.protected {
        let message = format!("Image {id} is protected and cannot be deleted.");
        return Err(reply::webob(403, "Forbidden", &message));
    }
    world.images.all.retain(|image| image.id != id);
    world.images.used_up.insert(id.to_owned());
    Ok(Reply::empty(204))
}

/// The id in the path of an upload.
fn uploaded(ask: &Ask) -> &str {
    ask.path.get(2).map_or("", String::as_str)
}

fn set_status(world: &mut World, ask: &Ask, from: Status, to: Status) {
    let id = uploaded(ask);
    let all = world.images.all.iter_mut();
    for image in all.filter(|image| image.id == id && image.status == from) {
        image.status = to;
    }
}

/// Content begins to come.
pub(crate) fn saving(world: &mut World, ask: &Ask) {
    set_status(world, ask, Status::Queued, Status::Saving);
}

/// Content stopped coming.
pub(crate) fn queued_again(world: &mut World, ask: &Ask) {
    set_status(world, ask, Status::Saving, Status::Queued);
}

/// All content has come.
fn store(world: &mut World, ask: &Ask, caller: &Caller, id: &str) -> Answer {
    let now = world.now();
    let corrupt = std::mem::take(&mut world.images.corrupt);
    let image = world.images.own_mut(id, caller.tenant)?;
    if image.status == Status::Active {
        let message = "Image status transition from active to saving is not allowed";
        return Err(reply::webob(409, "Conflict", message));
    }
    let mut content = ask.body.to_vec();
    if corrupt {
        content.iter_mut().take(1).for_each(|byte| *byte = !*byte);
    }
    image.intact = !corrupt;
    image.status = Status::Active;
    image.size = Some(content.len());
    image.hash = Some(hash_of(&content));
    image.updated = now;
    Ok(Reply::empty(204))
}

/// Its properties as a map, for views.
pub(crate) fn properties(image: &Image) -> Map<String, Value> {
    image.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
