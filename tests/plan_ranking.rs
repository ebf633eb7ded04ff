//! Offerings in the order of what their work costs (`rank = "price"`), on random shops.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::wildcard_imports, reason = "a model of everything names everything")]

mod plan_support;

use std::collections::{BTreeMap, BTreeSet};

use plan_support::*;
use proptest::prelude::*;
use vcycle::model::*;
use vcycle::plan::first_choice;
use vcycle_money::Amount;

/// An offering, as numbers: pence an hour, processors, HS23 of a machine.
type Spec = (Option<i64>, u32, Option<u32>);

fn spec() -> impl Strategy<Value = Spec> {
    (
        prop::option::weighted(0.8, 1..60_i64),
        prop::sample::select(vec![1, 2, 4, 8]),
        prop::option::of(1..200_u32),
    )
}

/// A machinetype that looks at the price, in a shop of these offerings.
fn world(specs: &[Spec], spreading: f64) -> World {
    let mut dune = machinetype("dune", 1.0);
    dune.ranking = Ranking::Price { spreading: Some(spreading) };
    let mut world = World::new(vec![dune]);
    world.policy.processors_limit = None;
    let mut purse = Purse::open();
    world.offerings.clear();
    for (number, (pence, processors, hs23)) in specs.iter().enumerate() {
        let one = offering(&format!("f{number}"), *processors);
        if let Some(pence) = pence {
            let price = Amount::from_nanos(pence * 10_000_000);
            purse.costs.prices.insert(one.id.clone(), usually((price, price)));
        }
        if let Some(hs23) = hs23 {
            world.policy.hs23.insert(one.id.flavour.clone(), f64::from(*hs23));
        }
        world.offerings.push(one);
    }
    world.purse = Some(purse);
    world
}

/// What an HS23 hour costs, counted anew; `None`: nobody knows.
fn price_of_work((pence, processors, hs23): Spec) -> Option<f64> {
    let work = hs23.map_or(10.0 * f64::from(processors), f64::from);
    pence.map(|pence| pence as f64 / work)
}

/// The offerings in the order in which they are used while one after the other goes out of stock.
fn order_of(world: &World) -> Vec<String> {
    let mut world = world.clone();
    world.policy.pace = Pace::Machines(1);
    let mut order = Vec::new();
    while let [new] = creates(&world.plan())[..] {
        order.push(new.offering.id.flavour.clone());
        let id = new.offering.id.clone();
        world.past("dune", secs(1), EndKind::Rejected { kind: "insufficient-capacity".into() });
        world.past.last_mut().unwrap().offering = id;
    }
    assert_eq!(word(&world.plan(), "dune"), "offerings-parked");
    order
}

/// How many machines are made of each, of so many in all.
fn made(world: &mut World, machines: u32) -> BTreeMap<String, u32> {
    world.policy.pace = Pace::Machines(machines);
    let mut made = BTreeMap::new();
    for new in creates(&world.plan()) {
        *made.entry(new.offering.id.flavour.clone()).or_default() += 1;
    }
    made
}

