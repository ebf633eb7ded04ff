//! What the ledger shows of a budget: histories of one or several spaces, from entries as managers write them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::{
    Generation, IntentToken, MachineName, MachinetypeName, Market, OfferingId, SpaceName, Timestamp,
};

use super::*;
use crate::book::Book;
use crate::{
    Account, Amount, Author, Community, Currency, Entry, Event, Money, Permille, Reservation,
    Scope, SettleReason, Tariff,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// 2026-12-01T00:00:00Z.
pub(super) const BEGIN: Timestamp = Timestamp::from_secs(1_796_083_200);

fn at(minutes: u32) -> Timestamp {
    BEGIN + MINUTE * minutes
}

pub(super) fn community(name: &str) -> Community {
    Community::parse(name).unwrap()
}

pub(super) fn space(name: &str) -> SpaceName {
    SpaceName::parse(name).unwrap()
}

pub(super) fn rate(text: &str) -> Rate {
    Rate::hourly(text.parse().unwrap())
}

/// 10 an hour for a hundred hours.
pub(super) fn budget() -> Budget {
    let priority = |name, share| Priority { community: community(name), share };
    Budget {
        name: "iris".parse().unwrap(),
        amount: Amount::from_units(1000),
        from: BEGIN,
        to: BEGIN + 101 * HOUR,
        scope: Scope::default(),
        priorities: vec![priority("ska", 1), priority("dune", 1)],
        backfill: vec![community("lhcb")],
        hold_rate: true,
        reserve: Permille(0),
        stop_margin: HOUR,
        maximum_rate: None,
        spreading: 1.0,
        half_life: 24 * HOUR,
    }
}

/// A ledger, and the number of the next machine.
pub(super) struct Deployment {
    pub(super) book: Book,
    next: u128,
    /// What a machine costs.
    hourly: Amount,
}

impl Deployment {
    pub(super) fn new() -> Self {
        Self::of(&budget())
    }

    /// Below the cap of a budget.
    pub(super) fn of(budget: &Budget) -> Self {
        let hourly = "0.5".parse().unwrap();
        let mut deployment = Self { book: Book::default(), next: 1, hourly };
        let caps = vec![budget.cap()];
        deployment.write(BEGIN, vec![Event::CapsSet { caps, source: String::new() }]);
        deployment
    }

    fn write(&mut self, at: Timestamp, events: Vec<Event>) {
        let by = Author::Owner {
            manager: "vm1".parse().unwrap(),
            space: space("a"),
            generation: Generation(1),
        };
        let (previous, attempt) = (String::new(), String::new());
        let entry = Entry { format: 1, number: 0, previous, at, by, attempt, events };
        let sealed = self.book.head().seal_unwritten(entry);
        self.book.apply(&sealed).unwrap();
    }

    /// A machine for 0.50 an hour and up to ten hours.
    pub(super) fn make(&mut self, place: &str, for_whom: &str, from: Timestamp) -> IntentToken {
        self.make_until(place, for_whom, (from, from + 10 * HOUR)).unwrap()
    }

    pub(super) fn make_until(
        &mut self,
        place: &str,
        for_whom: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Option<IntentToken> {
        let intent = IntentToken::compose(self.next);
        self.next += 1;
        let machinetype: MachinetypeName = "one".parse().unwrap();
        let tariff = Tariff {
            hourly: self.hourly,
            charged: None,
            minimum: MINUTE,
            granularity: Duration::from_secs(1),
        };
        let reservation = Reservation {
            intent,
            machine: MachineName::compose(&machinetype, self.next as u64),
            generation: Generation(1),
            account: Account {
                provider: "aws".parse().unwrap(),
                space: space(place),
                machinetype,
                community: Some(community(for_whom)),
                market: Market::OnDemand,
            },
            offering: OfferingId {
                flavour: "f".into(),
                zone: String::new(),
                market: Market::OnDemand,
            },
            tariff,
            quoted: Money { amount: tariff.hourly, currency: Currency::GBP },
            from,
            until,
        };
        // The ledger has the last word, as it has for managers.
        self.book.admission().admit(&reservation).ok()?;
        self.write(from, vec![Event::Reserved(reservation)]);
        Some(intent)
    }

    pub(super) fn make_many(&mut self, count: u32, place: &str, for_whom: &str, from: Timestamp) {
        for _ in 0..count {
            self.make(place, for_whom, from);
        }
    }

    pub(super) fn end(&mut self, intent: IntentToken, end: Timestamp, reason: SettleReason) {
        let begin = self.book.reservation(&intent).unwrap().reservation.from;
        self.write(end, vec![Event::Settled { intent, begin, end, reason }]);
    }

    fn view(&self, now: Timestamp) -> PlanView {
        budget().view(&self.book, &from("a", now, &BTreeSet::new(), &BTreeMap::new()))
    }

    fn work(&self, now: Timestamp) -> Work {
        self.view(now).communities[&community("ska")].work
    }

    fn orders(&self, place: &str, now: Timestamp, leaving: &BTreeSet<IntentToken>) -> Orders {
        let habits = BTreeMap::new();
        let place = space(place);
        let from = Standpoint { space: &place, ..from("a", now, leaving, &habits) };
        Orders::of(&budget(), &self.book, &from)
    }
}

static NOBODY: BTreeSet<Community> = BTreeSet::new();

pub(super) fn from<'a>(
    place: &str,
    now: Timestamp,
    leaving: &'a BTreeSet<IntentToken>,
    habits: &'a BTreeMap<Community, Habit>,
) -> Standpoint<'a> {
    let space: &'static SpaceName = Box::leak(Box::new(space(place)));
    let next = Next { unit: Unit::plain(rate("0.5")), longest: 9 * HOUR, in_vain: false };
    let all = budget().named().map(|named| (named.clone(), next)).collect();
    let next: &'static BTreeMap<Community, Next> = Box::leak(Box::new(all));
    Standpoint {
        now,
        space,
        unit: Unit::plain(rate("0.5")),
        longest: 9 * HOUR,
        next,
        overstay: HOUR,
        spaces: 1,
        leaving,
        habits,
        unserved: &NOBODY,
    }
}

