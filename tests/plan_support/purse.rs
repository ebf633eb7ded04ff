//! What may be spent in the world of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle::config::{Metering, OfferingPrice};
use vcycle::model::{Generation, IntentToken, MachineRecord, SpaceName, SpacePolicy, Timestamp};
use vcycle::plan::{Books, Costs, Known, Pays, Spending, bookings};
use vcycle_money::book::ToEnd;
use vcycle_money::plan::{Budget, Next, Orders, Priority, Rate, Standpoint, Unit};
use vcycle_money::{
    Amount, Author, Book, Cap, Community, Currency, Entry, Event, Money, Permille, PricedOffering,
    ProviderName, Scope, Stages, Tariff, Window,
};

use super::offering;

/// Money for a plan.
#[derive(Debug, Clone)]
pub(crate) struct Purse {
    pub(crate) costs: Costs,
    pub(crate) book: Book,
    pub(crate) to_end: ToEnd,
    pub(crate) orders: Vec<Orders>,
    pub(crate) stopped: Option<String>,
}

/// An hour of the flavour `m1` costs one pound, to the second; a machine may be there an hour longer than its hard end; one
/// cap is on everything.
pub(crate) fn purse(cap: Cap) -> Purse {
    let mut purse = Purse::open();
    purse.costs.prices.insert(offering("m1", 1).id, priced(1));
    let caps = Event::CapsSet { caps: vec![cap], source: String::new() };
    Purse { book: written(Book::default(), vec![caps]), ..purse }
}

/// A cap for the year of the tests.
pub(crate) fn cap(limit: i64) -> Cap {
    Cap {
        name: "grant".parse().unwrap(),
        limit: Amount::from_units(limit),
        scope: Scope::default(),
        window: Window::Grant {
            from: Timestamp::from_secs(1_500_000_000 / 3600 * 3600),
            to: Timestamp::from_secs(2_000_000_000 / 3600 * 3600),
        },
        stages: Stages::default(),
    }
}

/// What a budget of a hundred pounds for ten hours wants of the space: that this community grows.
pub(crate) fn wanted(community: &str) -> Orders {
    let community: Community = community.parse().unwrap();
    let budget = Budget {
        name: "plan".parse().unwrap(),
        amount: Amount::from_units(100),
        from: super::NOON,
        to: super::NOON + super::hours(10),
        scope: Scope::default(),
        priorities: vec![Priority { community, share: 1 }],
        backfill: Vec::new(),
        hold_rate: true,
        reserve: Permille(0),
        stop_margin: Duration::ZERO,
        maximum_rate: None,
        spreading: 1.0,
        half_life: super::hours(24),
    };
    let (unit, longest) = (Unit::plain(Rate::hourly(Amount::from_units(1))), super::hours(5));
    let next = budget
        .named()
        .map(|named| (named.clone(), Next { unit, longest, in_vain: false }))
        .collect();
    let standpoint = Standpoint {
        now: super::NOON,
        space: &SpaceName::parse("cloud.example").unwrap(),
        unit,
        longest,
        next: &next,
        overstay: Duration::ZERO,
        spaces: 1,
        leaving: &BTreeSet::new(),
        habits: &BTreeMap::new(),
        unserved: &BTreeSet::new(),
    };
    Orders::of(&budget, &Book::default(), &standpoint)
}

/// So many pounds an hour.
pub(crate) fn priced(pounds: i64) -> OfferingPrice {
    let hourly = Amount::from_units(pounds);
    usually((hourly, hourly))
}

/// Reserved at so much an hour; it usually costs so much.
pub(crate) fn usually((hourly, expected): (Amount, Amount)) -> OfferingPrice {
    OfferingPrice::Priced(Box::new(PricedOffering {
        tariff: Tariff {
            hourly,
            charged: None,
            minimum: Duration::ZERO,
            granularity: Duration::from_secs(1),
        },
        quoted: Money { amount: hourly, currency: gbp() },
        expected,
        spot_ceiling: None,
        parts: Vec::new(),
    }))
}

fn gbp() -> Currency {
    "GBP".parse().unwrap()
}

/// The book with one entry more.
pub(crate) fn written(mut book: Book, events: Vec<Event>) -> Book {
    let author = match &events[..] {
        [Event::Reserved(_) | Event::Settled { .. } | Event::Released { .. }, ..]
        | [Event::Extended { .. }, ..] => Author::Owner {
            manager: "one".parse().unwrap(),
            space: SpaceName::parse("cloud.example").unwrap(),
            generation: Generation(4),
        },
        _ => Author::Manager { manager: "one".parse().unwrap() },
    };
    let entry = Entry {
        format: 0,
        number: 0,
        previous: String::new(),
        at: super::NOON,
        by: author,
        attempt: IntentToken::compose(1).to_string(),
        events,
    };
    let (sealed, _) = book.head().seal(entry);
    book.apply(&sealed).unwrap();
    book
}

impl Purse {
    /// Without a cap and without a price; a machine may be there an hour longer than its hard end.
    pub(crate) fn open() -> Self {
        let costs = Costs {
            gone: BTreeMap::new(),
            metering: Metering::Priced,
            provider: ProviderName::parse("sim").unwrap(),
            communities: BTreeMap::new(),
            prices: BTreeMap::new(),
            overstay: Duration::from_secs(3600),
        };
        let (book, to_end, orders) = (Book::default(), ToEnd::new(), Vec::new());
        Self { costs, book, to_end, orders, stopped: None }
    }

    /// What is made is reserved before.
    pub(crate) fn pay(&mut self, pays: &Pays) {
        match pays {
            Pays::Nothing | Pays::Unpriced(_) => {}
            Pays::Reserve(reservation) => {
                let reserved = vec![Event::Reserved((**reservation).clone())];
                self.book = written(self.book.clone(), reserved);
            }
        }
    }

    /// What a machine has cost that is proven to be gone is settled.
    pub(crate) fn settle(&mut self, policy: &SpacePolicy, gone: &MachineRecord, now: Timestamp) {
        let known = |of: &vcycle_money::Reservation| {
            if of.intent == *gone.intent() { Known::Record(gone) } else { Known::NotYet }
        };
        let events = bookings(&Books {
            book: &self.book,
            policy,
            generation: Generation(4),
            now,
            believed_since: super::NOON - super::hours(24),
            known: &known,
            tariff: &|_| None,
            late: Vec::new(),
        });
        if !events.is_empty() {
            self.book = written(self.book.clone(), events);
        }
    }

    /// As a plan sees it.
    pub(crate) fn view(&self) -> Spending<'_> {
        Spending {
            book: &self.book,
            costs: &self.costs,
            to_end: &self.to_end,
            orders: &self.orders,
            stopped: self.stopped.as_deref(),
        }
    }
}
