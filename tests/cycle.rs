//! Cycles of one space against the simulated cloud, a state directory in memory and a clock that is moved by
//! hand: what is made, what is not, what is written, and what happens when something cannot be known.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cycle/money.rs"]
mod money;
#[path = "cycle/plans.rs"]
mod plans;
#[path = "cycle/promises.rs"]
mod promises;
#[path = "cycle/stock_outs.rs"]
mod stock_outs;
#[path = "core/mod.rs"]
mod support;
#[path = "cycle/tenancy.rs"]
mod tenancy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use support::acquire::acquire;
use support::mortal::Fate;
use support::site::{Site, space};
use support::world::{CYCLE, Manager, World, done, strict_cloud};
use support::{laws, run};
use vcycle::cycle::CycleEnd;
use vcycle::model::{
    Generation, InstanceState, MachineName, ManagerName, OfferingId, OperatorRequest, Processors,
    RequestId, RequestWhat, Tags,
};
use vcycle::store::testing::{Effect, FaultyFs, Vanishing, When};
use vcycle::store::{Acquire, FeatureKind, OutputName};
use vcycle_api::{Clock, Market};
use vcycle_sim::{CallFault, Script, Stranger, WorldFault};

/// A space with four machines, all running.
async fn full(seed: u64) -> (World, Manager) {
    full_with(&site(), seed).await
}

fn site() -> Site {
    Site::new(4).with("creations_per_cycle = 8").with("delete_pause = \"1m\"")
}

async fn full_with(site: &Site, seed: u64) -> (World, Manager) {
    let mut world = World::new(site, strict_cloud(seed));
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    world.until_quiet(&mut one).await;
    (world, one)
}

async fn cycle(world: &mut World, manager: &mut Manager) -> CycleEnd {
    let end = manager.cycle().await.unwrap().unwrap();
    laws::always(world);
    world.pass(CYCLE).await;
    end
}

fn machine(manager: &Manager) -> MachineName {
    manager.memory.records().keys().next().unwrap().clone()
}

fn offering(flavour: &str) -> OfferingId {
    OfferingId { flavour: flavour.into(), zone: String::new(), market: Market::OnDemand }
}

fn file(world: &World, path: &str) -> Option<String> {
    let files = world.disk.files();
    let content = files.get(std::path::Path::new(path))?;
    Some(String::from_utf8(content.clone()).unwrap())
}

#[test]
fn a_space_fills_to_its_limit_in_the_target_shares() {
    run(async {
        let site = Site::new(40).machinetypes(&[("batch", 3), ("other", 1)]);
        let (world, one) = full_with(&site, 1).await;
        assert_eq!(laws::at_peace(&world).await, 40);
        let mine = |name: &str| {
            one.memory.records().values().filter(|r| r.machinetype().as_str() == name).count()
        };
        assert_eq!((mine("batch"), mine("other")), (30, 10));
    });
}

#[test]
fn an_empty_queue_backs_off_and_says_so() {
    run(async {
        let mut world = World::new(&Site::new(40), strict_cloud(2));
        world.script("batch", Script::finds_no_work());
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        let mut reasons = BTreeSet::new();
        for _ in 0..30 {
            let end = cycle(&mut world, &mut one).await;
            reasons.insert(end.snapshot.machinetypes[0].reason.clone());
        }
        assert!(reasons.contains("backoff"), "{reasons:?}");
        let made = world.cloud.log().len();
        assert!(made < 200, "an empty queue costs little: {made} events");
    });
}