fn grow(orders: &Orders, name: &str) -> Rate {
    let own = orders.advice.communities.iter().find(|own| own.community == community(name));
    own.unwrap().grow
}

#[test]
fn a_machine_that_is_larger_than_the_step_is_granted_whole() {
    let (deployment, none, habits) = (Deployment::new(), BTreeSet::new(), BTreeMap::new());
    let large = Next { unit: Unit::plain(rate("3")), longest: 9 * HOUR, in_vain: false };
    let next = BTreeMap::from([(community("ska"), large)]);
    let standpoint = Standpoint { next: &next, ..from("a", at(0), &none, &habits) };
    let orders = Orders::of(&budget(), &deployment.book, &standpoint);
    assert!(orders.advice.step < rate("3"), "{}", orders.advice.step);
    assert_eq!(grow(&orders, "ska"), rate("3"));
}

#[test]
fn whether_there_is_work_follows_from_how_machines_ended() {
    let mut deployment = Deployment::new();
    assert_eq!(deployment.work(at(0)), Work::Perhaps, "nobody has tried");
    let first = deployment.make("a", "ska", at(0));
    assert_eq!(deployment.work(at(5)), Work::Trying, "one tries: the others wait for it");
    assert_eq!(deployment.work(at(15)), Work::Yes, "it is so old that it has found work");
    assert_eq!(deployment.work(at(31)), Work::Stuck, "nothing is made, though it has work");
    deployment.end(first, at(60), SettleReason::Worked);
    let second = deployment.make("b", "ska", at(61));
    assert_eq!(deployment.work(at(62)), Work::Yes, "what ended had work");
    deployment.end(second, at(70), SettleReason::Fizzled);
    assert_eq!(deployment.work(at(80)), Work::No, "in another space, too, none is to be found");
    assert_eq!(deployment.work(at(100)), Work::Perhaps);
    let third = deployment.make("a", "ska", at(101));
    assert_eq!(deployment.work(at(102)), Work::Trying);
    deployment.end(third, at(110), SettleReason::Preempted);
    assert_eq!(deployment.work(at(111)), Work::Perhaps, "whoever is taken away tells nothing");
}

#[test]
fn a_book_from_a_checkpoint_shows_the_same() {
    let mut deployment = Deployment::new();
    let machine = deployment.make("a", "ska", at(0));
    deployment.make("b", "lhcb", at(0));
    deployment.end(machine, at(12), SettleReason::Fizzled);
    let again = Book::from_checkpoint(&deployment.book.checkpoint()).unwrap();
    assert_eq!(again, deployment.book);
    let before = deployment.view(at(30));
    assert_eq!(Deployment { book: again, ..deployment }.view(at(30)), before);
}

