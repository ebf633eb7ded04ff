//! The ledger on a real directory and on one in memory: alone, with others, through crashes, lost replies and damage.

#[path = "ledger/alone.rs"]
mod alone;
#[path = "ledger/crashes.rs"]
mod crashes;
#[path = "ledger/damage.rs"]
mod damage;
#[path = "ledger/several.rs"]
mod several;

use std::time::Duration;

use vcycle::model::{MachinetypeName, SpaceName, Timestamp};
use vcycle::store::testing::ledger_of_blocks;
use vcycle::store::{Acquire, Ledger, LedgerError, Ownership, Reserved, Store};
use vcycle_api::{IntentToken, MachineName, Market, OfferingId};
use vcycle_money::{
    Account, Amount, Cap, CapName, Currency, Event, Money, ProviderName, Refusal, ReleaseReason,
    Reservation, Scope, SettleReason, Stages, Tariff, Window,
};

use crate::acquire::acquire;
use crate::bench::{Bench, TTL, manager, own, space};

/// Entries in a block, here.
const BLOCK: u64 = 4;

/// When everything here begins: the clocks of the benches.
const NOW: Timestamp = Timestamp::from_secs(1_767_200_000);

fn ledger(store: &Store) -> Ledger {
    ledger_of_blocks(store, BLOCK)
}

async fn own_space(store: &Store, name: &str, space: &str) -> Ownership {
    let space = SpaceName::parse(space).unwrap();
    match acquire(store, &space, &manager(name), TTL).await.unwrap() {
        Acquire::Owned(ownership) => ownership,
        Acquire::HeldBy { manager, .. } => panic!("held by {manager}"),
    }
}

/// The owner after one that is silent, or was never there.
async fn next_owner(bench: &Bench, store: &Store) -> Ownership {
    let looked = acquire(store, &space(), &manager("m1"), TTL).await.unwrap();
    if let Acquire::Owned(ownership) = looked {
        return ownership;
    }
    bench.clock.advance(TTL + Duration::from_secs(1));
    own(store, "m1").await
}

/// A machine for an hour, a pound an hour.
fn reservation(owner: &Ownership, number: u64) -> Reservation {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let hourly = Amount::from_units(1);
    Reservation {
        intent: IntentToken::compose(u128::from(number) << 100),
        machine: MachineName::compose(&machinetype, number),
        generation: owner.generation(),
        account: Account {
            provider: ProviderName::parse("sim").unwrap(),
            space: owner.space().clone(),
            machinetype,
            community: None,
            market: Market::OnDemand,
        },
        offering: OfferingId {
            flavour: "m".to_owned(),
            zone: String::new(),
            market: Market::OnDemand,
        },
        tariff: Tariff {
            hourly,
            charged: None,
            minimum: Duration::from_secs(60),
            granularity: Duration::from_secs(1),
        },
        quoted: Money { amount: hourly, currency: Currency::GBP },
        from: NOW,
        until: NOW + Duration::from_secs(3600),
    }
}

fn wave(owner: &Ownership, numbers: impl IntoIterator<Item = u64>) -> Vec<Reservation> {
    numbers.into_iter().map(|number| reservation(owner, number)).collect()
}

fn cap(limit: i64) -> Cap {
    Cap {
        name: CapName::parse("all").unwrap(),
        limit: Amount::from_units(limit),
        scope: Scope::default(),
        window: Window::Month { utc_offset_hours: 0 },
        stages: Stages::default(),
    }
}

async fn set_cap(ledger: &Ledger, limit: i64) {
    ledger.set_caps(&manager("m1"), |_| Some(vec![cap(limit)]), "caps.d/x.toml").await.unwrap();
}

async fn reserve(
    ledger: &Ledger,
    owner: &Ownership,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<Vec<Result<Reserved, Refusal>>, LedgerError> {
    ledger.reserve(&owner.proof().unwrap(), wave(owner, numbers)).await
}

/// After half an hour.
fn settled(intent: IntentToken) -> Event {
    let end = NOW + Duration::from_secs(1800);
    Event::Settled { intent, begin: NOW, end, reason: SettleReason::Worked }
}

fn released(intent: IntentToken) -> Event {
    Event::Released { intent, reason: ReleaseReason::NotAsked }
}

/// What is settled and reserved under the only cap, over all of its windows.
fn taken(ledger: &Ledger) -> Amount {
    let sums = ledger.book().sums(&CapName::parse("all").unwrap());
    sums.into_iter().map(|(_, sum)| sum.both()).sum()
}

/// Appends entries that say little.
async fn fill(ledger: &Ledger, owner: &Ownership, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let [Ok(reserved)] = &reserve(ledger, owner, [number]).await.unwrap()[..] else {
            panic!("the cap is far");
        };
        let intent = *reserved.intent();
        let proof = owner.proof().unwrap();
        ledger.write(&proof, |_| vec![released(intent)]).await.unwrap().unwrap();
    }
}
