//! A server of Nova in our words. Pure.
//!
//! `status` is what Nova says to people; `task_state` tells that a delete is under way, which `status`
//! does not (recorded: ACTIVE with `deleting`). Words: Nova's API guide, "Server concepts".

use std::net::IpAddr;

use vcycle_api::{
    DeploymentId, Identity, Instance, InstanceId, InstanceState, Megabytes, OfferingId, Processors,
    Timestamp,
};

use super::faults;
use super::flavors::{FlavorTable, market_of};
use super::server::{Address, Server};
use crate::Settings;

/// How servers that the site keeps for a while after their delete (SOFT_DELETED) are seen.
///
/// They hold no quota (Nova does not count them), but they still exist and can be restored. Ours are
/// `Deleting` as long as we may force their end, so that the delete is repeated and forces it;
/// where the site does not let us, they are `Gone`: nothing that we could do is left, and a place
/// that is held for days would only stand empty. Those of others are `Gone` at once: they need
/// nothing from us and hold no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SoftDeleted {
    /// We may force the end, as far as we know.
    CanBeForced,
    /// The site has refused to let us.
    IsFinal,
}

/// What is needed to read a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lens<'a> {
    /// For the sizes of servers that only name their flavour.
    pub(crate) flavors: &'a FlavorTable,
    pub(crate) settings: &'a Settings,
    /// Whose machines are ours, when it is known.
    pub(crate) deployment: Option<&'a DeploymentId>,
    pub(crate) soft_deleted: SoftDeleted,
}

/// What a server is, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// All that we ask for.
    Whole(Instance),
    /// Its cell is down, but it is still said whose it is.
    Dim(Instance),
    /// Its cell is down, and not even that is said; or Nova gave it no id that is one.
    Dark,
}

/// Reads a server.
pub(crate) fn told(server: &Server, lens: Lens<'_>) -> Told {
    let Ok(id) = InstanceId::parse(&server.id) else { return Told::Dark };
    if !server.is_told() {
        return Told::Dark;
    }
    let instance = instance(id, server, lens);
    match server.status() {
        "UNKNOWN" | "" => Told::Dim(instance),
        _ => Told::Whole(instance),
    }
}

fn instance(id: InstanceId, server: &Server, lens: Lens<'_>) -> Instance {
    let identity = server.identity();
    let state = state_of(server, &identity, lens);
    let made_of = MadeOf::read(server, lens.flavors);
    Instance {
        id,
        name: server.name.clone().unwrap_or_default(),
        offering: offering_of(server, made_of.name, lens.settings),
        processors: made_of.vcpus.map(Processors),
        memory: made_of.ram.map(Megabytes),
        created: time(server.created.as_deref()),
        started: time(server.launched.as_deref()),
        ended: ended(server, &state),
        addresses: addresses(server, lens.settings),
        identity,
        state,
    }
}

fn state_of(server: &Server, identity: &Identity, lens: Lens<'_>) -> InstanceState {
    match (server.status(), server.task.as_deref()) {
        ("DELETED", _) => InstanceState::Gone,
        ("SOFT_DELETED", _) => soft_deleted(identity, lens),
        (_, Some("deleting" | "soft-deleting")) => InstanceState::Deleting,
        ("BUILD", _) => InstanceState::Pending,
        // What an operator's action leaves switched on.
        ("ACTIVE" | "REBOOT" | "HARD_REBOOT" | "PASSWORD" | "MIGRATING", _) => {
            InstanceState::Running
        }
        ("SHUTOFF", _) => InstanceState::Stopped,
        ("ERROR", _) => InstanceState::Failed {
            refusal: faults::refusal_of(server),
            fault: faults::of_server(server),
        },
        // SHELVED, SHELVED_OFFLOADED, PAUSED, SUSPENDED, RESCUE, RESIZE, VERIFY_RESIZE, REVERT_RESIZE,
        // REBUILD: somebody works on it by hand. It is shown and counted, and not fought over. UNKNOWN:
        // its cell is down.
        (word, _) => InstanceState::Unknown { word: word.to_owned() },
    }
}

