//! Money in cycles: nothing is made that a cap has no room for, what has become of machines is booked, and a manager
//! that dies anywhere on the way leaves a ledger from which the next goes on.

use std::sync::Arc;
use std::time::Duration;

use vcycle::act::StepResult;
use vcycle::cycle::CycleEnd;
use vcycle::model::{DrainReason, MachineName, ManagerName, OfferingId, Timestamp};
use vcycle::plan::Step;
use vcycle::store::Ledger;
use vcycle_api::{Clock as _, Market};
use vcycle_money::{Amount, Book, Cap};
use vcycle_sim::{LogEvent, Script, Settings, SimOffering, Span, WorldFault};

use crate::support::money::{OVERSTAY, grant, prices, spot, watched};
use crate::support::mortal::{Fate, STRIKES, Strike};
use crate::support::site::Site;
use crate::support::world::{CYCLE, Manager, World, strict_cloud};
use crate::support::{laws, run};

/// A machine of one processor may cost six hours: five of work, ten minutes of start, fifty of overstay.
const WORST: i64 = 6;
const WORK: &str = "max_wallclock = \"5h\"\nmin_wallclock = \"1h\"";

fn site() -> Site {
    Site::new(4).with("creations_per_cycle = 8").with("delete_pause = \"1m\"").each(WORK)
}

/// A world in which a machine of one processor costs one pound an hour.
fn world(seed: u64) -> World {
    world_of(&site(), strict_cloud(seed))
}

fn world_of(site: &Site, settings: Settings) -> World {
    let mut world = World::new(site, settings);
    world.setup = watched(&world.setup, prices(&[("sim.1", "1"), ("sim.2", "2")]));
    world
}

async fn set(world: &World, caps: Vec<Cap>) {
    let ledger = Ledger::new(&world.store());
    let manager = ManagerName::parse("treasurer").unwrap();
    ledger.set_caps(&manager, |_| Some(caps.clone()), "test").await.unwrap();
}

/// A world with a cap, and a manager.
async fn begin(seed: u64, limit: i64) -> (World, Manager) {
    let world = world(seed);
    set(&world, vec![grant(limit)]).await;
    let one = world.start("one", Fate::kind()).await.unwrap();
    (world, one)
}

async fn cycle(world: &mut World, manager: &mut Manager) -> CycleEnd {
    let end = manager.cycle().await.unwrap().unwrap();
    laws::always(world);
    within_the_cap(world).await;
    world.pass(CYCLE).await;
    end
}

/// The book as it stands in the state directory, from its first entry on.
async fn book(world: &World) -> Arc<Book> {
    Ledger::new(&world.store()).replay().await.unwrap()
}

fn sums(book: &Book) -> (Amount, Amount) {
    let sums = book.sums(&"grant".parse().unwrap());
    let sum = sums.first().map(|(_, sum)| *sum).unwrap_or_default();
    (sum.settled(), sum.reserved())
}

/// What the cloud would bill, and what its machines can still cost: read off its own log, through which nothing of ours
/// goes.
fn true_worst(world: &World) -> Amount {
    let price = Amount::from_units(1);
    let hours = |time: Duration| price.share(time.as_millis() as u64, 3_600_000).unwrap();
    let mut worst = Amount::ZERO;
    let mut ends: std::collections::BTreeMap<_, (Timestamp, Timestamp)> = Default::default();
    for entry in world.cloud.log() {
        match entry.event {
            LogEvent::Created { instance, tags, .. } => {
                ends.insert(instance, (entry.at, tags.deadline + OVERSTAY));
            }
            LogEvent::Removed { instance } => {
                ends.entry(instance).and_modify(|(_, end)| *end = entry.at.min(*end));
            }
            _ => {}
        }
    }
    // A machine that outlives its reservation is billed all the same; the tests that need that say so.
    for (begin, end) in ends.into_values() {
        worst = worst + hours(end.since(begin));
    }
    worst
}