/// What a manager asks of the state directory in each of three steady cycles of a full space.
async fn steady_operations(machines: u32) {
    let site = Site::new(machines)
        .with(&format!("creations_per_cycle = {machines}"))
        .each("heartbeat = \"0s\"");
    let mut settings = strict_cloud(3);
    settings.processors = Some(Processors(machines));
    let world = World::new(&site, settings);
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    for _ in 0..4 {
        one.cycle().await.unwrap().unwrap();
        world.clock.advance(CYCLE);
    }
    assert_eq!(one.memory.records().len(), machines as usize);
    let (_, _) = (one.fate.all_looks(), one.fate.writes());
    for _ in 0..3 {
        // No new heartbeat: what changes by itself is written.
        world.clock.advance(CYCLE);
        let end = one.cycle().await.unwrap().unwrap();
        assert_eq!(end.outcomes.steps, []);
        let writes = one.fate.writes();
        assert_eq!(writes.len(), 1, "{writes:?}");
        assert!(writes[0].ends_with(".renew"), "{writes:?}");
        let looks = one.fate.all_looks();
        let (owner, others): (Vec<_>, Vec<_>) =
            looks.into_iter().partition(|path| path.contains("/owner"));
        assert!(owner.len() <= 3, "{owner:?}");
        // The first is the one that grows: one look-up a machine. The last is of the renewal, to compare clocks.
        let requests = "spaces/a.example/requests".to_owned();
        assert_eq!(others, [format!("times of {machines}"), requests, "times of 1".to_owned()]);
    }
}

#[test]
fn a_steady_cycle_writes_nothing_but_the_renewal_and_reads_only_times_and_requests() {
    for machines in [1, 4, 100] {
        run(steady_operations(machines));
    }
}

#[test]
fn a_steady_cycle_of_ten_thousand_machines_costs_the_same_operations_but_for_heartbeat_look_ups() {
    run(steady_operations(10_000));
}

#[test]
fn heartbeats_are_listed_for_siblings_and_the_plan_is_not_written_for_them() {
    run(async {
        let (mut world, mut one) = full(4).await;
        one.fate.writes();
        cycle(&mut world, &mut one).await;
        cycle(&mut world, &mut one).await;
        let writes: BTreeSet<_> = one.fate.writes().into_iter().collect();
        assert!(writes.contains("spaces/a.example/heartbeatlists/batch"), "{writes:?}");
        assert!(!writes.contains("spaces/a.example/plan.json"), "{writes:?}");
        let list = file(&world, "spaces/a.example/heartbeatlists/batch").unwrap();
        assert_eq!(list.lines().count(), 4, "{list}");
        for line in list.lines() {
            let words: Vec<_> = line.split(' ').collect();
            assert!(
                words[0].parse::<i64>().is_ok() && words[2].parse::<std::net::IpAddr>().is_ok()
            );
            assert!(MachineName::parse(words[1]).is_ok(), "{line}");
        }
    });
}

#[test]
fn without_a_listing_nothing_is_made_and_nothing_is_concluded() {
    run(async {
        let (mut world, mut one) = full(5).await;
        let vanished = one.memory.records()[&machine(&one)].instance.clone().unwrap();
        world.cloud.inject(WorldFault::Vanish(vanished));
        for fault in [CallFault::Outage { calls: 1 }, CallFault::LosePage] {
            one.sim.inject(fault);
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(end.outcomes.steps, [], "{}", end.snapshot.listing);
            assert_eq!(end.snapshot.machinetypes[0].reason, "listing-not-trusted");
        }
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4, "then it is replaced");
    });
}

/// PEERS 1j-1: a truncated listing that claims to be complete, read as truth, files live machines away and
/// makes new ones without end.
#[test]
fn trap_1j_1_a_truncated_listing_neither_buries_machines_nor_makes_new_ones() {
    run(async {
        let site = Site::new(20).with("creations_per_cycle = 20");
        let (mut world, mut one) = full_with(&site, 6).await;
        let calls = |world: &World| world.cloud.calls().get("create machine").copied();
        let before = calls(&world);
        for shown in [1, 10, 0] {
            one.fate.show(Some(shown));
            for _ in 0..5 {
                let end = cycle(&mut world, &mut one).await;
                assert_eq!(end.outcomes.steps, [], "{shown} shown: {}", end.snapshot.listing);
            }
        }
        assert_eq!(calls(&world), before);
        one.fate.show(None);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 20);
    });
}

