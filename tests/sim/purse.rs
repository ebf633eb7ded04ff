//! What money is like in a life: prices, how they are charged, the caps of the spend manager, and what becomes of all that.
//! Drawn from streams of its own, so that lives without money are what they were before there was any.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use vcycle::config::SpendingSettings;
use vcycle::model::Timestamp;
use vcycle_money::prices::{Charged, Granularity, InForce, Item, PriceRow};
use vcycle_money::{
    Amount, Currency, ExchangeRates, Money, Permille, PriceBook, PriceList, ProviderName,
};

use super::site::MACHINETYPES;
use super::weather::{Event, MachineFate, SPACES, Shape};

/// The stream that decides whether a life has money. It is one by which the lives that were kept before there was any have
/// none.
const HAS_MONEY: u64 = 90;
/// Of how it is.
const PURSE: u64 = 190;
/// Of what happens.
const EVENTS: u64 = 191;

/// The longest that a machine is given: `start_timeout` and `max_wallclock` of all machinetypes.
const LONGEST_LIFE: Duration = Duration::from_secs(8 * 60);

/// For whom the machinetypes work, in their order.
pub const COMMUNITIES: [&str; 2] = ["ska", "lhcb"];

/// The file of the spend manager.
pub const CAPS_FILE: &str = "caps.d/x.toml";

const HOUR: i64 = 3_600_000;

/// When lives without money begin: the new year of 2026.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The beginnings of months around it.
pub const MONTHS: [i64; 4] = [1_764_547_200, 1_767_225_600, 1_769_904_000, 1_772_323_200];

/// Boundaries of an hour, of a day, of a month: lives with money begin some minutes before one of them.
const BOUNDARIES: [i64; 3] = [1_768_482_000, 1_768_521_600, 1_769_904_000];

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
    /// The flavour that no list has: so many processors.
    pub unknown: Option<u32>,
}

impl Prices {
    /// Of a machine of so many processors; `None`: nobody knows.
    pub fn of(&self, processors: u32) -> Option<i64> {
        (self.unknown != Some(processors)).then_some(self.hourly * i64::from(processors))
    }
}

/// What a cap is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Everything,
    Space(usize),
    Machinetype(usize),
    Community(usize),
}

/// In which time it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    Hour,
    Day,
    Month,
    /// Both in milliseconds.
    Grant {
        from: i64,
        to: i64,
    },
}

/// A cap as the spend manager means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    /// In billionths.
    pub limit: i64,
    pub on: On,
    pub each: Each,
}

impl Rule {
    /// Whether machines of a machinetype in a space count.
    pub fn covers(&self, space: usize, machinetype: usize) -> bool {
        match self.on {
            On::Everything => true,
            On::Space(own) => own == space,
            // Each community has one machinetype.
            On::Machinetype(own) | On::Community(own) => own == machinetype,
        }
    }
}

/// What the file of the spend manager comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapsFile {
    Holds(Vec<Rule>),
    /// No TOML, or a cap that is none.
    Broken,
    /// Somebody has removed it.
    Deleted,
}

impl CapsFile {
    /// Its text; `None`: it is not there.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Holds(rules) => Some(rules.iter().map(text).collect()),
            Self::Broken => Some("[cap.cap0]\nlimit = \"much\"\nwindow = \"ho".to_owned()),
            Self::Deleted => None,
        }
    }
}