#[test]
fn what_was_spent_and_what_runs_is_seen_of_all_spaces() {
    let mut deployment = Deployment::new();
    let machine = deployment.make("a", "ska", at(0));
    deployment.make_many(2, "b", "ska", at(0));
    deployment.make("b", "lhcb", at(100));
    deployment.end(machine, at(60), SettleReason::Worked);
    let view = deployment.view(at(120));
    assert_eq!(view.settled, "0.5".parse().unwrap());
    // Two for two hours, one for twenty minutes.
    let accrued = Amount::from_units(2) + "0.166666667".parse().unwrap();
    assert!((view.accrued - accrued).nanos().abs() < 10, "{}", view.accrued);
    let ska = view.communities[&community("ska")];
    assert_eq!((ska.running, ska.guaranteed, ska.proven), (rate("1"), Rate::ZERO, rate("1")));
    let lhcb = view.communities[&community("lhcb")];
    assert_eq!((lhcb.running, lhcb.guaranteed), (rate("0.5"), rate("0.5")));
    assert_eq!(view.planners, 2);
    // Deficits: what was settled and what runs, with decay.
    assert!(ska.recent > lhcb.recent && lhcb.recent > Rate::ZERO);
    assert_eq!(view.communities[&community("dune")].recent, Rate::ZERO);
}

#[test]
fn where_a_budget_stands_is_what_its_planners_see() {
    let mut deployment = Deployment::new();
    let first = deployment.make("aws", "SKA", at(0));
    deployment.make_many(3, "gcp", "LHCb", at(30));
    deployment.end(first, at(90), SettleReason::Worked);
    for now in [at(30), at(100), at(500)] {
        let view = deployment.view(now);
        let advice = Controller::new(budget()).advise(&view);
        let standing = budget().standing(&deployment.book, now);
        assert_eq!(standing.spent, view.spent());
        assert_eq!(standing.spent + standing.committed, view.settled + view.reserved);
        assert_eq!((standing.target, standing.burn), (advice.target, advice.burn));
        assert_eq!((standing.landing, standing.pace), (advice.landing, advice.pace));
        assert_eq!((standing.term, standing.stop), (advice.term, advice.latest_end));
    }
}

#[test]
fn several_planners_do_not_grow_by_as_many_times() {
    let mut deployment = Deployment::new();
    for place in ["a", "b", "c", "d"] {
        deployment.make_many(2, place, "ska", at(0));
    }
    deployment.make("a", "ska", at(19));
    let (none, now) = (BTreeSet::new(), at(20));
    let alone = {
        let mut one = Deployment::new();
        one.make_many(8, "a", "ska", at(0));
        one.make("a", "ska", at(19));
        grow(&one.orders("a", now, &none), "ska")
    };
    let together: Rate = ["a", "b", "c", "d"]
        .map(|place| grow(&deployment.orders(place, now, &none), "ska"))
        .into_iter()
        .sum();
    assert!(alone >= rate("0.5"), "{alone}");
    // No more than one machine for each, or what one would alone.
    assert!(together <= alone.max(rate("2")), "{together} together, {alone} alone");
}

#[test]
fn all_choose_the_same_machines_and_each_ends_its_own() {
    let mut deployment = Deployment::new();
    // Full of backfill in two spaces; then a priority has work.
    deployment.make_many(12, "a", "lhcb", at(0));
    deployment.make_many(8, "b", "lhcb", at(10));
    deployment.make_many(2, "a", "ska", at(60));
    let now = at(80);
    let none = BTreeSet::new();
    let (a, b) = (deployment.orders("a", now, &none), deployment.orders("b", now, &none));
    let ends = |orders: &Orders| orders.to_end.keys().copied().collect::<BTreeSet<_>>();
    assert!(ends(&a).is_disjoint(&ends(&b)));
    // Those of b would be kept for longer, so they go first.
    assert!(!ends(&b).is_empty() && ends(&a).is_empty(), "{a:?} {b:?}");
    let why = Why::GivesWay { to: community("ska") };
    assert!(b.to_end.values().all(|own| *own == why), "{:?}", b.to_end);
    // Once told they are not chosen anew, and nothing more is.
    let told = ends(&b);
    let again = deployment.orders("b", now, &told);
    assert!(again.to_end.len() <= told.len() + 2, "{:?}", again.to_end);
    // Within the promised time nothing ends.
    let early = deployment.orders("b", at(65), &none);
    assert!(early.to_end.is_empty(), "{:?}", early.to_end);
}