/// Loses so many machines of a full space of 20, for good, without a word.
fn lose(world: &World, one: &Manager, machines: usize) {
    let all: Vec<_> = one.memory.records().values().filter_map(|r| r.instance.clone()).collect();
    assert_eq!(all.len(), 20);
    for instance in all.into_iter().take(machines) {
        assert!(world.cloud.inject(WorldFault::Vanish(instance)));
    }
}

/// docs/decisions/0006: most machines are truly gone.
#[test]
fn a_space_that_truly_lost_its_machines_recovers_by_itself() {
    run(async {
        let site = Site::new(20).with("creations_per_cycle = 20");
        let (mut world, mut one) = full_with(&site, 21).await;
        lose(&world, &one, 18);
        let before = world.cloud.calls().get("create machine").copied();
        for _ in 0..2 {
            let end = cycle(&mut world, &mut one).await;
            assert!(!end.snapshot.alarms.is_empty(), "it is said");
            assert_eq!(
                world.cloud.calls().get("create machine").copied(),
                before,
                "suspicion first"
            );
        }
        // They had hardly started, so their end is an abort: backoff and its probe come first.
        for _ in 0..60 {
            cycle(&mut world, &mut one).await;
        }
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 20, "then all are replaced");
    });
}

/// docs/decisions/0006: no machine of ours is shown at all, as when credentials lead to another project.
#[test]
fn when_no_machine_of_ours_is_shown_nothing_is_concluded_and_nothing_made() {
    run(async {
        let site = Site::new(20).with("creations_per_cycle = 20");
        let (mut world, mut one) = full_with(&site, 22).await;
        lose(&world, &one, 20);
        let before = world.cloud.calls().get("create machine").copied();
        for _ in 0..30 {
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(end.outcomes.steps, []);
            assert!(!end.snapshot.alarms.is_empty(), "it is said");
        }
        assert_eq!(world.cloud.calls().get("create machine").copied(), before);
        assert_eq!(one.memory.records().len(), 20);
    });
}

