//! The metrics of money, derived from the [`SpendingBoard`] at each scrape. They are for dashboards and alarms: as floating
//! numbers they are not exact, the ledger is.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vcycle_money::Amount;

use crate::model::{BudgetRow, CapRow, SpendingBoard, Sums};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cap {
    cap: String,
    currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CapStage {
    cap: String,
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Over {
    over: &'static str,
    currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Budget {
    budget: String,
    currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLanding {
    budget: String,
    over: &'static str,
    currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetAlone {
    budget: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Side {
    side: &'static str,
    name: String,
    currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InCurrency {
    currency: String,
}

type Float = Gauge<f64, AtomicU64>;
type OfCaps = Family<Cap, Float>;

/// Registers what is known of money.
pub(super) fn register(registry: &mut Registry, board: &SpendingBoard) {
    let rows = |field: fn(&CapRow) -> Option<Amount>| {
        let family = OfCaps::default();
        for row in &board.caps {
            let Some(amount) = field(row) else { continue };
            let labels = Cap { cap: row.cap.to_string(), currency: board.currency.to_string() };
            family.get_or_create(&labels).set(float(amount));
        }
        family
    };
    let mut of_caps = |name: &str, help: &str, field: fn(&CapRow) -> Option<Amount>| {
        registry.register(name, help, rows(field));
    };
    of_caps("vcycle_cap_limit", "Limit of a cap", |row| Some(row.limit));
    of_caps("vcycle_cap_settled", "Spent in its window by machines that ended", |row| {
        Some(row.settled)
    });
    of_caps("vcycle_cap_reserved", "Kept free in its window for machines that may exist", |row| {
        Some(row.reserved)
    });
    of_caps("vcycle_cap_running", "What machines that may exist have cost in its window", |row| {
        Some(row.running)
    });
    of_caps("vcycle_cap_left", "What may still be reserved in its window", |row| Some(row.left));
    // Outside of its time a grant leads nowhere.
    of_caps("vcycle_cap_lands", "Spent at the end of its window if what runs goes on", |row| {
        row.forecast.map(|forecast| forecast.lands)
    });
    let stages = Family::<CapStage, Gauge>::default();
    for row in &board.caps {
        let labels = CapStage { cap: row.cap.to_string(), stage: row.stage.word() };
        stages.get_or_create(&labels).set(1);
    }
    registry.register("vcycle_cap_stage", "1 for the stage that a cap is in", stages);
    register_budgets(registry, board);
    register_sides(registry, board);
    let rates = Family::<Over, Float>::default();
    for (over, rate) in [("1h", board.rate_1h), ("6h", board.rate_6h), ("24h", board.rate_24h)] {
        let labels = Over { over, currency: board.currency.to_string() };
        rates.get_or_create(&labels).set(float(rate));
    }
    registry.register("vcycle_spending_rate", "Spent in an hour, by the last hours", rates);
    let number = |value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        gauge
    };
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    registry.register(
        "vcycle_ledger_entry",
        "The last entry of the ledger",
        number(count(board.entry)),
    );
    registry.register(
        "vcycle_ledger_reservations",
        "Machines that something is reserved for",
        number(count(board.reservations as u64)),
    );
    registry.register(
        "vcycle_spending_problem",
        "1 while the ledger cannot be used, or newer caps are not taken up",
        number(i64::from(board.problem.is_some())),
    );
}

/// What was spent and is reserved, from every side.
fn register_sides(registry: &mut Registry, board: &SpendingBoard) {
    let sides = [
        ("space", &board.sides.spaces),
        ("community", &board.sides.communities),
        ("machinetype", &board.sides.machinetypes),
        ("market", &board.sides.markets),
    ];
    let mut of_sides = |name: &str, help: &str, field: fn(&Sums) -> Amount| {
        let family = Family::<Side, Float>::default();
        for (side, sums) in sides {
            for (name, sums) in sums {
                let currency = board.currency.to_string();
                let labels = Side { side, name: name.clone(), currency };
                family.get_or_create(&labels).set(float(field(sums)));
            }
        }
        registry.register(name, help, family);
    };
    of_sides("vcycle_spending_month", "Spent in this month of UTC", |sums| sums.spent);
    of_sides("vcycle_spending_last_day", "Spent in the last 24 hours", |sums| sums.last_day);
    of_sides("vcycle_spending_reserved", "Reserved for machines that have not ended", |sums| {
        sums.reserved
    });
    let waste = Family::<InCurrency, Float>::default();
    let labels = InCurrency { currency: board.currency.to_string() };
    waste.get_or_create(&labels).set(float(board.waste));
    registry.register(
        "vcycle_spending_waste_month",
        "Spent in this month on machines that fizzled, never started or were taken back",
        waste,
    );
}

/// What is known of budgets.
fn register_budgets(registry: &mut Registry, board: &SpendingBoard) {
    let currency = board.currency.to_string();
    let mut of_budgets = |name: &str, help: &str, field: fn(&BudgetRow) -> Amount| {
        let family = Family::<Budget, Float>::default();
        for row in &board.budgets {
            let labels = Budget { budget: row.budget.to_string(), currency: currency.clone() };
            family.get_or_create(&labels).set(float(field(row)));
        }
        registry.register(name, help, family);
    };
    of_budgets("vcycle_budget_amount", "What a budget is to spend, its reserve included", |row| {
        row.amount
    });
    of_budgets("vcycle_budget_spent", "Spent from it until now", |row| row.spent);
    of_budgets("vcycle_budget_committed", "The most that what runs may still cost", |row| {
        row.committed
    });
    of_budgets("vcycle_budget_target_rate", "The rate in an hour that lands on it", |row| {
        row.target
    });
    of_budgets("vcycle_budget_rate", "What runs now costs in an hour", |row| row.rate);
    let lands = Family::<BudgetLanding, Float>::default();
    let left = Family::<BudgetAlone, Float>::default();
    for row in &board.budgets {
        let forecasts = [("now", Some(row.lands)), ("6h", row.lands_6h), ("24h", row.lands_24h)];
        for (over, amount) in forecasts {
            let Some(amount) = amount else { continue };
            let (budget, currency) = (row.budget.to_string(), currency.clone());
            let labels = BudgetLanding { budget, over, currency };
            lands.get_or_create(&labels).set(float(amount));
        }
        let labels = BudgetAlone { budget: row.budget.to_string() };
        left.get_or_create(&labels).set(row.days_left);
    }
    registry.register(
        "vcycle_budget_lands",
        "What will be spent at its end, by what runs now and by the last hours",
        lands,
    );
    registry.register("vcycle_budget_days_left", "Days until nothing of it runs any more", left);
}

#[expect(clippy::cast_precision_loss, reason = "for dashboards")]
fn float(amount: Amount) -> f64 {
    amount.nanos() as f64 / 1e9
}
