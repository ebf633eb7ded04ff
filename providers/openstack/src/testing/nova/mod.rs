//! Nova 2.1: routes, microversions, and the servers by age.

mod actions;
mod check;
mod create;
mod filter;
mod list;
mod networks;
mod parts;
mod quota;
mod server;
mod show;
mod volumes;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::ask::Ask;
use super::reply::{self, Answer, Reply};
use super::world::World;

pub(crate) use check::repeating;
pub(crate) use create::plain;
pub(crate) use quota::used;
pub(crate) use server::{Attached, Boot, Cell, Deletion, Rest, Server};
pub use server::{Fate, Fault};

/// The `x` of microversion `2.x`.
pub(crate) type Micro = u16;

/// Nova's own state.
#[derive(Debug, Default)]
pub(crate) struct Nova {
    /// Servers by the order of their creation; gone ones stay, for `changes-since`.
    pub(crate) servers: BTreeMap<u64, Server>,
    by_id: HashMap<String, u64>,
    next: u64,
    /// Servers with a delete under way.
    dying: Vec<u64>,
    /// Fates of the next accepted creates.
    pub(crate) next_boots: Vec<NextBoot>,
    /// Deletes are soft: SOFT_DELETED until `forceDelete`.
    pub(crate) reclaim: bool,
    /// Ports and volumes stay when a server goes.
    pub(crate) leaves_side_resources: bool,
    pub(crate) keypairs: Vec<parts::Keypair>,
}

/// What the next accepted creates become.
#[derive(Debug, Clone)]
pub(crate) enum NextBoot {
    Fails(Fault),
    Stuck,
}

impl Nova {
    /// Adds a server as the youngest.
    pub(crate) fn add(&mut self, server: Server) {
        self.next += 1;
        self.by_id.insert(server.id.clone(), self.next);
        self.servers.insert(self.next, server);
    }

    /// A server that exists.
    pub(crate) fn find(&self, id: &str) -> Option<&Server> {
        self.servers.get(self.by_id.get(id)?).filter(|server| server.is_there())
    }

    /// As [`Nova::find`].
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Server> {
        self.servers.get_mut(self.by_id.get(id)?).filter(|server| server.is_there())
    }

    /// The place of a server in the order of creation.
    fn place(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// The end of this server is to be looked for.
    pub(crate) fn dies(&mut self, id: &str) {
        self.dying.extend(self.by_id.get(id));
    }
}

/// Ends a server at once, as if somebody else had deleted it. Nothing happens to one that is not there.
pub(crate) fn vanish(world: &mut World, id: &str) {
    let now = world.now();
    if let Some(server) = world.nova.find_mut(id) {
        server.deletion = Some(Deletion { asked: now, done: Some(now) });
        world.nova.dies(id);
    }
    bury(world);
}

/// Ends the servers whose delete is done, with their ports and volumes.
pub(crate) fn bury(world: &mut World) {
    let now = world.now();
    let nova = &mut world.nova;
    let (mut ended, mut left) = (Vec::new(), Vec::new());
    for place in std::mem::take(&mut nova.dying) {
        let Some(server) = nova.servers.get_mut(&place) else { continue };
        match server.deletion.and_then(|deletion| deletion.done) {
            Some(done) if done <= now => {
                server.gone = Some(done);
                ended.push(place);
            }
            Some(_) | None => left.push(place),
        }
    }
    nova.dying = left;
    for place in ended {
        let server = &world.nova.servers[&place];
        let (id, volumes) = (server.id.clone(), server.volumes.clone());
        let leaves = world.nova.leaves_side_resources;
        if leaves {
            // What a flawed cloud leaves behind still names the server, or names none.
            world.volumes.detach_all(&id);
        } else {
            world.network.end_of_server(&id);
            world.volumes.end_of_server(&id, &volumes);
        }
    }
}

/// The microversion asked for, or the refusal of one that is too new.
///
/// The refusal names the version as if it were spoken (as recorded).
fn microversion(world: &World, ask: &Ask) -> Result<Micro, Reply> {
    let newest = world.site.microversion;
    let new_form = ask.header("OpenStack-API-Version").and_then(|all| all.strip_prefix("compute "));
    let text = new_form.or_else(|| ask.header("X-OpenStack-Nova-API-Version")).unwrap_or("2.1");
    if text == "latest" {
        return Ok(newest);
    }
    let wanted = text.strip_prefix("2.").and_then(|minor| minor.parse::<Micro>().ok());
    match wanted {
        Some(minor) if (1..=newest).contains(&minor) => Ok(minor),
        _ => {
            let message = format!(
                "Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.{newest}."
            );
            Err(dressed(reply::fault(406, message), text))
        }
    }
}

/// Answers a request to Nova.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let (method, path) = ask.route();
    if let ("GET", []) = (method, path.as_slice()) {
        return Ok(versions(world));
    }
    if let ("GET", ["v2.1"]) = (method, path.as_slice()) {
        return Ok(dressed(version(world), "2.1"));
    }
    // The middleware of Keystone stands before everything else.
    let caller = world.caller(ask)?;
    let micro = microversion(world, ask)?;
    let at = At { caller: caller.tenant, micro };
    let answer = servers(world, ask, &at, &path).or_else(|| parts(world, ask, &at, &path));
    let spoken = format!("2.{micro}");
    match answer {
        Some(Ok(reply)) => Ok(dressed(reply, &spoken)),
        Some(Err(refusal)) => Err(dressed(refusal, &spoken)),
        None => Err(reply::no_such_path()),
    }
}

fn dressed(reply: Reply, version: &str) -> Reply {
    reply
        .with("OpenStack-API-Version", format!("compute {version}"))
        .with("X-OpenStack-Nova-API-Version", version)
        .with("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")
}

