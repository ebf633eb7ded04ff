//! `RunInstances`: tokens, limits, capacity, and the machines.

use std::net::Ipv4Addr;
use std::sync::Arc;

use vcycle_api::Timestamp;

use super::ledger::MachineRecord;
use super::life::{self, Event};
use super::machine::{Machine, Made, Phase, Reason, State};
use super::params::Params;
use super::reply::{Answer, Refusal, Said};
use super::wanted::{Wanted, zone_of};
use super::words::Xml;
use super::world::{Token, World};
use super::{describe, disks, network, quotas, spot};

/// Parameters that do not make a request another one.
const NOT_DIGESTED: [&str; 5] =
    ["Action", "Version", "ClientToken", "DryRun", "Placement.AvailabilityZone"];

/// Carries out a launch.
pub(crate) fn run(world: &mut World, params: &Params, by: &str) -> Answer {
    let token = token_of(params)?;
    let digest = params.digest(&NOT_DIGESTED);
    if !params.is_set("DryRun")
        && let Some(token) = &token
        && let Some(numbers) = known(world, token, digest)?
    {
        return Ok(told(world, &numbers));
    }
    let wanted = Wanted::of(world, params)?;
    if params.is_set("DryRun") {
        return Err(Refusal::dry_run());
    }
    let count = admitted(world, &wanted)?;
    let reservation = world.ids.resource("r");
    let numbers: Vec<u64> = (0..count)
        .map(|index| {
            let launch = Launch { wanted: &wanted, token: token.clone(), by: Some(by.to_owned()) };
            launch.make(world, &reservation, index)
        })
        .collect();
    if let Some(token) = token {
        let machines = numbers.clone();
        world.tokens.insert(token, Token { digest, machines, ended: None });
    }
    Ok(told(world, &numbers))
}

fn token_of(params: &Params) -> Result<Option<(String, String)>, Refusal> {
    let Some(token) = params.get("ClientToken") else { return Ok(None) };
    if token.is_empty() || token.len() > 64 || !token.is_ascii() {
        let message =
            format!("Invalid value '{token}' for ClientToken: at most 64 ASCII characters");
        return Err(Refusal::bad(message));
    }
    Ok(Some((token.to_owned(), zone_of(params))))
}

/// The machines that a token has made, if it has.
fn known(
    world: &mut World,
    token: &(String, String),
    digest: u64,
) -> Result<Option<Vec<u64>>, Refusal> {
    let (now, memory) = (world.now(), world.site.times.token);
    let Some(known) = world.tokens.get(token) else { return Ok(None) };
    if known.ended.is_some_and(|ended| ended + memory <= now) {
        world.tokens.remove(token);
        return Ok(None);
    }
    if known.digest != digest {
        let message = "Arguments on this idempotent request are inconsistent with arguments used in \
                       previous request(s).";
        return Err(Refusal::new(400, "IdempotentParameterMismatch", message));
    }
    let machines = &world.machines;
    let ends = |number: &u64| machines.get(number).is_none_or(|m| m.state().is_ending());
    if known.machines.iter().any(ends) {
        let message =
            "The client token that was given belongs to an instance that has been terminated.";
        return Err(Refusal::new(400, "IdempotentInstanceTerminated", message));
    }
    Ok(Some(known.machines.clone()))
}

/// How many machines may be made now.
fn admitted(world: &mut World, wanted: &Wanted) -> Result<u32, Refusal> {
    let now = world.now();
    let (flavour, zone) = (wanted.kind.name.as_str(), wanted.subnet.zone.as_str());
    if world.down.contains(zone) {
        return Err(Refusal::internal());
    }
    if let Some(buckets) = &mut world.buckets
        && !buckets.may_launch(wanted.least, now)
    {
        return Err(Refusal::throttled());
    }
    let (room, refusal) = quotas::room(world, wanted);
    let refused = |room: u32, refusal: Refusal| (room < wanted.least).then_some(refusal);
    if let Some(refusal) = refused(room, refusal) {
        return Err(refusal);
    }
    if wanted.spot && !wanted.kind.spot {
        let message = format!("The instance type '{flavour}' is not supported for Spot Instances.");
        return Err(Refusal::new(400, "Unsupported", message));
    }
    if wanted.subnet.free < wanted.least {
        let message = format!(
            "There are not enough free addresses in subnet '{}' to satisfy the requested number of \
             instances.",
            wanted.subnet.id
        );
        return Err(Refusal::new(400, "InsufficientFreeAddressesInSubnet", message));
    }
    let (stock, short) = world.short.room(flavour, zone, wanted.spot);
    if let Some(refusal) = short.and_then(|short| refused(stock, short)) {
        return Err(refusal);
    }
    let count = wanted.most.min(room).min(stock).min(wanted.subnet.free);
    world.short.made(flavour, zone, wanted.spot, count);
    if let Some(buckets) = &mut world.buckets {
        buckets.launched(count);
    }
    Ok(count)
}

