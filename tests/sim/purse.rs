//! What money is like in a life: prices, how they are charged, the caps of the spend manager, and what becomes of all that.
//! Drawn from streams of its own, so that lives without money are what they were before there was any.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use vcycle::config::SpendingSettings;
use vcycle::model::{Market, Timestamp};
use vcycle_money::prices::{Charged, Granularity, InForce, Item, PriceRow, SpotCharge};
use vcycle_money::{
    Amount, Currency, ExchangeRates, Money, Permille, PriceBook, PriceList, ProviderName,
};

use super::rules::{CapsFile, Each, HOUR, MONTHS, On, Other, Plan, Rule};
use super::site::MACHINETYPES;
use super::weather::{Event, MachineFate, Shape};

/// The stream that decides whether a life has money. It is one by which the lives that were kept before there was any have
/// none.
const HAS_MONEY: u64 = 90;
/// Of how it is.
const PURSE: u64 = 190;
/// Of what happens.
const EVENTS: u64 = 191;
/// Whether it is one of those lives that have more kinds of everything; not in the lives that were kept before there were any.
const IS_VARIED: u64 = 194;
/// Of those.
const VARIETY: u64 = 195;
/// Of budgets, which some of them have.
const PLAN: u64 = 196;
/// What may be taken back is charged by its price, in some of those that have it.
const SPOT_CHARGE: u64 = 197;

/// The file of the spend manager.
pub const CAPS_FILE: &str = "caps.d/x.toml";

/// When lives without money begin: the new year of 2026.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Boundaries of an hour, of a day, of a month: lives with money begin some minutes before one of them.
const BOUNDARIES: [i64; 3] = [1_768_482_000, 1_768_521_600, 1_769_904_000];

/// Midnights of a month, a week, a day: varied lives begin some minutes before one of them, on some meridian.
const MIDNIGHTS: [i64; 3] = [1_769_904_000, 1_768_780_800, 1_768_521_600];

const NAMES: [&str; 4] = ["cap0", "cap1", "cap2", "cap3"];

/// How time is charged.
#[derive(Debug, Clone, Copy)]
pub struct Charging {
    /// In milliseconds.
    pub minimum: i64,
    /// In milliseconds.
    pub granule: i64,
}

/// What an hour costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Of one processor, in billionths.
    pub hourly: i64,
    /// The flavour whose price nobody knows: so many processors.
    pub unknown: Option<u32>,
    /// What the lists say of that.
    pub gap: Gap,
    /// The most that is asked for what may be taken back, in thousandths of the price on demand; `None`: that price.
    pub ceiling: Option<i64>,
}

/// How a price is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    Missing,
    /// Nobody gives machines away: somebody has not filled it in.
    Zero,
}

impl Prices {
    /// Of a machine of so many processors; `None`: nobody knows.
    pub fn of(&self, processors: u32, market: Market) -> Option<i64> {
        let on_demand = self.hourly * i64::from(processors);
        let price = match (market, self.ceiling) {
            (Market::Preemptible, Some(ceiling)) => on_demand / 1_000 * ceiling,
            (Market::Preemptible, None) | (Market::OnDemand, _) => on_demand,
        };
        (self.unknown != Some(processors)).then_some(price)
    }

    /// What a machine of so many processors is charged once its time has passed.
    pub fn charged(&self, processors: u32, market: Market, charge: SpotCharge) -> Option<i64> {
        let most = self.of(processors, market)?;
        match (market, charge) {
            (Market::Preemptible, SpotCharge::Listed) => Some(most.min(self.usual(processors))),
            (Market::Preemptible, SpotCharge::Reserved) | (Market::OnDemand, _) => Some(most),
        }
    }

    /// The usual price of what may be taken back.
    fn usual(&self, processors: u32) -> i64 {
        self.hourly * i64::from(processors) / 3
    }

    /// What the lists say of a flavour.
    fn rows(&self, processors: u32, spot: Option<Spot>) -> Vec<(Item, i64)> {
        let flavour = format!("sim.{processors}");
        let said = |market| match (self.of(processors, market), self.gap) {
            (Some(price), _) => Some(price),
            (None, Gap::Zero) => Some(0),
            (None, Gap::Missing) => None,
        };
        let mut rows = vec![(Item::OnDemand(flavour.clone()), said(Market::OnDemand))];
        if spot.is_some() {
            rows.push((Item::Spot(flavour.clone()), Some(self.usual(processors))));
            let ceiling = self.ceiling.and_then(|_| said(Market::Preemptible));
            rows.push((Item::SpotCeiling(flavour), ceiling));
        }
        rows.into_iter().filter_map(|(item, price)| Some((item, price?))).collect()
    }
}

