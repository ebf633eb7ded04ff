//! A cloud that refuses to delete machines for a day and more, while everything else goes on: in a few lives with money, from
//! dice of its own, so that all other lives are what they are without it. Trouble comes in bouts then; between them managers
//! run their cycles, and nothing happens but what happens by chance.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{Deletion, ErrorKind, ProviderError};

use super::purse::Purse;
use super::rules::CapsFile;
use super::weather::{Event, Shape};

/// The stream that decides whether a life has one.
const HAS_ONE: u64 = 200;
/// Of how it is.
const REFUSAL: u64 = 201;
/// Of what else happens meanwhile.
const BOUTS: u64 = 202;

/// Of the lives with money.
const PART: f64 = 1.0 / 30.0;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// After a bout it takes so long at most until some manager that is believed owns each space: clocks that were mended are
/// doubted for ten minutes, an owner is silent for a TTL, a mount hangs for two and a half.
const SETTLES: u64 = 20 * MINUTE;

/// Which deletes are refused. Times are in milliseconds of the life.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub space: usize,
    pub from: u64,
    pub until: u64,
    /// The first so many machines that somebody wants deleted from then on.
    pub machines: usize,
    how: How,
    /// How much more than in a life of minutes there is in caps on more than an hour.
    pub room: i64,
    /// When the first trouble is over.
    first: u64,
    /// When trouble comes again.
    bouts: Vec<(u64, u64)>,
}

/// How a cloud refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It says so.
    Error,
    /// It accepts, and nothing follows.
    Silence,
}

impl Refusal {
    /// Whether a life has one, if it has money.
    pub fn is_in(shape: &Shape) -> bool {
        shape.dice(HAS_ONE).random_bool(PART)
    }

    pub fn of(shape: &Shape) -> Self {
        let mut dice = shape.dice(REFUSAL);
        let from = dice.random_range(0..shape.trouble);
        let until = from + dice.random_range(24 * HOUR..=30 * HOUR);
        let mut bouts = Vec::new();
        let mut at = shape.trouble;
        loop {
            at += dice.random_range(2 * HOUR..8 * HOUR);
            let end = at + dice.random_range(5 * MINUTE..30 * MINUTE);
            if end + HOUR > until {
                break;
            }
            bouts.push((at, end));
            at = end;
        }
        Self {
            space: dice.random_range(0..shape.spaces),
            from,
            until,
            machines: *[1, 1, 2, 3, usize::MAX].choose(&mut dice).unwrap(),
            how: *[How::Error, How::Silence].choose(&mut dice).unwrap(),
            room: *[4, 12, 30, 60].choose(&mut dice).unwrap(),
            first: shape.trouble,
            bouts,
        }
    }

    /// What is answered to a delete.
    pub fn answer(&self) -> Result<Deletion, ProviderError> {
        match self.how {
            How::Error => {
                let why = "the machine cannot be deleted in its present state";
                Err(ProviderError::new(ErrorKind::Unavailable, "delete", why))
            }
            How::Silence => Ok(Deletion::Accepted),
        }
    }

    /// Whether there is nothing but what happens by chance.
    pub fn is_between_bouts(&self, now: u64) -> bool {
        self.first <= now && self.bouts.iter().all(|(from, end)| now < *from || *end <= now)
    }

    /// Whether the last trouble was so long ago that each space has an owner who is believed.
    pub fn is_quiet(&self, now: u64) -> bool {
        let ends = self.bouts.iter().map(|(_, end)| *end);
        let last = ends.chain([self.first]).filter(|end| *end <= now).max();
        self.is_between_bouts(now) && last.is_some_and(|end| end + SETTLES <= now)
    }

    /// What happens in the bouts.
    pub fn events(&self, shape: &Shape, purse: &Purse, events: &mut Vec<(u64, Event)>) {
        let mut dice = shape.dice(BOUTS);
        for (from, end) in self.bouts.iter().copied() {
            let rate = dice.random_range(10 * SECOND..MINUTE);
            let mut at = from;
            while at < end {
                shape.one(&mut dice, at, events);
                at += dice.random_range(500..rate);
            }
            caps(purse, (from, end), &mut dice, events);
            if dice.random_bool(0.2) {
                events.push((dice.random_range(from..end), Event::PricesRise));
            }
        }
        let ends = self.bouts.iter().map(|(_, end)| *end);
        let begins = self.bouts.iter().map(|(from, _)| *from);
        let quiets = [shape.trouble].into_iter().chain(ends).zip(begins.chain([self.until]));
        for quiet in quiets {
            quiet_begins(shape, quiet, &mut dice, events);
        }
    }
}

/// Clocks are mended, everybody takes up the newest configuration, and most managers go away: a day is long.
fn quiet_begins(
    shape: &Shape,
    (from, to): (u64, u64),
    dice: &mut ChaCha8Rng,
    events: &mut Vec<(u64, Event)>,
) {
    let stays = [dice.random_range(0..shape.hosts), dice.random_range(0..shape.hosts * 4)];
    for host in 0..shape.hosts {
        events.push((from + dice.random_range(0..MINUTE), Event::ClockMended { host }));
        events.push((from + dice.random_range(0..MINUTE), Event::Reload { host }));
        if !stays.contains(&host) {
            let at = from + dice.random_range(MINUTE..3 * MINUTE);
            events.push((at, Event::Stop { host, away: to.saturating_sub(at) }));
        }
    }
}

/// The spend manager writes some files in a bout; the last of them can be read.
fn caps(
    purse: &Purse,
    (from, end): (u64, u64),
    dice: &mut ChaCha8Rng,
    events: &mut Vec<(u64, Event)>,
) {
    let mut rules = purse.rules().to_vec();
    let mut at = from;
    loop {
        at += dice.random_range(MINUTE..10 * MINUTE);
        if at >= end {
            break;
        }
        events.push((at, purse.one(dice, &mut rules)));
    }
    let lowered = dice.random_bool(0.3);
    let last = if lowered { rules } else { purse.rules().to_vec() };
    events.push((end, Event::Caps(CapsFile::Holds(last))));
}
