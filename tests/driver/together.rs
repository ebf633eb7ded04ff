//! Several managers on one state directory, on paused time: who works on what, and how it changes hands.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use vcycle::model::{OperatorRequest, RequestId, RequestWhat, SpaceName};

use super::support::run;
use super::support::site::space;
use super::*;

/// Time in which managers have seen each other and everything has found its place.
const SETTLED: Duration = Duration::from_secs(300);

fn owns(board: &Board, space: &SpaceName) -> bool {
    board.spaces.contains_key(space)
}

/// The owner of each of the two spaces, by the index of the daemon.
fn owners(daemons: &[Daemon]) -> Vec<Vec<usize>> {
    [space(), other()]
        .iter()
        .map(|space| {
            let owning = |d: &&Daemon| owns(&d.board.borrow(), space);
            let all = daemons.iter().enumerate();
            all.filter(|(_, d)| owning(d)).map(|(index, _)| index).collect()
        })
        .collect()
}

async fn ask(world: &World, number: u64, what: RequestWhat) {
    let store = Store::new(Arc::new(world.disk.clone()), world.clock.clone());
    let request = OperatorRequest {
        format: 1,
        id: RequestId(format!("{number:013}-test")),
        who: "a@b".into(),
        at: world.clock.now(),
        what,
    };
    store.put_request(&space(), &request).await.unwrap();
}

#[test]
fn spaces_are_spread_the_same_way_whoever_starts_first_and_stay_where_they_are() {
    run(async {
        let mut found = Vec::new();
        for order in [["m1", "m2", "m3"], ["m3", "m2", "m1"]] {
            let world = World::new();
            let mut daemons = Vec::new();
            for name in order {
                daemons.push(world.start(name, two_spaces()).await);
                sleep(Duration::from_secs(20)).await;
            }
            sleep(SETTLED).await;
            let at_peace = owners(&daemons);
            assert!(at_peace.iter().all(|owners| owners.len() == 1), "{at_peace:?}");
            let generations = |d: &Daemon| {
                let board = d.board.borrow();
                board.spaces.values().map(|s| s.generation).collect::<Vec<_>>()
            };
            let before: Vec<_> = daemons.iter().map(generations).collect();
            sleep(SETTLED).await;
            assert_eq!(before, daemons.iter().map(generations).collect::<Vec<_>>(), "no flapping");
            let names: Vec<_> = at_peace.iter().map(|owners| order[owners[0]]).collect();
            found.push(names);
            assert_eq!((world.machines(&space()), world.machines(&other())), (4, 4));
            for daemon in daemons {
                daemon.stop().await;
            }
        }
        assert_eq!(found[0], found[1]);
    });
}

#[test]
fn a_clean_stop_is_followed_within_two_seconds() {
    run(async {
        let world = World::new();
        let one = world.start("one", site().setup()).await;
        let two = world.start("two", site().setup()).await;
        sleep(SETTLED).await;
        let first_owns = owns(&one.board.borrow(), &space());
        let (leaving, mut staying) = if first_owns { (one, two) } else { (two, one) };
        let told = Instant::now();
        leaving.stop().await;
        staying.until(|board| owns(board, &space())).await;
        assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
        staying.stop().await;
        assert_eq!(world.machines(&space()), 4);
    });
}

#[test]
fn a_person_hands_a_space_over_and_it_stays_there_for_as_long_as_was_said() {
    run(async {
        let world = World::new();
        let mut daemons =
            vec![world.start("m1", site().setup()).await, world.start("m2", site().setup()).await];
        sleep(SETTLED).await;
        let best = usize::from(!owns(&daemons[0].board.borrow(), &space()));
        let to = ManagerName::parse(["m2", "m1"][best]).unwrap();
        ask(&world, 1, RequestWhat::HandOver { to: Some(to), keep_secs: 3600 }).await;
        let worse = &mut daemons[1 - best];
        worse.until(|board| owns(board, &space())).await;
        sleep(Duration::from_secs(3400)).await;
        assert!(owns(&daemons[1 - best].board.borrow(), &space()), "it is kept");
        daemons[best].until(|board| owns(board, &space())).await;
        assert_eq!(world.machines(&space()), 4);
        let unknown = ManagerName::parse("nobody").unwrap();
        ask(&world, 2, RequestWhat::HandOver { to: Some(unknown), keep_secs: 0 }).await;
        sleep(SETTLED).await;
        assert!(owns(&daemons[best].board.borrow(), &space()), "nobody else is there");
        let store = Store::new(Arc::new(world.disk.clone()), world.clock.clone());
        assert_eq!(store.requests(&space()).await.unwrap(), [], "requests are carried out once");
        for daemon in daemons {
            daemon.stop().await;
        }
    });
}

#[test]
fn a_second_manager_of_the_same_name_is_said_and_does_no_harm() {
    run(async {
        let world = World::new();
        let mut one = world.start("same", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        let twin = world.start("same", site().setup()).await;
        let board = one.until(|board| board.store_problem.is_some()).await;
        assert!(
            board
                .store_problem
                .as_ref()
                .unwrap()
                .contains("another manager runs under the name same")
        );
        sleep(SETTLED).await;
        assert_eq!(world.machines(&space()), 4);
        twin.stop().await;
        one.until(|board| board.store_problem.is_none()).await;
        one.stop().await;
    });
}

/// DESIGN 6: generations must not go backwards while VMs of higher ones exist.
#[test]
fn a_state_directory_restored_from_a_backup_is_noticed_by_the_generations_of_the_vms() {
    run(async {
        let world = World::new();
        let of = |limit| Site::new(limit).with("creations_per_cycle = 8").setup();
        let mut one = world.start("one", of(2)).await;
        one.until(|board| running(board, &space()) == 2).await;
        one.stop().await;
        let backup = world.disk.files();
        let mut two = world.start("two", of(4)).await;
        let board = two.until(|board| running(board, &space()) == 4).await;
        let newest = board.spaces[&space()].generation;
        two.stop().await;
        for path in world.disk.files().into_keys() {
            world.disk.uproot(path);
        }
        for (path, content) in backup {
            world.disk.plant(path, content);
        }
        let mut one = world.start("one", of(4)).await;
        let above =
            |board: &Board| board.spaces.get(&space()).is_some_and(|s| s.generation > newest);
        let board = one.until(above).await;
        let alarms = &board.spaces[&space()].alarms;
        assert!(alarms.iter().any(|alarm| alarm.contains("restored from a backup")), "{alarms:?}");
        one.until(|board| running(board, &space()) == 4).await;
        assert_eq!(world.machines(&space()), 4, "they are adopted, and none is made twice");
        one.stop().await;
    });
}