fn soft_deleted(identity: &Identity, lens: Lens<'_>) -> InstanceState {
    let is_ours = match identity {
        Identity::Vcycle(tags) => lens.deployment.is_none_or(|ours| tags.deployment == *ours),
        Identity::Foreign => false,
    };
    match (is_ours, lens.soft_deleted) {
        (true, SoftDeleted::CanBeForced) => InstanceState::Deleting,
        (true, SoftDeleted::IsFinal) | (false, _) => InstanceState::Gone,
    }
}

/// When it ended. Nova has no time of a power-off, so it is that of the last change: never too early.
fn ended(server: &Server, state: &InstanceState) -> Option<Timestamp> {
    let updated = || time(server.updated.as_deref());
    match state {
        InstanceState::Stopped | InstanceState::Preempted => updated(),
        InstanceState::Failed { refusal: _, fault: _ } => {
            let fault = server.fault.as_ref().and_then(|fault| fault.created.as_deref());
            time(fault).or_else(updated)
        }
        InstanceState::Gone => time(server.terminated.as_deref()).or_else(updated),
        InstanceState::Pending
        | InstanceState::Running
        | InstanceState::Deleting
        | InstanceState::Unknown { word: _ } => None,
    }
}

struct MadeOf<'a> {
    name: Option<&'a str>,
    vcpus: Option<u32>,
    ram: Option<u64>,
}

impl<'a> MadeOf<'a> {
    /// From the server itself, or from the flavour that it names. A flavour may have been deleted since.
    fn read(server: &'a Server, flavors: &'a FlavorTable) -> Self {
        let told = server.flavor.as_ref();
        let listed = told.and_then(|flavor| flavor.id.as_deref()).and_then(|id| flavors.by_id(id));
        let name = told.and_then(|flavor| flavor.original_name.as_deref());
        Self {
            name: name.or(listed.map(|flavor| flavor.name.as_str())),
            vcpus: told.and_then(|flavor| flavor.vcpus).or(listed.map(|flavor| flavor.vcpus)),
            ram: told.and_then(|flavor| flavor.ram).or(listed.map(|flavor| flavor.ram)),
        }
    }
}

/// The zone belongs to the offering only where zones are offered; a server that is not on a host yet
/// has none to show.
fn offering_of(server: &Server, flavor: Option<&str>, settings: &Settings) -> Option<OfferingId> {
    let flavor = flavor?;
    let zone = match settings.zones.is_empty() {
        true => String::new(),
        false => server.zone.clone().filter(|zone| !zone.is_empty())?,
    };
    let market = market_of(flavor, settings);
    Some(OfferingId { flavour: flavor.to_owned(), zone, market })
}

/// Fixed addresses before floating ones, those of the networks as they are configured first.
fn addresses(server: &Server, settings: &Settings) -> Vec<IpAddr> {
    let wanted: &[String] = match &settings.networks {
        crate::Networks::These(names) => names,
        crate::Networks::Auto | crate::Networks::None => &[],
    };
    let place =
        |network: &str| wanted.iter().position(|name| name == network).unwrap_or(wanted.len());
    let mut all: Vec<(bool, usize, &Address)> = server
        .addresses
        .iter()
        .flatten()
        .flat_map(|(network, addresses)| addresses.iter().map(move |one| (network, one)))
        .map(|(network, one)| (one.kind.as_deref() == Some("floating"), place(network), one))
        .collect();
    all.sort_by_key(|(floating, place, _)| (*floating, *place));
    all.into_iter().filter_map(|(_, _, one)| one.addr.parse().ok()).collect()
}

/// Nova writes `2026-11-21T01:35:00Z`, and in extensions `2026-11-21T01:35:00.000000`, which is UTC too.
pub(crate) fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    let parsed = parsed.or_else(|_| format!("{text}Z").parse());
    parsed.ok().map(|time| Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
