//! Cycles of one space against the simulated cloud, a state directory in memory and a clock that is moved by
//! hand: what is made, what is not, what is written, and what happens when something cannot be known.

#[path = "core/mod.rs"]
mod support;

use std::time::Duration;

use support::mortal::Fate;
use support::site::{Site, space};
use support::world::{CYCLE, World, done, strict_cloud};
use support::{laws, run};
use vcycle_sim::Script;

#[test]
fn a_space_fills_to_its_limit_in_the_target_shares() {
    run(async {
        let site = Site::new(40).machinetypes(&[("batch", 3), ("other", 1)]);
        let mut world = World::new(&site, strict_cloud(1));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        world.until_quiet(&mut one).await;
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
        let mut reasons = std::collections::BTreeSet::new();
        for _ in 0..30 {
            let end = one.cycle().await.unwrap().unwrap();
            laws::always(&world);
            reasons.insert(end.snapshot.machinetypes[0].reason.clone());
            world.pass(CYCLE).await;
        }
        assert!(reasons.contains("backoff"), "{reasons:?}");
        let made = world.cloud.log().len();
        assert!(made < 200, "an empty queue costs little: {made} events");
        let _ = (space(), done, Duration::ZERO);
    });
}
