//! Budgets in cycles: a space grows along the line and no faster, nothing outlives the time of its budget, backfill gives way
//! to a priority with its grace, and people are told why.

use std::sync::Arc;
use std::time::Duration;

use vcycle::cycle::CycleEnd;
use vcycle::model::{DrainReason, Timestamp};
use vcycle::plan::Step;
use vcycle::store::Ledger;
use vcycle_money::plan::{Budget, Priority};
use vcycle_money::{Amount, Cap, Permille, Scope};

use crate::support::money::{prices, watched};
use crate::support::mortal::Fate;
use crate::support::run;
use crate::support::site::Site;
use crate::support::world::{CYCLE, Manager, START, World, strict_cloud};

const HOUR: Duration = Duration::from_secs(3600);

/// Ten pounds an hour until `hours` after the beginning, less an hour of margin; a machine costs one.
fn budget(hours: u32, priorities: &[&str], backfill: &[&str]) -> Budget {
    let priority = |name: &&str| Priority { community: name.parse().unwrap(), share: 1 };
    Budget {
        name: "iris".parse().unwrap(),
        amount: Amount::from_units(i64::from(hours - 1) * 10),
        from: START,
        to: START + HOUR * hours,
        scope: Scope::default(),
        priorities: priorities.iter().map(priority).collect(),
        backfill: backfill.iter().map(|name| name.parse().unwrap()).collect(),
        hold_rate: true,
        reserve: Permille(0),
        stop_margin: HOUR,
        maximum_rate: None,
        spreading: 1.0,
        half_life: HOUR * 24,
    }
}

async fn begin(seed: u64, budget: Budget) -> (World, Manager) {
    begin_with(seed, budget, ("", &[("sim.1", "1")])).await
}

/// With more lines in the machinetype of SKA, and these prices.
async fn begin_with(
    seed: u64,
    budget: Budget,
    (ska, priced): (&str, &[(&'static str, &'static str)]),
) -> (World, Manager) {
    let mut site = Site::new(40)
        .with("creations_per_cycle = 8")
        .machinetypes(&[("ska", 1), ("lhcb", 1)])
        .each("max_wallclock = \"5h\"\nmin_wallclock = \"1h\"");
    for (name, _, lines) in &mut site.machinetypes {
        lines.push_str(&format!("community = \"{name}\"\n"));
        if *name == "ska" {
            lines.push_str(ska);
        }
    }
    let mut world = World::new(&site, strict_cloud(seed));
    world.setup = watched(&world.setup, prices(priced));
    let ledger = Ledger::new(&world.store());
    let caps = |_: &[_]| Some(vec![budget.cap()]);
    ledger.set_caps(&"treasurer".parse().unwrap(), caps, "test").await.unwrap();
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    one.budgets = Arc::from([budget]);
    (world, one)
}

async fn cycle(world: &mut World, manager: &mut Manager) -> CycleEnd {
    let end = manager.cycle().await.unwrap().unwrap();
    world.pass(CYCLE).await;
    end
}

fn machines(world: &World) -> usize {
    world.cloud.machines().into_iter().filter(|machine| machine.exists).count()
}

fn made(end: &CycleEnd) -> Vec<Timestamp> {
    let steps = end.outcomes.steps.iter();
    let creates = steps.filter_map(|outcome| match &outcome.step {
        Step::Create(new) => Some(new.tags.deadline),
        _ => None,
    });
    creates.collect()
}

fn why(end: &CycleEnd, machinetype: &str) -> (String, String) {
    let mut rows = end.snapshot.machinetypes.iter();
    let row = rows.find(|row| row.name.as_str() == machinetype).unwrap();
    (row.reason.clone(), row.why.clone())
}

#[test]
fn a_space_grows_to_the_line_of_its_budget_step_by_step_and_says_why_no_further() {
    run(async {
        let (mut world, mut one) = begin(1, budget(101, &[], &["lhcb"])).await;
        let (mut most, mut told) = (0, None);
        for _ in 0..180 {
            let end = cycle(&mut world, &mut one).await;
            assert!(made(&end).len() <= 1, "a tenth of the line is one machine");
            let (reason, words) = why(&end, "ska");
            let expected = "the plan of the budget iris lets it not grow now: it does not name ska";
            assert_eq!((reason.as_str(), words.as_str()), ("spending-plan", expected));
            most = most.max(machines(&world));
            let (reason, words) = why(&end, "lhcb");
            if words.contains("what runs costs as much as the line allows") {
                told = Some(reason);
            }
        }
        assert!((9..=11).contains(&most), "{most} machines, where the line allows ten");
        assert_eq!(told.as_deref(), Some("spending-plan"));
    });
}

