//! Cinder v3: volumes with metadata, their deletion, limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::identity::Caller;
use super::nova::Attached;
use super::reply::{self, Answer, Reply};
use super::words::micros;
use super::world::World;

/// How long a new volume is `creating`.
const CREATING: Duration = Duration::from_secs(1);

/// A volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) tenant: usize,
    pub(crate) name: String,
    pub(crate) gb: i64,
    pub(crate) kind: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The server that uses it, and since when.
    pub(crate) attached: Option<(String, Timestamp)>,
    pub(crate) created: Timestamp,
}

impl Volume {
    pub(crate) fn new(id: String, tenant: usize, gb: i64, created: Timestamp) -> Self {
        let (name, metadata) = (String::new(), BTreeMap::new());
        Self { id, tenant, name, gb, kind: None, metadata, attached: None, created }
    }

    pub(crate) fn attach(&mut self, server: &str, now: Timestamp) {
        self.attached = Some((server.to_owned(), now));
    }

    fn status(&self, now: Timestamp) -> &'static str {
        match &self.attached {
            Some(_) => "in-use",
            None if now < self.created + CREATING => "creating",
            None => "available",
        }
    }
}

/// Cinder's own state.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    pub(crate) all: Vec<Volume>,
}

impl Volumes {
    /// A server is gone: its volumes go or stay, as each was attached.
    pub(crate) fn end_of_server(&mut self, server: &str, volumes: &[Attached]) {
        let goes = |id: &str| volumes.iter().any(|v| v.volume == id && v.delete_on_termination);
        self.all.retain(|volume| !goes(&volume.id));
        self.detach_all(server);
    }

    /// A server is gone without its volumes.
    pub(crate) fn detach_all(&mut self, server: &str) {
        for volume in &mut self.all {
            volume.attached.take_if(|(user, _)| user == server);
        }
    }

    pub(crate) fn detach(&mut self, id: &str) {
        for volume in self.all.iter_mut().filter(|volume| volume.id == id) {
            volume.attached = None;
        }
    }
}

/// Answers a request to Cinder.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let dressed = |reply: Reply| {
        let reply = match reply.body.is_empty() {
            true => reply,
            false => reply.with("Content-Type", "application/json"),
        };
        reply.with("OpenStack-API-Version", "volume 3.0").with("Vary", "OpenStack-API-Version")
    };
    let (method, path) = ask.route();
    if let ("GET", [] | ["v3"]) = (method, path.as_slice()) {
        return Ok(dressed(versions(world)));
    }
    let caller = world.caller(ask)?;
    routed(world, ask, &caller).map(dressed).map_err(dressed)
}

fn routed(world: &mut World, ask: &Ask, caller: &Caller) -> Answer {
    let (method, mut path) = ask.route();
    // The project stands in the path of older clients and in that of older services' catalogues.
    if path.get(1) == Some(&world.project_id(caller)) {
        path.remove(1);
    }
    match (method, path.as_slice()) {
        ("GET", ["v3", "volumes", "detail"]) => Ok(list(world, ask, caller)),
        ("GET", ["v3", "volumes", id]) => show(world, caller, id),
        ("POST", ["v3", "volumes"]) => create(world, ask, caller),
        ("DELETE", ["v3", "volumes", id]) => delete(world, caller, id),
        ("POST" | "PUT", ["v3", "volumes", id, "metadata"]) => set_metadata(world, ask, caller, id),
        ("GET", ["v3", "limits"]) => Ok(limits(world, caller)),
        ("GET", ["v3", "types"]) => Ok(types()),
        _ => Err(reply::no_such_path()),
    }
}

fn versions(world: &World) -> Reply {
    let link = json!({ "rel": "self", "href": format!("{}/volume/v3/", world.base) });
    let version = json!({
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.71",
        "min_version": "3.0",
        "links": [link],
    });
    Reply::json(200, &json!({ "versions": [version] }))
}

fn fields(world: &World, volume: &Volume) -> Value {
    let (base, id) = (&world.base, &volume.id);
    let tenant = &world.site.tenants[volume.tenant];
    let project = &tenant.project_id;
    let attachments: Vec<Value> = volume
        .attached
        .iter()
        .map(|(server, since)| {
            json!({
                "id": id,
                "attachment_id": format!("a{}", &id[1..]),
                "volume_id": id,
                "server_id": server,
                "host_name": null,
                "device": "/dev/sdb",
                "attached_at": micros(*since),
            })
        })
        .collect();
    json!({
        "id": id,
        "status": volume.status(world.now()),
        "size": volume.gb,
        "availability_zone": world.site.zones.first(),
        "created_at": micros(volume.created),
        "updated_at": micros(volume.created),
        "name": volume.name,
        "description": null,
        "volume_type": volume.kind.as_deref().unwrap_or("__DEFAULT__"),
        "snapshot_id": null,
        "source_volid": null,
        "metadata": volume.metadata,
        "links": [
            { "rel": "self", "href": format!("{base}/volume/v3/{project}/volumes/{id}") },
            { "rel": "bookmark", "href": format!("{base}/volume/{project}/volumes/{id}") },
        ],
        "user_id": tenant.user_id,
        "bootable": "false",
        "encrypted": false,
        "replication_status": null,
        "consistencygroup_id": null,
        "multiattach": false,
        "attachments": attachments,
        "os-vol-tenant-attr:tenant_id": project,
    })
}

