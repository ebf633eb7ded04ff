//! Every crash and every lost reply, one by one: a manager is struck at each of its operations (each write to the
//! state directory, each call of the cloud that acts) in turn, another takes over, and the laws of DESIGN
//! section 5 must hold at every moment and at the end. Exhaustive over the number of the operation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "core/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use support::mortal::{Fate, STRIKES, Strike};
use support::site::{Site, space};
use support::world::{CYCLE, Manager, TTL, World, strict_cloud};
use support::{laws, run};
use vcycle::model::{DeleteReason, OperatorRequest, RequestId, RequestWhat};
use vcycle::store::FeatureKind;
use vcycle_api::{BudgetSettings, Clock};
use vcycle_sim::{CallFault, Settings};

/// Two machines are all that the space may have: one more, and the limit is broken.
fn site() -> Site {
    Site::new(2).with("creations_per_cycle = 8").with("delete_pause = \"1m\"")
}

/// The operation that is struck, counted from 1, and how; `None`: nothing happens to the manager.
type Blow = Option<(u64, Strike)>;

/// What happens to the first manager, and to the second one, which repairs what the first has left.
#[derive(Debug, Clone, Copy, Default)]
struct Blows {
    first: Blow,
    second: Blow,
}

/// Operations of both.
#[derive(Debug, Clone, Copy)]
struct Operations {
    first: u64,
    second: u64,
}

fn world_of(site: &Site, settings: Settings) -> World {
    let mut world = World::new(site, settings);
    world.budget = Some(BudgetSettings::DEFAULT);
    world
}

/// A world whose space is full, and nobody's.
async fn full(seed: u64) -> World {
    let mut world = world_of(&site(), strict_cloud(seed));
    let mut zero = world.start("zero", Fate::kind()).await.unwrap();
    world.until_quiet(&mut zero).await;
    zero.ownership.release().await;
    world
}

/// Some cycles of a manager that may be struck; it does not live on. Gives its operations.
async fn one_life(world: &mut World, name: &str, blow: Blow) -> u64 {
    let fate = Fate::kind();
    if let Some((number, strike)) = blow {
        fate.decree(number, strike);
    }
    let mut manager = world.start(name, fate.clone()).await;
    for _ in 0..4 {
        let Some(living) = &mut manager else { break };
        match living.cycle().await {
            None => manager = None,
            Some(Ok(_) | Err(_)) => laws::always(world),
        }
        world.pass(CYCLE).await;
    }
    assert_eq!(fate.struck(), blow.is_some(), "{blow:?} of {name} was not reached");
    fate.count()
}

/// Two managers, one after the other, that may be struck.
async fn two_lives(world: &mut World, blows: Blows) -> Operations {
    let first = one_life(world, "one", blows.first).await;
    let second = one_life(world, "two", blows.second).await;
    Operations { first, second }
}

/// The one to whom nothing happens.
async fn survivor(world: &mut World) -> Manager {
    let mut three = world.start("three", Fate::kind()).await.unwrap();
    world.until_quiet(&mut three).await;
    three
}

/// A space is filled.
async fn fill(blows: Blows) -> Operations {
    let mut world = world_of(&site(), strict_cloud(7));
    let operations = two_lives(&mut world, blows).await;
    survivor(&mut world).await;
    assert_eq!(laws::at_peace(&world).await, 2, "after {blows:?}");
    operations
}

/// A full space is emptied, because its machines have run too long.
async fn empty(blows: Blows) -> Operations {
    let mut world = full(8).await;
    world.setup = site()
        .machinetypes(&[("batch", 0)])
        .each("fizzle = \"1m\"\nmax_wallclock = \"2m\"")
        .setup();
    let operations = two_lives(&mut world, blows).await;
    survivor(&mut world).await;
    assert_eq!(laws::at_peace(&world).await, 0, "after {blows:?}");
    let loaded = world.store().load_space(&space()).await.unwrap();
    assert_eq!(loaded.records, [], "all are archived after {blows:?}");
    assert_eq!(loaded.archived.len(), 2, "none is forgotten after {blows:?}");
    for archived in loaded.archived {
        let reason = archived.record.deletion.expect("it was deleted").reason;
        assert_eq!(reason, DeleteReason::MaxWallclock, "after {blows:?}");
    }
    operations
}

