//! How long one plan takes: a steady space, and one in which every tenth machine has ended, for
//! 1,000, 10,000 and 100,000 machines. Target: 10,000 machines in under 10 ms; linear to 100,000.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../tests/plan_support/mod.rs"]
mod plan_support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plan_support::{NOON, World, hours, machinetype, minutes, secs};
use vcycle::model::{
    EndKind, HeartbeatRule, InstanceState, ManagerName, Pace, Processors, ShutdownMessage, Sighting,
};
use vcycle::plan::{SnapshotFrame, check, plan, snapshot};

/// A space with ten machinetypes, full, whose every `ended`-th machine has ended.
fn space(machines: u32, ended: Option<usize>) -> World {
    let names: Vec<String> = (0..10).map(|n| format!("type{n}")).collect();
    let types = names.iter().enumerate().map(|(index, name)| {
        let mut policy = machinetype(name, 1.0 + index as f64);
        let every = Some(minutes(10));
        policy.heartbeat = Some(HeartbeatRule { file: "heartbeat".into(), every });
        policy
    });
    let mut world = World::new(types.collect());
    world.policy.processors_limit = Some(Processors(machines));
    for index in 0..machines {
        let name = &names[index as usize % names.len()];
        let view = world.running(name, &format!("{index:010}"), hours(1));
        view.heartbeat = Some(NOON - minutes(1));
    }
    if let Some(ended) = ended {
        for view in world.machines.iter_mut().step_by(ended) {
            if let Sighting::Seen(vm) = &mut view.sighting {
                vm.state = InstanceState::Stopped;
            }
            view.message = ShutdownMessage::parse("200 Success");
        }
    }
    for index in 0..machines / 10 {
        let name = names[index as usize % names.len()].clone();
        let kind = EndKind::Message { message: ShutdownMessage::parse("200 Success").unwrap() };
        world.past(&name, secs(u64::from(index)), kind);
    }
    world
}

fn plans(c: &mut Criterion) {
    for (name, ended) in [("steady", None), ("every-tenth-ended", Some(10))] {
        let mut group = c.benchmark_group(format!("plan/{name}"));
        group.sample_size(10);
        for machines in [1_000, 10_000, 100_000] {
            let world = space(machines, ended);
            group.throughput(Throughput::Elements(u64::from(machines)));
            group.bench_function(BenchmarkId::from_parameter(machines), |b| {
                b.iter(|| black_box(plan(&world.input())));
            });
            let made = world.plan();
            let id = BenchmarkId::new("check of its laws", machines);
            group.bench_function(id, |b| {
                b.iter(|| check(&world.input(), black_box(&made)).unwrap());
            });
        }
        group.finish();
    }
}

fn create_wave(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan/create-wave-into-an-empty-space");
    group.sample_size(10);
    for machines in [1_000, 10_000] {
        let mut world = space(machines, None);
        world.machines.clear();
        world.policy.pace = Pace::FractionOfLimit(1.0);
        group.throughput(Throughput::Elements(u64::from(machines)));
        group.bench_function(BenchmarkId::from_parameter(machines), |b| {
            b.iter(|| black_box(plan(&world.input())));
        });
    }
    group.finish();
}

fn snapshots(c: &mut Criterion) {
    let world = space(10_000, None);
    let made = world.plan();
    c.bench_function("snapshot/10000", |b| {
        b.iter(|| {
            let frame = SnapshotFrame {
                provider: "sim".into(),
                manager: ManagerName::parse("manager-a").unwrap(),
                decisions: Vec::new(),
            };
            black_box(snapshot(&world.input(), &made, frame))
        });
    });
}

criterion_group!(benches, plans, create_wave, snapshots);
criterion_main!(benches);