/// The cheapest offering of the space is for others: with it nothing of SKA would ever be tried.
#[test]
fn a_community_of_large_machines_is_tried_beside_one_of_small_ones() {
    run(async {
        let priced = [("sim.1", "0.1"), ("sim.8", "0.8")];
        let large = ("min_processors = 8\n", &priced[..]);
        let (mut world, mut one) = begin_with(4, budget(101, &["ska"], &["lhcb"]), large).await;
        let mut ska = 0;
        for _ in 0..60 {
            cycle(&mut world, &mut one).await;
            let records = one.memory.records().values();
            let of_ska = records.filter(|record| record.machinetype().as_str() == "ska");
            ska = ska.max(of_ska.filter(|record| record.gone.is_none()).count());
        }
        assert!(ska >= 2, "{ska} machines for the priority");
    });
}

/// Its own cap has no room for one. A step is one machine, and the priority would have been tried in vain with each of them.
#[test]
fn a_priority_of_which_none_can_be_made_does_not_take_every_step() {
    run(async {
        let budget = budget(101, &["ska"], &["lhcb"]);
        let (mut world, mut one) = begin(6, budget.clone()).await;
        let communities = ["ska".parse().unwrap()].into();
        let scope = Scope { communities, ..Scope::default() };
        let narrow = Cap {
            name: "narrow".parse().unwrap(),
            limit: Amount::from_units(1),
            scope,
            ..budget.cap()
        };
        let caps = |_: &[_]| Some(vec![budget.cap(), narrow.clone()]);
        let ledger = Ledger::new(&world.store());
        ledger.set_caps(&"treasurer".parse().unwrap(), caps, "test").await.unwrap();
        for _ in 0..180 {
            let end = cycle(&mut world, &mut one).await;
            assert!(made(&end).len() <= 1, "a tenth of the line is one machine");
            assert_eq!(why(&end, "ska").0, "spending-cap", "whether it is tried or not");
        }
        assert!(machines(&world) >= 9, "{} machines, where the line allows ten", machines(&world));
    });
}

#[test]
fn a_machine_ends_before_the_time_of_its_budget_does() {
    run(async {
        let (mut world, mut one) = begin(2, budget(5, &["ska"], &[])).await;
        let stop = START + HOUR * 4;
        let mut deadlines = Vec::new();
        for _ in 0..300 {
            let end = cycle(&mut world, &mut one).await;
            deadlines.extend(made(&end));
        }
        assert!(!deadlines.is_empty() && deadlines.iter().all(|end| *end <= stop), "{deadlines:?}");
        assert_eq!(machines(&world), 0, "nothing is left in the margin");
    });
}

#[test]
fn backfill_gives_way_to_a_priority_with_its_grace_and_never_within_its_promised_hour() {
    run(async {
        let (mut world, mut one) = begin(3, budget(101, &[], &["lhcb"])).await;
        for _ in 0..150 {
            cycle(&mut world, &mut one).await;
        }
        let full = machines(&world);
        one.budgets = Arc::from([budget(101, &["ska"], &["lhcb"])]);
        let mut drained = 0;
        for _ in 0..120 {
            let end = cycle(&mut world, &mut one).await;
            let now = one.memory.records();
            for outcome in &end.outcomes.steps {
                if let Step::Drain { machine, drain } = &outcome.step {
                    let DrainReason::SpendingPlan { budget, why } = &drain.reason else {
                        panic!("{drain:?}");
                    };
                    assert_eq!((budget.as_str(), why.as_str()), ("iris", "makes room for ska"));
                    assert_eq!(machine.as_str().split('-').nth(1), Some("lhcb"), "{machine}");
                    let age = now.get(machine).map(|record| outcome.at.since(record.intended));
                    assert!(age.is_none_or(|age| age >= HOUR), "{machine} is {age:?} old");
                    drained += 1;
                }
            }
            assert!(machines(&world) <= full + 2, "it made room first");
        }
        let of = |name: &str| {
            let records = one.memory.records().values();
            records
                .filter(|record| record.machinetype().as_str() == name && record.gone.is_none())
                .count()
        };
        assert!(drained >= 4, "{drained} were told to end");
        assert!(of("ska") >= 4, "{} for the priority, {} for backfill", of("ska"), of("lhcb"));
    });
}
