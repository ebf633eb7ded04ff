//! Each law of a finished plan is alive: a plan that breaks it is refused, by name. The plans are broken by
//! hand, or the world is changed behind their back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use std::collections::BTreeSet;
use std::time::Duration;

use plan_support::*;
use vcycle::model::*;
use vcycle::plan::{Fact, NewMachine, Orphan, Pays, Plan, QuotaStop, Reason, Step, check};

/// A law, and a plan that breaks it.
struct Case {
    law: &'static str,
    what: &'static str,
    world: World,
    plan: Plan,
}

fn one() -> World {
    World::new(vec![machinetype("dune", 1.0)])
}

fn says_no_work() -> EndKind {
    EndKind::Message { message: ShutdownMessage::parse("300 No work").unwrap() }
}

fn broken(law: &'static str, what: &'static str, world: World, plan: Plan) -> Case {
    Case { law, what, world, plan }
}

/// The plan of a world that makes ten machines, after something changed in the world.
fn made(law: &'static str, what: &'static str, change: impl FnOnce(&mut World)) -> Case {
    let mut world = one();
    let plan = world.plan();
    assert_eq!(creates(&plan).len(), 10);
    change(&mut world);
    broken(law, what, world, plan)
}

/// The plan of a world that makes one machine, after something changed in the world.
fn made_one(law: &'static str, what: &'static str, change: impl FnOnce(&mut World)) -> Case {
    let mut world = one();
    world.policy.pace = Pace::Machines(1);
    let plan = world.plan();
    assert_eq!(creates(&plan).len(), 1);
    change(&mut world);
    broken(law, what, world, plan)
}

/// A plan with more steps than it had, in their place.
fn with_steps(mut plan: Plan, steps: Vec<Step>) -> Plan {
    let creates = plan.steps.iter().position(|step| matches!(step, Step::Create(_)));
    let at = creates.unwrap_or(plan.steps.len());
    plan.steps.splice(at..at, steps);
    plan
}

fn delete(view: &MachineView, reason: DeleteReason) -> Step {
    let instance = view.record.instance.clone().unwrap();
    Step::Delete { machine: view.record.machine().clone(), instance, reason }
}

/// A full space with so many machines that have run for two hours, of which the first have no heartbeat.
fn beating(machines: usize, silent: usize) -> World {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(machines as u32));
    let rule = HeartbeatRule { file: "heartbeat".into(), every: Some(minutes(10)) };
    world.policy_of("dune").heartbeat = Some(rule);
    for index in 0..machines {
        let ago = if index < silent { minutes(30) } else { minutes(1) };
        world.running("dune", &format!("{index:03}"), hours(2)).heartbeat = Some(NOON - ago);
    }
    world
}

fn orphan_of(world: &World, short: &str, processors: u32) -> Orphan {
    let record = world.record("dune", short, hours(1));
    let mut instance = vm_of(&record, InstanceState::Running);
    instance.processors = Some(Processors(processors));
    Orphan { tags: record.tags, instance }
}

fn about_reasons() -> Vec<Case> {
    let law = "every machinetype has exactly one reason";
    let mut silent = made(law, "none told", |_| {});
    silent.plan.report.machinetypes.clear();
    let mut lie = made("the reason tells what is made", "another one told", |_| {});
    lie.plan.report.machinetypes.insert(machinetype_name("dune"), Reason::ZeroShare);
    let mut world = one();
    world.running("dune", "a", hours(24));
    let mut plan = world.plan();
    plan.steps.reverse();
    vec![silent, lie, broken("steps come in their order", "reversed", world, plan)]
}

