//! Every crash and every lost reply, one by one: a manager is struck at each of its operations (each write to the
//! state directory, each call of the cloud that acts) in turn, another takes over, and the laws of DESIGN
//! section 5 must hold at every moment and at the end. Exhaustive over the number of the operation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "core/mod.rs"]
mod support;

use std::sync::Arc;

use support::mortal::{Fate, STRIKES, Strike};
use support::site::{Site, space};
use support::world::{CYCLE, Manager, World, strict_cloud};
use support::{laws, run};
use vcycle::model::DeleteReason;

/// Two machines are all that the space may have: one more, and the limit is broken.
fn site() -> Site {
    Site::new(2).with("creations_per_cycle = 8").with("delete_pause = \"1m\"")
}

type Blow = Option<(u64, Strike)>;

/// Some cycles of a manager that may be struck; it does not live on.
async fn some_cycles(world: &mut World, manager: Option<Manager>, cycles: u32) {
    let Some(mut manager) = manager else { return };
    for _ in 0..cycles {
        match manager.cycle().await {
            None => return,
            Some(Ok(_) | Err(_)) => laws::always(world),
        }
        world.pass(CYCLE).await;
    }
}

/// A space is filled by a manager that is struck; another goes on. Gives the operations of the first.
async fn fill(blow: Blow) -> u64 {
    let mut world = World::new(&site(), strict_cloud(7));
    let fate = Fate::kind();
    if let Some((number, strike)) = blow {
        fate.decree(number, strike);
    }
    let one = world.start("one", fate.clone()).await;
    some_cycles(&mut world, one, 5).await;
    assert_eq!(fate.struck(), blow.is_some(), "{blow:?} was not reached");
    let mut two = world.start("two", Fate::kind()).await.unwrap();
    world.until_quiet(&mut two).await;
    assert_eq!(laws::at_peace(&world).await, 2, "after {blow:?}");
    fate.count()
}

/// A full space is emptied, because its machines have run too long, by a manager that is struck.
async fn empty(blow: Blow) -> u64 {
    let mut world = World::new(&site(), strict_cloud(8));
    let mut zero = world.start("zero", Fate::kind()).await.unwrap();
    world.until_quiet(&mut zero).await;
    zero.ownership.release().await;
    world.setup = site()
        .machinetypes(&[("batch", 0)])
        .each("fizzle = \"1m\"\nmax_wallclock = \"2m\"")
        .setup();
    let fate = Fate::kind();
    if let Some((number, strike)) = blow {
        fate.decree(number, strike);
    }
    let one = world.start("one", fate.clone()).await;
    some_cycles(&mut world, one, 6).await;
    assert_eq!(fate.struck(), blow.is_some(), "{blow:?} was not reached");
    let mut two = world.start("two", Fate::kind()).await.unwrap();
    world.until_quiet(&mut two).await;
    assert_eq!(laws::at_peace(&world).await, 0, "after {blow:?}");
    let loaded = world.store().load_space(&space()).await.unwrap();
    assert_eq!(loaded.records, [], "all are archived after {blow:?}");
    assert_eq!(loaded.archived.len(), 2, "none is forgotten after {blow:?}");
    for archived in loaded.archived {
        let reason = archived.record.deletion.expect("it was deleted").reason;
        assert_eq!(reason, DeleteReason::MaxWallclock, "after {blow:?}");
    }
    fate.count()
}

#[test]
fn a_space_is_filled_exactly_whatever_operation_of_a_create_is_struck() {
    let operations = run(fill(None));
    assert!(operations > 40, "only {operations} operations");
    for number in 1..=operations {
        for strike in STRIKES {
            run(fill(Some((number, strike))));
        }
    }
}

#[test]
fn a_space_is_emptied_entirely_whatever_operation_of_a_delete_is_struck() {
    let operations = run(empty(None));
    assert!(operations > 10, "only {operations} operations");
    for number in 1..=operations {
        for strike in STRIKES {
            run(empty(Some((number, strike))));
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
