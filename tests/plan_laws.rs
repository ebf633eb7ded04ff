//! Laws of the planner, tested on random spaces: determinism, order independence, idempotence,
//! limits, shares, caution, timing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use std::collections::{BTreeMap, BTreeSet};

use plan_support::*;
use proptest::prelude::*;
use vcycle::model::*;
use vcycle::plan::{Fact, Orphan, Plan, QuotaStop, Reason, Step, processors_in_use};

const TYPES: [&str; 3] = ["dune", "lsst", "ska"];

/// One machine, as numbers.
#[derive(Debug, Clone)]
struct MachineSpec {
    machinetype: usize,
    kind: u8,
    minutes: u64,
    heartbeat: Option<u64>,
    code: Option<u16>,
    deleting: Option<u64>,
    extra: u8,
}

/// A space, as numbers.
#[derive(Debug, Clone)]
struct Spec {
    machines: Vec<MachineSpec>,
    shares: [u8; 3],
    limit: u32,
    machines_limit: Option<u32>,
    type_limit: Option<u32>,
    max_starting: Option<u32>,
    quota: Option<(u32, u32)>,
    quota_stop: Option<u32>,
    foreign: u32,
    past: Vec<(usize, u8, u64, Option<u64>)>,
    heartbeat: Option<u64>,
    drain: u8,
    shutdown: Option<u64>,
    orphans: u8,
    flags: u8,
    seed: u64,
}

fn machine_spec() -> impl Strategy<Value = MachineSpec> {
    let heartbeat = prop::option::of(0_u64..60);
    let code = prop::option::weighted(0.3, prop::sample::select(vec![100, 200, 300, 500, 700]));
    let deleting = prop::option::weighted(0.2, 0_u64..300);
    (0..3_usize, 0..17_u8, 0..3000_u64, heartbeat, code, deleting, 0..20_u8).prop_map(
        |(machinetype, kind, minutes, heartbeat, code, deleting, extra)| MachineSpec {
            machinetype,
            kind,
            minutes,
            heartbeat,
            code,
            deleting,
            extra,
        },
    )
}

fn spec() -> impl Strategy<Value = Spec> {
    let limits = (
        4..60_u32,
        prop::option::of(3..40_u32),
        prop::option::of(1..20_u32),
        prop::option::of(1..9_u32),
        prop::option::of((5..60_u32, 0..40_u32)),
        prop::option::weighted(0.1, 1..40_u32),
        0..12_u32,
    );
    let rest = (
        prop::collection::vec(
            (0..3_usize, 0..9_u8, 0..600_u64, prop::option::of(0..40_u64)),
            0..12,
        ),
        prop::option::of(0..40_u64),
        0..12_u8,
        prop::option::weighted(0.2, 0..2000_u64),
        0..4_u8,
        any::<u8>(),
        any::<u64>(),
    );
    (prop::collection::vec(machine_spec(), 0..16), prop::array::uniform3(0..5_u8), limits, rest)
        .prop_map(|(machines, shares, limits, rest)| {
            let (limit, machines_limit, type_limit, max_starting, quota, quota_stop, foreign) =
                limits;
            let (past, heartbeat, drain, shutdown, orphans, flags, seed) = rest;
            Spec {
                machines,
                shares,
                limit,
                machines_limit,
                type_limit,
                max_starting,
                quota,
                quota_stop,
                foreign,
                past,
                heartbeat,
                drain,
                shutdown,
                orphans,
                flags,
                seed,
            }
        })
}