/// The law: what was metered and what may still come is never more than the cap that stood when it was made.
async fn within_the_cap(world: &World) {
    let book = book(world).await;
    let Some(cap) = book.cap(&"grant".parse().unwrap()) else { return };
    let worst = true_worst(world);
    let (settled, reserved) = sums(&book);
    assert!(
        worst <= settled + reserved,
        "{worst} in the cloud, {settled} and {reserved} in the book"
    );
    assert!(settled + reserved <= cap.limit, "{settled} and {reserved} of {}", cap.limit);
}

fn why(end: &CycleEnd) -> (&str, &str) {
    let row = &end.snapshot.machinetypes[0];
    (&row.reason, &row.why)
}

fn machines(world: &World) -> usize {
    world.cloud.machines().into_iter().filter(|machine| machine.exists).count()
}

#[test]
fn nothing_is_made_that_the_cap_has_no_room_for() {
    run(async {
        let (mut world, mut one) = begin(1, 2 * WORST + 5).await;
        cycle(&mut world, &mut one).await;
        let end = cycle(&mut world, &mut one).await;
        assert_eq!(machines(&world), 2);
        let (reason, words) = why(&end);
        assert_eq!(reason, "spending-cap", "{words}");
        assert!(
            words.contains("the cap grant") && words.contains("6.00 needed, 5.00 left"),
            "{words}"
        );
        assert_eq!(sums(&*book(&world).await), (Amount::ZERO, Amount::from_units(2 * WORST)));
    });
}

#[test]
fn what_has_ended_is_settled_and_what_it_did_not_spend_is_free_for_another() {
    run(async {
        let (mut world, mut one) = begin(2, 2 * WORST).await;
        for _ in 0..60 {
            cycle(&mut world, &mut one).await;
        }
        let first = world.cloud.machines()[0].clone();
        world.cloud.inject(WorldFault::End(first.id.clone()));
        for _ in 0..5 {
            cycle(&mut world, &mut one).await;
        }
        let (settled, reserved) = sums(&*book(&world).await);
        let hour = Amount::from_units(1);
        assert!(settled >= hour && settled < "1.1".parse().unwrap(), "{settled} for an hour");
        assert_eq!(reserved, Amount::from_units(WORST), "of the other one");
        // 4.9 are left: not enough for a third one's 6.
        assert_eq!(machines(&world), 1);
        set(&world, vec![grant(2 * WORST + 2)]).await;
        cycle(&mut world, &mut one).await;
        assert_eq!(machines(&world), 2);
    });
}

#[test]
fn a_machine_that_says_that_it_found_no_work_or_fizzled_is_settled_so() {
    run(async {
        let at_once = Script { life: Span::exactly(Duration::ZERO), ..Script::dies_silently() };
        for script in [Script::finds_no_work(), at_once] {
            let mut world = world(9);
            world.script("batch", script.clone());
            set(&world, vec![grant(100 * WORST)]).await;
            let mut one = world.start("one", Fate::kind()).await.unwrap();
            for _ in 0..20 {
                cycle(&mut world, &mut one).await;
            }
            let book = book(&world).await;
            let told: Vec<_> = book.told().map(|(_, told)| told).collect();
            assert!(told.iter().any(|told| told.no_work.is_some()), "{script:?}: {told:?}");
            assert!(told.iter().all(|told| told.work.is_none()), "{script:?}: {told:?}");
        }
    });
}