/// That there is a market of machines that may be taken back, and which is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    First,
    Last,
}

impl Spot {
    /// The markets of all machinetypes, in their order.
    pub fn markets(self) -> Vec<Market> {
        match self {
            Self::First => vec![Market::Preemptible, Market::OnDemand],
            Self::Last => vec![Market::OnDemand, Market::Preemptible],
        }
    }
}

/// What becomes of the caps when the trouble is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// They stay, and hold.
    Stay,
    /// They are raised above everything: then the shares must be met.
    Raised,
}

/// The money of a life.
#[derive(Debug, Clone)]
pub struct Purse {
    pub begin: Timestamp,
    pub charging: Charging,
    pub overstay: Duration,
    /// Whether it has more kinds of everything.
    is_varied: bool,
    /// Whether the ledger, of all files, is slow, and fails now and then.
    pub frail: bool,
    /// `None`: only machines that are ours until we end them.
    pub spot: Option<Spot>,
    /// What that is charged.
    pub spot_charge: SpotCharge,
    /// At first.
    pub prices: Prices,
    /// After prices have risen, if they do.
    pub dearer: Prices,
    /// At first; broken: nobody has ever read caps.
    pub file: CapsFile,
    pub ending: Ending,
    /// What the caps are, as the spend manager means them at first.
    rules: Vec<Rule>,
}

impl Purse {
    /// Whether a life has money.
    pub fn is_in(shape: &Shape) -> bool {
        shape.dice(HAS_MONEY).random_bool(0.5)
    }

    /// That of a life, if it has one.
    pub fn of(shape: &Shape) -> Option<Self> {
        let mut purse = Self::is_in(shape).then(|| Self::drawn(shape, &mut shape.dice(PURSE)))?;
        if shape.dice(IS_VARIED).random_bool(0.6) {
            purse.vary(shape, &mut shape.dice(VARIETY));
        }
        Some(purse)
    }

    fn drawn(shape: &Shape, dice: &mut ChaCha8Rng) -> Self {
        let before = dice.random_range(0..480);
        let boundary = *BOUNDARIES.choose(dice).unwrap();
        let begin = Timestamp::from_secs(boundary - before);
        let granule = *[1_000, 1_000, 60_000, HOUR].choose(dice).unwrap();
        let minimum = *[0, 60_000, 600_000].choose(dice).unwrap();
        let overstay = Duration::from_secs(60 * *[15, 20, 30, 60].choose(dice).unwrap());
        let unknown = dice.random_bool(0.15).then(|| *[1, 1, 2].choose(dice).unwrap());
        let hourly = dice.random_range(1_000_000..200_000_000);
        let prices = Prices { hourly, unknown, gap: Gap::Missing, ceiling: None };
        let rise = dice.random_range(1_100..3_000);
        let dearer = Prices { hourly: hourly / 1_000 * rise, ..prices };
        let mut purse = Self {
            begin,
            charging: Charging { minimum, granule },
            overstay,
            is_varied: false,
            frail: false,
            spot: None,
            spot_charge: SpotCharge::Reserved,
            prices,
            dearer,
            file: CapsFile::Broken,
            ending: if dice.random_bool(0.5) { Ending::Stay } else { Ending::Raised },
            rules: Vec::new(),
        };
        let count = dice.random_range(1..=NAMES.len());
        purse.rules =
            NAMES[..count].iter().map(|name| purse.rule(name, boundary, shape, dice)).collect();
        if dice.random_bool(0.9) {
            purse.file = CapsFile::Holds(purse.rules.clone());
        }
        purse
    }

    /// From less than two machines to a bit more than all that may be there.
    fn rule(
        &self,
        name: &'static str,
        boundary: i64,
        shape: &Shape,
        dice: &mut ChaCha8Rng,
    ) -> Rule {
        let space = dice.random_range(0..shape.spaces);
        let one = dice.random_range(0..MACHINETYPES.len());
        let on = *[
            On::Everything,
            On::Everything,
            On::Space(space),
            On::Machinetype(one),
            On::Community(one),
        ]
        .choose(dice)
        .unwrap();
        let hour = boundary * 1_000;
        let each = *[
            Each::Hour,
            Each::Hour,
            Each::Day(0),
            Each::Month(0),
            Each::Grant { from: hour - 24 * HOUR, to: hour },
            Each::Grant { from: hour, to: hour + HOUR },
            Each::Grant { from: hour - HOUR, to: hour + 24 * HOUR },
        ]
        .choose(dice)
        .unwrap();
        Rule { name, limit: self.limit(on, shape, dice), on, each, plan: None }
    }