fn world(spec: &Spec) -> World {
    let mut types: Vec<_> = TYPES
        .iter()
        .zip(spec.shares)
        .map(|(name, share)| machinetype(name, f64::from(share)))
        .collect();
    types[0].processors_limit = spec.type_limit.map(Processors);
    types[1].max_starting_processors = spec.max_starting.map(Processors);
    types[1].min_processors = Processors(if spec.flags & 1 == 0 { 1 } else { 4 });
    types[2].hs06_per_processor = Some(Hs06(12.5));
    types[2].heartbeat = spec.heartbeat.map(|every| HeartbeatRule {
        file: "heartbeat".into(),
        every: (every > 0).then(|| minutes(every)),
    });
    if spec.flags & 128 != 0 {
        types[0].ranking = Ranking::Price { spreading: Some(0.0) };
        types[2].ranking = Ranking::Price { spreading: Some(1.0) };
    }
    let mut world = World::new(types);
    world.seed = spec.seed;
    world.purse = (spec.flags & 128 != 0).then(prices);
    world.offerings = vec![offering("m1", 1), offering("m2", 2), offering("m4", 4)];
    world.offerings.push(Offering {
        availability: Availability::NotUntil(NOON + hours(1)),
        ..offering("m8", 8)
    });
    world.policy.processors_limit = Some(Processors(spec.limit));
    world.policy.machines_limit = spec.machines_limit;
    world.policy.pace =
        if spec.flags & 2 == 0 { Pace::FractionOfLimit(0.1) } else { Pace::Machines(3) };
    world.policy.shutdown_time = spec.shutdown.map(|after| NOON + minutes(after));
    world.strangers = Strangers {
        machines: spec.foreign / 2,
        processors: Processors(spec.foreign),
        other_deployments: 0,
    };
    set_quota(&mut world, spec);
    world.lost_replies_made_vms = spec.flags & 4 == 0;
    for (index, machine) in spec.machines.iter().enumerate() {
        add_machine(&mut world, machine, index);
    }
    for (machinetype, kind, ago, ran) in &spec.past {
        let (name, ago) = (TYPES[*machinetype], minutes(*ago));
        match ran {
            Some(ran) => world.past_run(name, ago, minutes(*ran), end_kind(*kind)),
            None => world.past(name, ago, end_kind(*kind)),
        }
    }
    if spec.flags & 16 != 0 {
        world.terms.closes = spec.shutdown.map(|after| NOON + minutes(after / 2));
        let cannot = Readiness::Cannot { why: "no image".into() };
        world.readiness.insert(machinetype_name(TYPES[0]), cannot);
    }
    add_requests(&mut world, spec);
    add_left_behind(&mut world);
    add_orphans(&mut world, spec);
    for (name, age) in [("p1", 80), ("p2", 10)] {
        world.archived.push((machine_name("dune", name), NOON - hours(age)));
    }
    world
}

/// Of two of the flavours the price is known, and the larger is cheaper by the processor; no cap is on anything.
fn prices() -> Purse {
    let mut purse = Purse::open();
    let dear = [(offering("m1", 1).id, priced(2)), (offering("m4", 4).id, priced(5))];
    purse.costs.prices.extend(dear);
    purse
}

/// A volume of each machine, and of one that there never was.
fn add_left_behind(world: &mut World) {
    let tags: Vec<Tags> = world.machines.iter().map(|view| view.record.tags.clone()).collect();
    for (index, tags) in tags.into_iter().enumerate() {
        world.left_behind(&format!("v-{index}"), tags);
    }
    let tags = world.record("dune", "never", hours(99)).tags;
    world.left_behind("v-never", tags);
}

fn set_quota(world: &mut World, spec: &Spec) {
    if let Some((limit, used)) = spec.quota {
        world.quota.processors = Some(Processors(limit));
        world.quota.processors_used = Some(Processors(used));
    }
    if spec.flags & 32 != 0 {
        let of_each = u64::from(spec.limit) * 1500;
        world.quota.memory = Some(Megabytes(of_each));
        world.quota.memory_used = Some(Megabytes(u64::from(spec.foreign) * 2048));
    }
    if spec.flags & 64 != 0 {
        world.quota.machines = Some(spec.limit / 2);
        world.quota.machines_used = Some(spec.foreign);
    }
    world.quota_stop = spec.quota_stop.map(|used| QuotaStop { at: NOON, used: Processors(used) });
}

