//! What several managers cost: the clouds no more calls than one, and the state directory a few small operations.

use std::sync::Arc;
use std::time::Duration;

use crate::support::mortal::{Fate, MortalFs};
use crate::support::run;
use crate::support::site::{Site, space};
use crate::{Daemon, World, other, site, two_spaces};
use tokio::time::sleep;

const HOUR: Duration = Duration::from_secs(3600);
/// Of the defaults: a third of an ownership of 15 s.
const RENEWAL: Duration = Duration::from_secs(5);

fn calls(world: &World) -> u64 {
    let clouds = world.clouds.lock().unwrap();
    clouds.values().flat_map(|cloud| cloud.calls().into_values()).sum()
}

/// Calls to both clouds in an hour in which nothing happens.
async fn calls_an_hour(managers: usize) -> u64 {
    let world = World::new();
    let mut daemons: Vec<Daemon> = Vec::new();
    for number in 0..managers {
        daemons.push(world.start(&format!("m{number}"), two_spaces()).await);
    }
    // Machines run, and whoever gives a space to a better placed manager has done so.
    sleep(HOUR).await;
    let full = [space(), other()].map(|space| world.machines(&space));
    assert_eq!(full, [4, 4]);
    let before = calls(&world);
    sleep(HOUR).await;
    let cost = calls(&world) - before;
    for daemon in daemons {
        daemon.stop().await;
    }
    cost
}

#[test]
fn the_clouds_get_no_more_calls_from_eight_managers_than_from_one() {
    run(async {
        let one = calls_an_hour(1).await;
        eprintln!("1 manager: {one} calls an hour");
        // At least one listing a cycle and space: the count counts.
        assert!(one >= 100, "{one}");
        for managers in [2, 4, 8] {
            let cost = calls_an_hour(managers).await;
            eprintln!("{managers} managers: {cost} calls an hour");
            // Cycles are a few percent longer or shorter, by chance.
            assert!(cost.abs_diff(one) * 20 <= one, "{managers} managers: {cost}, one: {one}");
        }
    });
}

/// Operations of a manager that owns nothing, in a renewal period: looks and writes.
async fn idle_cost(site: &Site) -> (u64, u64) {
    let world = World::new();
    let fates = [Fate::kind(), Fate::kind()];
    let mut daemons = Vec::new();
    for (name, fate) in ["one", "two"].into_iter().zip(&fates) {
        let view = MortalFs::new(Arc::new(world.disk.clone()), fate.clone());
        daemons.push(world.start_on(name, site.setup(), Arc::new(view)).await);
    }
    sleep(HOUR).await;
    assert_eq!(world.machines(&space()), site.limit as usize);
    let idle = |daemon: &Daemon| daemon.board.borrow().idle_spaces.contains_key(&space());
    let [number] =
        [0, 1].into_iter().filter(|number| idle(&daemons[*number])).collect::<Vec<_>>()[..]
    else {
        panic!("one of two owns the space");
    };
    let fate = &fates[number];
    let (_, _) = (fate.all_looks(), fate.writes());
    sleep(RENEWAL * 10).await;
    let cost = (fate.all_looks().len() as u64 / 10, fate.writes().len() as u64 / 10);
    assert!(idle(&daemons[number]), "it still owns nothing");
    for daemon in daemons {
        daemon.stop().await;
    }
    cost
}

#[test]
fn a_manager_that_owns_nothing_costs_a_few_looks_a_renewal_however_many_machines_there_are() {
    run(async {
        let (looks, writes) = idle_cost(&site()).await;
        eprintln!("idle, one space: {looks} looks and {writes} writes a renewal period");
        assert!(looks <= 25 && writes <= 2, "{looks} looks, {writes} writes");
        let many = Site::new(200).with("creations_per_cycle = 200");
        let (more_looks, more_writes) = idle_cost(&many).await;
        assert!(
            more_looks <= looks + 1 && more_writes <= writes + 1,
            "{more_looks}, {more_writes}"
        );
    });
}