fn about_machines() -> Vec<Case> {
    let mut cases = Vec::new();
    let law = "only machines of this deployment are touched";
    let mut world = one();
    world.running("dune", "a", hours(24));
    let plan = world.plan();
    world.machines[0].record.tags.deployment = DeploymentId::compose(9);
    cases.push(broken(law, "another's", world, plan));

    let law = "only VMs of this deployment without a record are adopted";
    let mut world = one();
    world.orphans = vec![orphan_of(&world, "z", 1)];
    let plan = world.plan();
    world.intended("dune", "z", minutes(1));
    cases.push(broken(law, "one with a record", world.clone(), plan.clone()));
    world.machines.clear();
    world.deployment = DeploymentId::compose(9);
    cases.push(broken(law, "another's", world, plan));

    let expire = |name| Step::Expire { machine: machine_name("dune", name) };
    let mut world = one();
    world.archived = vec![(machine_name("dune", "old"), NOON - hours(71))];
    let law = "only archived folders are removed";
    let plan = world.plan();
    let missing = with_steps(plan.clone(), vec![expire("new")]);
    cases.push(broken(law, "one that is not there", world.clone(), missing));
    let law = "a folder is kept for its time";
    let early = with_steps(plan, vec![expire("old")]);
    cases.push(broken(law, "an hour too early", world, early));

    let mut world = one();
    world.request("a@b", RequestWhat::DrainSpace { by: NOON });
    let id = world.requests[0].id.clone();
    let close = Step::CloseRequest { id, because: "x".into() };
    let law = "only requests about one machine are closed";
    let plan = with_steps(world.plan(), vec![close]);
    cases.push(broken(law, "a standing drain", world, plan));
    cases
}

/// A plan that does and makes nothing, with a reason for it.
fn quiet(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.steps.clear();
    for reason in plan.report.machinetypes.values_mut() {
        *reason = Reason::ZeroShare;
    }
    plan
}

fn about_deletes() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut world = one();
    world.running("dune", "a", hours(24));
    world.policy.processors_limit = Some(Processors(1));
    let plan = world.plan();
    assert_eq!(deletes(&plan).len(), 1);

    let law = "without credentials nothing is deleted";
    let mut refused = world.clone();
    let kind = ErrorKind::AuthFailed.word().to_owned();
    refused.listing = ListingState::Failed { kind, message: "401".into() };
    cases.push(broken(law, "401", refused, plan.clone()));

    let law = "in another tenancy than the space's nothing is done";
    let mut elsewhere = world.clone();
    elsewhere.listing = ListingState::Elsewhere { ours: "x".into(), theirs: "y".into() };
    cases.push(broken(law, "elsewhere", elsewhere, plan.clone()));

    let law = "only VMs that are known to be ours are deleted";
    let mut other = plan.clone();
    for step in &mut other.steps {
        if let Step::Delete { instance, .. } = step {
            *instance = InstanceId::parse("i-of-somebody").unwrap();
        }
    }
    cases.push(broken(law, "an id that we do not know", world.clone(), other));
    let mut taken = world.clone();
    if let Sighting::Seen(vm) = &mut taken.machines[0].sighting {
        vm.identity = Identity::Foreign;
    }
    cases.push(broken(law, "our id with other tags", taken, plan.clone()));

    let law = "what is gone is not deleted";
    let mut gone = world.clone();
    gone.machines[0].sighting = Sighting::NotSeen;
    gone.machines[0].record.gone = Some(Gone { at: NOON, evidence: Evidence::DeleteSaidGone });
    cases.push(broken(law, "gone by its record", gone, plan.clone()));

    let law = "the machine itself is not its own duplicate";
    let itself = delete(&world.machines[0], DeleteReason::Duplicate);
    let itself = Plan { steps: vec![itself], ..plan.clone() };
    cases.push(broken(law, "the machine", world.clone(), itself));

    let law = "no VM is deleted twice";
    let twice = with_steps(plan.clone(), vec![plan.steps[0].clone()]);
    cases.push(broken(law, "twice", world, twice));

    let law = "no delete for silence without a listing that can be believed";
    let mut world = beating(8, 1);
    let plan = world.plan();
    assert_eq!(deletes(&plan).len(), 1);
    world.listing = ListingState::Partial { why: "x".into() };
    cases.push(broken(law, "partial", world, plan));
    cases
}

