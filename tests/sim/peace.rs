//! When the trouble is over everything comes right within a bounded time: every VM has a record, every live
//! record a VM, shares are met within one machine, every space has exactly one owner.

use vcycle::model::MachinetypeName;
use vcycle::store::Ledger;

use super::life::Life;
use super::paid::Wrong;
use super::purse::Ending;
use super::site::MACHINETYPES;
use super::world::{size, space_name};
use crate::support::laws::machines_and_records;

/// In milliseconds, besides the longest life that a machine of the trouble still has. Stock-outs are remembered for some minutes, and
/// after a refusal of credentials nothing is tried for ten.
const LONGEST: u64 = 1_920_000;
/// Where caps stay as they are, they are watched in peace for at least so long.
const WATCHED: u64 = 420_000;
/// Lives until everything is right; gives how long that took.
pub async fn come(life: &mut Life) -> Result<u64, String> {
    let (begun, pace) = (life.world.trace.now(), life.world.shape.pace);
    let longest = LONGEST + pace.longest_life().as_millis() as u64;
    life.calm_down();
    loop {
        let now = life.world.trace.now();
        life.until(now + pace.tick().as_millis() as u64).await?;
        life.lay_ghosts();
        let is_watched = keeps_its_caps(life) && now - begun < WATCHED;
        match is_here(life).await {
            Ok(()) if is_watched => {}
            Ok(()) => return Ok(life.world.trace.now() - begun),
            Err(wrong) if now - begun > longest => {
                return Err(format!("no peace: {wrong}\n{}", reasons(life)));
            }
            Err(_) => {}
        }
    }
}

/// What the owners say, for whoever must find out why.
pub fn reasons(life: &Life) -> String {
    let mut text = String::new();
    for running in life.running.values() {
        let clock = running.process.host.clock.offset();
        text += &format!("m{}'s clock is {clock} ms off\n", running.process.host.number);
        let board = running.board.borrow();
        for snapshot in board.spaces.values() {
            text += &format!("{} {:?}\n", snapshot.space, snapshot.alarms);
            for row in &snapshot.machinetypes {
                text +=
                    &format!("{} {} {}: {}\n", snapshot.space, snapshot.manager, row.name, row.why);
            }
            for row in &snapshot.machines {
                text += &format!("  {} {} {:?}\n", row.name, row.phase, row.note);
            }
        }
    }
    text
}

/// Whether all is well. `Err`: what is not.
async fn is_here(life: &Life) -> Result<(), String> {
    for space in 0..life.world.shape.spaces {
        has_one_owner(life, space)?;
        if !keeps_its_caps(life) {
            shares_are_met(life, space)?;
        }
    }
    let store = life.world.store();
    for (space, cloud) in life.world.clouds.iter().enumerate() {
        let whose = (&life.world.deployment, &space_name(space));
        machines_and_records(cloud, &store, whose).await?;
    }
    let Some(purse) = &life.world.shape.purse else { return Ok(()) };
    let read = Ledger::new(&store).replay().await;
    let mut judge = life.world.judge();
    let audited = match read {
        Ok(book) => judge.meter.as_ref().map_or(Ok(()), |meter| meter.audit(&book)),
        Err(problem) => Err(Wrong::Broken(format!("the ledger cannot be read: {problem}"))),
    };
    match audited {
        Ok(()) => Ok(()),
        Err(Wrong::NotYet(why)) => Err(why),
        Err(Wrong::Broken(law)) => {
            judge.breaks(law);
            Err(format!("the books are wrong: {purse:?}"))
        }
    }
}

/// Whether caps may keep it from having what it should.
fn keeps_its_caps(life: &Life) -> bool {
    life.world.shape.purse.as_ref().is_some_and(|purse| purse.ending == Ending::Stay)
}

fn has_one_owner(life: &Life, space: usize) -> Result<(), String> {
    let name = space_name(space);
    let Some((owner, silent)) = life.world.judge().owner(space) else {
        return Err(format!("{name} never had an owner"));
    };
    if silent > life.world.shape.pace.ttl().as_millis() as u64 {
        return Err(format!("nobody renews {name} any more"));
    }
    let show = life.running.values().filter(|r| r.board.borrow().spaces.contains_key(&name));
    let show: Vec<u32> = show.map(|running| running.process.number).collect();
    if show != [owner] {
        return Err(format!("{name} is owned by #{owner}, and shown as theirs by {show:?}"));
    }
    Ok(())
}

/// Counted in processors, of which a stock-out may have made a machine have more than one.
fn shares_are_met(life: &Life, space: usize) -> Result<(), String> {
    let machines = life.world.clouds[space].machines();
    let exist: u32 = machines.iter().filter(|machine| machine.exists).map(size).sum();
    let ours = life.machines(space);
    let have: u32 = ours.iter().map(|(machine, _)| size(machine)).sum();
    let one = ours.iter().map(|(machine, _)| size(machine)).max().unwrap_or(1);
    let of = space_name(space);
    let limit = life.setup.spaces[&of].policy.processors_limit;
    let room = limit.map_or(0, |limit| limit.0).saturating_sub(exist - have);
    if have + one < room || have > room {
        return Err(format!("{have} processors in {of} with room for {room}"));
    }
    for machinetype in MACHINETYPES {
        let name = MachinetypeName::parse(machinetype).unwrap();
        let of_it = ours.iter().filter(|(_, tags)| tags.machinetype == name);
        let have: u32 = of_it.map(|(machine, _)| size(machine)).sum();
        let wanted = life.share(space, &name) * f64::from(room);
        if (f64::from(have) - wanted).abs() > f64::from(one) {
            return Err(format!(
                "{have} processors of {machinetype} in {of}, its share is {wanted}"
            ));
        }
    }
    Ok(())
}