/// One machine has lost its record, and another was filed away although it runs: both are adopted.
async fn adopt(blows: Blows) -> Operations {
    let mut world = full(10).await;
    let records = world.store().load_space(&space()).await.unwrap().records;
    let (lost, filed) = (&records[0], &records[1]);
    world.disk.uproot(format!("spaces/a.example/current/{}", lost.machine()));
    world.file_away(filed.machine());
    let operations = two_lives(&mut world, blows).await;
    survivor(&mut world).await;
    assert_eq!(laws::at_peace(&world).await, 2, "after {blows:?}");
    let adopted = world.store().load_space(&space()).await.unwrap().records;
    let mut before: Vec<_> = records.iter().map(|record| *record.intent()).collect();
    let mut after: Vec<_> = adopted.iter().map(|record| *record.intent()).collect();
    before.sort();
    after.sort();
    assert_eq!(after, before, "nobody was killed or replaced after {blows:?}");
    let back = adopted.iter().find(|record| record.intent() == filed.intent()).unwrap();
    assert_eq!(back.outputs_token_sha256, filed.outputs_token_sha256, "after {blows:?}");
    operations
}

/// One of two machines is told to end in half an hour, ends then, and is replaced.
async fn drain(blows: Blows) -> Operations {
    let mut world = full(11).await;
    let store = world.store();
    let drained = store.load_space(&space()).await.unwrap().records[0].clone();
    let now = world.clock.now();
    let by = now + Duration::from_secs(3 * 3600);
    let what = RequestWhat::DrainMachine { machine: drained.machine().clone(), by };
    let (format, id, who) = (1, RequestId("r-1".into()), "admin@host".to_owned());
    let request = OperatorRequest { format, id, who, at: now, what };
    store.put_request(&space(), &request).await.unwrap();
    let operations = two_lives(&mut world, blows).await;
    let mut three = survivor(&mut world).await;
    let told = three.memory.records()[drained.machine()].drain.clone().expect("it is told").by;
    assert!(told >= by, "after {blows:?}");
    for (kind, key) in
        [(FeatureKind::Job, "shutdowntime_job"), (FeatureKind::Machine, "shutdowntime")]
    {
        let said = store.feature(&space(), drained.machine(), kind, key).await.unwrap().unwrap();
        assert_eq!(said, told.as_secs().to_string().as_bytes(), "{key} after {blows:?}");
    }
    while world.clock.now() < told {
        assert_eq!(world.cloud.machines_of(drained.intent()), 1, "not before its time");
        three.cycle().await.unwrap().unwrap();
        world.pass(5 * CYCLE).await;
    }
    world.until_quiet(&mut three).await;
    assert_eq!(world.cloud.machines_of(drained.intent()), 0, "after {blows:?}");
    assert_eq!(laws::at_peace(&world).await, 2, "after {blows:?}");
    assert_eq!(store.requests(&space()).await.unwrap(), [], "after {blows:?}");
    operations
}

/// A scenario with each operation of the first manager struck in every way.
fn exhaustively<F: Future<Output = Operations>>(scenario: impl Fn(Blows) -> F, at_least: u64) {
    let Operations { first, second: _ } = run(scenario(Blows::default()));
    assert!(first >= at_least, "only {first} operations");
    for number in 1..=first {
        for strike in STRIKES {
            run(scenario(Blows { first: Some((number, strike)), second: None }));
        }
    }
}