/// A volume whose machine is gone for good, swept behind the back of a change.
fn swept(law: &'static str, what: &'static str, change: impl FnOnce(&mut World)) -> Case {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(0));
    let tags = world.record("dune", "old", hours(50)).tags;
    world.left_behind("v-1", tags);
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 1);
    change(&mut world);
    broken(law, what, world, plan)
}

fn about_sweeps() -> Vec<Case> {
    let law = "nothing of a machine that may stand is swept";
    vec![
        swept(law, "an intent", |world| {
            world.intended("dune", "old", minutes(1));
        }),
        swept(law, "its VM without a record", |world| {
            world.orphans = vec![orphan_of(world, "old", 1)];
        }),
        swept(law, "another machine of its intent", |world| {
            let intent = world.side.proven[0].tags.intent;
            world.running("dune", "new", hours(1)).record.tags.intent = intent;
        }),
        swept(law, "a VM that the cloud still shows", |world| {
            let gone = Gone { at: world.now, evidence: Evidence::NotFound };
            world.running("dune", "old", hours(1)).record.gone = Some(gone);
        }),
        swept("only what is proven unused is swept", "not proven", |world| {
            world.side.proven.clear();
        }),
        swept("only side resources of this space are swept", "another space", |world| {
            world.policy.space = SpaceName::parse("other.example").unwrap();
        }),
        swept("nothing is swept on a listing that cannot be believed", "partial", |world| {
            world.listing = ListingState::Partial { why: "x".into() };
        }),
    ]
}

fn about_proof() -> Vec<Case> {
    let law = "a machine is only taken for gone with proof";
    let mut cases = Vec::new();
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    let view = world.running("dune", "a", hours(1));
    view.sighting = Sighting::ProvenAbsent;
    let mut plan = world.plan();
    plan.steps.retain(|step| !matches!(step, Step::Create(_)));
    let plan = Plan { report: quiet(&plan).report, ..plan };
    assert!(plan.steps.iter().any(|step| matches!(step, Step::Archive { .. })));
    let mut hidden = world.clone();
    hidden.machines[0].sighting = Sighting::NotSeen;
    cases.push(broken(law, "only missing", hidden, plan.clone()));
    let mut partial = world.clone();
    partial.listing = ListingState::Partial { why: "x".into() };
    cases.push(broken(law, "on a partial listing", partial, plan.clone()));
    let mut archived = plan;
    archived.steps.retain(|step| matches!(step, Step::Archive { .. }));
    cases.push(broken(law, "put away without a word", world, archived));
    cases
}

fn about_silence() -> Vec<Case> {
    let mut cases = Vec::new();
    // Three of eight may be silent at once; the plan to delete them stands when five more fall silent.
    let law = "silence deletes nothing beyond the blast radius";
    let three = beating(8, 3);
    let plan = three.plan();
    assert_eq!(deletes(&plan).len(), 3);
    cases.push(broken(law, "more are silent", beating(8, 8), plan.clone()));
    let mut missing = three.clone();
    missing.machines[7].sighting = Sighting::NotSeen;
    cases.push(broken(law, "one more is missing", missing, plan.clone()));
    let mut lately = three.clone();
    let killed = EndKind::Killed { reason: DeleteReason::Heartbeat };
    lately.past("dune", minutes(20), killed);
    cases.push(broken(law, "one was deleted for it lately", lately, plan.clone()));
    // The report's own word is not needed for it.
    assert!(plan.report.held_back.is_empty());

    let law = "held-back machines are not deleted";
    let world = beating(8, 8);
    let held = world.plan();
    assert!(deletes(&held).is_empty() && held.report.held_back.len() == 8);
    let step = delete(&world.machines[0], DeleteReason::MaxWallclock);
    cases.push(broken(law, "for another reason", world, with_steps(held, vec![step])));

    let law = "beyond the blast radius only as many as it allows are taken for gone";
    let mut world = beating(12, 0);
    for view in world.machines.iter_mut().take(8) {
        view.sighting = Sighting::ProvenAbsent;
    }
    let allowed = world.plan();
    let gone = |machine: &MachineName| {
        let ended = Fact::Ended { at: NOON, state: EndState::Vanished, message: None };
        let gone = Fact::Gone { at: NOON, evidence: Evidence::NotFound };
        [ended, gone].map(|fact| Step::Learn { machine: machine.clone(), fact })
    };
    let concluded = allowed
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Learn { fact: Fact::Gone { .. }, .. }));
    assert_eq!(concluded.count(), 3, "a quarter of twelve");
    let mut one_more = allowed;
    let fourth = world.machines[3].record.machine().clone();
    one_more.steps.splice(0..0, gone(&fourth));
    cases.push(broken(law, "a fourth", world, one_more));

    let law = "nothing is made while we suspect ourselves";
    let mut world = beating(8, 0);
    world.policy.processors_limit = Some(Processors(9));
    let plan = world.plan();
    assert_eq!(creates(&plan).len(), 1);
    for view in &mut world.machines {
        view.heartbeat = None;
    }
    assert!(plan.report.held_back.is_empty());
    cases.push(broken(law, "all silent", world, plan));
    cases
}

