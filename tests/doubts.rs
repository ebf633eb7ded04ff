//! Cycles in which the clock, the cloud's answers or our own knowledge cannot be believed: what is held back,
//! what is repeated and how often, and how it goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "core/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::mortal::Fate;
use support::site::{Site, space};
use support::world::{CYCLE, Manager, START, World, done, strict_cloud};
use support::{laws, run};
use vcycle::cycle::CycleEnd;
use vcycle::model::{
    Doors, InstanceId, MachineRecord, OfferingId, OperatorRequest, RequestId, RequestWhat,
};
use vcycle_api::{Clock, ErrorKind, Market};
use vcycle_sim::{CallFault, Script, Stranger, WorldFault};

const HOUR: Duration = Duration::from_secs(3600);

fn site() -> Site {
    Site::new(4).with("creations_per_cycle = 8").with("delete_pause = \"1m\"")
}

/// The same for machines that must go, and nothing comes after them.
fn ending() -> Site {
    site().machinetypes(&[("batch", 0)]).each("fizzle = \"1m\"\nmax_wallclock = \"2m\"")
}

async fn full_of(mut world: World) -> (World, Manager) {
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    world.until_quiet(&mut one).await;
    (world, one)
}

async fn full(seed: u64) -> (World, Manager) {
    full_of(World::new(&site(), strict_cloud(seed))).await
}

async fn cycle(world: &mut World, manager: &mut Manager) -> CycleEnd {
    let end = manager.cycle().await.unwrap().unwrap();
    laws::always(world);
    world.pass(CYCLE).await;
    end
}

/// Cycles, and the steps that were done in them.
async fn cycles(world: &mut World, manager: &mut Manager, number: u32) -> Vec<&'static str> {
    let mut steps = Vec::new();
    for _ in 0..number {
        steps.extend(done(&cycle(world, manager).await));
    }
    steps
}

fn count(steps: &[&str], word: &str) -> usize {
    steps.iter().filter(|step| **step == word).count()
}

/// The steps that ask the cloud to do something, or what became of it.
const ACTS: [&str; 3] = ["create", "delete", "resolve"];

fn record(manager: &Manager) -> MachineRecord {
    manager.memory.records().values().next().unwrap().clone()
}

async fn ask(world: &World, manager: &Manager, what: RequestWhat) {
    let (format, id, who) = (1, RequestId("r-1".into()), "admin@host".to_owned());
    let request = OperatorRequest { format, id, who, at: world.clock.now(), what };
    manager.store.put_request(&space(), &request).await.unwrap();
}

async fn requests(manager: &Manager) -> usize {
    manager.store.requests(&space()).await.unwrap().len()
}

/// Makes another VM with the tags of a machine.
fn second_of(world: &World, record: &MachineRecord) -> InstanceId {
    let flavour = "sim.1".to_owned();
    let offering = OfferingId { flavour, zone: String::new(), market: Market::OnDemand };
    let (name, tags) = (record.machine().to_string(), record.tags.to_map());
    world.cloud.add_stranger(Stranger { name, tags, offering }).unwrap()
}

/// The ownership's TTL is longer than this step, so that it is the cycle that must see it.
#[test]
fn a_small_step_of_the_clock_holds_back_what_rests_on_time_until_it_has_stood_for_ten_minutes() {
    run(async {
        let (mut world, mut one) = full(1).await;
        one.setup = site().each("fizzle = \"1m\"\nmax_wallclock = \"12m\"").setup();
        while world.clock.now() < START + Duration::from_secs(8 * 60) {
            cycle(&mut world, &mut one).await;
        }
        world.clock.step_wall(world.clock.now() + Duration::from_secs(400));
        let end = cycle(&mut world, &mut one).await;
        assert_eq!(end.outcomes.steps, []);
        assert_eq!(end.snapshot.machinetypes[0].reason, "clock-not-trusted");
        assert!(end.snapshot.alarms[0].contains("clock"), "{:?}", end.snapshot.alarms);
        // A machine that ends meanwhile is neither written down with a wrong time nor replaced.
        world.cloud.inject(WorldFault::End(record(&one).instance.unwrap()));
        assert_eq!(cycles(&mut world, &mut one, 8).await, [""; 0]);
        let steps = cycles(&mut world, &mut one, 5).await;
        assert_eq!(count(&steps, "delete"), 4, "{steps:?}");
    });
}

