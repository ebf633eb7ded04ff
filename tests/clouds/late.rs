//! What a cloud refuses after it has accepted it, and quotas that are full in one market: the next offering is used, no
//! machinetype is stopped, and nothing is asked for again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vcycle::model::{EndKind, MachineRecord, Market, SpaceName};

use super::double::Double;
use super::ec2::Ec2;
use super::gce::Gce;
use super::site::{self, Pace, SpaceOf};
use super::time::Time;
use super::worker::{CYCLE, Worker};
use super::world::World;
use crate::support::mortal::Fate;
use crate::support::run;

/// On which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cloud {
    Ec2,
    Gce,
}

const SPACE: &str = "a.example";
const CLOUDS: [Cloud; 2] = [Cloud::Ec2, Cloud::Gce];
const FIZZLE: Duration = Duration::from_secs(300);

/// Room for eight machines.
async fn world(cloud: Cloud) -> (World, Arc<dyn Double>) {
    let time = Time::new();
    let (double, image): (Arc<dyn Double>, _) = match cloud {
        Cloud::Ec2 => (Arc::new(Ec2::start(time.clone()).await), "ami-0aaaaaaaaaaaaaaa1"),
        Cloud::Gce => (Arc::new(Gce::start(time.clone()).await), "family/lab-tiny"),
    };
    let pace = Pace { cycle: "1m", ttl: "1m", max_wallclock: "3h" };
    let setup = site::setup(&[SpaceOf { name: SPACE, limit: 16, image }], pace);
    let doubles = BTreeMap::from([(site::name(SPACE), double.clone())]);
    (World::new(&time, setup, doubles), double)
}

fn spot_runs_short_late(double: &dyn Double) {
    for offering in double.offerings().iter().filter(|id| id.market == Market::Preemptible) {
        double.runs_short_late(offering);
    }
}

/// How machines ended, by their words.
async fn ends(world: &World, space: &SpaceName) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for record in all_records(world, space).await {
        if let Some(end) = record.how_it_ended(FIZZLE) {
            *ends.entry(end.kind.to_string()).or_default() += 1;
        }
    }
    ends
}

async fn all_records(world: &World, space: &SpaceName) -> Vec<MachineRecord> {
    let (records, archived) = world.records(space).await;
    records.into_iter().chain(archived).collect()
}

fn markets(records: &[MachineRecord]) -> BTreeMap<Market, usize> {
    let mut markets = BTreeMap::new();
    for record in records.iter().filter(|record| record.how_it_ended(FIZZLE).is_none()) {
        *markets.entry(record.offering.market).or_default() += 1;
    }
    markets
}

const REFUSED: &str = "create refused: insufficient-capacity";

#[test]
fn a_stock_out_that_is_told_late_parks_the_offering_and_the_next_is_filled() {
    for cloud in CLOUDS {
        run(async {
            let (world, double) = world(cloud).await;
            let space = site::name(SPACE);
            spot_runs_short_late(double.as_ref());
            let mut one = Worker::start(&world, ("one", &space), &Fate::kind()).await.unwrap();
            let mut reasons = BTreeSet::new();
            for _ in 0..30 {
                let end = one.cycle().await.unwrap().unwrap();
                reasons.extend(end.snapshot.machinetypes.iter().map(|row| row.reason.clone()));
                world.check().await;
                tokio::time::sleep(CYCLE).await;
            }
            assert_eq!(world.is_full(&space).await, Ok(()), "{cloud:?}: {reasons:?}");
            let expected = ["created", "space-limit", "pace-limit", "offerings-parked"];
            assert!(reasons.iter().all(|word| expected.contains(&word.as_str())), "{reasons:?}");
            let (ends, records) = (ends(&world, &space).await, all_records(&world, &space).await);
            let late = records.iter().filter(|record| record.refused_late.is_some()).count();
            assert_eq!(ends, BTreeMap::from([(REFUSED.to_owned(), late)]), "{cloud:?}");
            // Both types in all zones were tried, eight at once, and some of them again: a place is free only when it
            // is proven that nothing was made, which takes about as long as an offering is parked for the first time.
            assert!((8..=40).contains(&late), "{cloud:?}: {late}");
            assert_eq!(markets(&records), BTreeMap::from([(Market::OnDemand, 8)]), "{cloud:?}");
        });
    }
}