fn about_creates() -> Vec<Case> {
    let machinetype = || machinetype_name("dune");
    let mut cases = vec![
        made("nothing is made on a listing that cannot be believed", "partial", |world| {
            world.listing = ListingState::Partial { why: "x".into() };
        }),
        made("only what is offered is made", "sold out for good", |world| world.offerings.clear()),
        made("only what the lists of its machinetype allow is made", "the flavors", |world| {
            world.policy_of("dune").flavors = vec!["m2".into()];
        }),
        made("only what the lists of its machinetype allow is made", "the markets", |world| {
            let dune = world.policy_of("dune");
            dune.markets = vec![Market::Preemptible];
            dune.ranking = Ranking::Price { spreading: Some(1.0) };
        }),
        made("only what the lists of its machinetype allow is made", "the zones", |world| {
            world.policy_of("dune").zones = vec!["a".into()];
        }),
        made("no faster than the pace", "one machine", |world| {
            world.policy.pace = Pace::Machines(1);
        }),
        made("only machinetypes with a share are made", "none", |world| {
            world.policy_of("dune").target_share = Share::new(0.0).unwrap();
        }),
        made("what is drained is not made", "the space", |world| {
            world.request("a@b", RequestWhat::DrainSpace { by: NOON + hours(9) });
        }),
        made("what is drained is not made", "the machinetype", |world| {
            let machinetype = machinetype();
            let by = NOON + hours(9);
            world.request("a@b", RequestWhat::DrainMachinetype { machinetype, by });
        }),
        made("a machine ends before its space does", "an earlier end", |world| {
            world.policy.shutdown_time = Some(NOON + hours(9));
        }),
        made("a machine ends before its space does", "a lease that ends earlier", |world| {
            world.terms.closes = Some(NOON + hours(9));
        }),
        made("nothing is made before the lease begins", "a lease of tomorrow", |world| {
            world.terms.opens = Some(NOON + hours(9));
        }),
        made("only what has all that it needs is made", "no image yet", |world| {
            let not_yet = Readiness::NotYet { why: "uploading".into() };
            world.readiness.insert(machinetype(), not_yet);
        }),
        made("only what has all that it needs is made", "no image ever", |world| {
            let cannot = Readiness::Cannot { why: "no such image".into() };
            world.readiness.insert(machinetype(), cannot);
        }),
        made("a new machine carries our identity", "another deployment", |world| {
            world.deployment = DeploymentId::compose(9);
        }),
    ];
    let law = "a machine has min_wallclock before its space ends";
    let mut world = one();
    world.policy.shutdown_time = Some(NOON + hours(9));
    let plan = world.plan();
    world.policy_of("dune").min_wallclock = hours(10);
    cases.push(broken(law, "ten hours of nine", world, plan));
    let mut twice = made("a new machine has a new name", "made twice", |_| {});
    twice.plan.steps[1] = twice.plan.steps[0].clone();
    cases.push(twice);
    let mut known = made("a new machine has a new name", "of a machine that there is", |_| {});
    let name = creates(&known.plan)[0].tags.machine.clone();
    known.world.running("dune", "a", hours(1)).record.tags.machine = name;
    cases.push(known);
    cases
}

