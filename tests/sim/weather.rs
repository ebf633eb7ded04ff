//! What a life is like and what happens to it, drawn from its seed before it begins: so that nothing that
//! the managers do changes what is in store for them.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vcycle::store::testing::Rates as DiskRates;
use vcycle_api::{Idempotency, Processors};
use vcycle_sim::{Rates, Refusing, Settings, Span};

use super::pace::Pace;
use super::purse::Purse;
use super::refusal::Refusal;
use super::rules::CapsFile;

/// The first of these spaces are there.
pub const SPACES: [&str; 3] = ["a.example", "b.example", "c.example"];

/// How clocks behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// Some seconds apart.
    Mild,
    /// They may be minutes off, and step.
    Wild,
}

/// What a life is like.
#[derive(Debug, Clone)]
pub struct Shape {
    pub seed: u64,
    pub hosts: usize,
    pub spaces: usize,
    /// Of the clouds.
    pub settle: Duration,
    pub idempotency: Idempotency,
    /// Whether clouds tell what is in use.
    pub tells_use: bool,
    pub clocks: Clocks,
    pub pace: Pace,
    /// When the trouble is over, in milliseconds; the first bout of it, if deletes are refused.
    pub trouble: u64,
    pub disk: DiskRates,
    pub rates: Rates,
    /// At first, by space.
    pub limits: Vec<u32>,
    /// Where machines cost money.
    pub purse: Option<Purse>,
    /// Where deletes are refused for a day.
    pub refusal: Option<Refusal>,
}

/// A stop of all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// SIGSTOP: clocks go on.
    Stopped,
    /// The host is suspended: its monotonic clock stands still.
    Suspended,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Event {
    Start {
        host: usize,
    },
    Kill {
        host: usize,
    },
    /// A clean stop; it is started again after this many milliseconds.
    Stop {
        host: usize,
        away: u64,
    },
    Pause {
        host: usize,
        millis: u64,
        sleep: Sleep,
    },
    /// The mount of the state directory answers nothing.
    StoreHangs {
        host: usize,
        millis: u64,
    },
    /// Or only with errors.
    StoreFails {
        host: usize,
        millis: u64,
    },
    /// No call reaches a cloud.
    CloudCut {
        host: usize,
        millis: u64,
    },
    /// Listings and negative look-ups are as old as this window.
    OldLooks {
        host: usize,
    },
    EndOldLooks {
        host: usize,
    },
    ClockStep {
        host: usize,
        millis: i64,
    },
    /// Somebody has seen that the clock is wrong.
    ClockMended {
        host: usize,
    },
    /// A new version of the configuration: limit of a space, shares of its machinetypes.
    Configure {
        space: usize,
        limit: u32,
        shares: (u32, u32),
    },
    /// A host takes up the newest configuration.
    Reload {
        host: usize,
    },
    Stranger {
        space: usize,
        disguised: bool,
    },
    StrangerLeaves {
        space: usize,
    },
    /// Somebody ends (or removes) one of our machines.
    Machine {
        space: usize,
        pick: usize,
        fate: MachineFate,
    },
    /// A person asks.
    Request {
        space: usize,
        pick: usize,
        what: Ask,
    },
    Throttle {
        host: usize,
        calls: u32,
    },
    Credentials {
        host: usize,
        revoked: bool,
    },
    /// A cloud has none of its flavors up to this one; the next is tried in the same cycle.
    StockOut {
        space: usize,
        flavors: usize,
    },
    Restock {
        space: usize,
    },
    /// The spend manager writes other caps.
    Caps(CapsFile),
    /// The site gets dearer price lists; each host takes them up with the next configuration.
    PricesRise,
    /// The VMs write, and everything is looked at.
    Tick,
}

/// What happens to a machine from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineFate {
    Ends,
    Vanishes,
    Preempted,
    LostSight,
    Recognised,
    /// It will not end itself at its hard end.
    IgnoresItsTimer,
    /// Deletes do not stick for minutes.
    HoldsOn,
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    DrainMachine,
    DeleteMachine,
    DrainMachinetype,
}