    fn limit(&self, on: On, shape: &Shape, dice: &mut ChaCha8Rng) -> i64 {
        let fleet: u32 = match on {
            On::Space(space) | On::CommunityInSpace(_, space) => shape.limits[space],
            On::Everything
            | On::Provider
            | On::OtherProvider
            | On::Market(_)
            | On::Machinetype(_)
            | On::Community(_) => shape.limits.iter().sum(),
        };
        let limit = dice.random_range(1_000..=i64::from(fleet) * 1_200 + 500);
        self.worst_of_one(shape) / 1_000 * limit
    }

    /// What was not in the first lives with money: other calendars, other scopes, prices of zero, a market of machines that may be
    /// taken back, and machines that are reserved for hardly longer than to their hard ends.
    fn vary(&mut self, shape: &Shape, dice: &mut ChaCha8Rng) {
        let east = dice.random_range(-8..=10);
        let boundary = *MIDNIGHTS.choose(dice).unwrap() - i64::from(east) * 3_600;
        self.begin = Timestamp::from_secs(boundary - dice.random_range(0..480));
        self.overstay = Duration::from_secs(60 * *[0, 0, 2, 5, 15, 60].choose(dice).unwrap());
        self.is_varied = true;
        self.frail = dice.random_bool(0.5);
        self.spot = *[None, Some(Spot::First), Some(Spot::Last)].choose(dice).unwrap();
        if shape.dice(SPOT_CHARGE).random_bool(0.5) {
            self.spot_charge = SpotCharge::Listed;
        }
        let unknown = dice.random_bool(0.3).then(|| *[1, 1, 2].choose(dice).unwrap());
        let gap = *[Gap::Missing, Gap::Zero].choose(dice).unwrap();
        let ceiling = dice.random_bool(0.5).then(|| dice.random_range(300..=1_000));
        let ceiling = ceiling.filter(|_| self.spot.is_some());
        for prices in [&mut self.prices, &mut self.dearer] {
            *prices = Prices { unknown, gap, ceiling, ..*prices };
        }
        let count = dice.random_range(1..=NAMES.len());
        self.rules = NAMES[..count]
            .iter()
            .map(|name| {
                let on = any_scope(shape, dice);
                let each = any_window((east, boundary * 1_000), dice);
                let limit = self.limit(on, shape, dice) / *[1, 1, 2, 4].choose(dice).unwrap();
                Rule { name, limit, on, each, plan: None }
            })
            .collect();
        let mut dice = shape.dice(PLAN);
        if dice.random_bool(0.4) {
            self.rules.push(self.plan(boundary * 1_000, shape, &mut dice));
            // How fast machines come by a plan is another matter.
            self.ending = Ending::Stay;
        }
        if let CapsFile::Holds(rules) = &mut self.file {
            rules.clone_from(&self.rules);
        }
    }

    /// A budget whose line allows from less than a machine to more than all.
    fn plan(&self, boundary: i64, shape: &Shape, dice: &mut ChaCha8Rng) -> Rule {
        let space = dice.random_range(0..shape.spaces);
        let scopes = [On::Everything, On::Everything, On::Provider, On::Space(space)];
        let on = *scopes.choose(dice).unwrap();
        let hours = *[(-24, 0), (-1, 1), (-1, 1), (-1, 2), (-1, 24), (0, 24)].choose(dice).unwrap();
        let (from, to) = (boundary + hours.0 * HOUR, boundary + hours.1 * HOUR);
        let fleet: u32 = shape.limits.iter().sum();
        let machines = dice.random_range(500..=i64::from(fleet) * 1_500);
        let one = self.prices.hourly * hours.1.max(1) + self.worst_of_one(shape);
        let plan = Plan {
            // The last two end it within the life where it ends an hour after the boundary.
            margin: *[0, 1, 30, 50, 56].choose(dice).unwrap(),
            first: dice.random_range(0..MACHINETYPES.len()),
            other: *[Other::AsGood, Other::Backfill, Other::Backfill, Other::Unnamed]
                .choose(dice)
                .unwrap(),
            holds_rate: dice.random_bool(0.7),
        };
        let (limit, each) = (one / 1_000 * machines, Each::Grant { from, to });
        Rule { name: "plan", limit, on, each, plan: Some(plan) }
    }

