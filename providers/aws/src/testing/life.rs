//! What happens as time passes: machines come to run, end, and are forgotten.

use std::time::Duration;

use serde_json::json;
use vcycle_api::Timestamp;

use super::ledger::End;
use super::machine::{Phase, Reason, State};
use super::words::seconds;
use super::world::World;
use super::{disks, network, spot};

/// How long before the end of a spot machine its notice comes ("Spot Instance interruption notices").
const NOTICE: Duration = Duration::from_secs(120);

/// Something that will happen to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It gets power.
    Runs,
    /// It never gets power.
    Fails(Reason),
    /// Its guest shuts it down.
    GuestEnds,
    /// EC2 takes it back.
    Interrupted,
    /// It is `terminated`.
    Terminated,
    /// It is `stopped`.
    Stopped,
    /// It loses its tags.
    TagsGo,
    /// It loses its record.
    Forgotten,
}

/// Plans an event.
pub(crate) fn plan(world: &mut World, at: Timestamp, number: u64, event: Event) {
    world.planned += 1;
    world.agenda.insert((at, world.planned), (number, event));
}

/// Carries out what was planned until now, each at its own time.
pub(crate) fn catch_up(world: &mut World) {
    let now = world.now();
    while let Some(entry) = world.agenda.first_entry() {
        let (at, _) = *entry.key();
        if at > now {
            return;
        }
        let (number, event) = entry.remove();
        happens(world, at, number, event);
    }
}

fn happens(world: &mut World, at: Timestamp, number: u64, event: Event) {
    let Some(machine) = world.machines.get(&number) else { return };
    let state = machine.state();
    match event {
        Event::Runs if state == State::Pending => runs(world, at, number),
        Event::Fails(reason) if state == State::Pending => {
            end(world, at, number, End::LaunchFailed, Some(reason));
        }
        Event::GuestEnds if state == State::Running && machine.guest_end == Some(at) => {
            match machine.made.ends_with_guest {
                true => end(world, at, number, End::Guest, None),
                false => halt(world, at, number),
            }
        }
        Event::Interrupted if !state.is_ending() => {
            end(world, at, number, End::Interrupted, None);
        }
        Event::Terminated if state == State::ShuttingDown => terminated(world, at, number),
        Event::Stopped if state == State::Stopping => enter(world, number, at, State::Stopped),
        Event::TagsGo => tags_go(world, number),
        Event::Forgotten => forget(world, number),
        Event::Runs
        | Event::Fails(_)
        | Event::GuestEnds
        | Event::Interrupted
        | Event::Terminated
        | Event::Stopped => {}
    }
}

/// A machine gets power.
pub(crate) fn runs(world: &mut World, at: Timestamp, number: u64) {
    let Some(machine) = world.machines.get_mut(&number) else { return };
    machine.phases.push(Phase::plain(at, State::Running));
    let entry = machine.made.entry;
    world.ledger.machines[entry].began = Some(at);
    replan_guest(world, at, number);
}

/// Plans anew when the guest of a running machine shuts it down.
pub(crate) fn replan_guest(world: &mut World, now: Timestamp, number: u64) {
    let Some(machine) = world.machines.get_mut(&number) else { return };
    let Some(began) = machine.phases.iter().find(|phase| phase.state == State::Running) else {
        return;
    };
    machine.guest_end = machine.plan_end(began.at).map(|end| end.max(now));
    if let Some(end) = machine.guest_end {
        plan(world, end, number, Event::GuestEnds);
    }
}

fn enter(world: &mut World, number: u64, at: Timestamp, state: State) {
    if let Some(machine) = world.machines.get_mut(&number) {
        // The reason stays until another takes its place.
        let Phase { reason, transition, .. } = machine.phase().clone();
        machine.phases.push(Phase { at, state, reason, transition });
    }
}

/// Writes the end of the time that is paid for.
fn close(world: &mut World, at: Timestamp, number: u64, end: End) {
    let Some(machine) = world.machines.get(&number) else { return };
    let record = &mut world.ledger.machines[machine.made.entry];
    if record.ended.is_none() {
        record.ended = Some((at, end));
    }
}