#[test]
fn a_stock_out_that_the_next_manager_is_told_of_is_one_too() {
    run(async {
        let (world, double) = world(Cloud::Gce).await;
        let space = site::name(SPACE);
        spot_runs_short_late(double.as_ref());
        let fate = Fate::kind();
        let mut one = Worker::start(&world, ("one", &space), &fate).await.unwrap();
        one.cycle().await.unwrap().unwrap();
        fate.kill();
        drop(one);
        let mut two = Worker::start(&world, ("two", &space), &Fate::kind()).await.unwrap();
        for _ in 0..60 {
            two.cycle().await.unwrap().unwrap();
            world.check().await;
            tokio::time::sleep(CYCLE).await;
        }
        assert_eq!(world.is_full(&space).await, Ok(()));
        let ends = ends(&world, &space).await;
        assert_eq!(ends.keys().collect::<Vec<_>>(), [REFUSED]);
    });
}

#[test]
fn when_the_quota_of_one_market_is_full_the_other_is_used_in_the_same_cycle() {
    for cloud in CLOUDS {
        run(async {
            let (world, double) = world(cloud).await;
            let space = site::name(SPACE);
            double.limit(Market::Preemptible, 4);
            let mut one = Worker::start(&world, ("one", &space), &Fate::kind()).await.unwrap();
            one.cycle().await.unwrap().unwrap();
            let records = all_records(&world, &space).await;
            let wanted = BTreeMap::from([(Market::Preemptible, 2), (Market::OnDemand, 6)]);
            assert_eq!(markets(&records), wanted, "{cloud:?}");
            one.until_quiet(&world).await;
            assert_eq!(world.is_full(&space).await, Ok(()), "{cloud:?}");
        });
    }
}

#[test]
fn when_the_quotas_of_all_markets_are_full_nothing_loops_hot_and_room_is_used_in_the_end() {
    for cloud in CLOUDS {
        run(async {
            let (world, double) = world(cloud).await;
            let space = site::name(SPACE);
            double.limit(Market::Preemptible, 4);
            double.limit(Market::OnDemand, 4);
            let mut one = Worker::start(&world, ("one", &space), &Fate::kind()).await.unwrap();
            let mut refused = Vec::new();
            for _ in 0..90 {
                one.cycle().await.unwrap().unwrap();
                refused.push(refusals(&all_records(&world, &space).await));
                world.check().await;
                tokio::time::sleep(CYCLE).await;
            }
            let markets = markets(&all_records(&world, &space).await);
            let on_demand = match cloud {
                Cloud::Ec2 => 2,
                // Each family has a book of its own.
                Cloud::Gce => 4,
            };
            let wanted = BTreeMap::from([(Market::Preemptible, 2), (Market::OnDemand, on_demand)]);
            assert_eq!(markets, wanted, "{cloud:?}");
            // Twelve offerings, and so many calls at once as are under way when the first is answered.
            assert!(refused.last() <= Some(&(12 * 6 * 3)), "{cloud:?}: {refused:?}");
            double.limit(Market::OnDemand, 8000);
            for _ in 0..240 {
                one.cycle().await.unwrap().unwrap();
                tokio::time::sleep(CYCLE).await;
            }
            assert_eq!(world.is_full(&space).await, Ok(()), "{cloud:?}");
        });
    }
}

fn refusals(records: &[MachineRecord]) -> usize {
    let kind = |record: &MachineRecord| record.how_it_ended(FIZZLE).map(|end| end.kind);
    let is_refused = |kind: &EndKind| matches!(kind, EndKind::Rejected { kind: _ });
    records.iter().filter_map(kind).filter(is_refused).count()
}
