//! An offering that is out of stock: the next is tried in the same cycle, under new intents, within the pace, and not
//! for ever; and machines that the cloud takes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle::act::StepResult;
use vcycle::cycle::CycleEnd;
use vcycle::model::{DrainReason, EndKind, MachinetypeName, OfferingId};
use vcycle::plan::Step;
use vcycle::store::FeatureKind;
use vcycle_api::{ErrorKind, IntentToken, LateRefusal, Market};
use vcycle_sim::{LogEvent, Refusing, Settings, SimOffering, WorldFault};

use crate::support::mortal::{Fate, STRIKES, Strike};
use crate::support::site::{Site, space};
use crate::support::world::{CYCLE, Manager, World, strict_cloud};
use crate::support::{laws, run};

const SPOT: Market = Market::Preemptible;

fn id(flavour: &str, zone: &str, market: Market) -> OfferingId {
    OfferingId { flavour: flavour.into(), zone: zone.into(), market }
}

/// Two flavors in three zones in both markets: twelve offerings.
fn shop(seed: u64) -> Settings {
    shop_of(2, seed)
}

/// So many flavors.
fn shop_of(flavors: usize, seed: u64) -> Settings {
    let mut settings = strict_cloud(seed);
    let standard = settings.offerings.clone();
    settings.offerings.clear();
    for sold in standard.iter().take(flavors) {
        for (zone, market) in
            ["a", "b", "c"].into_iter().flat_map(|z| [(z, SPOT), (z, Market::OnDemand)])
        {
            let mut offering = sold.offering.clone();
            offering.id = id(&offering.id.flavour, zone, market);
            settings.offerings.push(SimOffering { offering, stock: None });
        }
    }
    settings
}

fn site(limit: u32) -> Site {
    Site::new(limit)
        .with("creations_per_cycle = 8")
        .with("delete_pause = \"1m\"")
        .with("markets = [\"spot\", \"on-demand\"]")
}

/// Every offering in the order in which a machinetype tries them, zones apart.
fn all(world: &World) -> Vec<OfferingId> {
    let offerings = shop(world.seed).offerings.into_iter();
    let mut all: Vec<_> = offerings.map(|sold| sold.offering.id).collect();
    all.sort_by_key(|id| (id.market == Market::OnDemand, id.flavour.clone()));
    all
}

fn sell_out(world: &World, offerings: impl IntoIterator<Item = OfferingId>) {
    for id in offerings {
        world.cloud.inject(WorldFault::StockOut(id));
    }
}

/// Calls that were refused for want of stock, by offering of the intent in the record.
fn refused(end: &CycleEnd) -> BTreeMap<OfferingId, usize> {
    let mut refused = BTreeMap::new();
    for outcome in &end.outcomes.steps {
        if let (Step::Create(new), StepResult::Failed { .. }) = (&outcome.step, &outcome.result) {
            *refused.entry(new.offering.id.clone()).or_default() += 1;
        }
    }
    refused
}

fn made(end: &CycleEnd) -> BTreeMap<OfferingId, usize> {
    let mut made = BTreeMap::new();
    for outcome in &end.outcomes.steps {
        if let (Step::Create(new), StepResult::Done { .. }) = (&outcome.step, &outcome.result) {
            *made.entry(new.offering.id.clone()).or_default() += 1;
        }
    }
    made
}

/// No intent was ever asked for with two offerings, or after it was refused.
fn each_intent_is_asked_for_once(world: &World) {
    let mut asked: BTreeSet<IntentToken> = BTreeSet::new();
    for entry in world.cloud.log() {
        match entry.event {
            LogEvent::Created { tags, .. } | LogEvent::CreateRefused { tags, .. } => {
                assert!(asked.insert(tags.intent), "{} was asked for twice", tags.machine);
            }
            LogEvent::CreatedAlready { tags, .. } => panic!("{} was asked for twice", tags.machine),
            LogEvent::DeleteAsked { .. }
            | LogEvent::PoweredOn { .. }
            | LogEvent::PoweredOff { .. }
            | LogEvent::Removed { .. }
            | LogEvent::StrangerMade { .. } => {}
        }
    }
}

async fn cycle(manager: &mut Manager) -> CycleEnd {
    manager.cycle().await.unwrap().unwrap()
}

#[test]
fn the_next_offering_is_tried_in_the_same_cycle() {
    run(async {
        let world = World::new(&site(20), shop(1));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        let spot: Vec<_> = all(&world).into_iter().filter(|id| id.market == SPOT).collect();
        sell_out(&world, spot.clone());
        let end = cycle(&mut one).await;
        assert_eq!(made(&end).values().sum::<usize>(), 8, "the pace of the cycle, on demand");
        assert!(made(&end).keys().all(|id| id.market == Market::OnDemand), "{:?}", made(&end));
        assert_eq!(refused(&end).into_keys().collect::<BTreeSet<_>>(), spot.into_iter().collect());
        let row = &end.snapshot.machinetypes[0];
        assert_eq!(
            (row.reason.as_str(), row.why.as_str()),
            ("created", "asked for 8 machines with 8 processors")
        );
        laws::always(&world);
        each_intent_is_asked_for_once(&world);
    });
}