#[test]
fn a_clock_set_back_is_noticed_and_an_archive_outlives_a_step() {
    run(async {
        let (mut world, mut one) = full(2).await;
        world.cloud.inject(WorldFault::End(record(&one).instance.unwrap()));
        while world.store().load_space(&space()).await.unwrap().archived.is_empty() {
            cycle(&mut world, &mut one).await;
        }
        for (step, back) in [(START + 400 * HOUR, false), (START - 400 * HOUR, true)] {
            let right = world.clock.now();
            world.clock.step_wall(step);
            if back {
                let end = cycle(&mut world, &mut one).await;
                assert_eq!(end.outcomes.steps, []);
                assert!(end.snapshot.alarms[0].contains("clock"), "{:?}", end.snapshot.alarms);
            } else {
                // So far ahead the ownership is over too.
                assert!(one.cycle().await.unwrap().is_err());
            }
            world.clock.step_wall(right + if back { CYCLE } else { Duration::ZERO });
            if !back {
                let clock = one.memory.into_clock();
                one = world.start("one", Fate::kind()).await.unwrap();
                one.memory = one.memory.with_clock(clock);
            }
        }
        let archived = world.store().load_space(&space()).await.unwrap().archived;
        assert_eq!(archived.len(), 1, "nothing was removed for its age");
    });
}

/// After a restart there is no earlier look at the clock: the file server is the only witness.
#[test]
fn a_manager_that_starts_with_a_wrong_clock_kills_nothing_and_makes_nothing() {
    run(async {
        let (mut world, one) = full_of(World::shared(&site(), strict_cloud(3))).await;
        one.ownership.release().await;
        world.clock.step_wall(world.clock.now() + 400 * HOUR);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        for _ in 0..30 {
            let end = cycle(&mut world, &mut two).await;
            assert_eq!(end.outcomes.steps, []);
            assert!(end.snapshot.alarms[0].contains("file server"), "{:?}", end.snapshot.alarms);
        }
        let right = START + world.clock.monotonic();
        world.clock.step_wall(right);
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 4);
        assert_eq!(world.cloud.calls().get("delete machine"), None);
    });
}

/// The credentials lead to another project, where a delete finds nothing either.
#[test]
fn a_delete_that_finds_nothing_in_the_wrong_project_concludes_nothing() {
    run(async {
        let site = Site::new(20).with("creations_per_cycle = 20").with("delete_pause = \"1m\"");
        let (mut world, mut one) = full_of(World::new(&site, strict_cloud(4))).await;
        let doomed = record(&one);
        ask(&world, &one, RequestWhat::DeleteMachine { machine: doomed.machine().clone() }).await;
        one.sim.inject(CallFault::WrongProject);
        let steps = cycles(&mut world, &mut one, 5).await;
        assert!(count(&steps, "delete") > 0, "a delete is a duty: {steps:?}");
        let stands = one.memory.records().get(doomed.machine()).expect("it is not archived");
        assert_eq!(stands.gone, None);
        assert_eq!(world.cloud.machines_of(doomed.intent()), 1, "it runs where we do not look");
        one.sim.inject(CallFault::RightProject);
        for _ in 0..20 {
            cycle(&mut world, &mut one).await;
        }
        assert_eq!(world.cloud.machines_of(doomed.intent()), 0, "the duty was not forgotten");
        assert_eq!(laws::at_peace(&world).await, 20, "and it is replaced");
    });
}

/// The same for a space so small that a few missing machines would be no surprise.
#[test]
fn a_small_space_whose_machines_are_all_missing_is_not_taken_for_empty() {
    run(async {
        for machines in [2, 3] {
            let site = Site::new(machines).with("creations_per_cycle = 8");
            let (mut world, mut one) = full_of(World::new(&site, strict_cloud(12))).await;
            one.sim.inject(CallFault::WrongProject);
            let made = world.cloud.calls()["create machine"];
            for _ in 0..10 {
                let end = cycle(&mut world, &mut one).await;
                assert_eq!(end.outcomes.steps, [], "{machines}");
                assert!(!end.snapshot.alarms.is_empty(), "it is said");
            }
            assert_eq!(world.cloud.calls()["create machine"], made);
            one.sim.inject(CallFault::RightProject);
            world.until_quiet(&mut one).await;
            assert_eq!(laws::at_peace(&world).await, machines as usize);
        }
    });
}

/// A listing that lost a page proves nothing, nor does a delete that finds nothing beside it.
#[test]
fn a_delete_that_finds_nothing_beside_a_partial_listing_concludes_nothing() {
    run(async {
        let (mut world, mut one) = full(5).await;
        let doomed = record(&one);
        world.cloud.inject(WorldFault::Vanish(doomed.instance.clone().unwrap()));
        ask(&world, &one, RequestWhat::DeleteMachine { machine: doomed.machine().clone() }).await;
        one.sim.inject(CallFault::LosePage);
        let steps = cycles(&mut world, &mut one, 1).await;
        assert_eq!(steps, ["delete"]);
        assert_eq!(one.memory.records()[doomed.machine()].gone, None);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4, "a listing that can be believed concludes it");
    });
}