proptest! {
    #[test]
    fn the_order_has_every_offering_once_and_no_dearer_one_before_a_cheaper(
        specs in prop::collection::vec(spec(), 1..7),
    ) {
        let world = world(&specs, 0.0);
        let order = order_of(&world);
        let all: BTreeSet<String> = (0..specs.len()).map(|n| format!("f{n}")).collect();
        prop_assert_eq!(order.len(), specs.len());
        prop_assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), all);
        let price = |name: &String| price_of_work(specs[name[1..].parse::<usize>().unwrap()]);
        for pair in order.windows(2) {
            match (price(&pair[0]), price(&pair[1])) {
                (Some(one), Some(next)) => prop_assert!(one <= next * (1.0 + 1e-9), "{:?}", order),
                (None, Some(_)) => prop_assert!(false, "an unknown price is before a known: {order:?}"),
                (Some(_) | None, None) => {}
            }
        }
        let policy = world.policy.machinetypes.values().next().unwrap();
        let choice = (&world.offerings[..], world.purse.as_ref().map(|purse| &purse.costs));
        let first = first_choice(&world.policy, policy, choice).unwrap();
        prop_assert_eq!(&first.id.flavour, &order[0], "what people are told before anything is made");
    }

    #[test]
    fn the_order_of_the_lists_and_of_the_offerings_means_nothing(
        specs in prop::collection::vec(spec(), 1..7), spreading in 0.0..4.0_f64,
    ) {
        let mut one = world(&specs, spreading);
        let flavors: Vec<String> = (0..specs.len()).map(|n| format!("f{n}")).collect();
        let mut other = one.clone();
        other.offerings.reverse();
        one.policy_of("dune").flavors = flavors.clone();
        other.policy_of("dune").flavors = flavors.into_iter().rev().collect();
        prop_assert_eq!(made(&mut one, 12), made(&mut other, 12));
    }

    #[test]
    fn equal_prices_are_used_evenly_where_machines_are_spread(
        offerings in 1..6_usize, machines in 1..40_u32, running in 0..10_u32, spreading in 0.1..4.0_f64,
    ) {
        let mut world = world(&vec![(Some(10), 8, None); offerings], spreading);
        let first = world.offerings[0].id.clone();
        for number in 0..running {
            world.running("dune", &format!("{number:03}"), hours(1)).record.offering = first.clone();
        }
        let made = made(&mut world, machines);
        prop_assert_eq!(made.values().sum::<u32>(), machines);
        let new = |number: usize| made.get(&format!("f{number}")).copied().unwrap_or(0);
        let there = |number: usize| new(number) + if number == 0 { running } else { 0 };
        let least = (0..offerings).map(there).min().unwrap();
        for number in (0..offerings).filter(|number| new(*number) > 0) {
            prop_assert!(there(number) <= least + 1, "{:?}, {} ran", made, running);
        }
    }

    #[test]
    fn each_machine_is_made_of_what_is_best_with_those_made_before_it(
        specs in prop::collection::vec(spec(), 1..6), machines in 1..30_u32, spreading in 0.0..4.0_f64,
    ) {
        let specs: Vec<Spec> = specs.into_iter().map(|(p, c, h)| (p.or(Some(77)), c, h)).collect();
        let mut world = world(&specs, spreading);
        let made = made(&mut world, machines);
        prop_assert_eq!(made.values().sum::<u32>(), machines);
        let count = |number: usize| made.get(&format!("f{number}")).copied().unwrap_or(0);
        let merit = |number: usize, filled: u32| {
            price_of_work(specs[number]).unwrap() * f64::from(filled).powf(spreading)
        };
        // The last machine of each was not worse than one more of any other would have been.
        for last in (0..specs.len()).filter(|number| count(*number) > 0) {
            for other in 0..specs.len() {
                let (taken, left) = (merit(last, count(last)), merit(other, count(other) + 1));
                prop_assert!(taken <= left * (1.0 + 1e-9), "{:?}", made);
            }
        }
    }
}

#[test]
fn spot_ranks_by_its_usual_price_and_is_reserved_at_the_other() {
    let mut world = world(&[(Some(30), 8, None)], 0.0);
    let mut spot = offering("f0", 8);
    spot.id.market = Market::Preemptible;
    let (reserved, usual) = (Amount::from_nanos(400_000_000), Amount::from_nanos(120_000_000));
    let purse = world.purse.as_mut().unwrap();
    purse.costs.prices.insert(spot.id.clone(), usually((reserved, usual)));
    world.offerings.push(spot);
    let plan = world.plan();
    let news = creates(&plan);
    assert!(!news.is_empty());
    for new in news {
        assert_eq!(new.offering.id.market, Market::Preemptible);
        let vcycle::plan::Pays::Reserve(reservation) = &new.pays else { panic!("{new:?}") };
        assert_eq!(reservation.tariff.hourly, reserved);
    }
}

#[test]
fn what_cannot_be_paid_gives_way_to_the_next_cheapest() {
    let mut world = world(&[(Some(10), 8, None), (Some(20), 8, None)], 0.0);
    // A cap of nothing on spot alone.
    let mut none = cap(0);
    none.scope.markets = BTreeSet::from([Market::Preemptible]);
    let caps = vcycle_money::Event::CapsSet { caps: vec![none], source: String::new() };
    world.offerings[0].id.market = Market::Preemptible;
    let purse = world.purse.as_mut().unwrap();
    let price = purse.costs.prices[&offering("f0", 8).id].clone();
    purse.costs.prices.insert(world.offerings[0].id.clone(), price);
    assert_eq!(made(&mut world, 2), BTreeMap::from([("f0".to_owned(), 2)]));
    let purse = world.purse.as_mut().unwrap();
    purse.book = written(purse.book.clone(), vec![caps]);
    assert_eq!(made(&mut world, 2), BTreeMap::from([("f1".to_owned(), 2)]));
}