#[test]
fn of_an_offering_that_is_out_of_stock_only_the_calls_under_way_are_wasted() {
    run(async {
        let world = World::new(
            &Site { space: site(1).space.replace("= 8", "= 500"), ..site(1000) },
            shop(2),
        );
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        sell_out(&world, all(&world));
        let end = cycle(&mut one).await;
        assert!(refused(&end).values().all(|calls| *calls <= 6), "{:?}", refused(&end));
        assert!(refused(&end).len() >= 6, "several offerings are tried: {:?}", refused(&end));
        assert_eq!(
            world.cloud.calls()["create machine"],
            refused(&end).values().sum::<usize>() as u64
        );
        let told = end.snapshot.decisions.iter().filter(|d| d.text.starts_with("create"));
        assert!(told.count() <= 12 * 6, "what was not tried is not told machine by machine");
    });
}

#[test]
fn when_nothing_is_in_stock_nothing_loops_hot_and_all_is_tried_in_time() {
    run(async {
        let mut world = World::new(&site(20), shop(3));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        let everything = all(&world);
        sell_out(&world, everything.clone());
        let mut tried = BTreeSet::new();
        let mut calls = Vec::new();
        for _ in 0..60 {
            let before = world.cloud.calls().get("create machine").copied().unwrap_or(0);
            let end = cycle(&mut one).await;
            tried.extend(refused(&end).into_keys());
            calls.push(world.cloud.calls()["create machine"] - before);
            world.pass(CYCLE).await;
        }
        assert_eq!(tried, everything.into_iter().collect(), "each was tried");
        assert!(calls.iter().all(|calls| *calls <= 9 * 6), "bounded in a cycle: {calls:?}");
        let late: u64 = calls[30..].iter().sum();
        assert!(late <= 12 * 6 * 2, "longer and longer pauses: {calls:?}");
        let end = cycle(&mut one).await;
        assert_eq!(end.snapshot.machinetypes[0].reason, "offerings-parked");
        assert_eq!(laws::at_peace(&world).await, 0);
        each_intent_is_asked_for_once(&world);
    });
}

#[test]
fn a_refusal_that_is_not_of_stock_ends_the_creates_of_the_cycle() {
    for kind in
        [ErrorKind::QuotaExceeded, ErrorKind::Throttled { after: None }, ErrorKind::AuthFailed]
    {
        run(async {
            let world = World::new(&site(20), shop(4));
            let mut one = world.start("one", Fate::kind()).await.unwrap();
            sell_out(&world, all(&world));
            one.fate.refuse(Some(("create", kind)));
            let end = cycle(&mut one).await;
            assert!(refused(&end).values().sum::<usize>() <= 6, "{:?}", refused(&end));
        });
    }
}

#[test]
fn wherever_a_manager_dies_among_the_tries_nothing_is_made_twice_and_no_limit_is_passed() {
    run(async {
        let spot: Vec<_> = {
            let world = World::new(&site(6), shop_of(1, 5));
            all(&world).into_iter().filter(|id| id.market == SPOT).collect()
        };
        // Every write and every call that acts, of a whole cycle of tries.
        let operations = {
            let world = World::new(&site(6), shop_of(1, 5));
            let mut one = world.start("one", Fate::kind()).await.unwrap();
            sell_out(&world, spot.clone());
            let before = one.fate.count();
            cycle(&mut one).await;
            one.fate.count() - before
        };
        assert!(operations > 30, "{operations}");
        for number in (1..=operations).step_by(3) {
            for strike in STRIKES {
                let mut world = World::new(&site(6), shop_of(1, 5));
                sell_out(&world, spot.clone());
                let mut one = world.start("one", Fate::kind()).await.unwrap();
                one.fate.decree(number, strike);
                let died = one.cycle().await.is_none();
                assert!(
                    died || !matches!(strike, Strike::DieBefore | Strike::DieAfter)
                        || !one.fate.struck()
                );
                laws::always(&world);
                drop(one);
                let mut two = world.start("two", Fate::kind()).await.unwrap();
                world.until_quiet(&mut two).await;
                let rows = cycle(&mut two).await.snapshot.machinetypes;
                let why = (number, strike, &rows[0].why);
                assert_eq!(laws::at_peace(&world).await, 6, "{why:?}");
            }
        }
    });
}

