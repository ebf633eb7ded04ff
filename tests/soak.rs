//! Many lives of a space with everything going wrong at once, by chance and by a seed that is printed: lost
//! calls and replies, throttling, pages lost, stock-outs, machines that never boot, deletes that do not
//! stick, a state directory that fails, managers that die and are replaced. The laws hold after every
//! step, and when the trouble is over everything comes to peace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "core/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::mortal::{Fate, STRIKES};
use support::site::Site;
use support::world::{CYCLE, World, strict_cloud};
use support::{laws, run};
use vcycle::model::MachinetypeName;
use vcycle::store::testing::{FaultyFs, Rates as DiskRates};
use vcycle_sim::{Rates, Script, Span};

/// Lives of an ordinary run; `VCYCLE_SOAK_SEEDS=1000` lives more of them.
const SEEDS: u64 = 60;
const CYCLES: u32 = 40;

fn trouble() -> Rates {
    Rates {
        throttled: 0.03,
        unavailable: 0.03,
        lost_before: 0.05,
        lost_after: 0.08,
        lost_page: 0.05,
        out_of_stock: 0.05,
        failed_boot: 0.05,
        stuck_boot: 0.03,
        preempted: 0.0,
        stuck_delete: 0.1,
        ghost: 0.03,
    }
}

/// What the machines of a life do: some work, some find nothing, some die without a word.
fn scripts(world: &World) {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let works = Script::works_for(Span::between(minutes(4), minutes(30)));
    let silent = Script { heartbeats: None, ..Script::never_ends() };
    let scripts = vec![
        (6, works),
        (1, Script::finds_no_work()),
        (1, Script::dies_silently()),
        (1, silent),
        (2, Script::never_ends()),
    ];
    for name in ["batch", "other"] {
        world.cloud.set_scripts(MachinetypeName::parse(name).unwrap(), scripts.clone());
    }
}

async fn life(seed: u64) {
    let site = Site::new(12)
        .machinetypes(&[("batch", 2), ("other", 1)])
        .with("creations_per_cycle = 6")
        .with("delete_pause = \"1m\"")
        .with("delete_pause_max = \"4m\"")
        .each("fizzle = \"2m\"\nbackoff = \"3m\"\nstart_timeout = \"4m\"\nmax_wallclock = \"1h\"")
        .each("heartbeat = \"4m\"");
    let mut settings = strict_cloud(seed);
    settings.page = 4;
    settings.faults.rates = trouble();
    let mut world = World::new(&site, settings);
    scripts(&world);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let rates = DiskRates { lost_calls: 8, lost_replies: 8, stale_handles: 4, stale_looks: 0 };
    let (mut manager, mut number) = (None, 0);
    for _ in 0..CYCLES {
        if manager.is_none() {
            number += 1;
            let fate = Fate::kind();
            let disk = FaultyFs::seeded(Arc::new(world.disk.clone()), seed + number, rates);
            // Most managers are struck sooner or later.
            fate.decree(dice.random_range(1..600), STRIKES[dice.random_range(0..STRIKES.len())]);
            let name = if number % 2 == 0 { "one" } else { "two" };
            manager = world.start_on(name, fate, Arc::new(disk)).await;
        }
        if let Some(living) = &mut manager {
            let end = living.cycle().await;
            let fenced = living.ownership.proof().is_err();
            if end.is_none() || fenced || dice.random_bool(0.05) {
                manager = None;
            }
        }
        laws::always(&world);
        world.pass(CYCLE).await;
    }
    world.rates = Some(Rates::default());
    drop(manager);
    for name in ["batch", "other"] {
        world.script(name, Script::never_ends());
    }
    let mut last = world.start("last", Fate::kind()).await.unwrap();
    world.until_quiet(&mut last).await;
    laws::at_peace(&world).await;
}

#[test]
fn every_law_holds_in_every_life() {
    let asked = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    // `VCYCLE_SOAK_SEED=17` lives one life again.
    let seeds = match asked("VCYCLE_SOAK_SEED") {
        Some(one) => one..one + 1,
        None => 0..asked("VCYCLE_SOAK_SEEDS").unwrap_or(SEEDS),
    };
    let failed: Vec<u64> = seeds
        .filter(|seed| {
            let lived = catch_unwind(AssertUnwindSafe(|| run(life(*seed))));
            if lived.is_err() {
                eprintln!("the life of seed {seed} broke a law");
            }
            lived.is_err()
        })
        .collect();
    assert_eq!(failed, [0_u64; 0], "seeds of lives that broke a law");
}