#[test]
fn one_large_machine_of_the_backfill_does_not_shield_the_small_ones() {
    let mut deployment = Deployment::new();
    deployment.make_many(2, "a", "lhcb", at(0));
    // It would be kept for the longest time, and is too large for what must go.
    deployment.hourly = Amount::from_units(9);
    let large = deployment.make("a", "lhcb", at(10));
    deployment.hourly = "0.5".parse().unwrap();
    deployment.make_many(3, "a", "ska", at(60));
    let orders = deployment.orders("a", at(80), &BTreeSet::new());
    assert!(!orders.to_end.is_empty() && !orders.to_end.contains_key(&large), "{orders:?}");
}

/// While the first take their time, others pass their promised hour: they would be kept for longer, and are not told instead.
#[test]
fn no_more_is_told_to_end_when_others_come_out_of_their_promised_time() {
    let mut deployment = Deployment::new();
    deployment.make_many(10, "a", "lhcb", at(0));
    deployment.make_many(10, "a", "lhcb", at(35));
    deployment.make_many(4, "a", "ska", at(60));
    let mut told = BTreeSet::new();
    let (mut first, mut last) = (0, 0);
    for minute in 76..130 {
        let orders = deployment.orders("a", at(minute), &told);
        told.extend(orders.to_end.keys());
        if minute < 90 {
            first = told.len();
        }
        last = told.len();
    }
    assert!(first > 4 && first == last, "{first}, and {last} in the end");
}

#[test]
fn machines_that_never_start_are_no_proof_of_work() {
    let mut deployment = Deployment::new();
    let first = deployment.make("a", "ska", at(0));
    assert_eq!(deployment.work(at(16)), Work::Yes, "as long as nothing else is known");
    let second = deployment.make("a", "ska", at(16));
    deployment.end(first, at(60), SettleReason::NeverStarted);
    assert_eq!(deployment.work(at(61)), Work::Perhaps, "nor has the other one started, perhaps");
    let third = deployment.make("a", "ska", at(61));
    deployment.end(second, at(76), SettleReason::NeverStarted);
    assert_eq!(deployment.work(at(77)), Work::Perhaps, "nobody has shown yet that machines start");
    assert_eq!(deployment.work(at(122)), Work::Stuck, "it is there after its time to start");
    // One that does not start among many that have tells little.
    deployment.make("a", "ska", at(123));
    let never = deployment.make("a", "ska", at(123));
    deployment.end(never, at(183), SettleReason::NeverStarted);
    assert_eq!(deployment.view(at(184)).communities[&community("ska")].proven, rate("1"));
    deployment.end(third, at(190), SettleReason::Worked);
}

#[test]
fn before_the_cap_of_the_budget_is_in_force_its_sums_are_reckoned_from_the_ledger() {
    let mut deployment = Deployment::new();
    deployment.make("a", "ska", at(0));
    deployment.write(at(1), vec![Event::CapsSet { caps: Vec::new(), source: String::new() }]);
    let view = deployment.view(at(60));
    assert_eq!((view.settled, view.reserved), (Amount::ZERO, Amount::from_units(5)));
    assert_eq!(view.burn(), rate("0.5"));
}

/// The others cannot be asked whom they told; that they do as we do is enough to come to the end soon.
#[test]
fn the_same_order_and_a_step_each_ends_all_that_must_go_and_no_more() {
    let mut deployment = Deployment::new();
    for minute in 0..10 {
        deployment.make("a", "lhcb", at(minute));
        deployment.make("b", "lhcb", at(minute));
    }
    deployment.make_many(12, "b", "ska", at(60));
    let mut told: BTreeMap<&str, BTreeSet<IntentToken>> =
        [("a", BTreeSet::new()), ("b", BTreeSet::new())].into();
    for cycle in 0..20 {
        for place in ["a", "b"] {
            let orders = deployment.orders(place, at(80 + cycle), &told[place]);
            assert!(orders.to_end.len() <= 2, "a step: {:?}", orders.to_end);
            told.get_mut(place).unwrap().extend(orders.to_end.keys());
        }
    }
    let all = told.values().map(BTreeSet::len).sum::<usize>();
    // 16 of the line of 20 machines are kept by nobody else: 12 of the priority, and what it could take soon.
    assert!((10..=16).contains(&all), "{told:?}");
    assert!(told.values().all(|told| told.len() >= 4), "{told:?}");
}

/// What a small world does: backfill always has work, a priority has work for some machines in the middle of the time.
struct Lives {
    /// Ends to come, with what is learnt then.
    ends: BTreeMap<IntentToken, (Timestamp, SettleReason)>,
    told: BTreeSet<IntentToken>,
}

