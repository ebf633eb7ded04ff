//! What people should know of caps and budgets, in the alarms of the spaces that they are on. Pure. An alarm changes when its case
//! does, not with each cycle: it tells times of day, to the hour, and percents.

use vcycle_money::book::Stage;
use vcycle_money::plan::{Advice, LANDED, Orders, Pace, Term};
use vcycle_money::{Amount, Standing};

use crate::model::Timestamp;

const HOUR_SECS: i64 = 3600;

/// The next full hour.
fn hour_after(at: Timestamp) -> Timestamp {
    Timestamp::from_secs((at.as_secs().div_euclid(HOUR_SECS) + 1) * HOUR_SECS)
}

/// Of a cap.
pub(super) fn of_cap(standing: &Standing, now: Timestamp) -> Option<String> {
    let words = words(standing)?;
    let (name, limit, sum) = (&standing.cap.name, standing.cap.limit, standing.sum.both());
    let exhausted = standing.forecast(now).and_then(|forecast| forecast.exhausted);
    let ahead = exhausted
        .filter(|at| *at > now)
        .map(|at| format!("; if what runs goes on, all is spent before {}", hour_after(at)));
    let ahead = ahead.unwrap_or_default();
    Some(format!("the cap {name} {words}: {sum} of {limit} are spent or reserved{ahead}"))
}

fn words(standing: &Standing) -> Option<&'static str> {
    let is_passed = standing.left() < Amount::ZERO;
    match standing.told_stage() {
        Stage::Open => None,
        Stage::Warned => Some("is nearly used"),
        Stage::NotGrowing => Some("is used: nothing more is made"),
        Stage::Draining if is_passed => Some("is passed: machines are told to end"),
        Stage::Draining if standing.ends_everything() => {
            Some("is spent to where it drains: machines are told to end")
        }
        Stage::Draining => {
            Some("is passed in a time to come: machines are told to end. In the present one")
        }
        Stage::Spent => Some("is spent"),
    }
}

/// Of a budget that has been off its line for a day, in either direction: money that is left at its end is lost as well.
pub(super) fn of_budget(orders: &Orders) -> Option<String> {
    let Orders { budget, amount, advice: Advice { term, landing, pace, .. }, .. } = orders;
    let day = landing.day.filter(|_| *term == Term::Open)?;
    let (lands, off) = (day.lands, "by the last 24 hours");
    let permille = lands.permille_of(*amount);
    match pace {
        Pace::Below { by: _ } if permille < LANDED => Some(format!(
            "the budget {budget} is spent too slowly: {off} it would land at {} % of {amount:.2}",
            permille / 10
        )),
        Pace::Above { by: _ } if lands > *amount => {
            let gone = day.exhausted.map_or(String::new(), |at| {
                format!(" all of it is gone before {}, and", hour_after(at))
            });
            Some(format!(
                "the budget {budget} is spent too fast: {off}{gone} it would land at {} % of {amount:.2}",
                permille / 10
            ))
        }
        Pace::OnLine | Pace::Below { .. } | Pace::Above { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use vcycle_money::plan::{Forecast, Landing, Rate};
    use vcycle_money::{Scope, Window};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_796_083_200);

    fn hourly(text: &str) -> Rate {
        Rate::hourly(text.parse().unwrap())
    }

    /// 1000 in a hundred hours, of which so much was spent in an hour for a day.
    fn said(term: Term, pace: Pace, rate: &str) -> Option<String> {
        let (spent, amount) = (Amount::from_units(100), Amount::from_units(1000));
        let forecast = Forecast::new(
            (spent, amount),
            hourly(rate),
            (NOW, NOW + Duration::from_secs(90 * 3600)),
        );
        let advice = Advice {
            term,
            target: hourly("10"),
            burn: hourly(rate),
            step: hourly("1"),
            communities: Vec::new(),
            latest_end: NOW,
            landing: Landing { now: forecast, six_hours: None, day: Some(forecast) },
            pace,
        };
        let orders = Orders {
            budget: "iris".parse().unwrap(),
            amount,
            scope: Scope::default(),
            spreading: 1.0,
            advice,
            to_end: BTreeMap::new(),
        };
        of_budget(&orders)
    }

    #[test]
    fn a_budget_that_will_not_land_is_told_in_both_directions() {
        let below = said(Term::Open, Pace::Below { by: hourly("5") }, "5").unwrap();
        assert_eq!(
            below,
            "the budget iris is spent too slowly: by the last 24 hours it would land at 55 % of 1000.00"
        );
        let above = said(Term::Open, Pace::Above { by: hourly("8") }, "18").unwrap();
        assert_eq!(
            above,
            "the budget iris is spent too fast: by the last 24 hours all of it is gone before 2026-12-03T03:00:00.000Z, and it would land at \
             172 % of 1000.00"
        );
        assert_eq!(said(Term::Open, Pace::OnLine, "10"), None);
        assert_eq!(said(Term::Stopped, Pace::Below { by: hourly("10") }, "0"), None);
        // As at the end of a budget whose last machines are told to end.
        assert_eq!(said(Term::Open, Pace::Below { by: hourly("0.1") }, "9.9"), None);
    }

    #[test]
    fn a_cap_is_told_with_where_it_leads() {
        let standing = Standing {
            cap: vcycle_money::Cap {
                name: "year".parse().unwrap(),
                limit: Amount::from_units(20),
                scope: Scope::default(),
                window: Window::Day { utc_offset_hours: 0 },
                stages: vcycle_money::Stages::default(),
            },
            window: Some(vcycle_money::Span { from: NOW, to: NOW + Duration::from_secs(86_400) }),
            sum: vcycle_money::book::Sum::default(),
            run_up: Amount::from_units(2),
            rate: hourly("4"),
            stage: Stage::Warned,
            recorded: None,
        };
        assert_eq!(
            of_cap(&standing, NOW).unwrap(),
            "the cap year is nearly used: 0.00 of 20.00 are spent or reserved; if what runs goes on, all is spent before \
             2026-12-01T05:00:00.000Z"
        );
        let open = Standing { stage: Stage::Open, ..standing };
        assert_eq!(of_cap(&open, NOW), None);
    }
}