/// A scenario in which the first manager dies after an operation, and the second is struck too, at each of its
/// operations. Of all pairs every `step`th, so that each operation of either is struck in many of them.
fn twice<F: Future<Output = Operations>>(scenario: impl Fn(Blows) -> F, step: u64) {
    let whole = run(scenario(Blows::default())).first;
    let mut pairs = 0;
    for number in 1..=whole {
        let first = Some((number, Strike::DieAfter));
        let repairs = run(scenario(Blows { first, second: None })).second;
        for again in (1..=repairs).filter(|again| (number + again) % step == 0) {
            // Death before an operation is death after the one before it.
            let strike = if pairs % 3 == 0 { Strike::LoseReply } else { Strike::DieAfter };
            run(scenario(Blows { first, second: Some((again, strike)) }));
            pairs += 1;
        }
    }
    assert!(pairs > whole, "only {pairs} pairs for {whole} operations");
}

#[test]
fn a_space_is_filled_exactly_whatever_operation_of_a_create_is_struck() {
    exhaustively(fill, 40);
}

#[test]
fn a_space_is_emptied_entirely_whatever_operation_of_a_delete_is_struck() {
    exhaustively(empty, 10);
}

#[test]
fn machines_are_adopted_once_whatever_operation_of_an_adoption_is_struck() {
    exhaustively(adopt, 20);
}

#[test]
fn a_drained_machine_is_told_and_ends_in_time_whatever_operation_is_struck() {
    exhaustively(drain, 10);
}

#[test]
fn a_space_is_filled_exactly_although_its_repair_is_struck_too() {
    twice(fill, 11);
}

#[test]
fn a_space_is_emptied_entirely_although_its_repair_is_struck_too() {
    twice(empty, 7);
}

#[test]
fn machines_are_adopted_once_although_the_repair_is_struck_too() {
    twice(adopt, 9);
}

/// The reply to a create is lost and the create arrives a quarter of an hour later, when another manager has
/// long had the space and cannot know yet: a take-over before the settle time is over.
async fn fill_slowly(blow: Blow) -> u64 {
    let mut settings = strict_cloud(12);
    settings.settle = 3 * TTL;
    let mut world = world_of(&site(), settings);
    let fate = Fate::kind();
    if let Some((number, strike)) = blow {
        fate.decree(number, strike);
    }
    if let Some(mut one) = world.start("one", fate.clone()).await {
        one.sim.inject(CallFault::LoseCreateReply);
        let _ = one.cycle().await;
        laws::always(&world);
    }
    assert_eq!(fate.struck(), blow.is_some(), "{blow:?} was not reached");
    // The next comes as soon as it may, and the one after it too.
    one_life(&mut world, "two", None).await;
    survivor(&mut world).await;
    assert_eq!(laws::at_peace(&world).await, 2, "after {blow:?}");
    fate.count()
}

#[test]
fn a_take_over_before_a_lost_create_has_settled_makes_no_machine_twice() {
    let operations = run(fill_slowly(None));
    assert!(operations > 20, "only {operations} operations");
    for number in 1..=operations {
        for strike in STRIKES {
            run(fill_slowly(Some((number, strike))));
        }
    }
}

/// PEERS 1j-2 and 1j-3: two managers want one space. The one that was asleep wakes up in the middle of its
/// cycle, finds itself fenced, and changes nothing any more.
#[test]
fn trap_1j_2_a_manager_that_lost_its_space_changes_nothing() {
    run(async {
        let mut world = World::new(&site(), strict_cloud(9));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        assert!(one.cycle().await.unwrap().is_ok());
        // It sleeps; another takes over and goes on.
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        world.until_quiet(&mut two).await;
        let (before, log) = (world.disk.files(), world.cloud.log().len());
        let woken = one.cycle().await.unwrap();
        assert!(woken.is_err(), "it does not even look: {woken:?}");
        assert!(one.ownership.proof().is_err());
        assert_eq!(before, world.disk.files());
        assert_eq!(log, world.cloud.log().len());
        let _ = Arc::clone(&world.setup);
        assert_eq!(laws::at_peace(&world).await, 2);
    });
}