#[test]
fn a_notice_reaches_the_guest_as_its_shutdown_time_and_its_end_is_nobodys_fault() {
    run(async {
        let mut settings = shop(6);
        settings.notice = Duration::from_secs(120);
        let mut world = World::new(&site(6), settings);
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        world.until_quiet(&mut one).await;
        let (machine, instance) = {
            let record = one.memory.records().values().next().unwrap();
            assert_eq!(record.offering.market, SPOT);
            (record.machine().clone(), record.instance.clone().unwrap())
        };
        assert!(world.cloud.inject(WorldFault::AnnouncePreemption(instance)));
        cycle(&mut one).await;
        let record = one.memory.records()[&machine].clone();
        assert_eq!(
            record.drain.as_ref().map(|drain| &drain.reason),
            Some(&DrainReason::Interruption)
        );
        let by = record.drain.unwrap().by;
        for (kind, key) in
            [(FeatureKind::Job, "shutdowntime_job"), (FeatureKind::Machine, "shutdowntime")]
        {
            let told = world.store().feature(&space(), &machine, kind, key).await.unwrap();
            assert_eq!(told, Some(by.as_secs().to_string().into_bytes()));
        }
        for _ in 0..4 {
            world.pass(CYCLE).await;
            cycle(&mut one).await;
        }
        let policy = MachinetypeName::parse("batch").unwrap();
        let fizzle = one.setup.spaces[&space()].policy.machinetypes[&policy].fizzle;
        let loaded = world.store().load_space(&space()).await.unwrap();
        let archived = loaded.archived.into_iter().map(|archived| archived.record);
        let all: Vec<_> = archived.chain(loaded.records).collect();
        let record = all.iter().find(|record| *record.machine() == machine).unwrap();
        assert_eq!(record.how_it_ended(fizzle).unwrap().kind, EndKind::Preempted);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 6, "another has its place");
    });
}

#[test]
fn a_wave_of_preemptions_stops_no_machinetype() {
    run(async {
        let mut world = World::new(&site(8), shop_of(1, 7));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        world.until_quiet(&mut one).await;
        // Half of them, right after their start.
        let half: Vec<_> =
            one.memory.records().values().filter_map(|r| r.instance.clone()).step_by(2).collect();
        for instance in half {
            world.cloud.inject(WorldFault::Preempt(instance));
        }
        for _ in 0..5 {
            let end = cycle(&mut one).await;
            let reason = end.snapshot.machinetypes[0].reason.as_str();
            assert!(["created", "space-limit"].contains(&reason), "{reason}");
            world.pass(CYCLE).await;
        }
        world.until_quiet(&mut one).await;
        let rows = cycle(&mut one).await.snapshot.machinetypes;
        assert_eq!(laws::at_peace(&world).await, 8, "{}", rows[0].why);
    });
}

/// A cloud that accepts everything, and finds out later what it has too little of.
fn late_shop(seed: u64) -> Settings {
    Settings { refusing: Refusing::Late, ..shop(seed) }
}

/// How machines ended so far.
async fn ends(world: &World) -> BTreeMap<String, usize> {
    let loaded = world.store().load_space(&space()).await.unwrap();
    let archived = loaded.archived.into_iter().map(|archived| archived.record);
    let all = archived.chain(loaded.records);
    let mut ends = BTreeMap::new();
    for end in all.filter_map(|record| record.how_it_ended(Duration::from_secs(600))) {
        *ends.entry(end.kind.to_string()).or_default() += 1;
    }
    ends
}

#[test]
fn an_offering_that_is_refused_late_is_parked_and_the_next_is_made_in_the_cycle_that_learns_of_it()
{
    run(async {
        let mut world = World::new(&site(8), late_shop(8));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        let spot: Vec<_> = all(&world).into_iter().filter(|id| id.market == SPOT).collect();
        sell_out(&world, spot);
        let mut words = BTreeSet::new();
        for _ in 0..12 {
            let end = cycle(&mut one).await;
            words.insert(end.snapshot.machinetypes[0].reason.clone());
            assert_eq!(end.snapshot.alarms, [""; 0]);
            laws::always(&world);
            world.pass(CYCLE).await;
        }
        assert_eq!(laws::at_peace(&world).await, 8, "{words:?}");
        let ends = ends(&world).await;
        assert_eq!(ends.keys().collect::<Vec<_>>(), ["create refused: insufficient-capacity"]);
        assert!(!words.contains("backoff") && !words.contains("breaker-open"), "{words:?}");
        each_intent_is_asked_for_once(&world);
    });
}

#[test]
fn a_quota_that_is_found_to_be_full_late_stops_the_space_until_usage_falls() {
    run(async {
        let mut world = World::new(&site(8), shop(9));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..2 {
            world.cloud.inject(WorldFault::RefuseNextLate(LateRefusal::QuotaExceeded));
        }
        for _ in 0..4 {
            cycle(&mut one).await;
            laws::always(&world);
            world.pass(CYCLE).await;
        }
        let mut words = BTreeSet::new();
        for _ in 0..20 {
            let end = cycle(&mut one).await;
            words.insert(end.snapshot.machinetypes[0].reason.clone());
            assert_eq!(end.snapshot.alarms, [""; 0]);
            world.pass(CYCLE).await;
        }
        assert_eq!(words.into_iter().collect::<Vec<_>>(), ["quota-refused"]);
        assert_eq!(world.cloud.calls()["create machine"], 8, "nothing loops");
        let ended = ends(&world).await;
        assert_eq!(ended, BTreeMap::from([("create refused: quota-exceeded".to_owned(), 2)]));
        // Less is in use than when the cloud refused.
        let instance = one.memory.records().values().find_map(|r| r.instance.clone()).unwrap();
        world.cloud.inject(WorldFault::Preempt(instance));
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 8);
    });
}