const LIMITS: &str = "no limit is passed";

/// Ten are made; then the world changes so that this is one too many for the space's limit.
fn over_the_space(what: &'static str, change: impl FnOnce(&mut World)) -> Case {
    made(LIMITS, what, |world| {
        world.policy.pace = Pace::Machines(10);
        world.policy.processors_limit = Some(Processors(10));
        change(world);
    })
}

/// Ten are made; then the world changes so that this is too many for another limit.
fn over_another(what: &'static str, change: impl FnOnce(&mut World)) -> Case {
    made(LIMITS, what, |world| {
        world.policy.pace = Pace::Machines(10);
        change(world);
    })
}

fn about_the_spaces_limit() -> Vec<Case> {
    vec![
        over_the_space("a machine", |world| {
            world.running("dune", "a", hours(1));
        }),
        over_the_space("an intent", |world| {
            world.intended("dune", "a", hours(1));
        }),
        over_the_space("a machine being deleted", |world| {
            world.running("dune", "a", hours(1));
            if let Sighting::Seen(vm) = &mut world.machines[0].sighting {
                vm.state = InstanceState::Deleting;
            }
        }),
        over_the_space("one that is gone by its record and seen", |world| {
            let gone = Some(Gone { at: NOON, evidence: Evidence::NotFound });
            world.running("dune", "a", hours(1)).record.gone = gone;
        }),
        over_the_space("a stranger", |world| world.strangers.processors = Processors(1)),
        over_the_space("a VM without a record", |world| {
            world.orphans = vec![orphan_of(world, "z", 1)];
        }),
        over_the_space("a second VM without a record", |world| {
            world.policy.processors_limit = Some(Processors(11));
            let first = orphan_of(world, "z", 1);
            let mut second = first.clone();
            second.instance.id = InstanceId::parse("i-z-twin").unwrap();
            world.orphans = vec![first, second];
        }),
        over_the_space("a second VM of one intent", |world| {
            world.policy.processors_limit = Some(Processors(11));
            let view = world.running("dune", "a", hours(1));
            let mut twin = vm_of(&view.record, InstanceState::Running);
            twin.id = InstanceId::parse("i-a-twin").unwrap();
            view.duplicates.push(twin);
        }),
        over_the_space("what the cloud counts", |world| {
            world.quota.processors_used = Some(Processors(1));
        }),
    ]
}

fn about_other_limits() -> Vec<Case> {
    vec![
        over_another("machines of the space", |world| world.policy.machines_limit = Some(9)),
        over_another("machines of the cloud", |world| {
            (world.quota.machines, world.quota.machines_used) = (Some(10), Some(1));
        }),
        over_another("processors of the cloud", |world| {
            world.quota.processors = Some(Processors(9));
        }),
        over_another("what the cloud does not count yet", |world| {
            world.quota.processors = Some(Processors(20));
            world.quota.processors_used = Some(Processors(10));
            world.intended("dune", "a", secs(5));
        }),
        over_another("memory of the cloud", |world| {
            world.quota.memory = Some(Megabytes(10 * 2048 - 1));
        }),
        over_another("memory that others use", |world| {
            world.quota.memory = Some(Megabytes(10 * 2048));
            world.quota.memory_used = Some(Megabytes(1));
        }),
        over_another("a refusal for quota", |world| {
            world.quota_stop = Some(QuotaStop { at: NOON, used: Processors(9) });
        }),
        over_another("the machinetype's limit", |world| {
            world.policy_of("dune").processors_limit = Some(Processors(9));
        }),
        over_another("processors that are starting", |world| {
            world.policy_of("dune").max_starting_processors = Some(Processors(9));
        }),
    ]
}

