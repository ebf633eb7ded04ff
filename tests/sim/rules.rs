//! Caps as the spend manager means them, the file that says so, and the windows that they count in: reckoned here by code of
//! their own, from the documentation.

use std::fmt::Write as _;

use vcycle::model::{Market, Timestamp};
use vcycle_money::Amount;

use super::site::MACHINETYPES;
use super::weather::SPACES;

/// For whom the machinetypes work, in their order.
pub const COMMUNITIES: [&str; 2] = ["ska", "lhcb"];

pub const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// 1970-01-05, a Monday.
const A_MONDAY: i64 = 4 * DAY;

/// The beginnings of months around the lives.
pub const MONTHS: [i64; 4] = [1_764_547_200, 1_767_225_600, 1_769_904_000, 1_772_323_200];

/// What a cap is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Everything,
    /// That of the simulated clouds.
    Provider,
    /// One that no machine is of.
    OtherProvider,
    Space(usize),
    Machinetype(usize),
    Community(usize),
    Market(Market),
    /// Both must be so.
    CommunityInSpace(usize, usize),
}

/// In which time it counts. Days, weeks and months begin at midnight so many hours east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    Hour,
    Day(i8),
    Week(i8),
    Month(i8),
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
    /// A budget: a grant that is to be spent by a plan.
    pub plan: Option<Plan>,
}

/// How a budget is to be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Before the end of its grant nothing runs for so many minutes.
    pub margin: i64,
    /// The community that comes first.
    pub first: usize,
    pub other: Other,
    /// Whether the first one, too, keeps to the line.
    pub holds_rate: bool,
}

/// What the other community is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    AsGood,
    Backfill,
    /// Nothing may be made for it.
    Unnamed,
}

impl Plan {
    /// Whether it pays for machines of a machinetype.
    pub fn names(&self, machinetype: usize) -> bool {
        self.first == machinetype || self.other != Other::Unnamed
    }

    fn text(&self) -> String {
        let Self { margin, first, other, holds_rate } = *self;
        let (first, second) = (COMMUNITIES[first], COMMUNITIES[1 - first]);
        let named = match other {
            Other::AsGood => format!("priorities = {{ {first} = 1, {second} = 1 }}\n"),
            Other::Backfill => {
                format!("priorities = {{ {first} = 1 }}\nbackfill = [\"{second}\"]\n")
            }
            Other::Unnamed => format!("priorities = {{ {first} = 1 }}\n"),
        };
        format!("{named}stop_margin = \"{margin}m\"\nhold_rate = {holds_rate}\n")
    }
}

/// Where a machine is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub space: usize,
    pub machinetype: usize,
    pub market: Market,
}

impl Rule {
    /// Whether such a machine counts.
    pub fn covers(&self, place: Place) -> bool {
        match self.on {
            On::Everything | On::Provider => true,
            On::OtherProvider => false,
            On::Space(own) => own == place.space,
            // Each community has one machinetype.
            On::Machinetype(own) | On::Community(own) => own == place.machinetype,
            On::Market(own) => own == place.market,
            On::CommunityInSpace(community, space) => {
                community == place.machinetype && space == place.space
            }
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
    let Rule { name, limit, on, each, plan } = rule;
    let (kind, much) = if plan.is_some() { ("budget", "amount") } else { ("cap", "limit") };
    let mut text = format!("[{kind}.{name}]\n{much} = \"{} GBP\"\n", Amount::from_nanos(*limit));
    let on = match on {
        On::Everything => String::new(),
        On::Provider => "providers = [\"sim\"]\n".to_owned(),
        On::OtherProvider => "providers = [\"aws\"]\n".to_owned(),
        On::Space(space) => format!("spaces = [\"{}\"]\n", SPACES[*space]),
        On::Machinetype(one) => format!("machinetypes = [\"{}\"]\n", MACHINETYPES[*one]),
        On::Community(one) => format!("communities = [\"{}\"]\n", COMMUNITIES[*one]),
        On::Market(Market::OnDemand) => "markets = [\"on-demand\"]\n".to_owned(),
        On::Market(Market::Preemptible) => "markets = [\"spot\"]\n".to_owned(),
        On::CommunityInSpace(one, space) => format!(
            "communities = [\"{}\"]\nspaces = [\"{}\"]\n",
            COMMUNITIES[*one], SPACES[*space]
        ),
    };
    text += &on;
    let mut calendar = |window: &str, offset: &i8| {
        writeln!(text, "window = \"{window}\"").unwrap();
        if *offset != 0 {
            writeln!(text, "utc_offset_hours = {offset}").unwrap();
        }
    };
    match each {
        Each::Hour => text += "window = \"hour\"\n",
        Each::Day(offset) => calendar("day", offset),
        Each::Week(offset) => calendar("week", offset),
        Each::Month(offset) => calendar("month", offset),
        Each::Grant { from, to } => {
            let time = |millis: &i64| Timestamp::from_millis(*millis);
            if plan.is_none() {
                text += "window = \"grant\"\n";
            }
            writeln!(text, "from = \"{}\"\nto = \"{}\"", time(from), time(to)).unwrap();
        }
    }
    text + &plan.as_ref().map_or(String::new(), Plan::text)
}

/// The windows that lie in a time, each from its first moment to the first after it.
pub fn windows(each: Each, (from, to): (i64, i64)) -> Vec<(i64, i64)> {
    let grid = |step: i64, line: i64| {
        let first = (from - line).div_euclid(step) * step + line;
        (0..)
            .map(|n| first + n * step)
            .take_while(|at| *at < to)
            .map(|at| (at, at + step))
            .collect()
    };
    let east = |offset: i8| i64::from(offset) * HOUR;
    match each {
        Each::Hour => grid(HOUR, 0),
        Each::Day(offset) => grid(DAY, -east(offset)),
        Each::Week(offset) => grid(7 * DAY, A_MONDAY - east(offset)),
        Each::Month(offset) => MONTHS
            .windows(2)
            .map(|pair| (pair[0] * 1_000 - east(offset), pair[1] * 1_000 - east(offset)))
            .filter(|(first, last)| *first < to && from < *last)
            .collect(),
        Each::Grant { from: first, to: last } => {
            [(first, last)].into_iter().filter(|_| first < to && from < last).collect()
        }
    }
}

#[test]
fn windows_lie_where_the_calendar_has_them() {
    let new_year = MONTHS[1] * 1_000;
    assert_eq!(windows(Each::Month(0), (new_year - 1, new_year + 1)).len(), 2);
    assert_eq!(windows(Each::Month(-8), (new_year - 1, new_year + 1)).len(), 1);
    assert_eq!(windows(Each::Hour, (new_year, new_year + 1)), [(new_year, new_year + HOUR)]);
    assert_eq!(windows(Each::Day(0), (new_year - 1, new_year)).len(), 1);
    let (first, last) = (new_year - HOUR, new_year + 23 * HOUR);
    assert_eq!(windows(Each::Day(1), (new_year, new_year + 1)), [(first, last)]);
    // The new year of 2026 was a Thursday.
    let monday = new_year - 3 * DAY;
    assert_eq!(windows(Each::Week(0), (new_year, new_year + 1)), [(monday, monday + 7 * DAY)]);
    assert_eq!(windows(Each::Week(2), (monday - 1, monday)).len(), 1);
    assert_eq!(windows(Each::Week(2), (monday - 2 * HOUR - 1, monday)).len(), 2);
    let grant = Each::Grant { from: new_year, to: new_year + HOUR };
    assert_eq!(windows(grant, (new_year - 5, new_year)), []);
}
