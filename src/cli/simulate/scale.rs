//! From values to places in a picture, with round numbers and whole days on the axes. Pure.

use crate::model::Timestamp;

/// From a range of values to a range of places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    first: f64,
    last: f64,
}

impl Scale {
    /// `low` is shown at `first`, `high` at `last`.
    pub(super) fn new((low, high): (f64, f64), (first, last): (f64, f64)) -> Self {
        Self { low, high, first, last }
    }

    /// Where a value is shown.
    pub(super) fn place(self, value: f64) -> f64 {
        self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)
    }
}

/// Round numbers from nothing to the first that is not below a value: 1, 2 or 5 of a power of ten apart.
pub(super) fn round_numbers(most: f64, lines: u32) -> Vec<f64> {
    let rough = (most / f64::from(lines.max(1))).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(power * 10.0);
    let count = (most / step - 1e-9).ceil().max(1.0);
    (0..=count as u32).map(|number| f64::from(number) * step).collect()
}

/// The first days of months, or of weeks, or days, so that there are at most about a dozen; with how they are written.
pub(super) fn days(from: Timestamp, to: Timestamp) -> Vec<(Timestamp, String)> {
    let span = to.since(from).as_secs() / 86_400;
    let step = match span {
        0..=12 => Step::Days(1),
        13..=80 => Step::Days(7),
        81..=400 => Step::Months(1),
        401.. => Step::Months(i32::try_from(span / 365 + 1).unwrap_or(12)),
    };
    let first = date(from);
    let mut days = Vec::new();
    for number in 0..500 {
        let Some(day) = first.and_then(|first| step.after(first, number)) else { break };
        let Some(at) = midnight(day) else { break };
        if at > to {
            break;
        }
        if at >= from {
            let form = if matches!(step, Step::Months(_)) { "%b %Y" } else { "%-d %b %Y" };
            days.push((at, day.strftime(form).to_string()));
        }
    }
    days
}

#[derive(Clone, Copy)]
enum Step {
    Days(i64),
    Months(i32),
}

impl Step {
    fn after(self, first: jiff::civil::Date, number: i32) -> Option<jiff::civil::Date> {
        use jiff::ToSpan;
        match self {
            Self::Days(days) => first.checked_add((days * i64::from(number)).days()).ok(),
            Self::Months(months) => {
                first.first_of_month().checked_add((months * number).months()).ok()
            }
        }
    }
}

fn date(at: Timestamp) -> Option<jiff::civil::Date> {
    let time = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(time).date())
}

fn midnight(day: jiff::civil::Date) -> Option<Timestamp> {
    let time = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_and_whole_months() {
        let thousands = [0.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0];
        assert_eq!(round_numbers(50_000.0, 5), thousands);
        assert_eq!(round_numbers(23.1, 5), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]);
        assert_eq!(round_numbers(0.0, 5).len(), 2);
        let december = Timestamp::from_secs(1_575_158_400);
        let april = Timestamp::from_secs(1_585_699_200);
        let names: Vec<String> = days(december, april).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["Dec 2019", "Jan 2020", "Feb 2020", "Mar 2020", "Apr 2020"]);
        let week = Timestamp::from_secs(1_575_158_400 + 6 * 86_400);
        assert_eq!(days(december, week)[6].1, "7 Dec 2019");
    }

    #[test]
    fn a_scale_may_run_backwards() {
        let scale = Scale::new((0.0, 10.0), (300.0, 100.0));
        assert_eq!((scale.place(0.0), scale.place(5.0), scale.place(10.0)), (300.0, 200.0, 100.0));
    }
}