#[test]
fn an_offering_that_is_sold_out_gives_its_room_to_the_next_in_the_same_cycle() {
    run(async {
        let mut settings = strict_cloud(3);
        let offerings = settings.offerings.clone();
        settings.offerings.clear();
        for zone in ["a", "b"] {
            let mut offering = offerings[0].offering.clone();
            offering.id.zone = zone.into();
            settings.offerings.push(SimOffering { offering, stock: None });
        }
        let mut world = world_of(&site().each("zones = [\"a\", \"b\"]"), settings);
        set(&world, vec![grant(WORST)]).await;
        let id = |zone: &str| OfferingId {
            flavour: "sim.1".into(),
            zone: zone.into(),
            market: Market::OnDemand,
        };
        world.cloud.inject(WorldFault::StockOut(id("a")));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        cycle(&mut world, &mut one).await;
        assert_eq!(machines(&world), 1, "the first was refused, the second was made");
        let book = book(&world).await;
        assert_eq!(book.reservations_len(), 1);
    });
}

#[test]
fn an_unknown_price_makes_nothing_under_a_cap_and_stops_nothing_without_one() {
    run(async {
        let (mut world, _) = begin(4, 100).await;
        world.setup = watched(&world.setup, prices(&[("sim.7", "1")]));
        let mut one = world.start("two", Fate::kind()).await.unwrap();
        let end = cycle(&mut world, &mut one).await;
        assert_eq!((machines(&world), why(&end).0), (0, "price-unknown"));
        assert!(why(&end).1.contains("the on-demand price of sim."), "{}", why(&end).1);
        set(&world, Vec::new()).await;
        let end = cycle(&mut world, &mut one).await;
        assert_eq!((machines(&world), why(&end).0), (4, "created"));
        // Now a cap is set on machines whose cost nobody knows.
        set(&world, vec![grant(100)]).await;
        let end = one.cycle().await.unwrap().unwrap();
        assert!(end.snapshot.alarms.iter().any(|alarm| alarm.contains("is not booked")));
    });
}

