//! Limits and use of a project.

use serde_json::{Value, json};

use super::super::reply::{self, Reply};
use super::super::world::World;
use super::At;

/// What a project uses: servers, processors, MiB of memory. Servers in error count, those that wait for
/// the site to reclaim them do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    pub(crate) instances: i64,
    pub(crate) cores: i64,
    pub(crate) ram: i64,
}

/// What a tenant uses.
pub(crate) fn used(world: &World, tenant: usize) -> Used {
    let all = world.nova.servers.values();
    let own = all.filter(|s| s.tenant == tenant && s.is_there() && !s.soft_deleted);
    own.fold(Used::default(), |sum, server| {
        let flavor = &world.site.flavors[server.flavor];
        Used {
            instances: sum.instances + 1,
            cores: sum.cores + flavor.vcpus,
            ram: sum.ram + flavor.ram,
        }
    })
}

/// Refuses what would pass a limit, in the words of `nova/compute/utils.py`: the resources that are over,
/// by name.
pub(super) fn check(world: &World, tenant: usize, more: Used) -> Result<(), Reply> {
    let (used, limit) = (used(world, tenant), world.site.tenants[tenant].quota);
    let rows = [
        ("cores", more.cores, used.cores, limit.cores),
        ("instances", more.instances, used.instances, limit.instances),
        ("ram", more.ram, used.ram, limit.ram),
    ];
    let over: Vec<_> =
        rows.iter().filter(|(_, more, used, limit)| *limit >= 0 && more + used > *limit).collect();
    if over.is_empty() {
        return Ok(());
    }
    let join = |texts: Vec<String>| texts.join(", ");
    let names = join(over.iter().map(|row| row.0.to_owned()).collect());
    let requested = join(over.iter().map(|row| row.1.to_string()).collect());
    let taken = join(over.iter().map(|row| row.2.to_string()).collect());
    let limits = join(over.iter().map(|row| format!("{} {}", row.3, row.0)).collect());
    let message = format!(
        "Quota exceeded for {names}: Requested {requested}, but already used {taken} of {limits}"
    );
    Err(reply::fault(403, message))
}

/// `GET /limits`.
pub(super) fn limits(world: &World, at: &At) -> Reply {
    let (used, limit) = (used(world, at.caller), world.site.tenants[at.caller].quota);
    let mut absolute = json!({
        "maxTotalCores": limit.cores,
        "maxTotalInstances": limit.instances,
        "maxTotalKeypairs": 100,
        "maxServerMeta": 128,
        "maxTotalRAMSize": limit.ram,
        "maxServerGroups": 10,
        "maxServerGroupMembers": 10,
        "totalRAMUsed": used.ram,
        "totalCoresUsed": used.cores,
        "totalInstancesUsed": used.instances,
        "totalServerGroupsUsed": 0,
    });
    let mut until = |micro: u16, fields: &[(&str, i64)]| {
        for (name, value) in fields {
            if at.micro < micro {
                absolute[*name] = json!(value);
            }
        }
    };
    until(
        36,
        &[
            ("maxTotalFloatingIps", -1),
            ("maxSecurityGroups", -1),
            ("maxSecurityGroupRules", -1),
            ("totalFloatingIpsUsed", 0),
            ("totalSecurityGroupsUsed", 0),
        ],
    );
    until(39, &[("maxImageMeta", 128)]);
    until(57, &[("maxPersonality", 5), ("maxPersonalitySize", 10_240)]);
    Reply::json(200, &json!({ "limits": { "rate": [], "absolute": absolute } }))
}

fn rows(world: &World, at: &At) -> [(&'static str, i64, i64); 7] {
    let (used, limit) = (used(world, at.caller), world.site.tenants[at.caller].quota);
    [
        ("cores", limit.cores, used.cores),
        ("instances", limit.instances, used.instances),
        ("key_pairs", 100, 0),
        ("metadata_items", 128, 0),
        ("ram", limit.ram, used.ram),
        ("server_group_members", 10, 0),
        ("server_groups", 10, 0),
    ]
}

fn quota_set(world: &World, at: &At, show: fn(i64, i64) -> Value) -> Reply {
    let mut set = json!({ "id": world.site.tenants[at.caller].project_id });
    for (name, limit, used) in rows(world, at) {
        set[name] = show(limit, used);
    }
    Reply::json(200, &json!({ "quota_set": set }))
}

/// `GET /os-quota-sets/ID`.
pub(super) fn set(world: &World, at: &At) -> Reply {
    quota_set(world, at, |limit, _| json!(limit))
}

/// `GET /os-quota-sets/ID/detail`.
pub(super) fn set_in_detail(world: &World, at: &At) -> Reply {
    quota_set(world, at, |limit, used| json!({ "limit": limit, "in_use": used, "reserved": 0 }))
}