/// Who asks, and at which microversion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) caller: usize,
    pub(crate) micro: Micro,
}

fn servers(world: &mut World, ask: &Ask, at: &At, path: &[&str]) -> Option<Answer> {
    Some(match (ask.method.as_str(), path) {
        ("GET", ["v2.1", "servers"]) => list::list(world, ask, at, list::Detail::Brief),
        ("GET", ["v2.1", "servers", "detail"]) => list::list(world, ask, at, list::Detail::Full),
        ("POST", ["v2.1", "servers"]) => create::create(world, ask, at),
        ("GET", ["v2.1", "servers", id]) => show::one(world, at, id),
        ("DELETE", ["v2.1", "servers", id]) => actions::delete(world, at, id),
        ("POST", ["v2.1", "servers", id, "action"]) => actions::act(world, ask, at, id),
        ("GET", ["v2.1", "servers", id, "metadata"]) => actions::metadata(world, at, id),
        ("POST", ["v2.1", "servers", id, "metadata"]) => actions::set_metadata(world, ask, at, id),
        ("GET", ["v2.1", "servers", id, "tags"]) if at.micro >= 26 => actions::tags(world, at, id),
        ("PUT", ["v2.1", "servers", id, "tags"]) if at.micro >= 26 => {
            actions::set_tags(world, ask, at, id)
        }
        ("GET", ["v2.1", "servers", id, "os-instance-actions"]) => actions::log(world, at, id),
        ("GET", ["v2.1", "servers", id, "os-interface"]) => networks::interfaces(world, at, id),
        ("GET", ["v2.1", "servers", id, "ips"]) => networks::ips(world, at, id),
        ("GET", ["v2.1", "servers", id, "os-volume_attachments"]) => volumes::list(world, at, id),
        ("POST", ["v2.1", "servers", id, "os-volume_attachments"]) => {
            volumes::attach(world, ask, at, id)
        }
        ("DELETE", ["v2.1", "servers", id, "os-volume_attachments", volume]) => {
            volumes::detach(world, at, id, volume)
        }
        _ => return None,
    })
}

fn parts(world: &mut World, ask: &Ask, at: &At, path: &[&str]) -> Option<Answer> {
    Some(match (ask.method.as_str(), path) {
        ("GET", ["v2.1", "flavors"]) => parts::flavors(world, ask, at, list::Detail::Brief),
        ("GET", ["v2.1", "flavors", "detail"]) => {
            parts::flavors(world, ask, at, list::Detail::Full)
        }
        ("GET", ["v2.1", "flavors", id]) => parts::flavor(world, at, id),
        ("GET", ["v2.1", "limits"]) => Ok(quota::limits(world, at)),
        ("GET", ["v2.1", "os-quota-sets", _]) => Ok(quota::set(world, at)),
        ("GET", ["v2.1", "os-quota-sets", _, "detail"]) => Ok(quota::set_in_detail(world, at)),
        ("GET", ["v2.1", "os-availability-zone"]) => Ok(parts::zones(world)),
        ("GET", ["v2.1", "os-keypairs"]) => Ok(parts::keypairs(world, at)),
        ("POST", ["v2.1", "os-keypairs"]) => parts::import_keypair(world, ask, at),
        ("GET", ["v2.1", "os-keypairs", name]) => parts::keypair(world, at, name),
        ("DELETE", ["v2.1", "os-keypairs", name]) => parts::delete_keypair(world, at, name),
        ("GET", ["v2.1", "os-hypervisors"]) => Err(policy("os_compute_api:os-hypervisors:list")),
        _ => return None,
    })
}

/// 403 of a rule that members do not pass.
fn policy(rule: &str) -> Reply {
    reply::fault(403, format!("Policy doesn't allow {rule} to be performed."))
}

/// 404 of a server.
fn no_server(id: &str) -> Reply {
    reply::fault(404, format!("Instance {id} could not be found."))
}

/// A server of the caller that can be asked for.
fn own<'a>(world: &'a World, at: &At, id: &str) -> Result<&'a Server, Reply> {
    let server = world.nova.find(id).filter(|server| server.tenant == at.caller && !server.ghost);
    server.ok_or_else(|| no_server(id))
}

/// As [`own`], to be changed: not in a cell that is down.
fn own_mut<'a>(world: &'a mut World, at: &At, id: &str) -> Result<&'a mut Server, Reply> {
    own(world, at, id)?;
    let server = world.nova.find_mut(id).ok_or_else(|| no_server(id))?;
    match server.cell {
        Cell::Up => Ok(server),
        Cell::Down | Cell::Missing => Err(cell_down()),
    }
}

/// What a member gets who asks, in a cell that is down, for more than what the API database knows
/// (API guide of Nova, "Handling down cells").
fn cell_down() -> Reply {
    let message = "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and \
                   attach the Nova API log if possible.\n<class 'nova.exception.CellTimeout'>";
    reply::fault(500, message)
}

fn version_entry(world: &World) -> Value {
    json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": format!("2.{}", world.site.microversion),
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{ "rel": "self", "href": format!("{}/compute/v2.1/", world.base) }],
    })
}

fn versions(world: &World) -> Reply {
    let old = json!({
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2025-07-04T12:00:00Z",
        "links": [{ "rel": "self", "href": format!("{}/compute/v2/", world.base) }],
    });
    Reply::json(200, &json!({ "versions": [old, version_entry(world)] }))
}

fn version(world: &World) -> Reply {
    let mut entry = version_entry(world);
    let described =
        json!({ "rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/" });
    entry["links"] = json!([entry["links"][0], described]);
    let media = "application/vnd.openstack.compute+json;version=2.1";
    entry["media-types"] = json!([{ "base": "application/json", "type": media }]);
    Reply::json(200, &json!({ "version": entry }))
}
