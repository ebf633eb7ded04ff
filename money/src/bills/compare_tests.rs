//! Bills against ledgers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vcycle_api::{DeploymentId, MachinetypeName, Market, SpaceName};

use super::*;
use crate::{Account, Amount, Cap, Event, Scope, Stages, Window};

pub(super) fn account(space: &str, machinetype: &str) -> Account {
    Account {
        provider: ProviderName::parse("aws").unwrap(),
        space: SpaceName::parse(space).unwrap(),
        machinetype: MachinetypeName::parse(machinetype).unwrap(),
        community: None,
        market: Market::Preemptible,
    }
}

pub(super) fn day(number: u8) -> Day {
    format!("2026-11-{number:02}").parse().unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(super) fn has(on: u8, space: &str, machinetype: &str, text: &str) -> LedgerLine {
    LedgerLine { day: day(on), account: account(space, machinetype), amount: amount(text) }
}

/// A line in pounds; a space of `-`: not ours; a machinetype of `-`: not told.
fn line(on: u8, space: &str, machinetype: &str, cost: &str) -> BillLine {
    let ours = |space| Ours {
        deployment: None,
        space,
        machinetype: MachinetypeName::parse(machinetype).ok(),
        machine: None,
    };
    BillLine {
        provider: ProviderName::parse("aws").unwrap(),
        during: Span { from: day(on).begin(), to: day(on + 1).begin() },
        cost: cost.parse().unwrap(),
        currency: Currency::GBP,
        kind: Kind::Charge,
        whose: SpaceName::parse(space).map_or(Whose::Others, |space| Whose::Ours(ours(space))),
        what: What { service: format!("service {space}"), resource: None, place: None },
    }
}

fn pounds() -> Exchange {
    Exchange {
        currency: Currency::GBP,
        rates: [(Currency::USD, amount("0.8"))].into(),
        dated: None,
    }
}

pub(super) fn bill(lines: impl IntoIterator<Item = BillLine>) -> Bill {
    let mut bill = Bill::new(pounds(), None);
    lines.into_iter().for_each(|line| bill.add(line).unwrap());
    bill
}

fn whole(accounts: &[Account]) -> Terms<'_> {
    Terms {
        complete_before: day(20),
        whole: WholeDays::Said,
        accounts,
        caps: &[],
        communities: &[],
    }
}

/// Days before the 20th are complete, and all are whole.
fn compare(bill: &Bill, ledger: &[LedgerLine]) -> Comparison {
    let accounts: Vec<Account> = ledger.iter().map(|line| line.account.clone()).collect();
    bill.compare(ledger, &whole(&accounts))
}

fn corrections(comparison: &Comparison) -> Vec<(String, String, String)> {
    let text = |correction: &Correction| {
        let Correction { day, account, amount } = correction;
        (day.to_string(), account.machinetype.to_string(), amount.to_string())
    };
    comparison.corrections.iter().map(text).collect()
}

#[test]
fn a_day_that_costs_less_than_reserved_is_corrected_down_and_one_that_costs_more_up() {
    let bill =
        bill([line(10, "a", "m", "3"), line(11, "a", "m", "7.5"), line(11, "-", "-", "100")]);
    let comparison = compare(&bill, &[has(10, "a", "m", "10"), has(11, "a", "m", "7")]);
    assert_eq!(
        corrections(&comparison),
        [
            ("2026-11-10".into(), "m".into(), "-7.00".into()),
            ("2026-11-11".into(), "m".into(), "0.50".into()),
        ]
    );
    let days: Vec<_> =
        comparison.days.iter().map(|day| day.sums.factor().unwrap().to_string()).collect();
    assert_eq!(days, ["0.300", "1.071"]);
    assert_eq!(
        (comparison.all.difference(), comparison.all.others),
        (amount("-6.5"), amount("100"))
    );
    let Event::Corrected { at, source, .. } = &comparison.events("export.csv")[0] else { panic!() };
    assert_eq!((*at, source.as_str()), (day(10).noon(), "export.csv"));
}

