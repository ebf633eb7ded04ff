//! Credentials that lead to another project: nothing that is not there is taken for gone, and nothing is done.

use std::sync::Arc;

use vcycle::model::{MachineRecord, Processors};
use vcycle::store::testing::{Effect, FaultyFs, When};
use vcycle_sim::{CallFault, Settings};

use super::support::mortal::Fate;
use super::support::site::Site;
use super::support::world::{Manager, World, done, strict_cloud};
use super::support::{laws, run};
use super::{CycleEnd, cycle, file};

const EIO: i32 = 5;
const FILE: &str = "spaces/a.example/tenancy.json";

/// A cloud that tells which project it is.
fn cloud(seed: u64) -> Settings {
    Settings { tenancy: Some("home".to_owned()), ..strict_cloud(seed) }
}

fn world(machines: u32, seed: u64) -> World {
    World::new(&Site::new(machines).with("creations_per_cycle = 8"), cloud(seed))
}

/// A space of so many machines, all running.
async fn full(machines: u32, seed: u64) -> (World, Manager) {
    let mut world = world(machines, seed);
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    world.until_quiet(&mut one).await;
    assert_eq!(laws::at_peace(&world).await, machines as usize);
    (world, one)
}

/// The next manager, whose credentials lead to another project.
async fn restarted_elsewhere(world: &World, before: Manager) -> Manager {
    before.ownership.release().await;
    let next = world.start("two", Fate::kind()).await.unwrap();
    next.sim.inject(CallFault::WrongProject);
    next
}

fn says_both(end: &CycleEnd) -> bool {
    let says = |alarm: &String| alarm.contains("project 'home'") && alarm.contains("not home");
    end.snapshot.alarms.iter().any(says)
}

/// With a single machine there is no listing that has shrunk suspiciously.
#[test]
fn after_a_restart_into_another_project_a_single_machine_is_not_taken_for_gone() {
    run(async {
        for machines in [1, 20] {
            let (mut world, one) = full(machines, 70).await;
            let mut two = restarted_elsewhere(&world, one).await;
            let records = two.memory.records().clone();
            let calls = world.cloud.calls();
            for _ in 0..60 {
                let end = cycle(&mut world, &mut two).await;
                assert_eq!(end.outcomes.steps, []);
                assert!(says_both(&end), "{:?}", end.snapshot.alarms);
                assert_eq!(end.snapshot.machines.len(), machines as usize, "they are shown");
            }
            assert_eq!(*two.memory.records(), records);
            assert_eq!(world.cloud.calls().get("get machine"), calls.get("get machine"));
            two.sim.inject(CallFault::RightProject);
            world.until_quiet(&mut two).await;
            assert_eq!(*two.memory.records(), records, "nothing was lost, nothing made again");
            assert_eq!(laws::at_peace(&world).await, machines as usize);
        }
    });
}

/// The machine of a lost reply runs in the project that we do not see: in this one it is proven absent soon.
#[test]
fn an_intent_of_unknown_outcome_is_not_resolved_in_another_project() {
    run(async {
        let mut world = world(1, 71);
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        one.sim.inject(CallFault::LoseCreateReply);
        cycle(&mut world, &mut one).await;
        let open = |manager: &Manager| -> MachineRecord {
            manager.memory.records().values().next().expect("it holds its place").clone()
        };
        assert_eq!(open(&one).instance, None);
        let mut two = restarted_elsewhere(&world, one).await;
        for _ in 0..30 {
            let end = cycle(&mut world, &mut two).await;
            assert_eq!(end.outcomes.steps, []);
        }
        assert_eq!((open(&two).gone, open(&two).rejected), (None, None));
        two.sim.inject(CallFault::RightProject);
        world.until_quiet(&mut two).await;
        assert!(open(&two).instance.is_some());
        assert_eq!(laws::at_peace(&world).await, 1);
    });
}

#[test]
fn the_tenancy_is_kept_before_the_first_machine_is_made_and_not_sooner() {
    run(async {
        let mut world = world(0, 72);
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        cycle(&mut world, &mut one).await;
        assert_eq!(file(&world, FILE), None, "whoever begins may still mend their credentials");
        one.ownership.release().await;
        world.setup = Site::new(1).setup();
        world.limit = Processors(1);
        let disk = FaultyFs::new(Arc::new(world.disk.clone()));
        let mut two = world.start_on("two", Fate::kind(), Arc::new(disk.clone())).await.unwrap();
        // The first is the renewal.
        disk.add(When::Mutation(disk.mutations() + 2), Effect::Fail(EIO));
        let end = cycle(&mut world, &mut two).await;
        assert_eq!(end.outcomes.steps, [], "what cannot be kept is not relied on");
        let problem = end.outcomes.store_problem.unwrap();
        assert!(problem.contains("tenancy.json"), "{problem}");
        assert_eq!(world.cloud.machines().len(), 0);
        world.until_quiet(&mut two).await;
        let text = file(&world, FILE).unwrap();
        assert!(text.contains("project home") && text.contains("\"sim\""), "{text}");
        assert_eq!(laws::at_peace(&world).await, 1);
    });
}

/// The word of a person: the file is removed, and the space goes on where its credentials lead.
#[test]
fn a_space_without_machines_goes_on_in_another_project_when_a_person_says_so() {
    run(async {
        let mut world = world(1, 73);
        let other = r#"{"format": 1, "provider": "sim", "id": "project x", "name": "not home"}"#;
        world.disk.plant(FILE, other.as_bytes());
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..5 {
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(end.outcomes.steps, []);
            assert!(says_both(&end), "{:?}", end.snapshot.alarms);
        }
        world.disk.uproot(FILE);
        let end = cycle(&mut world, &mut one).await;
        assert_eq!(done(&end), ["create"]);
        world.until_quiet(&mut one).await;
        assert!(file(&world, FILE).unwrap().contains("project home"));
        assert_eq!(laws::at_peace(&world).await, 1);
    });
}

/// As an older version leaves a space.
#[test]
fn of_a_space_with_machines_the_tenancy_is_kept_where_one_of_them_is_seen() {
    run(async {
        let (mut world, one) = full(2, 74).await;
        world.disk.uproot(FILE);
        let mut two = restarted_elsewhere(&world, one).await;
        for _ in 0..5 {
            cycle(&mut world, &mut two).await;
            assert_eq!(file(&world, FILE), None, "none of its machines is here");
        }
        two.sim.inject(CallFault::RightProject);
        cycle(&mut world, &mut two).await;
        assert!(file(&world, FILE).unwrap().contains("project home"));
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 2);
    });
}

#[test]
fn a_tenancy_that_cannot_be_read_is_no_reason_to_do_anything() {
    run(async {
        let (mut world, one) = full(1, 75).await;
        world.disk.plant(FILE, b"{ \"format\": 1, ");
        one.ownership.release().await;
        // Its folder cannot be loaded: there is no cycle.
        let store = world.store();
        assert!(store.load_space(&super::space()).await.is_err());
        world.disk.uproot(FILE);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        world.until_quiet(&mut two).await;
        assert_eq!(laws::at_peace(&world).await, 1);
    });
}