fn about_failures() -> Vec<Case> {
    let said_no_work = |world: &mut World, ago: Duration| {
        let view = world.running("dune", "a", ago + minutes(1));
        let message = ShutdownMessage::parse("300 No work");
        view.record.ended = Some(EndFact { at: NOON - ago, state: EndState::Stopped, message });
        view.sighting = Sighting::NotSeen;
    };
    let failures = |world: &mut World, ago: [u64; 3]| {
        world.policy_of("dune").backoff = minutes(0);
        for ago in ago {
            world.past("dune", minutes(ago), EndKind::NeverStarted);
        }
    };
    let probing = "a half-open breaker lets one probe through";
    vec![
        made("nothing is made during the backoff", "an abort of the past", |world| {
            world.past("dune", minutes(9), says_no_work());
        }),
        made("nothing is made during the backoff", "an abort of a record", |world| {
            said_no_work(world, minutes(9));
        }),
        made("nothing is made during the backoff", "an abort that is seen now", |world| {
            let view = world.running("dune", "a", minutes(3));
            let Sighting::Seen(vm) = &mut view.sighting else { panic!() };
            vm.state = InstanceState::Stopped;
        }),
        made("after a backoff one machine at a time is made", "ten", |world| {
            world.past("dune", minutes(12), says_no_work());
        }),
        made_one("after a backoff one machine at a time is made", "one beside another", |world| {
            world.past("dune", minutes(12), says_no_work());
            world.running("dune", "a", minutes(1));
        }),
        made_one("an open breaker stops what it guards", "failures of the past", |world| {
            failures(world, [3, 2, 1]);
        }),
        made_one("an open breaker stops what it guards", "the last of them in a record", |world| {
            failures(world, [3, 2, 1]);
            world.past.pop();
            let (since, reason) = (NOON - minutes(1), DeleteReason::StartTimeout);
            let deletion = Deletion { reason, since, attempts: 1, last: since };
            world.starting("dune", "a", hours(2)).record.deletion = Some(deletion);
        }),
        made(probing, "ten", |world| failures(world, [90, 80, 70])),
        made_one(probing, "one beside the probe", |world| {
            failures(world, [90, 80, 70]);
            world.starting("dune", "a", minutes(5));
        }),
    ]
}

/// The plan of a world with money for ten machines, after something changed in the world or in the plan.
fn paid(law: &'static str, what: &'static str, change: impl FnOnce(&mut World, &mut Plan)) -> Case {
    let mut world = one();
    // A day of work, an hour of start, an hour of overstay.
    world.purse = Some(purse(cap(26 * 10)));
    let mut plan = world.plan();
    assert_eq!(creates(&plan).len(), 10);
    change(&mut world, &mut plan);
    broken(law, what, world, plan)
}

fn first_of(plan: &mut Plan) -> &mut NewMachine {
    let create = plan.steps.iter_mut().find_map(|step| match step {
        Step::Create(new) => Some(new),
        _ => None,
    });
    create.unwrap()
}

fn reservation_of(new: &mut NewMachine) -> &mut vcycle_money::Reservation {
    match &mut new.pays {
        Pays::Reserve(reservation) => reservation,
        Pays::Nothing | Pays::Unpriced(_) => panic!("it is paid for"),
    }
}

fn about_money() -> Vec<Case> {
    let of_money = |world: &mut World| world.purse.clone().unwrap();
    let whole = "a machine is paid for to its hard end";
    vec![
        paid("where spending is not watched nothing is reserved", "not any more", |world, _| {
            world.purse = None;
        }),
        paid("no cap is passed", "it was lowered", |world, _| {
            world.purse = Some(purse(cap(26 * 10 - 1)));
        }),
        paid("no cap is passed", "somebody else has reserved", |world, plan| {
            let mut other = reservation_of(first_of(plan)).clone();
            other.intent = IntentToken::compose(77);
            let Purse { book, costs, to_end, orders, stopped } = of_money(world);
            let book = written(book, vec![vcycle_money::Event::Reserved(other)]);
            world.purse = Some(Purse { book, costs, to_end, orders, stopped });
        }),
        paid("nothing is reserved while spending is stopped", "it was stopped", |world, _| {
            world.purse = Some(Purse { stopped: Some("damaged".into()), ..of_money(world) });
        }),
        paid("an unknown price is never nothing", "not paid", |_, plan| {
            first_of(plan).pays = Pays::Nothing;
        }),
        paid("an unknown price is never nothing", "nobody knows it", |world, plan| {
            first_of(plan).pays = Pays::Nothing;
            let mut money = of_money(world);
            money.costs.prices.clear();
            world.purse = Some(money);
        }),
        paid("a reservation is for its machine", "another's", |_, plan| {
            reservation_of(first_of(plan)).intent = IntentToken::compose(77);
        }),
        paid(whole, "too short", |_, plan| {
            let reservation = reservation_of(first_of(plan));
            reservation.until = reservation.until - minutes(1);
        }),
        paid(whole, "too late", |_, plan| {
            let reservation = reservation_of(first_of(plan));
            reservation.from = reservation.from + minutes(1);
        }),
        paid("what is reserved is what it costs at most", "it is dearer now", |world, _| {
            let mut money = of_money(world);
            money.costs.prices.insert(offering("m1", 1).id, priced(2));
            world.purse = Some(money);
        }),
    ]
}