impl Lives {
    fn begin(&mut self, deployment: &Deployment, intent: IntentToken, now: Timestamp) {
        let open = deployment.book.reservation(&intent).unwrap();
        let is_ska = open.reservation.account.community == Some(community("ska"));
        let hours = now.since(BEGIN).as_secs() / 3600;
        let working = deployment.book.reservations().filter(|other| {
            let is_other = other.reservation.intent != intent;
            is_other && other.reservation.account.community == Some(community("ska"))
        });
        let finds_none = is_ska && (!(30..70).contains(&hours) || working.count() >= 8);
        let end = if finds_none { now + 10 * MINUTE } else { now + 8 * HOUR };
        let reason = if finds_none { SettleReason::Fizzled } else { SettleReason::Worked };
        self.ends.insert(intent, (end.min(open.reservation.until - HOUR), reason));
    }

    pub(super) fn end(&mut self, deployment: &mut Deployment, now: Timestamp) {
        let over: Vec<_> = self.ends.iter().filter(|(_, (end, _))| *end <= now).collect();
        let over: Vec<_> = over.into_iter().map(|(intent, life)| (*intent, *life)).collect();
        for (intent, (end, reason)) in over {
            self.ends.remove(&intent);
            deployment.end(intent, end, reason);
        }
    }
}

/// Each cycle all spaces decide on the same ledger, before any of them has written: the worst that can be.
fn together(spaces: &[&str]) -> (Deployment, Rate, Rate) {
    let mut deployment = Deployment::new();
    let mut lives = Lives { ends: BTreeMap::new(), told: BTreeSet::new() };
    let (mut most_grown, mut most_burnt) = (Rate::ZERO, Rate::ZERO);
    let habits = BTreeMap::new();
    for cycle in 0..101 * 12 {
        let now = at(cycle * 5);
        lives.end(&mut deployment, now);
        let names: Vec<SpaceName> = spaces.iter().map(|name| space(name)).collect();
        let orders: Vec<Orders> = names
            .iter()
            .map(|name| {
                let count = u32::try_from(spaces.len()).unwrap();
                let base = from("a", now, &lives.told, &habits);
                let standpoint = Standpoint { space: name, spaces: count, ..base };
                Orders::of(&budget(), &deployment.book, &standpoint)
            })
            .collect();
        let mut grown = Rate::ZERO;
        for (name, orders) in spaces.iter().zip(&orders) {
            for intent in orders.to_end.keys() {
                lives.told.insert(*intent);
                lives.ends.get_mut(intent).unwrap().0 = now + 10 * MINUTE;
            }
            for own in &orders.advice.communities {
                for _ in 0..own.grow.holds(rate("0.5")) {
                    let until = (now + 10 * HOUR).min(orders.advice.latest_end + HOUR);
                    if until < now + 2 * HOUR {
                        continue;
                    }
                    let made = deployment.make_until(name, own.community.as_str(), (now, until));
                    let Some(intent) = made else { continue };
                    lives.begin(&deployment, intent, now);
                    grown = grown + rate("0.5");
                }
            }
        }
        most_grown = most_grown.max(grown);
        let burnt =
            deployment.book.reservations().map(|open| Rate::hourly(open.reservation.tariff.hourly));
        most_burnt = most_burnt.max(burnt.sum());
    }
    lives.end(&mut deployment, at(200 * 60));
    (deployment, most_grown, most_burnt)
}

#[test]
fn several_spaces_spend_one_budget_on_its_line_by_the_ledger_alone() {
    for spaces in [&["a"][..], &["a", "b", "c"]] {
        let (deployment, grown, burnt) = together(spaces);
        let sums = deployment.book.sums(&budget().name);
        let spent = sums[0].1.settled();
        let of = |name: &str| -> Amount {
            let whole = crate::book::Span { from: BEGIN, to: at(200 * 60) };
            let own = deployment
                .book
                .lines(whole)
                .filter(|line| line.account.community == Some(community(name)));
            own.map(|line| line.amount).sum()
        };
        assert!(spent <= Amount::from_units(1000), "{spent} by {spaces:?}");
        assert!(spent >= Amount::from_units(970), "{spent} by {spaces:?}");
        // One machine of each, where a tenth of the line is two.
        let count = u32::try_from(spaces.len()).unwrap();
        assert!(grown <= rate("0.5").times(count.max(2)), "{grown} by {spaces:?}");
        assert!(burnt <= rate("11.5") + rate("0.5").times(count), "{burnt} by {spaces:?}");
        // The priority had work for 8 machines in 40 hours: 160.
        let ska = of("ska");
        assert!(ska >= Amount::from_units(120), "{ska} for ska by {spaces:?}");
    }
}
