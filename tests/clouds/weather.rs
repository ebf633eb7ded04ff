//! What happens on a day, drawn from its seed before it begins.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::double::{On, Woe};
use super::post::Death;

/// The minutes of the trouble.
pub const DAY: u64 = 24 * 60;
/// All managers are dead, from and until: longer than any machine may live.
pub const NIGHT: (u64, u64) = (17 * 60, 21 * 60);

/// Something that happens in a space, or to a manager.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// The cloud takes back half of what it may.
    Wave,
    /// There is none of the offering with this number; the ones before are there again.
    RunsShort(usize),
    /// There is none of anything.
    AllShort,
    /// There is enough of everything.
    Restock,
    /// Every request is one too many.
    Storm,
    /// The wire works, and nobody is throttled.
    Calm,
    /// One of the next requests is in trouble.
    Woe(On, u32, Woe),
    /// Whoever makes the next machine dies.
    Doom(Death),
    /// Everything shows late.
    Sluggish,
    Brisk,
    ZoneFails,
    ZonesRecover,
    Refuse,
    Admit,
    /// A manager is killed, wherever it is.
    Kill,
}

/// The events of one space, by minute. `offerings`: how many the cloud has.
pub fn of(seed: u64, offerings: usize) -> Vec<(u64, Event)> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut events = Vec::new();
    let mut some = |events: &mut Vec<(u64, Event)>,
                    times: usize,
                    lasts: u64,
                    (from, to): (Event, Option<Event>)| {
        for _ in 0..times {
            let minute = dice.random_range(20..DAY - lasts);
            events.push((minute, from));
            events.extend(to.map(|to| (minute + lasts, to)));
        }
    };
    some(&mut events, 8, 0, (Event::Wave, None));
    some(&mut events, 4, 10, (Event::Storm, Some(Event::Calm)));
    some(&mut events, 2, 15, (Event::ZoneFails, Some(Event::ZonesRecover)));
    some(&mut events, 4, 60, (Event::Sluggish, Some(Event::Brisk)));
    some(&mut events, 1, 10, (Event::Refuse, Some(Event::Admit)));
    some(&mut events, 10, 0, (Event::Kill, None));
    stock_outs(&mut events, offerings);
    woes(&mut events, &mut dice);
    dooms(&mut events, &mut dice);
    events.sort_by_key(|(minute, _)| *minute);
    events
}

/// Each offering in its turn, and then all at once.
fn stock_outs(events: &mut Vec<(u64, Event)>, offerings: usize) {
    let turn = (NIGHT.0 - 120) / offerings as u64;
    let turns = (0..offerings).map(|number| (30 + number as u64 * turn, Event::RunsShort(number)));
    events.extend(turns);
    let all = 30 + offerings as u64 * turn;
    events.extend([(all, Event::AllShort), (all + 30, Event::Restock)]);
}

fn woes(events: &mut Vec<(u64, Event)>, dice: &mut ChaCha8Rng) {
    let slow = Woe::Slow(Duration::from_secs(8));
    let woes = [Woe::LoseRequest, Woe::LoseReply, Woe::CutReply, Woe::Mask, slow];
    for minute in (15..DAY).step_by(12) {
        let woe = *woes.choose(dice).unwrap();
        let on = *[On::Create, On::Create, On::Create, On::Delete, On::List, On::Any]
            .choose(dice)
            .unwrap();
        events.push((
            minute + dice.random_range(0..10),
            Event::Woe(on, dice.random_range(0..3), woe),
        ));
    }
}

/// Every way of dying at a create again and again.
fn dooms(events: &mut Vec<(u64, Event)>, dice: &mut ChaCha8Rng) {
    let late = |seconds| Death::Late(Duration::from_secs(seconds));
    let deaths = [Death::Before, late(1), Death::Unread, late(20), Death::Unwritten, late(50)];
    for (number, minute) in (25..DAY).step_by(35).enumerate() {
        let death = deaths[number % deaths.len()];
        events.push((minute + dice.random_range(0..20), Event::Doom(death)));
    }
}