impl Shape {
    /// Draws it.
    pub fn new(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let hosts = *[2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8].choose(&mut dice).unwrap();
        let spaces = if hosts > 5 { 1 } else { *[1, 1, 2, 2, 3].choose(&mut dice).unwrap() };
        let bad = dice.random_bool(0.7);
        let rate = |rate: f64| if bad { rate } else { 0.0 };
        let per_mille = |rate: u32| if bad { rate } else { 0 };
        let mut shape = Self {
            seed,
            hosts,
            spaces,
            settle: Duration::from_secs(*[5, 10, 20, 30, 60].choose(&mut dice).unwrap()),
            idempotency: *[
                Idempotency::ListAndMatch,
                Idempotency::ListAndMatch,
                Idempotency::ClientToken,
                Idempotency::RequestIdAndUniqueName,
            ]
            .choose(&mut dice)
            .unwrap(),
            tells_use: dice.random_bool(0.4),
            clocks: if dice.random_bool(0.2) { Clocks::Wild } else { Clocks::Mild },
            pace: Pace::Minutes,
            trouble: dice.random_range(180_000..420_000),
            disk: DiskRates {
                lost_calls: per_mille(4),
                lost_replies: per_mille(4),
                stale_handles: per_mille(2),
                stale_looks: 0,
            },
            rates: Rates {
                throttled: rate(0.01),
                unavailable: rate(0.02),
                lost_before: rate(0.05),
                lost_after: rate(0.10),
                lost_page: rate(0.03),
                out_of_stock: rate(0.01),
                failed_boot: rate(0.03),
                stuck_boot: rate(0.02),
                preempted: 0.0,
                stuck_delete: rate(0.1),
                ghost: rate(0.02),
            },
            limits: (0..spaces).map(|_| dice.random_range(2..=6)).collect(),
            purse: None,
            refusal: None,
        };
        if Purse::is_in(&shape) && Refusal::is_in(&shape) {
            shape.pace = Pace::Day;
            shape.hosts = shape.hosts.min(3);
            shape.refusal = Some(Refusal::of(&shape));
        }
        shape.purse = Purse::of(&shape);
        if let (Some(refusal), Some(purse)) = (&shape.refusal, &mut shape.purse) {
            purse.lasts_a_day(refusal.room);
        }
        shape
    }

    /// When peace begins, in milliseconds.
    pub fn end(&self) -> u64 {
        self.refusal.as_ref().map_or(self.trouble, |refusal| refusal.until)
    }

    /// The cloud of a space.
    pub fn cloud(&self, space: usize) -> Settings {
        let secs = Duration::from_secs;
        let seed = self.seed.wrapping_mul(31).wrapping_add(space as u64);
        let mut settings = Settings::simple(seed, Processors(1000), secs(10), secs(1000));
        settings.boot = Span::between(secs(4), secs(25));
        settings.idempotency = self.idempotency;
        settings.settle = self.settle;
        settings.page = 3;
        settings.tombstone = secs(seed % 2 * 60);
        settings.tenancy = (self.seed.is_multiple_of(2)).then(|| format!("project-{space}"));
        settings.faults.rates = self.rates;
        if self.purse.as_ref().is_some_and(|purse| purse.spot.is_some()) {
            settings = settings.with_preemptible();
            settings.faults.rates.preempted = 0.15;
        }
        if self.seed % 3 == 1 {
            settings.refusing = Refusing::Late;
        }
        settings
    }

    /// How far a clock is off at first, in milliseconds.
    pub fn skew(&self, host: usize) -> i64 {
        let mut dice = self.dice(100 + host as u64);
        match self.clocks {
            Clocks::Mild => dice.random_range(-2_000..=2_000),
            Clocks::Wild => dice.random_range(-60_000..=60_000),
        }
    }