#[test]
fn a_few_machines_that_a_listing_lacks_are_asked_for_before_they_are_given_up() {
    run(async {
        let (mut world, mut one) = full(7).await;
        one.fate.show(Some(2));
        for _ in 0..5 {
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(end.outcomes.steps, [], "they exist");
        }
        assert!(world.cloud.calls()["get machine"] >= 10);
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

/// PEERS 1j-5: the reply to a create is lost, and the listing lags.
#[test]
fn trap_1j_5_a_lost_reply_is_not_a_second_machine() {
    run(async {
        for fault in [CallFault::LoseCreateReply, CallFault::LoseCreate] {
            let mut world = World::new(&site(), strict_cloud(8));
            let mut one = world.start("one", Fate::kind()).await.unwrap();
            one.sim.inject(fault.clone());
            world.until_quiet(&mut one).await;
            assert_eq!(laws::at_peace(&world).await, 4, "{fault:?}");
            // Features stand before the call, whatever becomes of it.
            for machine in one.memory.records().keys() {
                let keys = one.store.feature_keys(&space(), machine, FeatureKind::Job).await;
                assert!(keys.unwrap().unwrap().contains(&"job_id".to_owned()));
            }
        }
    });
}

/// PEERS 1j-6: only the managing instance deletes, and for hours after its death nobody does.
#[test]
fn trap_1j_6_the_next_manager_enforces_the_limits_of_a_dead_one() {
    run(async {
        let (mut world, one) = full(10).await;
        drop(one);
        world.setup = site().each("fizzle = \"1m\"\nmax_wallclock = \"2m\"").setup();
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        let end = cycle(&mut world, &mut two).await;
        assert_eq!(done(&end).iter().filter(|word| **word == "delete").count(), 4);
    });
}

/// FIELD 7.8: the manager's 700 message overwrites the machine's own.
#[test]
fn trap_7_8_the_machines_own_last_words_are_never_overwritten() {
    run(async {
        let (mut world, mut one) = full(11).await;
        let (speaks, silent) = {
            let mut names = one.memory.records().keys().cloned();
            (names.next().unwrap(), names.next().unwrap())
        };
        let name = OutputName::parse("shutdown_message").unwrap();
        world.store().put_output(&space(), &speaks, &name, b"200 Mine", 1000).await.unwrap();
        one.setup = site().each("fizzle = \"1m\"\nmax_wallclock = \"2m\"").setup();
        cycle(&mut world, &mut one).await;
        let said = async |machine: &MachineName| {
            one.store.shutdown_message(&space(), machine).await.unwrap().unwrap()
        };
        assert_eq!(said(&speaks).await, "200 Mine");
        assert_eq!(said(&silent).await, "700 Exceeded max_wallclock");
        one.setup = site().machinetypes(&[("batch", 0)]).setup();
        world.until_quiet(&mut one).await;
        let archived = world.store().load_space(&space()).await.unwrap().archived;
        let of = |machine: &MachineName| {
            let record = &archived.iter().find(|a| a.machine == *machine).unwrap().record;
            record.ended.as_ref().and_then(|end| end.message.as_ref()).map(ToString::to_string)
        };
        assert_eq!(of(&speaks).as_deref(), Some("200 Mine"));
        assert_eq!(of(&silent), None, "our own words are not the machine's");
    });
}

/// FIELD 7.10: a machine that just started was said to be updated when it was created.
#[test]
fn trap_7_10_a_machine_starts_when_the_cloud_says_so() {
    run(async {
        let (world, one) = full(12).await;
        let started = world.cloud.machines().into_iter().map(|m| (m.id, m.started));
        let started: std::collections::BTreeMap<_, _> = started.collect();
        for record in one.memory.records().values() {
            let id = record.instance.as_ref().unwrap();
            assert_eq!(record.started, started[id]);
            assert!(record.started > Some(record.intended), "it booted first");
        }
    });
}

/// FIELD 7.14 and PEERS 1j-3: a machine without a manager's heartbeat is stolen at once, by last writer wins.
#[test]
fn trap_7_14_a_space_is_not_taken_from_a_living_manager() {
    run(async {
        let (world, mut one) = full(13).await;
        let two = ManagerName::parse("two").unwrap();
        for _ in 0..20 {
            world.clock.advance(CYCLE);
            let other = acquire(&one.store, &space(), &two, support::world::TTL).await;
            assert!(matches!(other, Ok(Acquire::HeldBy { .. })), "{other:?}");
            assert!(one.cycle().await.unwrap().is_ok());
        }
        assert_eq!(one.ownership.generation(), Generation(1));
    });
}

#[test]
fn others_machines_are_counted_and_never_touched() {
    run(async {
        let mut world = World::new(&site(), strict_cloud(14));
        let stranger =
            |name: &str, tags| Stranger { name: name.into(), tags, offering: offering("sim.1") };
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        cycle(&mut world, &mut one).await;
        let ours = one.memory.records()[&machine(&one)].tags.clone();
        let deployment = vcycle::model::DeploymentId::compose(99);
        let theirs = Tags { deployment, ..ours };
        world.cloud.add_stranger(stranger("human", Default::default())).unwrap();
        world.cloud.add_stranger(stranger("theirs", theirs.to_map())).unwrap();
        world.pass(CYCLE).await;
        let end = cycle(&mut world, &mut one).await;
        assert_eq!((end.snapshot.foreign_machines, end.snapshot.foreign_processors.0), (2, 2));
        // Two of ours end: they are not replaced, for there are two others now.
        for _ in 0..2 {
            let mine = world
                .cloud
                .machines()
                .into_iter()
                .find(|m| m.state == InstanceState::Running && m.name.starts_with("vcycle-"));
            world.cloud.inject(WorldFault::End(mine.unwrap().id));
        }
        for _ in 0..10 {
            cycle(&mut world, &mut one).await;
        }
        assert_eq!(laws::at_peace(&world).await, 2);
    });
}

#[test]
fn a_machine_without_a_record_is_adopted_and_counts() {
    run(async {
        let (mut world, one) = full(15).await;
        let lost = machine(&one);
        drop(one);
        world.disk.uproot(format!("spaces/a.example/current/{lost}"));
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        let end = cycle(&mut world, &mut two).await;
        assert_eq!(
            done(&end),
            ["adopt"],
            "and nobody is deleted for silence while no one listened"
        );
        assert!(two.memory.records().contains_key(&lost));
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn a_second_machine_of_one_intent_is_removed_and_the_first_stays() {
    run(async {
        let (mut world, mut one) = full(16).await;
        let record = one.memory.records()[&machine(&one)].clone();
        let second = Stranger {
            name: record.machine().to_string(),
            tags: record.tags.to_map(),
            offering: offering("sim.1"),
        };
        let second = world.cloud.add_stranger(second).unwrap();
        for _ in 0..5 {
            world.pass(CYCLE).await;
            one.cycle().await.unwrap().unwrap();
        }
        let alive: Vec<_> = world.cloud.machines().into_iter().map(|machine| machine.id).collect();
        assert!(!alive.contains(&second) && alive.len() == 4, "{alive:?}");
        let stays = one.memory.records()[record.machine()].clone();
        assert_eq!((stays.instance, stays.deletion), (record.instance, None));
    });
}

/// The state directory comes back from a backup: what was made since is adopted, what is gone is found gone.
#[test]
fn a_restored_backup_neither_forgets_nor_doubles_a_machine() {
    run(async {
        let (mut world, mut one) = full(17).await;
        let backup = world.disk.files();
        for _ in 0..2 {
            let id = one.memory.records()[&machine(&one)].instance.clone().unwrap();
            world.cloud.inject(WorldFault::End(id));
            world.until_quiet(&mut one).await;
        }
        drop(one);
        world.disk.uproot("spaces");
        for (path, content) in backup {
            world.disk.plant(path, content);
        }
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn a_refusal_for_quota_stops_the_space_until_usage_falls() {
    run(async {
        let mut world = World::new(&site(), strict_cloud(18));
        world.cloud.inject(WorldFault::QuotaFull);
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..5 {
            cycle(&mut world, &mut one).await;
        }
        let asked = world.cloud.calls().get("create machine").copied().unwrap_or_default();
        assert!(asked <= 1, "asked {asked} times");
        world.cloud.inject(WorldFault::QuotaRestored);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn with_revoked_credentials_nothing_is_deleted_and_it_is_said() {
    run(async {
        let (mut world, mut one) = full(19).await;
        one.sim.inject(CallFault::RevokeCredentials);
        one.setup = site()
            .machinetypes(&[("batch", 0)])
            .each("fizzle = \"1m\"\nmax_wallclock = \"2m\"")
            .setup();
        for _ in 0..5 {
            let end = cycle(&mut world, &mut one).await;
            assert!(!done(&end).contains(&"delete"));
            assert!(!end.snapshot.alarms.is_empty());
        }
        one.sim.inject(CallFault::RestoreCredentials);
        world.until_quiet(&mut one).await;
    });
}

#[test]
fn a_full_disk_stops_creates_and_deletes_and_is_said() {
    run(async {
        const ENOSPC: i32 = 28;
        let mut world = World::new(&site(), strict_cloud(20));
        let disk = FaultyFs::new(Arc::new(world.disk.clone()));
        let mut one = world.start_on("one", Fate::kind(), Arc::new(disk.clone())).await.unwrap();
        world.until_quiet(&mut one).await;
        let ends = one.memory.records()[&machine(&one)].instance.clone().unwrap();
        world.cloud.inject(WorldFault::End(ends));
        disk.add(When::EveryMutation, Effect::Fail(ENOSPC));
        for _ in 0..4 {
            world.pass(CYCLE).await;
            let calls = world.cloud.calls();
            let end = one.cycle().await.unwrap().unwrap();
            assert_eq!(done(&end), [""; 0]);
            let problem = end.outcomes.store_problem.unwrap();
            assert!(problem.contains("free space"), "{problem}");
            assert!(end.snapshot.alarms[0].contains("free space"), "{:?}", end.snapshot.alarms);
            for call in ["create machine", "delete machine"] {
                assert_eq!(world.cloud.calls().get(call), calls.get(call));
            }
        }
        disk.heal();
        // What ended silently is a fizzle, and backed off from.
        for _ in 0..15 {
            cycle(&mut world, &mut one).await;
        }
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn a_vanished_state_directory_stops_everything_and_comes_back_as_it_was() {
    run(async {
        let (mut world, mut one) = full(21).await;
        world.disk.set_vanished(Vanishing::Away);
        let calls = world.cloud.calls();
        for _ in 0..3 {
            world.clock.advance(CYCLE);
            let said = one.cycle().await.unwrap().unwrap_err().to_string();
            assert!(said.contains("state directory") || said.contains("cannot tell"), "{said}");
        }
        assert_eq!(world.cloud.calls(), calls, "the cloud is not even asked");
        world.disk.set_vanished(Vanishing::Back);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn a_record_that_cannot_be_read_stops_creation_and_kills_nobody() {
    run(async {
        let (mut world, one) = full(22).await;
        let broken = machine(&one);
        let path = format!("spaces/a.example/current/{broken}/record.json");
        let good = file(&world, &path).unwrap();
        world.disk.plant(&path, "{\"format\": 1, garbage");
        let others = one.memory.records().keys().nth(1).unwrap().clone();
        let id = one.memory.records()[&others].instance.clone().unwrap();
        drop(one);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        world.cloud.inject(WorldFault::End(id));
        for _ in 0..5 {
            let end = cycle(&mut world, &mut two).await;
            assert!(!done(&end).contains(&"create") && !done(&end).contains(&"adopt"));
            assert_eq!(end.snapshot.machinetypes[0].reason, "listing-not-trusted");
            assert!(end.snapshot.listing.contains(broken.as_str()), "{}", end.snapshot.listing);
        }
        assert_eq!(file(&world, &path).unwrap(), "{\"format\": 1, garbage", "it is left as it is");
        world.disk.plant(&path, good);
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 4, "mended, it goes on by itself");
    });
}

#[test]
fn a_drained_machine_can_read_when_it_must_have_ended_in_both_places() {
    run(async {
        let (mut world, mut one) = full(23).await;
        let target = machine(&one);
        let by = world.clock.now() + Duration::from_secs(7200);
        let request = OperatorRequest {
            format: 1,
            id: RequestId("drain-1".into()),
            who: "admin@host".into(),
            at: world.clock.now(),
            what: RequestWhat::DrainMachine { machine: target.clone(), by },
        };
        one.store.put_request(&space(), &request).await.unwrap();
        cycle(&mut world, &mut one).await;
        let key = one.store.feature(&space(), &target, FeatureKind::Job, "shutdowntime_job").await;
        let told = String::from_utf8(key.unwrap().expect("it is told")).unwrap();
        let drain = one.memory.records()[&target].drain.clone().expect("it is recorded");
        assert_eq!(told.trim(), drain.by.as_secs().to_string());
        assert!(drain.by >= by);
        // Some readers look only here (FIELD.md 1.3).
        let key = one.store.feature(&space(), &target, FeatureKind::Machine, "shutdowntime").await;
        let told = String::from_utf8(key.unwrap().expect("it is told")).unwrap();
        assert_eq!(told.trim(), drain.by.as_secs().to_string());
    });
}

#[test]
fn last_words_are_heard_when_the_server_wakes_us_or_the_machine_has_ended() {
    run(async {
        let mut world = World::new(&site(), strict_cloud(24));
        world.script("batch", Script::finds_no_work());
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..6 {
            cycle(&mut world, &mut one).await;
        }
        let archived = world.store().load_space(&space()).await.unwrap().archived;
        let words = archived.iter().filter_map(|a| a.record.ended.as_ref()?.message.as_ref());
        let codes: BTreeSet<_> = words.map(|message| message.code).collect();
        assert_eq!(codes, BTreeSet::from([300]));
    });
}