fn text(rule: &Rule) -> String {
    let Rule { name, limit, on, each } = rule;
    let mut text = format!("[cap.{name}]\nlimit = \"{} GBP\"\n", Amount::from_nanos(*limit));
    let on = match on {
        On::Everything => String::new(),
        On::Space(space) => format!("spaces = [\"{}\"]\n", SPACES[*space]),
        On::Machinetype(one) => format!("machinetypes = [\"{}\"]\n", MACHINETYPES[*one]),
        On::Community(one) => format!("communities = [\"{}\"]\n", COMMUNITIES[*one]),
    };
    text += &on;
    match each {
        Each::Hour => text += "window = \"hour\"\n",
        Each::Day => text += "window = \"day\"\n",
        Each::Month => text += "window = \"month\"\n",
        Each::Grant { from, to } => {
            let time = |millis: &i64| Timestamp::from_millis(*millis);
            writeln!(text, "window = \"grant\"\nfrom = \"{}\"\nto = \"{}\"", time(from), time(to))
                .unwrap();
        }
    }
    text
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
    /// That of a life, if it has one.
    pub fn of(shape: &Shape) -> Option<Self> {
        let has_money = shape.dice(HAS_MONEY).random_bool(0.5);
        has_money.then(|| Self::drawn(shape, &mut shape.dice(PURSE)))
    }

    fn drawn(shape: &Shape, dice: &mut ChaCha8Rng) -> Self {
        let before = dice.random_range(0..480);
        let boundary = *BOUNDARIES.choose(dice).unwrap();
        let begin = Timestamp::from_secs(boundary - before);
        let granule = *[1_000, 1_000, 60_000, HOUR].choose(dice).unwrap();
        let minimum = *[0, 60_000, 600_000].choose(dice).unwrap();
        let overstay = Duration::from_secs(60 * *[15, 20, 30, 60].choose(dice).unwrap());
        let unknown = dice.random_bool(0.15).then(|| *[1, 1, 2].choose(dice).unwrap());
        let prices = Prices { hourly: dice.random_range(1_000_000..200_000_000), unknown };
        let rise = dice.random_range(1_100..3_000);
        let dearer = Prices { hourly: prices.hourly / 1_000 * rise, unknown };
        let mut purse = Self {
            begin,
            charging: Charging { minimum, granule },
            overstay,
            prices,
            dearer,
            file: CapsFile::Broken,
            ending: if dice.random_bool(0.5) { Ending::Stay } else { Ending::Raised },
            rules: Vec::new(),
        };
        const NAMES: [&str; 4] = ["cap0", "cap1", "cap2", "cap3"];
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
            Each::Day,
            Each::Month,
            Each::Grant { from: hour - 24 * HOUR, to: hour },
            Each::Grant { from: hour, to: hour + HOUR },
            Each::Grant { from: hour - HOUR, to: hour + 24 * HOUR },
        ]
        .choose(dice)
        .unwrap();
        let fleet: u32 = match on {
            On::Space(space) => shape.limits[space],
            On::Everything | On::Machinetype(_) | On::Community(_) => shape.limits.iter().sum(),
        };
        let limit = dice.random_range(1_000..=i64::from(fleet) * 1_200 + 500);
        Rule { name, limit: self.worst_of_one() / 1_000 * limit, on, each }
    }

    /// What a machine of one processor may cost.
    fn worst_of_one(&self) -> i64 {
        let longest = i64::try_from((LONGEST_LIFE + self.overstay).as_millis()).unwrap();
        self.charging.cost(self.prices.hourly, longest)
    }

    /// What the configuration says of it.
    pub fn settings(&self, prices: Prices) -> SpendingSettings {
        let long_ago = Timestamp::from_secs(MONTHS[0]);
        let money = |nanos| Money { amount: Amount::from_nanos(nanos), currency: Currency::GBP };
        let row = |processors: u32| {
            let item = Item::OnDemand(format!("sim.{processors}"));
            let in_force = InForce { from: long_ago, until: None };
            let written = format!("prices/sim.toml:{processors}").into();
            let price = money(prices.of(processors)?);
            Some(PriceRow { item, price, in_force, confirmed: long_ago, written })
        };
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
            rows: [1, 2, 4, 8].into_iter().filter_map(row).collect(),
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

    fn one(&self, dice: &mut ChaCha8Rng, rules: &mut Vec<Rule>) -> Event {
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

/// The windows that lie in a time, each from its first moment to the first after it.
pub fn windows(each: Each, (from, to): (i64, i64)) -> Vec<(i64, i64)> {
    let grid = |step: i64| {
        let first = from.div_euclid(step) * step;
        (0..)
            .map(|n| first + n * step)
            .take_while(|at| *at < to)
            .map(|at| (at, at + step))
            .collect()
    };
    match each {
        Each::Hour => grid(HOUR),
        Each::Day => grid(24 * HOUR),
        Each::Month => MONTHS
            .windows(2)
            .map(|pair| (pair[0] * 1_000, pair[1] * 1_000))
            .filter(|(first, last)| *first < to && from < *last)
            .collect(),
        Each::Grant { from: first, to: last } => {
            [(first, last)].into_iter().filter(|_| first < to && from < last).collect()
        }
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
    let new_year = BEGIN.as_millis();
    assert_eq!(windows(Each::Month, (new_year - 1, new_year + 1)).len(), 2);
    assert_eq!(windows(Each::Hour, (new_year, new_year + 1)), [(new_year, new_year + HOUR)]);
    assert_eq!(windows(Each::Day, (new_year - 1, new_year)).len(), 1);
    let grant = Each::Grant { from: new_year, to: new_year + HOUR };
    assert_eq!(windows(grant, (new_year - 5, new_year)), []);
}