    /// A stream of its own for each purpose.
    pub fn dice(&self, purpose: u64) -> ChaCha8Rng {
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed);
        dice.set_stream(1 + purpose);
        dice
    }

    /// Everything that happens, with its time in milliseconds.
    pub fn events(&self) -> Vec<(u64, Event)> {
        let mut dice = self.dice(0);
        let mut events: Vec<(u64, Event)> = (0..self.hosts)
            .map(|host| (dice.random_range(0..8_000), Event::Start { host }))
            .collect();
        let rate = dice.random_range(6_000..25_000);
        let mut at = 10_000;
        while at < self.trouble {
            self.one(&mut dice, at, &mut events);
            at += dice.random_range(500..rate);
        }
        self.stock_outs(&mut events);
        if let Some(purse) = &self.purse {
            purse.events(self, &mut events);
            if let Some(refusal) = &self.refusal {
                refusal.events(self, purse, &mut events);
            }
        }
        events
    }

    /// In every fourth life, from dice of their own: what else happens in a life does not change by them.
    fn stock_outs(&self, events: &mut Vec<(u64, Event)>) {
        if self.seed % 4 != 2 {
            return;
        }
        let mut dice = self.dice(70);
        let mut at = dice.random_range(0..20_000);
        while at < self.trouble {
            let space = dice.random_range(0..self.spaces);
            events.push((at, Event::StockOut { space, flavors: dice.random_range(1..=4) }));
            at += dice.random_range(5_000..60_000);
            events.push((at, Event::Restock { space }));
            at += dice.random_range(1_000..20_000);
        }
    }

    /// Draws one event, or several that belong together.
    pub fn one(&self, dice: &mut ChaCha8Rng, at: u64, events: &mut Vec<(u64, Event)>) {
        let host = dice.random_range(0..self.hosts);
        let space = dice.random_range(0..self.spaces);
        let pick = dice.random_range(0..1000);
        let longer = |dice: &mut ChaCha8Rng, most: u64| dice.random_range(1_000..most);
        let event = match dice.random_range(0..100) {
            0..18 => Event::Kill { host },
            18..25 => Event::Stop { host, away: longer(dice, 40_000) },
            25..37 => {
                let suspended = dice.random_bool(0.3);
                let sleep = if suspended { Sleep::Suspended } else { Sleep::Stopped };
                Event::Pause { host, millis: longer(dice, 50_000), sleep }
            }
            37..43 => Event::StoreHangs { host, millis: longer(dice, 150_000) },
            43..47 => Event::StoreFails { host, millis: longer(dice, 60_000) },
            47..52 => Event::CloudCut { host, millis: longer(dice, 90_000) },
            52..60 => {
                let millis = longer(dice, 55_000);
                events.push((at + millis, Event::EndOldLooks { host }));
                Event::OldLooks { host }
            }
            60..64 => Event::ClockStep { host, millis: self.step(dice) },
            64..70 => return self.configuration(dice, at, events),
            70..72 => return self.rolling_restart(dice, at, events),
            72..75 => Event::Stranger { space, disguised: dice.random_bool(0.5) },
            75..78 => Event::StrangerLeaves { space },
            78..87 => Event::Machine { space, pick, fate: machine_fate(dice) },
            87..95 => Event::Request { space, pick, what: ask(dice) },
            95..98 => Event::Throttle { host, calls: dice.random_range(1..6) },
            _ => {
                let away = longer(dice, 30_000);
                events.push((at + away, Event::Credentials { host, revoked: false }));
                Event::Credentials { host, revoked: true }
            }
        };
        events.push((at, event));
    }

    fn step(&self, dice: &mut ChaCha8Rng) -> i64 {
        match self.clocks {
            Clocks::Mild => dice.random_range(-2_000..=2_000),
            Clocks::Wild => dice.random_range(-120_000..=120_000),
        }
    }

    /// Each manager takes it up within ten seconds.
    fn configuration(&self, dice: &mut ChaCha8Rng, at: u64, events: &mut Vec<(u64, Event)>) {
        let space = dice.random_range(0..self.spaces);
        let limit = dice.random_range(1..=6);
        let shares = *[(2, 1), (1, 1), (1, 0), (1, 3)].choose(dice).unwrap();
        events.push((at, Event::Configure { space, limit, shares }));
        for host in 0..self.hosts {
            events.push((at + dice.random_range(0..10_000), Event::Reload { host }));
        }
    }

    /// One after the other, as an upgrade goes.
    fn rolling_restart(&self, dice: &mut ChaCha8Rng, at: u64, events: &mut Vec<(u64, Event)>) {
        let mut at = at;
        for host in 0..self.hosts {
            let away = dice.random_range(500..6_000);
            events.push((at, Event::Stop { host, away }));
            at += away + dice.random_range(0..3_000);
        }
    }
}

fn machine_fate(dice: &mut ChaCha8Rng) -> MachineFate {
    *[
        MachineFate::Ends,
        MachineFate::Vanishes,
        MachineFate::Preempted,
        MachineFate::LostSight,
        MachineFate::Recognised,
    ]
    .choose(dice)
    .unwrap()
}

fn ask(dice: &mut ChaCha8Rng) -> Ask {
    *[Ask::DrainMachine, Ask::DeleteMachine, Ask::DeleteMachine, Ask::DrainMachinetype]
        .choose(dice)
        .unwrap()
}