/// Until a create has settled "there is none" may only mean that the cloud does not show it yet.
#[test]
fn a_delete_that_finds_nothing_before_the_create_has_settled_concludes_nothing() {
    run(async {
        let mut settings = strict_cloud(6);
        // Shown up to half of this later; no listing of before counts.
        settings.settle = HOUR;
        let mut world = World::new(&Site::new(1), settings);
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        assert_eq!(cycles(&mut world, &mut one, 1).await, ["create"]);
        let young = record(&one);
        assert!(young.instance.is_some(), "its id is known");
        ask(&world, &one, RequestWhat::DeleteMachine { machine: young.machine().clone() }).await;
        one.setup = Site::new(1).machinetypes(&[("batch", 0)]).setup();
        let steps = cycles(&mut world, &mut one, 2).await;
        assert!(count(&steps, "delete") > 0, "{steps:?}");
        assert_eq!(one.memory.records()[young.machine()].gone, None);
        for _ in 0..180 {
            cycle(&mut world, &mut one).await;
        }
        assert_eq!(world.cloud.machines_of(young.intent()), 0, "it was deleted when it was shown");
        assert_eq!(laws::at_peace(&world).await, 0);
    });
}

/// More leftovers in the cloud's books than are asked for in one cycle must not hide a machine behind them.
#[test]
fn every_machine_that_came_back_from_the_archive_gets_its_turn_to_be_asked_for() {
    run(async {
        let site = Site::new(30).with("creations_per_cycle = 30");
        let (mut world, one) = full_of(World::new(&site, strict_cloud(7))).await;
        let mut records: Vec<_> = one.memory.records().values().cloned().collect();
        drop(one);
        records.sort_by_key(|record| *record.intent());
        for (position, record) in records.iter().enumerate() {
            world.file_away(record.machine());
            if position < 25 {
                world.cloud.inject(WorldFault::TurnIntoGhost(record.instance.clone().unwrap()));
            }
        }
        world.pass(CYCLE).await;
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        for _ in 0..3 {
            cycle(&mut world, &mut two).await;
        }
        let adopted: Vec<_> = two.memory.records().values().map(|r| *r.intent()).collect();
        let mut real: Vec<_> = records[25..].iter().map(|r| *r.intent()).collect();
        real.retain(|intent| !adopted.contains(intent));
        assert_eq!(real, [], "never asked for");
    });
}

#[test]
fn the_delete_of_a_second_machine_is_repeated_with_growing_pauses() {
    run(async {
        let (mut world, mut one) = full(8).await;
        let second = second_of(&world, &record(&one));
        one.fate.refuse(Some(("delete", ErrorKind::Unavailable)));
        for _ in 0..40 {
            world.pass(CYCLE).await;
            one.cycle().await.unwrap().unwrap();
        }
        // At once, then after 1, 2, 4, 8 and 16 minutes.
        assert_eq!(one.fate.refusals(), 6);
        one.fate.refuse(None);
        for _ in 0..40 {
            world.pass(CYCLE).await;
            one.cycle().await.unwrap().unwrap();
        }
        assert!(world.cloud.machines().iter().all(|machine| machine.id != second));
        assert_eq!(world.cloud.machines().len(), 4);
    });
}

/// One refusal of our credentials, and nobody asks again before ten minutes are over.
#[test]
fn after_refused_credentials_nothing_that_acts_is_tried_for_ten_minutes() {
    run(async {
        for refused in ["create", "delete"] {
            let mut world = World::new(&site(), strict_cloud(9));
            let mut one = world.start("one", Fate::kind()).await.unwrap();
            let left = if refused == "create" {
                4
            } else {
                world.until_quiet(&mut one).await;
                one.setup = ending().setup();
                0
            };
            one.fate.refuse(Some((refused, ErrorKind::AuthFailed)));
            let first = cycle(&mut world, &mut one).await;
            assert!(first.outcomes.auth_refused.is_some());
            let asked = one.fate.refusals();
            assert!((1..=4).contains(&asked), "{refused} asked {asked} times");
            let before = (one.fate.count(), world.cloud.calls());
            for _ in 0..9 {
                let end = cycle(&mut world, &mut one).await;
                let acts = end.outcomes.steps.iter().map(|outcome| outcome.step.word());
                let acts: Vec<_> = acts.filter(|word| ACTS.contains(word)).collect();
                assert_eq!(acts, [""; 0], "{refused}");
                assert!(
                    end.snapshot.alarms[0].contains("auth-failed"),
                    "{:?}",
                    end.snapshot.alarms
                );
            }
            assert_eq!(one.fate.refusals(), 0, "{refused}");
            for acts in ["create machine", "delete machine", "resolve intent"] {
                assert_eq!(world.cloud.calls().get(acts), before.1.get(acts), "{acts}");
            }
            // Ten minutes are over: one more try, in vain; then the credentials are mended.
            cycle(&mut world, &mut one).await;
            assert!(one.fate.refusals() > 0, "{refused} is tried again");
            one.fate.refuse(None);
            for _ in 0..30 {
                cycle(&mut world, &mut one).await;
            }
            world.until_quiet(&mut one).await;
            assert_eq!(laws::at_peace(&world).await, left, "{refused}");
        }
    });
}