/// A bill does not tell the market, and 35 less of spot must not be taken for 17.50 less on demand.
#[test]
fn what_is_less_makes_no_room_under_a_cap_that_is_on_one_of_the_accounts_alone() {
    let on_demand = LedgerLine {
        account: Account { market: Market::OnDemand, ..account("a", "m") },
        ..has(10, "a", "m", "50")
    };
    let ledger = [on_demand, has(10, "a", "m", "50")];
    let accounts: Vec<Account> = ledger.iter().map(|line| line.account.clone()).collect();
    let cap = |markets: &[Market]| Cap {
        name: "some".parse().unwrap(),
        limit: amount("100"),
        scope: Scope { markets: markets.iter().copied().collect(), ..Scope::default() },
        window: Window::Day { utc_offset_hours: 0 },
        stages: Stages::default(),
    };
    let booked = |billed: &str, caps: &[Cap]| {
        let terms = Terms { caps, ..whole(&accounts) };
        let comparison = bill([line(10, "a", "m", billed)]).compare(&ledger, &terms);
        let held: Vec<Why> = comparison.held_back.iter().map(|held| held.why).collect();
        (comparison.corrections.len(), held)
    };
    let one = [cap(&[]), cap(&[Market::OnDemand])];
    assert_eq!(booked("65", &one), (0, vec![Why::CapsApart]));
    assert_eq!(booked("120", &one), (2, vec![]), "what is more takes room");
    let both = [cap(&[]), cap(&[Market::OnDemand, Market::Preemptible])];
    assert_eq!(booked("65", &both), (2, vec![]));
}

/// The spot of last year is on no correction of this one.
#[test]
fn a_cap_whose_window_is_over_keeps_nothing_back() {
    let on_demand = LedgerLine {
        account: Account { market: Market::OnDemand, ..account("a", "m") },
        ..has(10, "a", "m", "50")
    };
    let ledger = [on_demand, has(10, "a", "m", "50")];
    let grant = |from: Day, to: Day| Cap {
        name: "spot".parse().unwrap(),
        limit: amount("100"),
        scope: Scope { markets: [Market::Preemptible].into(), ..Scope::default() },
        window: Window::Grant { from: from.begin(), to: to.begin() },
        stages: Stages::default(),
    };
    for (from, to, booked) in [(1, 10, 2), (11, 20, 2), (1, 20, 0), (10, 11, 0)] {
        let caps = [grant(day(from), day(to))];
        let terms = Terms { caps: &caps, ..whole(&[]) };
        let comparison = bill([line(10, "a", "m", "65")]).compare(&ledger, &terms);
        assert_eq!(comparison.corrections.len(), booked, "from {from} to {to}: {comparison:?}");
    }
}

/// What is paid back for a machine of another day would let a cap be passed by it.
#[test]
fn a_refund_makes_no_room_on_a_day_on_which_it_was_not_spent() {
    let held = |comparison: &Comparison| -> Vec<(Amount, Why)> {
        comparison.held_back.iter().map(|held| (held.amount, held.why)).collect()
    };
    let refund = bill([line(10, "a", "m", "-40"), line(11, "a", "-", "-2")]);
    for ledger in [vec![], vec![has(9, "a", "m", "5")], vec![has(10, "a", "m", "0")]] {
        let comparison = compare(&refund, &ledger);
        let held = held(&comparison).into_iter().filter(|(_, why)| *why == Why::LessThanNothing);
        let told: Amount = held.map(|(amount, _)| amount).sum();
        assert_eq!((corrections(&comparison), told), (vec![], amount("-42")), "{ledger:?}");
    }
    // What was spent on the day and paid back on it is gone from the ledger, and no more.
    let paid_back = bill([
        line(10, "a", "m", "5"),
        line(10, "a", "m", "-45"),
        line(11, "a", "-", "0"),
        line(11, "a", "-", "-2"),
    ]);
    let comparison = compare(&paid_back, &[has(10, "a", "m", "5"), has(11, "a", "x", "7")]);
    assert_eq!(
        corrections(&comparison),
        [
            ("2026-11-10".into(), "m".into(), "-5.00".into()),
            ("2026-11-11".into(), "x".into(), "-7.00".into()),
        ]
    );
    let rest = [(amount("-40"), Why::LessThanNothing), (amount("-2"), Why::LessThanNothing)];
    assert_eq!(held(&comparison), rest);
}