fn about_budgets() -> Vec<Case> {
    let now_wants = |world: &mut World, community: &str| {
        let money = world.purse.clone().unwrap();
        world.purse = Some(Purse { orders: vec![wanted(community)], ..money });
    };
    vec![
        paid(
            "nothing is made that the plan of its budget does not want",
            "it does not name its community",
            |world, _| now_wants(world, "dune"),
        ),
        paid("no machine outlives the time of its budget", "its end came nearer", |world, plan| {
            let account = &mut reservation_of(first_of(plan)).account;
            account.community = Some("dune".parse().unwrap());
            now_wants(world, "dune");
        }),
    ]
}

fn all() -> Vec<Case> {
    [
        about_reasons(),
        about_machines(),
        about_deletes(),
        about_proof(),
        about_silence(),
        about_creates(),
        about_the_spaces_limit(),
        about_other_limits(),
        about_failures(),
        about_sweeps(),
        about_money(),
        about_budgets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn a_plan_that_breaks_a_law_is_refused_by_its_name() {
    for Case { law, what, world, plan } in all() {
        match check(&world.input(), &plan) {
            Ok(()) => panic!("{law}: {what}: not refused"),
            Err(violation) => assert_eq!(violation.law, law, "{what}: {violation}"),
        }
    }
}

#[test]
fn every_law_that_the_check_knows_is_shown_to_be_alive() {
    let alive: BTreeSet<&str> = all().into_iter().map(|case| case.law).collect();
    let known = laws_in_the_source();
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(known, alive);
}

/// Texts of four words or more without a placeholder are laws there; details are shorter or made up.
fn laws_in_the_source() -> BTreeSet<String> {
    let plan = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan");
    let parts = std::fs::read_dir(plan.join("check")).unwrap().map(|entry| entry.unwrap().path());
    let mut laws = BTreeSet::new();
    for file in parts.chain([plan.join("check.rs")]) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let texts = line.split('"').skip(1).step_by(2);
            let is_law = |text: &&str| text.split(' ').count() >= 4 && !text.contains('{');
            laws.extend(texts.filter(is_law).map(str::to_owned));
        }
    }
    laws
}

#[test]
fn a_plan_at_its_limits_is_not_refused() {
    // The same plan, with exactly as much room as it takes, everything counted.
    let mut world = one();
    world.policy.pace = Pace::Machines(10);
    let plan = world.plan();
    world.policy.processors_limit = Some(Processors(14));
    world.policy.machines_limit = Some(13);
    world.strangers.processors = Processors(1);
    world.orphans = vec![orphan_of(&world, "z", 1)];
    let view = world.running("dune", "a", hours(1));
    let mut twin = vm_of(&view.record, InstanceState::Running);
    twin.id = InstanceId::parse("i-a-twin").unwrap();
    view.duplicates.push(twin);
    world.quota.memory = Some(Megabytes(13 * 2048));
    world.quota_stop = Some(QuotaStop { at: NOON, used: Processors(14) });
    check(&world.input(), &plan).unwrap();
}