#[test]
fn an_adopted_machine_goes_on_writing_with_the_token_that_the_archive_kept() {
    run(async {
        let (mut world, one) = full(10).await;
        let records: Vec<_> = one.memory.records().values().cloned().collect();
        let (archived, lost) = (&records[0], &records[1]);
        drop(one);
        world.file_away(archived.machine());
        world.disk.uproot(format!("spaces/a.example/current/{}", lost.machine()));
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        assert_eq!(cycles(&mut world, &mut two, 1).await, ["adopt"; 2]);
        let adopted = |of: &MachineRecord| two.memory.records()[of.machine()].clone();
        assert!(!archived.outputs_token_sha256.is_empty());
        assert_eq!(adopted(archived).outputs_token_sha256, archived.outputs_token_sha256);
        assert!(adopted(archived).can_write_outputs());
        assert!(!adopted(lost).can_write_outputs(), "its token is lost for good");
        // Who cannot write is not killed for its silence, however long.
        for _ in 0..60 {
            world.clock.advance(CYCLE);
            two.cycle().await.unwrap().unwrap();
        }
        let stands = two.memory.records()[lost.machine()].clone();
        assert_eq!((stands.deletion, stands.ended), (None, None));
    });
}

/// A request about a machine that we cannot see just now is not about nothing.
#[test]
fn requests_stay_standing_while_the_listing_cannot_be_believed() {
    run(async {
        let (mut world, one) = full(11).await;
        let hidden = record(&one);
        let path = format!("spaces/a.example/current/{}/record.json", hidden.machine());
        let good = world.disk.files()[std::path::Path::new(&path)].clone();
        world.disk.plant(&path, "{\"format\": 1, garbage");
        drop(one);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        ask(&world, &two, RequestWhat::DeleteMachine { machine: hidden.machine().clone() }).await;
        let steps = cycles(&mut world, &mut two, 5).await;
        assert_eq!((requests(&two).await, steps), (1, Vec::<&str>::new()));
        two.sim.inject(CallFault::WrongProject);
        cycles(&mut world, &mut two, 3).await;
        assert_eq!(requests(&two).await, 1);
        two.sim.inject(CallFault::RightProject);
        world.disk.plant(&path, good);
        for _ in 0..20 {
            cycle(&mut world, &mut two).await;
        }
        assert_eq!(requests(&two).await, 0, "it is carried out");
        assert_eq!(world.cloud.machines_of(hidden.intent()), 0);
    });
}

/// A machine knows only the address that its maker gave it: while nobody answers there, its silence is not its own.
#[test]
fn who_reports_to_a_manager_that_does_not_live_is_not_deleted_for_its_silence() {
    run(async {
        // One machine: of several that are silent at once none would be deleted anyway.
        let site = Site::new(1).each("fizzle = \"1m\"\nheartbeat = \"5m\"");
        let world = World::new(&site, strict_cloud(12));
        world.script("batch", Script { heartbeats: None, ..Script::never_ends() });
        let (mut world, one) = full_of(world).await;
        let door = record(&one).base_url;
        drop(one);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        two.doors = Doors::Open(BTreeMap::from([("https://two:443".to_owned(), START)]));
        assert_eq!(cycles(&mut world, &mut two, 60).await, [""; 0]);
        let end = cycle(&mut world, &mut two).await;
        assert!(end.snapshot.alarms[0].contains("does not live"), "{:?}", end.snapshot.alarms);
        // Somebody answers there again: each has the time of a whole silence to be heard.
        let opened = world.clock.now();
        two.doors = Doors::Open(BTreeMap::from([(door, opened)]));
        while cycles(&mut world, &mut two, 1).await.is_empty() {}
        let silence = world.clock.now().since(opened);
        assert!(silence > Duration::from_secs(300), "{silence:?}");
        assert!(silence < Duration::from_secs(600), "{silence:?}");
    });
}
