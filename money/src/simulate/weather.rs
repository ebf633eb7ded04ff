//! What an offering is like over time: its waves and storms as one course, known from the beginning.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::random::Random;
use super::scenario::{OfferingModel, Stock, Wave};

const HOUR: Duration = Duration::from_secs(3600);

/// A time in which nothing changes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    from: Timestamp,
    /// How often a machine is taken back in an hour.
    hazard: f64,
    /// What has come together of it until `from`.
    before: f64,
    price: u16,
    stock: Stock,
}

/// The course of an offering.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weather {
    spans: Vec<Span>,
}

impl Weather {
    /// From its waves and, by chance, its storms.
    pub(super) fn new(
        model: &OfferingModel,
        (begin, end): (Timestamp, Timestamp),
        random: &mut Random,
    ) -> Self {
        let mut waves = model.waves.clone();
        waves.extend(storms(model, (begin, end), random));
        let mut cuts: Vec<Timestamp> = waves.iter().flat_map(|wave| [wave.from, wave.to]).collect();
        cuts.push(begin);
        cuts.retain(|cut| *cut >= begin);
        cuts.sort_unstable();
        cuts.dedup();
        let mut spans: Vec<Span> = Vec::with_capacity(cuts.len());
        for from in cuts {
            let blows = |wave: &&Wave| wave.from <= from && from < wave.to;
            let now: Vec<&Wave> = waves.iter().filter(blows).collect();
            let hazards = now.iter().map(|wave| wave.reclaimed_per_hour);
            let before = spans.last().map_or(0.0, |last| last.until(from));
            spans.push(Span {
                from,
                hazard: hazards.fold(model.reclaimed_per_hour, f64::max),
                before,
                price: now.iter().map(|wave| wave.price.0).max().unwrap_or(1000),
                stock: if now.iter().any(|wave| wave.stock == Stock::Out) {
                    Stock::Out
                } else {
                    Stock::Available
                },
            });
        }
        Self { spans }
    }

    fn at(&self, at: Timestamp) -> &Span {
        let index = self.spans.partition_point(|span| span.from <= at).saturating_sub(1);
        &self.spans[index]
    }

    /// Whether new machines can be had.
    pub(super) fn stock(&self, at: Timestamp) -> Stock {
        self.at(at).stock
    }

    /// What new machines cost, in thousandths.
    pub(super) fn price(&self, at: Timestamp) -> u16 {
        self.at(at).price
    }

    /// When a machine is taken back that has so much luck (exponential, mean 1), if ever.
    pub(super) fn taken_back(&self, begin: Timestamp, luck: f64) -> Option<Timestamp> {
        let meets = self.at(begin).until(begin) + luck;
        let index = self.spans.partition_point(|span| span.before <= meets).saturating_sub(1);
        let span = &self.spans[index];
        let hours = (meets - span.before) / span.hazard;
        // Beyond ten years is never; a hazard of nothing gives infinity.
        (hours < 87_600.0).then(|| span.from + HOUR.mul_f64(hours))
    }
}

impl Span {
    fn until(&self, at: Timestamp) -> f64 {
        self.before + self.hazard * at.since(self.from).as_secs_f64() / 3600.0
    }
}

fn storms(
    model: &OfferingModel,
    (begin, end): (Timestamp, Timestamp),
    random: &mut Random,
) -> Vec<Wave> {
    let Some(storms) = model.storms else { return Vec::new() };
    let mut waves = Vec::new();
    let mut from = begin + random.wait(storms.every);
    while from < end {
        let to = from + random.wait(storms.lasts);
        let (reclaimed_per_hour, price, stock) =
            (storms.reclaimed_per_hour, storms.price, storms.stock);
        waves.push(Wave { from, to, reclaimed_per_hour, price, stock });
        from = to + random.wait(storms.every);
    }
    waves
}