/// Begins the end of a machine.
pub(crate) fn end(world: &mut World, at: Timestamp, number: u64, end: End, reason: Option<Reason>) {
    let Some(machine) = world.machines.get_mut(&number) else { return };
    let spot = machine.made.spot.clone();
    machine.phases.push(Phase::ending(at, State::ShuttingDown, end, reason));
    close(world, at, number, end);
    if let Some(request) = spot {
        spot::ended(world, at, &request, end);
    }
    let shutdown = match end {
        // What never ran has nothing to shut down.
        End::LaunchFailed => Duration::ZERO,
        End::Asked | End::Guest | End::Interrupted => world.site.times.shutdown,
    };
    plan(world, at + shutdown, number, Event::Terminated);
}

fn halt(world: &mut World, at: Timestamp, number: u64) {
    let Some(machine) = world.machines.get_mut(&number) else { return };
    machine.phases.push(Phase::ending(at, State::Stopping, End::Guest, None));
    close(world, at, number, End::Guest);
    plan(world, at + world.site.times.shutdown, number, Event::Stopped);
}

fn terminated(world: &mut World, at: Timestamp, number: u64) {
    enter(world, number, at, State::Terminated);
    let Some(machine) = world.machines.get_mut(&number) else { return };
    let token = machine.made.token.clone();
    let volumes = std::mem::take(&mut machine.volumes);
    let interfaces = std::mem::take(&mut machine.interfaces);
    disks::end_of_machine(world, &volumes);
    network::end_of_machine(world, &interfaces);
    if let Some(token) = token {
        close_token(world, at, &token);
    }
    let times = world.site.times;
    plan(world, at + times.tags.min(times.forget), number, Event::TagsGo);
    plan(world, at + times.forget, number, Event::Forgotten);
}

/// A token whose machines have all ended is remembered for a while longer.
fn close_token(world: &mut World, at: Timestamp, token: &(String, String)) {
    let machines = &world.machines;
    let ended = |number: &u64| {
        machines.get(number).is_none_or(|machine| machine.state() == State::Terminated)
    };
    if let Some(token) = world.tokens.get_mut(token)
        && token.machines.iter().all(ended)
    {
        token.ended = Some(at);
    }
}

fn tags_go(world: &mut World, number: u64) {
    if let Some(machine) = world.machines.get_mut(&number) {
        machine.tags.clear();
    }
}

/// Loses the record of a machine.
pub(crate) fn forget(world: &mut World, number: u64) {
    if let Some(machine) = world.machines.remove(&number) {
        world.numbers.remove(&machine.made.id);
    }
}

/// Gives notice that a spot machine will be taken back in two minutes.
pub(crate) fn give_notice(world: &mut World, id: &str) {
    let now = world.now();
    let Some(&number) = world.numbers.get(id) else { return };
    let Some(machine) = world.machines.get_mut(&number) else { return };
    machine.noticed = true;
    let spot = machine.made.spot.clone();
    if let Some(request) = spot {
        spot::marked(world, now, &request);
    }
    send_event(world, id, "EC2 Spot Instance Interruption Warning", "terminate");
    plan(world, now + NOTICE, number, Event::Interrupted);
}

/// Puts an event about a machine into the queue, as a rule of EventBridge would.
pub(crate) fn send_event(world: &mut World, id: &str, kind: &str, action: &str) {
    let Some(machine) = world.machine(id) else { return };
    let zone = machine.made.zone.clone();
    let mut detail = json!({ "instance-id": id });
    if !action.is_empty() {
        detail["instance-action"] = json!(action);
    }
    let now = world.now();
    let body = json!({
        "version": "0",
        "id": world.ids.uuid(),
        "detail-type": kind,
        "source": "aws.ec2",
        "account": world.site.account,
        "time": seconds(now),
        "region": world.site.region,
        // The zone stands where a region does elsewhere ("Spot Instance interruption notices", note).
        "resources": [format!("arn:aws:ec2:{zone}:instance/{id}")],
        "detail": detail,
    });
    let message = world.ids.uuid();
    world.queue.send(message, body.to_string(), now);
}