fn own<'a>(world: &'a World, caller: &Caller) -> impl Iterator<Item = &'a Volume> {
    let tenant = caller.tenant;
    world.volumes.all.iter().filter(move |volume| volume.tenant == tenant)
}

fn no_volume(id: &str) -> Reply {
    reply::fault(404, format!("Volume {id} could not be found."))
}

fn place(world: &World, caller: &Caller, id: &str) -> Result<usize, Reply> {
    let all = &world.volumes.all;
    let place = all.iter().position(|volume| volume.id == id && volume.tenant == caller.tenant);
    place.ok_or_else(|| no_volume(id))
}

fn list(world: &World, ask: &Ask, caller: &Caller) -> Reply {
    let limit = ask.param("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(usize::MAX).min(world.site.max_limit);
    let marker = ask.param("marker");
    let wanted = |volume: &&Volume| {
        ask.param("name").is_none_or(|name| name == volume.name)
            && ask.param("status").is_none_or(|status| status == volume.status(world.now()))
    };
    let all: Vec<&Volume> = own(world, caller).filter(wanted).collect();
    let after = marker.and_then(|marker| all.iter().position(|volume| volume.id == marker));
    let page: Vec<&&Volume> =
        all.iter().skip(after.map_or(0, |place| place + 1)).take(limit).collect();
    let shown: Vec<Value> = page.iter().map(|volume| fields(world, volume)).collect();
    let mut body = json!({ "volumes": shown });
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        let project = world.project_id(caller);
        let base = &world.base;
        let href =
            format!("{base}/volume/v3/{project}/volumes/detail?limit={limit}&marker={}", last.id);
        body["volumes_links"] = json!([{ "rel": "next", "href": href }]);
    }
    Reply::json(200, &body)
}

fn show(world: &World, caller: &Caller, id: &str) -> Answer {
    let volume = &world.volumes.all[place(world, caller, id)?];
    Ok(Reply::json(200, &json!({ "volume": fields(world, volume) })))
}

fn create(world: &mut World, ask: &Ask, caller: &Caller) -> Answer {
    let body = ask.json().unwrap_or_default();
    let wanted = &body["volume"];
    let limit = world.site.tenants[caller.tenant].quota.volumes;
    let used = i64::try_from(own(world, caller).count()).unwrap_or(i64::MAX);
    if limit >= 0 && used >= limit {
        let message =
            format!("VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded");
        return Err(reply::fault(413, message));
    }
    let (id, now) = (world.ids.uuid(), world.now());
    let gb = wanted["size"].as_i64().unwrap_or(1);
    let mut volume = Volume::new(id, caller.tenant, gb, now);
    volume.name = wanted["name"].as_str().unwrap_or_default().to_owned();
    let mut shown = fields(world, &volume);
    // What is not settled yet when the create is answered (as recorded).
    shown["updated_at"] = Value::Null;
    if let Some(map) = shown.as_object_mut() {
        map.remove("os-vol-tenant-attr:tenant_id");
    }
    world.volumes.all.push(volume);
    Ok(Reply::json(202, &json!({ "volume": shown })))
}

fn delete(world: &mut World, caller: &Caller, id: &str) -> Answer {
    let place = place(world, caller, id)?;
    if world.volumes.all[place].attached.is_some() {
        let message = "Invalid volume: Volume status must be available or error or \
                       error_restoring or error_extending or error_managing and must not be \
                       migrating, attached, belong to a group, have snapshots, awaiting a \
                       transfer, or be disassociated from snapshots after volume transfer.";
        return Err(reply::fault(400, message));
    }
    world.volumes.all.remove(place);
    Ok(Reply::empty(202))
}

fn set_metadata(world: &mut World, ask: &Ask, caller: &Caller, id: &str) -> Answer {
    let body = ask.json().unwrap_or_default();
    let place = place(world, caller, id)?;
    let volume = &mut world.volumes.all[place];
    if ask.method == "PUT" {
        volume.metadata.clear();
    }
    for (key, value) in body["metadata"].as_object().into_iter().flatten() {
        volume.metadata.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    Ok(Reply::json(200, &json!({ "metadata": volume.metadata })))
}

fn limits(world: &World, caller: &Caller) -> Reply {
    let gb: i64 = own(world, caller).map(|volume| volume.gb).sum();
    let absolute = json!({
        "maxTotalVolumes": world.site.tenants[caller.tenant].quota.volumes,
        "maxTotalSnapshots": 10,
        "maxTotalVolumeGigabytes": 1000,
        "maxTotalBackups": 10,
        "maxTotalBackupGigabytes": 1000,
        "totalVolumesUsed": own(world, caller).count(),
        "totalGigabytesUsed": gb,
        "totalSnapshotsUsed": 0,
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    });
    Reply::json(200, &json!({ "limits": { "rate": [], "absolute": absolute } }))
}

fn types() -> Reply {
    let default = json!({
        "id": "00000000-0000-4000-c000-000000000001",
        "name": "__DEFAULT__",
        "is_public": true,
        "description": "Default Volume Type",
        "extra_specs": {},
    });
    Reply::json(200, &json!({ "volume_types": [default] }))
}