#[test]
fn where_machines_cost_nothing_no_cap_stops_them() {
    run(async {
        let mut world = World::new(&site().with("price = \"unmetered\""), strict_cloud(11));
        world.setup = watched(&world.setup, prices(&[]));
        set(&world, vec![grant(1)]).await;
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..3 {
            one.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        let end = one.cycle().await.unwrap().unwrap();
        assert_eq!((machines(&world), end.snapshot.alarms), (4, Vec::new()));
        assert_eq!(book(&world).await.reservations_len(), 0);
    });
}

#[test]
fn machines_that_are_older_than_the_watch_are_booked_from_their_beginning() {
    run(async {
        let mut world = World::new(&site(), strict_cloud(5));
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        for _ in 0..60 {
            one.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        assert_eq!(machines(&world), 4);
        set(&world, vec![grant(3)]).await;
        one.setup = watched(&world.setup, prices(&[("sim.1", "1"), ("sim.2", "2")]));
        one.cycle().await.unwrap().unwrap();
        let book = book(&world).await;
        assert_eq!(sums(&book), (Amount::ZERO, Amount::from_units(4 * WORST)));
        assert!(true_worst(&world) <= Amount::from_units(4 * WORST), "from their beginning");
    });
}

#[test]
fn a_cap_that_is_lowered_lets_the_youngest_machines_end_with_their_grace() {
    run(async {
        let (mut world, mut one) = begin(6, 4 * WORST).await;
        one.setup = watched(
            &Site::new(2).with("creations_per_cycle = 8").each("max_wallclock = \"5h\"").setup(),
            prices(&[("sim.1", "1")]),
        );
        cycle(&mut world, &mut one).await;
        let old: Vec<MachineName> = one.memory.records().keys().cloned().collect();
        one.setup = world.setup.clone();
        cycle(&mut world, &mut one).await;
        assert_eq!(machines(&world), 4);
        set(&world, vec![grant(2 * WORST + 1)]).await;
        let end = one.cycle().await.unwrap().unwrap();
        let drained: Vec<MachineName> = end
            .outcomes
            .steps
            .iter()
            .filter_map(|outcome| match &outcome.step {
                Step::Drain { machine, drain } => {
                    assert_eq!(drain.reason, DrainReason::SpendingCap { cap: "grant".into() });
                    Some(machine.clone())
                }
                _ => None,
            })
            .collect();
        assert_eq!(drained.len(), 2);
        assert!(drained.iter().all(|name| !old.contains(name)), "{drained:?} of {old:?}");
        assert!(end.snapshot.alarms.iter().any(|alarm| alarm.contains("the cap grant is passed")));
        for _ in 0..60 {
            one.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        assert_eq!(machines(&world), 2);
        let (settled, reserved) = sums(&*book(&world).await);
        assert!(settled + reserved <= Amount::from_units(2 * WORST + 3), "{settled} {reserved}");
    });
}

#[test]
fn a_damaged_ledger_stops_creates_and_not_deletes() {
    run(async {
        let (mut world, mut one) = begin(7, 100).await;
        cycle(&mut world, &mut one).await;
        assert_eq!(machines(&world), 4);
        let entry = |path: &std::path::Path| path.to_string_lossy().contains("ledger/log");
        let last = world.disk.files().into_iter().rfind(|(path, _)| entry(path));
        world.disk.plant(last.unwrap().0, b"nonsense".to_vec());
        let victim = world.cloud.machines()[0].clone();
        world.cloud.inject(WorldFault::End(victim.id));
        drop(one);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        let mut last = None;
        for _ in 0..6 {
            last = Some(two.cycle().await.unwrap().unwrap());
            world.pass(CYCLE).await;
        }
        let last = last.unwrap();
        assert_eq!(machines(&world), 3, "what had ended is deleted, and nothing is made");
        assert_eq!(why(&last).0, "spending-stopped", "{:?}", last.snapshot.machinetypes);
        assert!(last.snapshot.alarms.iter().any(|alarm| alarm.contains("is damaged at entry")));
    });
}

#[test]
fn a_higher_price_is_booked_for_what_runs_from_then_on() {
    run(async {
        let (mut world, mut one) = begin(8, 100).await;
        for _ in 0..60 {
            cycle(&mut world, &mut one).await;
        }
        one.setup = watched(&world.setup, prices(&[("sim.1", "2"), ("sim.2", "4")]));
        cycle(&mut world, &mut one).await;
        let reserved = sums(&*book(&world).await).1;
        // An hour at one pound, five at two.
        let all: Amount = (0..4).map(|_| Amount::from_units(1 + 5 * 2)).sum();
        let almost =
            |a: Amount, b: Amount| a - b < Amount::from_units(1) && b - a < Amount::from_units(1);
        assert!(almost(reserved, all), "{reserved}, and it should be about {all}");
    });
}

/// The list with both prices has grown too old: nothing is made any more, and what runs is charged as it was reserved.
#[test]
fn spot_that_runs_is_charged_as_reserved_when_its_list_is_not_believed_any_more() {
    run(async {
        let mut settings = strict_cloud(16);
        for sim in &mut settings.offerings {
            sim.offering.id.market = Market::Preemptible;
        }
        let site = site().each("markets = [\"spot\"]");
        let mut world = World::new(&site, settings);
        world.setup = watched(&world.setup, spot("sim.1", ("1", "0.25"), 0));
        set(&world, vec![grant(WORST)]).await;
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        cycle(&mut world, &mut one).await;
        let charge =
            |book: &Book| book.reservations().next().unwrap().tariff_at(world.clock.now()).charge();
        assert_eq!(charge(&*book(&world).await), "0.25".parse().unwrap());
        one.setup = watched(&world.setup, spot("sim.1", ("1", "0.25"), 91));
        one.cycle().await.unwrap().unwrap();
        assert_eq!(charge(&*book(&world).await), Amount::from_units(1));
    });
}

#[test]
fn a_higher_price_is_booked_for_what_runs_although_it_is_not_offered_any_more() {
    run(async {
        let (mut world, mut one) = begin(8, 100).await;
        cycle(&mut world, &mut one).await;
        let id =
            OfferingId { flavour: "sim.1".into(), zone: String::new(), market: Market::OnDemand };
        let runs = book(&world).await.reservations().all(|open| open.reservation.offering == id);
        assert!(runs, "all are of it");
        world.cloud.inject(WorldFault::Withdraw(id));
        one.setup = watched(&world.setup, prices(&[("sim.1", "2"), ("sim.2", "4")]));
        cycle(&mut world, &mut one).await;
        let reserved = sums(&*book(&world).await).1;
        assert!(reserved > Amount::from_units(4 * 11), "{reserved} for almost six hours at two");
    });
}

#[test]
fn a_reservation_whose_record_may_have_been_forgotten_is_settled_and_not_released() {
    run(async {
        let mut world = world_of(&site().with("cleanup = \"2h\""), strict_cloud(14));
        set(&world, vec![grant(WORST)]).await;
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        cycle(&mut world, &mut one).await;
        let entry = |path: &std::path::Path| path.to_string_lossy().contains("ledger/log");
        let last = world.disk.files().into_iter().rfind(|(path, _)| entry(path)).unwrap();
        world.disk.plant(last.0.clone(), b"nonsense".to_vec());
        let victim = world.cloud.machines()[0].clone();
        world.cloud.inject(WorldFault::End(victim.id));
        drop(one);
        // Without the ledger nobody knows that what the machine has cost is not settled; its record is forgotten in time.
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        for _ in 0..60 * 4 {
            two.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        assert_eq!(machines(&world), 0);
        let records = |path: &std::path::Path| path.starts_with("spaces");
        let left = world.disk.files().into_keys().filter(|path| records(path));
        let left: Vec<_> = left.filter(|path| path.ends_with("record.json")).collect();
        assert!(left.is_empty(), "its record is forgotten: {left:?}");
        world.disk.plant(last.0, last.1);
        two.cycle().await.unwrap().unwrap();
        let (settled, reserved) = sums(&*book(&world).await);
        assert!(
            settled >= Amount::from_units(4),
            "{settled} for the four hours in which nobody knew"
        );
        assert_eq!(reserved, Amount::ZERO);
    });
}

/// Nobody knows of the machine any more, and the cloud does not have it.
fn vanish_with_its_record(world: &World) {
    let victim = world.cloud.machines()[0].clone();
    world.cloud.inject(WorldFault::Vanish(victim.id));
    let of_it = |path: &std::path::Path| path.to_string_lossy().contains("/current/");
    for path in world.disk.files().into_keys().filter(|path| of_it(path)) {
        world.disk.uproot(path);
    }
}

/// A person has moved the record away, or a backup was restored: that there is none does not say that there was none.
#[test]
fn a_machine_whose_record_was_taken_away_is_settled_and_not_released() {
    run(async {
        let (mut world, mut one) = begin(15, WORST).await;
        for _ in 0..60 {
            cycle(&mut world, &mut one).await;
        }
        drop(one);
        vanish_with_its_record(&world);
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        for _ in 0..3 {
            cycle(&mut world, &mut two).await;
        }
        let (settled, _) = sums(&*book(&world).await);
        assert!(settled >= Amount::from_units(1), "{settled} for an hour and more");
    });
}

/// Nobody looked until long after its end: what was reserved for it is spent then, and not a minute more, which would pass the cap.
#[test]
fn a_machine_whose_record_was_taken_away_costs_no_more_than_was_reserved() {
    run(async {
        let (mut world, mut one) = begin(16, WORST).await;
        cycle(&mut world, &mut one).await;
        drop(one);
        vanish_with_its_record(&world);
        world.pass(Duration::from_secs(10 * 3600)).await;
        let mut two = world.start("two", Fate::kind()).await.unwrap();
        for _ in 0..3 {
            cycle(&mut world, &mut two).await;
        }
        assert_eq!(sums(&*book(&world).await), (Amount::from_units(WORST), Amount::ZERO));
    });
}

/// The first creates of a wave are refused for all: for the others nothing was asked.
#[test]
fn what_was_reserved_for_machines_that_were_not_asked_for_is_free_at_once() {
    run(async {
        let site = Site::new(20).with("creations_per_cycle = 20").each(WORK);
        let mut world = world_of(&site, strict_cloud(17));
        set(&world, vec![grant(20 * WORST)]).await;
        let mut one = world.start("one", Fate::kind()).await.unwrap();
        one.fate.refuse(Some(("create", vcycle_api::ErrorKind::AuthFailed)));
        let end = cycle(&mut world, &mut one).await;
        let skipped = |step: &&vcycle::act::StepOutcome| {
            matches!((&step.step, &step.result), (Step::Create(_), StepResult::Skipped { .. }))
        };
        let skipped = end.outcomes.steps.iter().filter(skipped).count();
        assert!(skipped >= 10, "{skipped}");
        assert_eq!(book(&world).await.reservations_len(), 20 - skipped);
    });
}

#[test]
fn a_machine_whose_delete_is_refused_for_a_day_is_booked_longer() {
    run(async {
        let (mut world, mut one) = begin(9, WORST).await;
        cycle(&mut world, &mut one).await;
        one.fate.refuse(Some(("delete", vcycle_api::ErrorKind::Unavailable)));
        // A day after its hard end.
        for _ in 0..60 * 30 {
            one.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        assert_eq!(machines(&world), 1);
        let reserved = sums(&*book(&world).await).1;
        assert!(reserved >= Amount::from_units(30), "{reserved} for thirty hours and more");
        one.fate.refuse(None);
        // Deletes are repeated at longer and longer pauses.
        for _ in 0..100 {
            if book(&world).await.reservations_len() == 0 {
                break;
            }
            one.cycle().await.unwrap().unwrap();
            world.pass(CYCLE).await;
        }
        let (settled, reserved) = sums(&*book(&world).await);
        assert_eq!(reserved, Amount::ZERO);
        let metered = true_worst(&world);
        assert!(settled > Amount::from_units(30) && settled >= metered, "{settled} of {metered}");
    });
}

/// Whatever the first manager dies of, and wherever: the second one ends with as many machines as the cap has room for,
/// and nothing stays reserved that no machine is of.
#[test]
fn a_manager_that_dies_anywhere_leaves_a_ledger_from_which_the_next_goes_on() {
    run(async {
        for strike in STRIKES {
            let mut number = 1;
            loop {
                if !struck(strike, number).await {
                    break;
                }
                number += 1;
            }
            assert!(number > 8, "there are reservations, records and calls to be struck");
        }
    });
}

async fn struck(strike: Strike, number: u64) -> bool {
    let mut world = world(100 + number);
    set(&world, vec![grant(2 * WORST)]).await;
    let fate = Fate::kind();
    let mut one = world.start("one", fate.clone()).await.unwrap();
    fate.decree(number, strike);
    for _ in 0..2 {
        if one.cycle().await.is_none() {
            break;
        }
        within_the_cap(&world).await;
        world.pass(CYCLE).await;
    }
    fate.kill();
    let was_struck = fate.struck();
    within_the_cap(&world).await;
    let mut two = world.start("two", Fate::kind()).await.unwrap();
    for _ in 0..8 {
        two.cycle().await.unwrap().unwrap();
        within_the_cap(&world).await;
        world.pass(CYCLE).await;
    }
    let book = book(&world).await;
    let detail = format!("{strike:?} at {number}: {:?}", book.reservations().collect::<Vec<_>>());
    let living = world.cloud.machines().into_iter().filter(|machine| machine.exists).count();
    assert_eq!(book.reservations_len(), living, "{detail}");
    // One that came to nothing may have cost some minutes, so that there is no room for a second.
    assert!(living == 2 || (living == 1 && sums(&book).0 > Amount::ZERO), "{living}: {detail}");
    was_struck
}