fn told(world: &World, numbers: &[u64]) -> Said {
    let mut xml = Xml::default();
    let machines: Vec<&Machine> =
        numbers.iter().filter_map(|number| world.machines.get(number)).collect();
    if let Some(first) = machines.first() {
        xml.text("reservationId", &first.made.reservation);
        xml.text("ownerId", &world.site.account);
        xml.list("groupSet", std::iter::empty::<()>(), |_, ()| {});
    }
    xml.list("instancesSet", machines, |xml, machine| {
        describe::machine(xml, world, machine, machine.phase());
    });
    Said::Xml(xml)
}

/// One launch, of which machines are made.
pub(crate) struct Launch<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) token: Option<(String, String)>,
    pub(crate) by: Option<String>,
}

impl Launch<'_> {
    /// Makes a machine, and gives its number.
    pub(crate) fn make(&self, world: &mut World, reservation: &str, index: u32) -> u64 {
        let (wanted, now) = (self.wanted, world.now());
        world.launched += 1;
        let number = world.launched;
        let id = world.ids.resource("i");
        let tags_of = |kind: &str| wanted.tags.get(kind).cloned().unwrap_or_default();
        let [_, b, c, d] = u32::try_from(number % 0x00ff_ffff).unwrap_or_default().to_be_bytes();
        let address = Ipv4Addr::new(172, 16 | (b & 15), c, d);
        let public = wanted.public.then(|| Ipv4Addr::new(18, 130 | (b & 1), c, d));
        let spot =
            wanted.spot.then(|| spot::open(world, &id, wanted, tags_of("spot-instances-request")));
        let entry = world.ledger.machines.len();
        world.ledger.machines.push(self.record(&id, now));
        let made = Made {
            id: id.clone(),
            reservation: reservation.to_owned(),
            index,
            accepted: now,
            token: self.token.clone(),
            flavour: wanted.kind.name.clone(),
            vcpus: wanted.kind.vcpus,
            architecture: wanted.kind.architecture.clone(),
            zone: wanted.subnet.zone.clone(),
            image: wanted.image.clone(),
            subnet: wanted.subnet.id.clone(),
            vpc: wanted.subnet.vpc.clone(),
            groups: wanted.groups.clone(),
            key: wanted.key.clone(),
            profile: wanted.profile.clone(),
            user_data: Arc::from(wanted.user_data.as_slice()),
            ends_with_guest: wanted.ends_with_guest,
            imds: wanted.imds.clone(),
            spot,
            address,
            public,
            entry,
        };
        let guest = world.short.next_guest().unwrap_or(world.site.guest);
        let mut machine = Machine {
            made,
            volumes: Vec::new(),
            interfaces: Vec::new(),
            tags: tags_of("instance"),
            phases: vec![Phase::plain(now, State::Pending)],
            guest,
            guest_end: None,
            protected: false,
            noticed: false,
        };
        for volume in &wanted.volumes {
            disks::make(world, &mut machine, volume, tags_of("volume"));
        }
        network::make(world, &mut machine, wanted.interface_goes, tags_of("network-interface"));
        world.machines.insert(number, machine);
        world.numbers.insert(id, number);
        let (kind, zone) = (&wanted.kind.name, &wanted.subnet.zone);
        let failure: Option<Reason> = world.short.next_failure(kind, zone, wanted.spot);
        let next = failure.map_or(Event::Runs, Event::Fails);
        life::plan(world, now + world.site.times.boot, number, next);
        number
    }

    fn record(&self, id: &str, now: Timestamp) -> MachineRecord {
        let wanted = self.wanted;
        MachineRecord {
            id: id.to_owned(),
            tags: wanted.tags.get("instance").cloned().unwrap_or_default(),
            token: self.token.as_ref().map(|(token, _)| token.clone()),
            flavour: wanted.kind.name.clone(),
            zone: wanted.subnet.zone.clone(),
            spot: wanted.spot,
            by: self.by.clone(),
            accepted: now,
            began: None,
            ended: None,
        }
    }
}