    /// What a machine of one processor may cost.
    fn worst_of_one(&self, shape: &Shape) -> i64 {
        let longest = shape.pace.longest_life() + self.overstay;
        let longest = i64::try_from(longest.as_millis()).unwrap();
        self.charging.cost(self.prices.hourly, longest)
    }

    /// What the configuration says of it.
    pub fn settings(&self, prices: Prices) -> SpendingSettings {
        let long_ago = Timestamp::from_secs(MONTHS[0]);
        let money = |nanos| Money { amount: Amount::from_nanos(nanos), currency: Currency::GBP };
        let row = |(item, price): (Item, i64)| {
            let in_force = InForce { from: long_ago, until: None };
            let written = format!("prices/sim.toml: {item}").into();
            PriceRow { item, price: money(price), in_force, confirmed: long_ago, written }
        };
        let flavours = [1, 2, 4, 8].into_iter();
        let list = PriceList {
            file: "prices/sim.toml".into(),
            provider: ProviderName::parse("sim").unwrap(),
            region: None,
            spaces: std::iter::empty().collect(),
            minimum: Duration::from_millis(self.charging.minimum.unsigned_abs()),
            granularity: match self.charging.granule {
                HOUR => Granularity::Hour,
                60_000 => Granularity::Minute,
                _ => Granularity::Second,
            },
            disks: Charged::Included,
            addresses: Charged::Included,
            age: None,
            spot: self.spot_charge,
            rows: flavours.flat_map(|of| prices.rows(of, self.spot)).map(row).collect(),
        };
        let age = Duration::from_secs(400 * 86_400);
        SpendingSettings {
            currency: Currency::GBP,
            book: Arc::new(PriceBook::new(vec![list], age).unwrap()),
            rates: Arc::new(ExchangeRates::new(Currency::GBP, Vec::new(), Permille(0), age)),
            hook: None,
            overstay: self.overstay,
        }
    }

    /// Whether machines are there longer than they are reserved when deletes do not stick for some minutes.
    pub fn is_short(&self) -> bool {
        self.overstay < Duration::from_secs(600)
    }

    /// What happens to the caps, to prices, and to machines that cost more than they should.
    pub fn events(&self, shape: &Shape, events: &mut Vec<(u64, Event)>) {
        let mut dice = shape.dice(EVENTS);
        let mut rules = self.rules.clone();
        let mut at = dice.random_range(5_000..90_000);
        if self.file == CapsFile::Broken {
            events.push((at, Event::Caps(CapsFile::Holds(rules.clone()))));
        }
        loop {
            at += dice.random_range(2_000..120_000);
            if at >= shape.trouble {
                break;
            }
            let event = self.one(&mut dice, &mut rules);
            if self.is_varied && !matches!(event, Event::Caps(CapsFile::Holds(_))) {
                // Nobody repairs it for a while.
                events.push((at, event));
                at += 150_000;
                continue;
            }
            events.push((at, event));
        }
        if dice.random_bool(0.4) {
            let at = dice.random_range(20_000..shape.trouble);
            events.push((at, Event::PricesRise));
            for host in 0..shape.hosts {
                let later = dice.random_range(0..60_000);
                events.push((at + later, Event::Reload { host }));
            }
        }
        let mut at = dice.random_range(10_000..120_000);
        while at < shape.trouble {
            let (space, pick) = (dice.random_range(0..shape.spaces), dice.random_range(0..1000));
            let fate =
                *[MachineFate::IgnoresItsTimer, MachineFate::HoldsOn].choose(&mut dice).unwrap();
            events.push((at, Event::Machine { space, pick, fate }));
            at += dice.random_range(10_000..120_000);
        }
    }

    /// For a life of a day: caps on more than an hour have room for so many times more, a budget goes on until the day after, and
    /// the price of the smallest machine is known.
    pub fn lasts_a_day(&mut self, more: i64) {
        for rule in &mut self.rules {
            let by = if rule.each == Each::Hour { 1 } else { more };
            rule.limit *= by;
            if let (Some(_), Each::Grant { to, .. }) = (rule.plan, &mut rule.each) {
                *to += 48 * HOUR;
            }
        }
        if let CapsFile::Holds(rules) = &mut self.file {
            rules.clone_from(&self.rules);
        }
        for prices in [&mut self.prices, &mut self.dearer] {
            prices.unknown = prices.unknown.filter(|processors| *processors > 1);
        }
    }

