//! The book under random histories, against a model that reckons everything anew, and by examples.

mod examples;
mod histories;
mod model;
mod months;
mod thrift;

use std::time::Duration;

use vcycle_api::{
    Generation, IntentToken, MachineName, MachinetypeName, ManagerName, Market, OfferingId,
    SpaceName, Timestamp,
};

use super::{Book, Sealed, Span, Violation};
use crate::{
    Account, Amount, Author, Cap, CapName, Community, Currency, Entry, Event, Money, ProviderName,
    Reservation, Scope, Stages, Tariff, Window,
};

/// 2026-12-29, a Tuesday: a year, a month and a week end in the days after it.
const START: i64 = 1_798_502_400;

fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_secs(START + 60 * minutes)
}

pub(super) fn account(number: usize) -> Account {
    let spaces = ["aws.example", "gcp.example"];
    let machinetypes = ["ska", "lhcb"];
    Account {
        provider: ProviderName::parse(["aws", "gcp"][number % 2]).unwrap(),
        space: SpaceName::parse(spaces[number % 2]).unwrap(),
        machinetype: MachinetypeName::parse(machinetypes[number / 2 % 2]).unwrap(),
        community: (number / 2).is_multiple_of(2).then(|| Community::parse("SKA").unwrap()),
        market: [Market::OnDemand, Market::Preemptible][number / 4 % 2],
    }
}

fn tariff(number: usize) -> Tariff {
    let (hourly, minimum, granularity) =
        [("1.3", 60, 1), ("0.77", 600, 60), ("2.9", 0, 1), ("1.111111111", 3600, 3600)][number % 4];
    Tariff {
        hourly: hourly.parse().unwrap(),
        charged: None,
        minimum: Duration::from_secs(minimum),
        granularity: Duration::from_secs(granularity),
    }
}

fn intent(number: u64) -> IntentToken {
    IntentToken::compose(u128::from(number) << 121 | u128::from(number))
}

pub(super) fn reservation(
    number: u64,
    account: &Account,
    tariff: Tariff,
    (from, until): (Timestamp, Timestamp),
) -> Reservation {
    Reservation {
        intent: intent(number),
        machine: MachineName::compose(&account.machinetype, number),
        generation: Generation(1),
        account: account.clone(),
        offering: OfferingId {
            flavour: "m".to_owned(),
            zone: String::new(),
            market: account.market,
        },
        tariff,
        quoted: Money { amount: tariff.hourly, currency: Currency::GBP },
        from,
        until,
    }
}

fn cap(name: &str, limit: &str, scope: Scope, window: Window) -> Cap {
    Cap {
        name: CapName::parse(name).unwrap(),
        limit: limit.parse().unwrap(),
        scope,
        window,
        stages: Stages::default(),
    }
}

/// An entry with events, after a book.
fn entry(book: &Book, events: Vec<Event>) -> (Sealed, Vec<u8>) {
    book.head().seal(Entry {
        format: 0,
        number: 0,
        previous: String::new(),
        at: minute(0),
        by: Author::Owner {
            manager: ManagerName::parse("m1").unwrap(),
            space: SpaceName::parse("aws.example").unwrap(),
            generation: Generation(1),
        },
        attempt: String::new(),
        events,
    })
}

fn apply(book: &mut Book, events: Vec<Event>) -> Result<Vec<u8>, Violation> {
    let (sealed, bytes) = entry(book, events);
    book.apply(&sealed).map(|()| bytes)
}