fn add_orphans(world: &mut World, spec: &Spec) {
    for index in 0..spec.orphans {
        let mut record =
            world.record(TYPES[usize::from(index % 3)], &format!("o{index:03}"), hours(1));
        if index == 2 {
            record.tags.deployment = DeploymentId::compose(5);
        }
        let mut instance = vm_of(&record, InstanceState::Running);
        if spec.flags & 8 != 0 {
            (instance.processors, instance.memory, instance.offering) = (None, None, None);
        }
        let mut twin = instance.clone();
        world.orphans.push(Orphan { tags: record.tags.clone(), instance });
        if spec.flags & 16 != 0 {
            twin.id = InstanceId::parse(&format!("{}-twin", twin.id)).unwrap();
            world.orphans.push(Orphan { tags: record.tags, instance: twin });
        }
    }
}

fn end_kind(kind: u8) -> EndKind {
    let said = |code| EndKind::Message { message: ShutdownMessage { code, text: "x".into() } };
    match kind {
        0 => EndKind::Fizzled,
        1 => EndKind::NeverStarted,
        2 => said(200),
        3 => said(300),
        4 => said(500),
        5 => EndKind::Rejected { kind: "insufficient-capacity".into() },
        6 => EndKind::Rejected { kind: "invalid-spec".into() },
        7 => EndKind::Killed { reason: DeleteReason::Heartbeat },
        _ => EndKind::Preempted,
    }
}

fn add_requests(world: &mut World, spec: &Spec) {
    let by = NOON + minutes(30);
    let first = world.machines.first().map(|view| view.record.machine().clone());
    match (spec.drain, first) {
        (0, _) => world.request("a@b", RequestWhat::DrainSpace { by }),
        (1, _) => world.request(
            "a@b",
            RequestWhat::DrainMachinetype { machinetype: machinetype_name("lsst"), by },
        ),
        (2, Some(machine)) => world.request("a@b", RequestWhat::DrainMachine { machine, by }),
        (3, Some(machine)) => world.request("a@b", RequestWhat::DeleteMachine { machine }),
        (4, _) => world
            .request("a@b", RequestWhat::DeleteMachine { machine: machine_name("ska", "none") }),
        _ => {}
    }
}

fn refused_late(refusal: LateRefusal) -> InstanceState {
    InstanceState::Failed { refusal: Some(refusal), fault: "x".into() }
}

fn add_machine(world: &mut World, spec: &MachineSpec, index: usize) {
    let (machinetype, age) = (TYPES[spec.machinetype], minutes(spec.minutes));
    let now = world.now;
    let name = format!("m{index:03}");
    let view = match spec.kind {
        0 => world.intended(machinetype, &name, age),
        1 | 2 | 14..=16 => world.starting(machinetype, &name, age),
        _ => world.running(machinetype, &name, age),
    };
    let state = match spec.kind {
        2 => Some(InstanceState::Running),
        4 => Some(InstanceState::Stopped),
        5 => Some(InstanceState::Preempted),
        6 => Some(InstanceState::Failed { refusal: None, fault: "x".into() }),
        15 => Some(refused_late(LateRefusal::InsufficientCapacity)),
        16 => Some(refused_late(LateRefusal::QuotaExceeded)),
        7 => Some(InstanceState::Deleting),
        8 => Some(InstanceState::Gone),
        9 | 14 => Some(InstanceState::Unknown { word: "x".into() }),
        _ => None,
    };
    if let Some(state) = state {
        let mut vm = vm_of(&view.record, state);
        vm.started = view.record.started;
        view.sighting = Sighting::Seen(Box::new(vm));
    }
    match spec.kind {
        10 => view.sighting = Sighting::NotSeen,
        11 => view.sighting = Sighting::ProvenAbsent,
        12 => {
            let mut twin = vm_of(&view.record, InstanceState::Running);
            twin.id = InstanceId::parse(&format!("{}-twin", twin.id)).unwrap();
            view.duplicates.push(twin);
        }
        _ => {}
    }
    view.heartbeat = spec.heartbeat.map(|ago| now - minutes(ago));
    view.message = spec.code.map(|code| ShutdownMessage { code, text: "x".into() });
    if let Some(ago) = spec.deleting.filter(|_| spec.kind > 0) {
        view.record.deletion = Some(Deletion {
            reason: DeleteReason::MaxWallclock,
            since: now - minutes(2 * ago),
            attempts: 1 + u32::from(spec.extra % 4),
            last: now - minutes(ago),
        });
    }
    match spec.extra {
        0 => {
            view.record.rejected =
                Some(Rejection { at: now, kind: "quota-exceeded".into(), message: "no".into() });
            view.record.instance = None;
            view.record.started = None;
            view.sighting = Sighting::NotSeen;
        }
        1 => view.record.gone = Some(Gone { at: now, evidence: Evidence::NotFound }),
        2 => {
            view.record.drain =
                Some(Drain { by: now - minutes(1), reason: DrainReason::Interruption });
        }
        _ => {}
    }
}