    /// The caps as the spend manager means them at first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The next that the spend manager does with them.
    pub fn one(&self, dice: &mut ChaCha8Rng, rules: &mut Vec<Rule>) -> Event {
        let which = dice.random_range(0..self.rules.len());
        let name = self.rules[which].name;
        let by = dice.random_range(1..=900);
        let kind = dice.random_range(0..100);
        match kind {
            0..60 => {
                for rule in rules.iter_mut().filter(|rule| rule.name == name) {
                    let factor = if kind < 40 { by } else { 1_000 + by };
                    rule.limit = rule.limit / 1_000 * factor;
                }
            }
            60..70 => rules.retain(|rule| rule.name != name),
            70..85 => rules.clone_from(&self.rules),
            85..93 => return Event::Caps(CapsFile::Broken),
            _ => return Event::Caps(CapsFile::Deleted),
        }
        Event::Caps(CapsFile::Holds(rules.clone()))
    }

    /// The caps when the trouble is over, if those of the file were these.
    pub fn at_last(&self, rules: &[Rule]) -> Vec<Rule> {
        let raised = |rule: &Rule| Rule { limit: 1_000_000_000_000_000, ..*rule };
        match self.ending {
            Ending::Stay => rules.to_vec(),
            Ending::Raised => rules.iter().map(raised).collect(),
        }
    }

    /// The prices when the trouble is over.
    pub fn prices_at_last(&self, prices: Prices) -> Prices {
        match self.ending {
            Ending::Stay => prices,
            Ending::Raised => Prices { unknown: None, ..prices },
        }
    }
}

fn any_scope(shape: &Shape, dice: &mut ChaCha8Rng) -> On {
    let space = dice.random_range(0..shape.spaces);
    let one = dice.random_range(0..MACHINETYPES.len());
    *[
        On::Everything,
        On::Everything,
        On::Provider,
        On::OtherProvider,
        On::Space(space),
        On::Machinetype(one),
        On::Community(one),
        On::Market(Market::OnDemand),
        On::Market(Market::Preemptible),
        On::CommunityInSpace(one, space),
    ]
    .choose(dice)
    .unwrap()
}

fn any_window((east, boundary): (i8, i64), dice: &mut ChaCha8Rng) -> Each {
    let grant =
        |from: i64, to: i64| Each::Grant { from: boundary + from * HOUR, to: boundary + to * HOUR };
    *[
        Each::Hour,
        Each::Hour,
        Each::Day(east),
        Each::Day(0),
        Each::Week(east),
        Each::Week(east),
        Each::Month(east),
        Each::Month(east),
        grant(-24, 0),
        grant(0, 1),
        grant(-1, 24),
    ]
    .choose(dice)
    .unwrap()
}

impl Charging {
    /// The bill for a machine that is there for so many milliseconds.
    pub fn cost(self, hourly: i64, life: i64) -> i64 {
        let granules = (life.max(self.minimum) + self.granule - 1) / self.granule;
        let charged = i128::from(granules * self.granule) * i128::from(hourly);
        i64::try_from((charged + i128::from(HOUR) - 1) / i128::from(HOUR)).unwrap()
    }

    /// What of the bill for a life falls before a moment: each granule is charged when it begins.
    fn until(self, hourly: i64, (begin, end): (i64, i64), moment: i64) -> i64 {
        if moment <= begin {
            return 0;
        }
        self.cost(hourly, moment.min(end) - begin).min(self.cost(hourly, end - begin))
    }

    /// What of it falls between two moments.
    pub fn within(self, hourly: i64, life: (i64, i64), (from, to): (i64, i64)) -> i64 {
        self.until(hourly, life, to) - self.until(hourly, life, from)
    }
}

#[test]
fn the_meter_reckons_as_a_bill_does() {
    let by_the_minute = Charging { minimum: 60_000, granule: 60_000 };
    let hourly = 60_000_000_000;
    assert_eq!(by_the_minute.cost(hourly, 0), 1_000_000_000, "the minimum");
    assert_eq!(by_the_minute.cost(hourly, 60_001), 2_000_000_000, "a minute that has begun");
    let life = (0, 150_000);
    let parts = [(-5, 0), (0, 1), (1, 60_000), (60_000, 60_001), (60_001, 900_000)];
    let parts = parts.map(|part| by_the_minute.within(hourly, life, part) / 1_000_000_000);
    assert_eq!(parts, [0, 1, 0, 1, 1]);
}