/// The bill on which the use of these days stands is another one.
#[test]
fn refunds_alone_are_no_proof_of_what_a_day_has_cost() {
    let refunds = || (10..13).map(|on| line(on, "a", "m", "-1"));
    let ledger: Vec<LedgerLine> = (9..14).map(|on| has(on, "a", "m", "20")).collect();
    let shown = Terms { whole: WholeDays::Shown, ..whole(&[]) };
    let alone = bill(refunds());
    for terms in [&whole(&[]), &shown] {
        let comparison = alone.compare(&ledger, terms);
        assert_eq!(corrections(&comparison), [], "{terms:?}");
        assert_eq!(comparison.all.ledger, amount("60"), "what the ledger has is shown");
    }
    let seen = alone.compare(&ledger, &shown).days;
    assert!(seen.iter().all(|day| day.finality == Finality::Partial), "{seen:?}");
    // Lines of others show that the bill has the days, and not that it has the space.
    let others = (9..14).map(|on| line(on, "-", "-", "7"));
    let comparison = bill(refunds().chain(others)).compare(&ledger, &shown);
    assert_eq!(corrections(&comparison), []);
    let why = [Why::LessThanNothing, Why::NotOnBill];
    let held = comparison.held_back.iter().filter(|held| held.day == day(11));
    let held: Vec<(Amount, Why)> = held.map(|held| (held.amount, held.why)).collect();
    assert_eq!(held, [(amount("-1"), why[0]), (amount("-20"), why[1])]);
}

#[test]
fn nothing_is_booked_of_days_whose_bill_may_not_be_complete() {
    let bill = bill([line(20, "a", "m", "3")]);
    let comparison = compare(&bill, &[has(20, "a", "m", "10")]);
    assert_eq!(corrections(&comparison), []);
    assert_eq!(comparison.held_back[0].why, Why::Estimated);
    assert_eq!(comparison.held_back[0].amount, amount("-7"));
}

/// Tags count from the day on which they were made cost allocation tags: a bill without them is no proof of anything.
#[test]
fn a_space_that_is_not_on_the_bill_keeps_what_the_ledger_has() {
    let bill = bill([line(10, "a", "m", "3"), line(12, "a", "m", "3")]);
    let ledger = [
        has(10, "a", "m", "3"),
        has(11, "a", "m", "3"),
        has(12, "a", "m", "3"),
        has(11, "b", "m", "9"),
    ];
    let comparison = compare(&bill, &ledger);
    assert_eq!(corrections(&comparison), []);
    assert_eq!(
        comparison.held_back,
        [HeldBack {
            day: day(11),
            space: SpaceName::parse("a").unwrap(),
            amount: amount("-3"),
            why: Why::NotOnBill,
        }]
    );
    assert_eq!(comparison.not_named, [(SpaceName::parse("b").unwrap(), amount("9"))].into());
    assert_eq!(comparison.all.ledger, amount("9"), "of spaces that the bill names");
}

#[test]
fn what_the_bill_does_not_divide_is_divided_as_the_ledger_is() {
    let bill = bill([line(10, "a", "-", "13")]);
    let comparison = compare(&bill, &[has(10, "a", "x", "1"), has(10, "a", "y", "9")]);
    assert_eq!(
        corrections(&comparison),
        [
            ("2026-11-10".into(), "x".into(), "0.30".into()),
            ("2026-11-10".into(), "y".into(), "2.70".into()),
        ]
    );
}

#[test]
fn what_the_ledger_does_not_know_is_booked_all_the_same() {
    let spent = bill([line(10, "a", "new", "5")]);
    let comparison = compare(&spent, &[]);
    assert_eq!(corrections(&comparison), [("2026-11-10".into(), "new".into(), "5.00".into())]);
    let elsewhere = bill([line(10, "a", "-", "5"), line(11, "a", "-", "1")]);
    let comparison = compare(&elsewhere, &[has(11, "a", "x", "1")]);
    assert_eq!(corrections(&comparison), [("2026-11-10".into(), "x".into(), "5.00".into())]);
    let nowhere = bill([line(10, "a", "-", "5")]);
    assert_eq!(compare(&nowhere, &[]).held_back[0].why, Why::NoAccount);
}

#[test]
fn vouchers_and_taxes_correct_nothing_and_other_deployments_are_others() {
    let voucher = BillLine { kind: Kind::Credit, ..line(10, "a", "m", "-5") };
    let tax = BillLine { kind: Kind::Tax, ..line(10, "-", "-", "1") };
    let mut theirs = line(10, "a", "m", "4");
    let Whose::Ours(ours) = &mut theirs.whose else { panic!("a space") };
    ours.deployment = Some(DeploymentId::compose(2));
    let mut bill = Bill::new(pounds(), Some(DeploymentId::compose(1)));
    for line in [voucher, tax, theirs, line(10, "a", "m", "5")] {
        bill.add(line).unwrap();
    }
    let comparison = compare(&bill, &[has(10, "a", "m", "5")]);
    assert_eq!(corrections(&comparison), []);
    assert_eq!((comparison.credits, comparison.taxes), (amount("-5"), amount("1")));
    assert_eq!(comparison.all.others, amount("4"));
}

