//! The model: everything that ever happened, reckoned anew for each question. Windows are found by asking the calendar
//! for each hour.

use std::collections::BTreeMap;

use super::*;
use crate::book::HOUR_FOR_TESTS as HOUR;

#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) reservation: Reservation,
    pub(super) prices: Vec<(Timestamp, Tariff)>,
    /// When it really lived, once that is known.
    pub(super) life: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// With all their windows that matter.
    caps: Vec<(Cap, Vec<Span>)>,
    pub(super) machines: Vec<Machine>,
    pub(super) corrections: Vec<(Account, Timestamp, Amount)>,
}

impl Machine {
    pub(super) fn new(reservation: Reservation) -> Self {
        let prices = vec![(Timestamp::from_millis(i64::MIN), reservation.tariff)];
        Self { reservation, prices, life: None }
    }

    pub(super) fn reprice(&mut self, tariff: Tariff, from: Timestamp) {
        let known: Vec<Tariff> = self.prices.iter().map(|(_, earlier)| *earlier).collect();
        let all = || known.iter().chain([&tariff]);
        let minimum = all().map(|tariff| tariff.minimum).max().unwrap();
        let granularity = all().map(|tariff| tariff.granularity).max().unwrap();
        let is_coarser = (minimum, granularity) != (known[0].minimum, known[0].granularity);
        let hourly = match is_coarser {
            // One life is charged in one way.
            true => all().map(|tariff| tariff.hourly).max().unwrap(),
            false => tariff.hourly,
        };
        let (from, kept) = match is_coarser || from <= self.reservation.from {
            true => (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MIN)),
            false => (from, from),
        };
        self.prices.retain(|(since, _)| *since < kept);
        self.prices.push((from, Tariff { hourly, charged: None, minimum, granularity }));
    }

    fn within(&self, window: Span) -> i128 {
        let mut sum = 0;
        for (place, (since, tariff)) in self.prices.iter().enumerate() {
            let until = self.prices.get(place + 1).map_or(window.to, |(next, _)| *next);
            let part = (window.from.max(*since), window.to.min(until));
            if part.0 >= part.1 {
                continue;
            }
            let amount = match self.life {
                Some(life) => tariff.charged_within(life, part),
                None => tariff.worst_within((self.reservation.from, self.reservation.until), part),
            };
            sum += i128::from(amount.nanos());
        }
        sum
    }
}

impl Model {
    pub(super) fn set_caps(&mut self, caps: Vec<Cap>) {
        let with_windows = |cap: Cap| (cap.clone(), windows(&cap.window));
        self.caps = caps.into_iter().map(with_windows).collect();
    }

    /// What is settled and reserved in each window of each cap, by the beginning of the window.
    pub(super) fn sums(&self) -> BTreeMap<(CapName, Timestamp), i128> {
        let mut sums = BTreeMap::new();
        for (cap, windows) in &self.caps {
            for window in windows.iter().copied() {
                let machines = self.machines.iter();
                let machines = machines.filter(|m| cap.scope.covers(&m.reservation.account));
                let corrections = self
                    .corrections
                    .iter()
                    .filter(|(account, at, _)| cap.scope.covers(account) && window.contains(*at));
                let sum = machines.map(|machine| machine.within(window)).sum::<i128>()
                    + corrections.map(|(_, _, amount)| i128::from(amount.nanos())).sum::<i128>();
                if sum != 0 {
                    sums.insert((cap.name.clone(), window.from), sum);
                }
            }
        }
        sums
    }
}

/// All windows of the days from the start: those of no history begin before or end after them.
fn windows(window: &Window) -> Vec<Span> {
    if let Window::Grant { from, to } = *window {
        return vec![Span { from, to }];
    }
    let mut windows: Vec<Span> = Vec::new();
    let mut last = None;
    let first = START * 1000 - 40 * 24 * HOUR;
    for hour in 0..(100 * 24) {
        let from = Timestamp::from_millis(first + hour * HOUR);
        let to = Timestamp::from_millis(first + (hour + 1) * HOUR);
        let name = name(window, from);
        match windows.last_mut() {
            Some(window) if last.as_ref() == Some(&name) => window.to = to,
            Some(_) | None => windows.push(Span { from, to }),
        }
        last = Some(name);
    }
    // These are cut.
    windows.remove(0);
    windows.pop();
    let days = Span { from: minute(-24 * 60), to: minute(15 * 24 * 60) };
    windows.retain(|window| window.overlap(days).is_some());
    windows
}

/// What people call the window of an hour.
fn name(window: &Window, at: Timestamp) -> String {
    let local = |hours: i8| {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap();
        jiff::tz::Offset::from_hours(hours).unwrap().to_datetime(at)
    };
    match *window {
        Window::Hour => local(0).to_string(),
        Window::Day { utc_offset_hours } => local(utc_offset_hours).date().to_string(),
        Window::Week { utc_offset_hours } => {
            format!("{:?}", local(utc_offset_hours).date().iso_week_date().week())
        }
        Window::Month { utc_offset_hours } => {
            let date = local(utc_offset_hours).date();
            format!("{}-{}", date.year(), date.month())
        }
        Window::Grant { .. } => unreachable!("it has one window"),
    }
}
