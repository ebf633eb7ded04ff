//! Whole cycles against the simulated cloud and a state directory in memory: a steady one of 10,000 machines,
//! the creation of 1,000, and the rendering of one contextualisation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../tests/core/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use support::mortal::Fate;
use support::site::{Site, space, space_of};
use support::world::{Manager, World, strict_cloud};
use tokio::runtime::Runtime;
use vcycle::library::MachineVariables;
use vcycle::model::{MachineName, MachinetypeName, Processors};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn world(machines: u32) -> World {
    let site = Site::new(machines).with(&format!("creations_per_cycle = {machines}"));
    let mut settings = strict_cloud(1);
    settings.processors = Some(Processors(machines));
    World::new(&site, settings)
}

/// All machines made and seen running.
async fn full(machines: u32) -> (World, Manager) {
    let world = world(machines);
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    for _ in 0..4 {
        one.cycle().await.unwrap().unwrap();
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(one.memory.records().len(), machines as usize);
    let steady = one.cycle().await.unwrap().unwrap();
    assert_eq!(steady.outcomes.steps, [], "it is steady");
    (world, one)
}

fn cycles(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("cycle");
    group.sample_size(10);
    let (world_of_many, mut one) = runtime.block_on(full(10_000));
    group.bench_function("steady, 10,000 machines", |bencher| {
        bencher.iter(|| {
            world_of_many.clock.advance(Duration::from_secs(1));
            let end = runtime.block_on(one.cycle()).unwrap().unwrap();
            assert_eq!(end.outcomes.steps, []);
        });
    });
    group.bench_function("create wave, 1,000 machines", |bencher| {
        let fresh = || {
            let world = world(1000);
            let one = runtime.block_on(world.start("one", Fate::kind())).unwrap();
            (world, one)
        };
        bencher.iter_batched(
            fresh,
            |(world, mut one)| {
                let end = runtime.block_on(one.cycle()).unwrap().unwrap();
                assert_eq!(end.outcomes.steps.len(), 1000);
                (world, one)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn rendering(criterion: &mut Criterion) {
    let setup = Site::new(1).setup();
    let rules = space_of(&setup);
    let machinetype = MachinetypeName::parse("batch").unwrap();
    let machine = MachineName::compose(&machinetype, 1);
    let space = space();
    let variables = MachineVariables {
        site: "TEST",
        space: &space,
        machinetype: &machinetype,
        machine: &machine,
        manager_version: "vcycle",
        manager_hostname: "host",
        base_url: "https://host:443",
        outputs_token: "token",
        manager_ca: "",
        deadline: vcycle::model::Timestamp::from_secs(1_800_000_000),
    };
    let definition = &rules.machinetypes[&machinetype];
    criterion.bench_function("render one user_data", |bencher| {
        bencher.iter(|| black_box(definition.render(&variables, 65_535)));
    });
}

criterion_group!(benches, cycles, rendering);
criterion_main!(benches);