/// The same with every list turned round by some steps and reversed.
fn shuffled(world: &World, by: usize) -> World {
    fn turn<T>(list: &mut [T], by: usize) {
        if !list.is_empty() {
            list.rotate_left(by % list.len());
            list.reverse();
        }
    }
    let mut other = world.clone();
    turn(&mut other.machines, by);
    turn(&mut other.orphans, by);
    turn(&mut other.offerings, by);
    turn(&mut other.past, by);
    turn(&mut other.requests, by);
    turn(&mut other.archived, by);
    other
}

/// Deletes as (machine, VM).
fn deleted(plan: &Plan) -> BTreeSet<(MachineName, InstanceId)> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Delete { machine, instance, reason: _ } => {
                Some((machine.clone(), instance.clone()))
            }
            _ => None,
        })
        .collect()
}

/// Machines that the full information proves not to exist: deleting those again harms nobody.
fn proven_absent(world: &World) -> BTreeSet<MachineName> {
    world
        .machines
        .iter()
        .filter(|view| match &view.sighting {
            Sighting::ProvenAbsent => true,
            Sighting::Seen(vm) => vm.state == InstanceState::Gone,
            Sighting::NotSeen => false,
        })
        .map(|view| view.record.machine().clone())
        .collect()
}

/// Less information never adds a delete of anything that may exist.
fn adds_no_delete(full: &World, less: &World) -> Result<(), TestCaseError> {
    let absent = proven_absent(full);
    let before = deleted(&full.plan());
    for (machine, instance) in deleted(&less.plan()) {
        let harmless = absent.contains(&machine);
        prop_assert!(
            harmless || before.contains(&(machine.clone(), instance)),
            "{machine} is deleted only with less information"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_input_gives_the_same_plan(spec in spec()) {
        let world = world(&spec);
        prop_assert_eq!(world.plan(), world.clone().plan());
    }

    #[test]
    fn the_order_of_the_input_leaves_no_trace(spec in spec(), by in 0..16_usize) {
        let world = world(&spec);
        prop_assert_eq!(world.plan(), shuffled(&world, by).plan());
    }

    #[test]
    fn every_machinetype_has_exactly_one_reason(spec in spec()) {
        let plan = world(&spec).plan();
        let explained: Vec<_> = plan.report.machinetypes.keys().map(|name| name.as_str()).collect();
        prop_assert_eq!(explained, TYPES);
        for reason in plan.report.machinetypes.values() {
            prop_assert!(!reason.to_string().is_empty() && !reason.word().is_empty());
        }
    }

    /// What is made with much money, but for what a cap has no room for; and `plan` has checked that no cap is passed.
    #[test]
    fn money_only_makes_fewer_machines_and_ends_no_other(spec in spec(), limit in 1..600_i64) {
        let mut world = world(&spec);
        let mut poor = world.clone();
        poor.purse = Some(purse(cap(limit)));
        world.purse = Some(purse(cap(1_000_000)));
        let (rich, poor) = (world.plan(), poor.plan());
        prop_assert!(creates(&poor).len() <= creates(&rich).len());
        let others = |plan: &Plan| -> Vec<Step> {
            plan.steps.iter().filter(|step| !matches!(step, Step::Create(_))).cloned().collect()
        };
        prop_assert_eq!(others(&poor), others(&rich));
        let worst: i64 = creates(&poor).len() as i64 * 2;
        prop_assert!(worst <= limit, "each costs two hours at least");
    }

    #[test]
    fn when_the_plan_is_carried_out_the_next_one_is_empty_in_the_end(spec in spec(), listing in 0..4_u8) {
        let mut world = world(&spec);
        match listing {
            0 => world.listing = ListingState::Partial { why: "x".into() },
            1 => world.listing = ListingState::Failed { kind: "unavailable".into(), message: "x".into() },
            _ => {}
        }
        world.settle(100);
        prop_assert_eq!(world.plan().steps, vec![]);
        // Nothing is remembered twice, and nothing that exists has been forgotten.
        let names: BTreeSet<_> = world.machines.iter().map(|v| v.record.machine()).collect();
        prop_assert_eq!(names.len(), world.machines.len());
        prop_assert!(world.orphans.iter().all(|o| o.tags.deployment != world.deployment));
    }

    #[test]
    fn steps_other_than_creates_are_done_after_few_cycles(spec in spec()) {
        let mut world = world(&spec);
        for _ in 0..6 {
            let plan = world.plan();
            world.apply(&plan);
        }
        for step in world.plan().steps {
            let expected = matches!(step, Step::Create(_));
            prop_assert!(expected, "still to do: {step}");
        }
    }

    #[test]
    fn limits_are_never_passed_by_what_is_made(spec in spec()) {
        let mut world = world(&spec);
        for _ in 0..30 {
            let plan = world.plan();
            let made: u32 = creates(&plan).iter().map(|new| new.offering.processors.0).sum();
            let before = processors_in_use(&world.input()).0;
            world.apply(&plan);
            if made == 0 {
                continue;
            }
            // Counted here by hand: records that are not gone, and what is foreign.
            let ours: u32 = world
                .machines
                .iter()
                .filter(|view| phase_of(view, world.now).holds_place())
                .map(|view| view.record.processors.0)
                .sum();
            prop_assert!(ours + spec.foreign <= spec.limit, "{ours} + {} > {}", spec.foreign, spec.limit);
            if let Some((limit, _)) = spec.quota {
                prop_assert!(before + made <= limit);
            }
            if let Some(limit) = spec.machines_limit {
                let machines = world.machines.iter().filter(|v| phase_of(v, world.now).holds_place()).count();
                prop_assert!(machines as u32 + spec.foreign / 2 <= limit);
            }
            let new: BTreeSet<_> = creates(&plan).iter().map(|new| new.tags.machinetype.as_str()).collect();
            let of = |name: &str, starting: bool| -> u32 {
                world
                    .machines
                    .iter()
                    .filter(|v| v.record.machinetype().as_str() == name)
                    .filter(|v| match phase_of(v, world.now) {
                        Phase::Intended { .. } | Phase::Starting { .. } => true,
                        Phase::Gone { .. } => false,
                        _ => !starting,
                    })
                    .map(|v| v.record.processors.0)
                    .sum()
            };
            if let Some(limit) = spec.type_limit.filter(|_| new.contains("dune")) {
                prop_assert!(of("dune", false) <= limit);
            }
            if let Some(limit) = spec.max_starting.filter(|_| new.contains("lsst")) {
                prop_assert!(of("lsst", true) <= limit);
            }
        }
    }

    #[test]
    fn a_listing_that_cannot_be_believed_makes_nothing_and_adds_no_delete(spec in spec(), kind in 0..5_u8, blind: bool) {
        let full = world(&spec);
        let mut less = full.clone();
        less.listing = match kind {
            0 => ListingState::Partial { why: "x".into() },
            1 => ListingState::Shrunken { expected: 9, missing: 8 },
            2 => ListingState::Failed { kind: "unavailable".into(), message: "x".into() },
            3 => ListingState::Elsewhere { ours: "x".into(), theirs: "y".into() },
            _ => ListingState::Failed { kind: "auth-failed".into(), message: "x".into() },
        };
        if blind {
            for view in &mut less.machines {
                view.sighting = Sighting::NotSeen;
            }
        }
        let plan = less.plan();
        prop_assert!(creates(&plan).is_empty());
        // Only on a shrunken listing do direct gets go on, and with them the blast radius.
        let gets_go_on = kind == 1 && !blind;
        prop_assert!(gets_go_on || plan.report.held_back.is_empty());
        if kind == 3 {
            prop_assert!(plan.steps.is_empty());
        }
        if kind == 4 {
            prop_assert!(deletes(&plan).is_empty());
        }
        // What is archived was proven gone before, or is now by positive evidence.
        for step in &plan.steps {
            if let Step::Archive { machine } = step {
                let view = full.machines.iter().find(|v| v.record.machine() == machine).unwrap();
                let proven = view.record.gone.is_some() || view.record.rejected.is_some();
                let tombstone = !blind && matches!(&view.sighting, Sighting::Seen(vm) if vm.state == InstanceState::Gone);
                let not_found = gets_go_on && view.sighting == Sighting::ProvenAbsent;
                prop_assert!(proven || tombstone || not_found);
            }
        }
        adds_no_delete(&full, &less)?;
    }

    #[test]
    fn a_doubted_clock_adds_no_delete_and_makes_nothing(spec in spec()) {
        let trusted = world(&spec);
        let mut doubted = trusted.clone();
        doubted.clock = ClockTrust::Doubted { why: "x".into() };
        let plan = doubted.plan();
        prop_assert!(creates(&plan).is_empty());
        for step in &plan.steps {
            let by_time = match step {
                Step::Adopt { .. } | Step::Expire { .. } | Step::Resolve { .. } | Step::Drain { .. } => true,
                Step::Learn { fact, .. } => {
                    !matches!(fact, Fact::Gone { evidence: Evidence::Rejected, .. })
                }
                _ => false,
            };
            prop_assert!(!by_time, "{step}");
        }
        adds_no_delete(&trusted, &doubted)?;
    }

    #[test]
    fn nothing_is_swept_of_a_machine_that_may_stand(spec in spec(), listing in 0..4_u8) {
        let mut world = world(&spec);
        if listing == 0 {
            world.listing = ListingState::Partial { why: "x".into() };
        }
        let plan = world.plan();
        let swept: Vec<&SideResource> = plan.steps.iter().filter_map(|step| match step {
            Step::Sweep { resource } => Some(resource),
            _ => None,
        }).collect();
        prop_assert!(swept.iter().all(|resource| resource.attached_to.is_none()));
        for view in &world.machines {
            let may_stand = view.record.gone.is_none();
            let of_it = |resource: &&SideResource| resource.tags.machine == *view.record.machine();
            prop_assert!(!may_stand || !swept.iter().copied().any(|resource| of_it(&resource)));
        }
        let never = swept.iter().any(|resource| resource.id == "v-never");
        prop_assert_eq!(never, listing != 0, "what nobody can need goes, when all can be seen");
    }

    #[test]
    fn hiding_machines_adds_no_delete(spec in spec(), hidden in any::<u16>()) {
        let full = world(&spec);
        let mut less = full.clone();
        for (index, view) in less.machines.iter_mut().enumerate() {
            if hidden & (1 << (index % 16)) != 0 {
                view.sighting = Sighting::NotSeen;
            }
        }
        adds_no_delete(&full, &less)?;
    }

    #[test]
    fn hiding_machines_that_live_never_turns_nothing_into_a_create(spec in spec(), hidden in any::<u16>()) {
        // A sighting that tells of an end is not hidden: an abort that nobody knows of cannot be
        // backed off from. Nor one that contradicts a record which says that the machine is gone.
        let full = world(&spec);
        prop_assume!(creates(&full.plan()).is_empty());
        let mut less = full.clone();
        for (index, view) in less.machines.iter_mut().enumerate() {
            let lives = match &view.sighting {
                Sighting::Seen(vm) => matches!(
                    vm.state,
                    InstanceState::Pending | InstanceState::Running | InstanceState::Unknown { .. }
                ),
                Sighting::NotSeen | Sighting::ProvenAbsent => false,
            };
            if lives && view.record.gone.is_none() && hidden & (1 << (index % 16)) != 0 {
                view.sighting = Sighting::NotSeen;
            }
        }
        prop_assert!(creates(&less.plan()).is_empty());
    }

    #[test]
    fn without_offerings_nothing_is_made_and_deletes_are_the_same(spec in spec()) {
        let full = world(&spec);
        let mut less = full.clone();
        less.offerings.clear();
        let plan = less.plan();
        prop_assert!(creates(&plan).is_empty());
        prop_assert_eq!(deleted(&plan), deleted(&full.plan()));
    }

    #[test]
    fn fewer_offerings_never_open_a_gate(spec in spec(), kept in 0..16_u8) {
        let full = world(&spec);
        let mut less = full.clone();
        let mut index = 0;
        less.offerings.retain(|_| { index += 1; kept & (1 << (index - 1)) != 0 });
        let (full, less) = (full.plan(), less.plan());
        for (machinetype, reason) in &full.report.machinetypes {
            let is_gate = matches!(
                reason,
                Reason::ZeroShare | Reason::Draining { .. } | Reason::SpaceShutDown { .. }
                    | Reason::ShutdownTooNear { .. } | Reason::BlastRadius { .. }
                    | Reason::Backoff { .. } | Reason::FizzleGate { .. }
            );
            if is_gate {
                let made = creates(&less).iter().filter(|new| new.tags.machinetype == *machinetype).count();
                prop_assert_eq!(made, 0);
            }
        }
    }

    #[test]
    fn a_late_refusal_means_for_creations_what_one_at_once_means(
        spec in spec(), kind in prop::sample::select(vec![LateRefusal::InsufficientCapacity, LateRefusal::QuotaExceeded]), ago in 0..300_u64,
    ) {
        let (mut at_once, mut late) = (world(&spec), world(&spec));
        let mut record = at_once.record(TYPES[0], "refused", minutes(ago));
        let (at, message) = (record.asked, "x".to_owned());
        record.gone = Some(Gone { at, evidence: Evidence::NotFound });
        let mut refused = record.clone();
        refused.rejected = Some(Rejection { at, kind: kind.word().to_owned(), message: message.clone() });
        at_once.machines.push(World::unseen(refused));
        record.refused_late = Some(LateRejection { kind, message });
        record.ended = Some(EndFact { at, state: EndState::Failed, message: None });
        late.machines.push(World::unseen(record));
        let (at_once, late) = (at_once.plan(), late.plan());
        prop_assert_eq!(&at_once.report, &late.report);
        prop_assert_eq!(creates(&at_once), creates(&late));
    }

    #[test]
    fn a_machinetype_draws_the_same_names_whatever_others_do(seed: u64, shares in prop::array::uniform2(1..9_u8)) {
        let mut alone = World::new(vec![machinetype("dune", f64::from(shares[0]))]);
        let both = vec![machinetype("dune", f64::from(shares[0])), machinetype("lsst", f64::from(shares[1]))];
        let mut both = World::new(both);
        (alone.seed, both.seed) = (seed, seed);
        let names = |world: &World| -> Vec<_> {
            let plan = world.plan();
            let own = creates(&plan).into_iter().filter(|new| new.tags.machinetype.as_str() == "dune");
            own.map(|new| (new.tags.machine.clone(), new.tags.intent)).collect()
        };
        let (alone, both) = (names(&alone), names(&both));
        prop_assert!(!both.is_empty() && alone.starts_with(&both));
    }

    #[test]
    fn after_an_abort_nothing_is_made_for_backoff_and_then_one_at_a_time_for_fizzle(
        backoff in 1..60_u64, fizzle in 1..60_u64, ago in 0..200_u64, young in 0..70_u64, has_one: bool,
    ) {
        let mut policy = machinetype("dune", 1.0);
        (policy.backoff, policy.fizzle) = (minutes(backoff), minutes(fizzle));
        let mut world = World::new(vec![policy]);
        world.past("dune", minutes(ago), EndKind::Fizzled);
        if has_one {
            world.running("dune", "a", minutes(young));
        }
        let plan = world.plan();
        let made = creates(&plan).len();
        let expected = if ago < backoff {
            prop_assert_eq!(word(&plan, "dune"), "backoff");
            0
        } else if ago < backoff + fizzle {
            if has_one && young < fizzle { 0 } else { 1 }
        } else {
            10
        };
        prop_assert_eq!(made, expected);
    }
}

proptest! {
    // Each case runs a space through many cycles.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_are_kept_within_one_machine_while_an_empty_space_fills(
        shares in prop::array::uniform3(1..9_u8),
        sizes in prop::array::uniform3(0..3_usize),
        limit in 20..200_u32,
        seed: u64,
    ) {
        let mut world = world_of_sizes(&shares, &sizes);
        world.policy.processors_limit = Some(Processors(limit));
        world.seed = seed;
        world.settle(400);
        within_one_machine(&world)?;
    }

    #[test]
    fn shares_converge_to_within_one_machine_from_any_start(
        shares in prop::array::uniform3(1..9_u8),
        start in prop::array::uniform3(0..30_u32),
        seed: u64,
    ) {
        let mut world = world_of_sizes(&shares, &[0, 0, 0]);
        let limit = start.iter().sum::<u32>().max(12);
        world.policy.processors_limit = Some(Processors(limit));
        world.seed = seed;
        for (name, count) in TYPES.iter().zip(start) {
            for index in 0..count {
                world.running(name, &format!("s{index:03}"), minutes(30));
            }
        }
        // Each of the first machines ends well, one after the other, and is replaced.
        let first: Vec<_> = world.machines.iter().map(|v| v.record.machine().clone()).collect();
        for machine in first {
            world.stop(&machine, Some("200 Success"));
            world.settle(100);
        }
        within_one_machine(&world)?;
    }
}

/// Three machinetypes, each with machines of one size only.
fn world_of_sizes(shares: &[u8; 3], sizes: &[usize; 3]) -> World {
    let flavours = [offering("m1", 1), offering("m2", 2), offering("m4", 4)];
    let types = TYPES.iter().zip(shares).zip(sizes).map(|((name, share), size)| {
        let mut policy = machinetype(name, f64::from(*share));
        policy.flavors = vec![flavours[*size].id.flavour.clone()];
        policy
    });
    let mut world = World::new(types.collect());
    world.offerings = flavours.to_vec();
    world
}

/// No machinetype is further ahead of another one, measured in weight for each share, than one
/// machine of either makes.
fn within_one_machine(world: &World) -> Result<(), TestCaseError> {
    let processors = world.processors();
    let state: BTreeMap<_, _> = world
        .policy
        .machinetypes
        .values()
        .map(|policy| {
            let size = world.offerings.iter().find(|o| policy.flavors[0] == o.id.flavour).unwrap();
            let share = policy.target_share.weight();
            let weight = f64::from(processors.get(&policy.name).copied().unwrap_or(0));
            (&policy.name, (weight / share, f64::from(size.processors.0) / share))
        })
        .collect();
    for (ahead, (high, step)) in &state {
        for (behind, (low, other_step)) in &state {
            prop_assert!(
                high - low <= step.max(*other_step) + 1e-9,
                "{ahead} is ahead of {behind} by more than one machine: {state:?}"
            );
        }
    }
    Ok(())
}