#[test]
fn another_currency_needs_a_rate() {
    let dollars = BillLine { currency: Currency::USD, ..line(10, "a", "m", "10") };
    let comparison = compare(&bill([dollars.clone()]), &[has(10, "a", "m", "8")]);
    assert_eq!(comparison.all.difference(), Amount::ZERO);
    let euros = BillLine { currency: Currency::EUR, ..dollars };
    let error = Bill::new(pounds(), None).add(euros).unwrap_err();
    assert_eq!((error.from, error.to), (Currency::EUR, Currency::GBP));
}

fn some_ledger() -> impl Strategy<Value = Vec<LedgerLine>> {
    let places = (8_u8..22, "[ab]", "[xy]");
    prop::collection::btree_map(places, 0_i64..1_000_000_000_000, 0..12).prop_map(|amounts| {
        let mut lines = Vec::new();
        for ((on, space, machinetype), nanos) in amounts {
            let amount = Amount::from_nanos(nanos);
            lines.push(LedgerLine { day: day(on), account: account(&space, &machinetype), amount });
        }
        lines
    })
}

proptest! {
    /// A negative account would be room for what was never spent. Few and small amounts, so that roundings matter.
    #[test]
    fn no_correction_takes_an_account_of_a_day_below_nothing(
        ledger in prop::collection::btree_map((8_u8..10, "[ab]", "[xyz]"), -5_i64..9, 0..9),
        billed in prop::collection::vec((8_u8..10, "[abc]", "[wxyz-]", -9_i64..9), 1..9),
    ) {
        let ledger: Vec<LedgerLine> = ledger.into_iter().map(|((on, space, machinetype), nanos)| LedgerLine {
            amount: Amount::from_nanos(nanos), ..has(on, &space, &machinetype, "0")
        }).collect();
        let lines = billed.iter().map(|(on, space, machinetype, nanos)| {
            line(*on, space, machinetype, &format!("{nanos}e-9"))
        });
        let bill = bill(lines);
        let mut sums: BTreeMap<(Day, Account), Amount> =
            ledger.iter().map(|it| ((it.day, it.account.clone()), it.amount)).collect();
        let before = sums.clone();
        let first = compare(&bill, &ledger);
        for correction in &first.corrections {
            let sum = sums.entry((correction.day, correction.account.clone())).or_default();
            *sum = *sum + correction.amount;
        }
        for (place, sum) in &sums {
            let floor = before.get(place).copied().unwrap_or_default().min(Amount::ZERO);
            prop_assert!(*sum >= floor, "{:?}: {} after {:?}", place, sum, first);
        }
        let corrected: Vec<LedgerLine> =
            sums.into_iter().map(|((day, account), amount)| LedgerLine { day, account, amount }).collect();
        let accounts: Vec<Account> = ledger.iter().map(|line| line.account.clone()).collect();
        prop_assert_eq!(bill.compare(&corrected, &whole(&accounts)).corrections, vec![]);
    }

    /// Whatever the bill: once its corrections are booked, nothing more is to be booked, and where something was booked
    /// the ledger says what the bill says.
    #[test]
    fn a_bill_is_booked_once(
        ledger in some_ledger(),
        billed in prop::collection::vec((8_u8..22, "[abc-]", "[xyz-]", -50_i64..1000), 0..30),
    ) {
        let lines = billed.iter().map(|(on, space, machinetype, pence)| {
            line(*on, space, machinetype, &format!("{pence}e-2"))
        });
        let bill = bill(lines);
        let first = compare(&bill, &ledger);
        let booked = |correction: &Correction| LedgerLine {
            day: correction.day, account: correction.account.clone(), amount: correction.amount,
        };
        let corrected: Vec<LedgerLine> =
            ledger.iter().cloned().chain(first.corrections.iter().map(booked)).collect();
        // What is known of accounts stays the same: else what is held back for want of one could be booked now.
        let accounts: Vec<Account> = ledger.iter().map(|line| line.account.clone()).collect();
        let terms = whole(&accounts);
        let second = bill.compare(&corrected, &terms);
        prop_assert_eq!(&second.corrections, &[]);
        prop_assert_eq!(&second.held_back, &first.held_back);
        for DayCompared { day, sums, .. } in second.days {
            let held = second.held_back.iter().filter(|held| held.day == day);
            prop_assert_eq!(sums.difference(), held.map(|held| held.amount).sum::<Amount>(), "{}", day);
        }
    }
}
