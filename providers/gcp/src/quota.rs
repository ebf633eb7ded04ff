//! Limits and use of the region, foreign machines included, as `regions.get` tells them.
//!
//! Google counts processors in several books at once (<https://cloud.google.com/compute/resource-usage>): `CPUS` for the
//! older families, one of its own for each newer family (`N2_CPUS`), and `PREEMPTIBLE_CPUS` for spot machines, which is
//! in use only if its limit is not zero. The contract knows one number: the sum of the books that our types and markets
//! are written in. What it does not show is refused by the insert, and parks the offering, or, with one market, stops the space until usage falls.

use google_cloud_compute_v1::model::{Quota as Google, Region};
use vcycle_api::{Market, Processors, ProviderError, Quota};

use crate::settings::Settings;
use crate::site::Site;

/// Limits and use.
pub(crate) async fn quota(site: &Site) -> Result<Quota, ProviderError> {
    Ok(read(&site.region().await?, site.settings()))
}

/// One book: limit and use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Book {
    pub(crate) limit: u32,
    pub(crate) used: u32,
}

pub(crate) fn book(region: &Region, metric: &str) -> Option<Book> {
    let is_it = |quota: &&Google| quota.metric.as_ref().and_then(|it| it.name()) == Some(metric);
    let quota = region.quotas.iter().find(is_it)?;
    Some(Book { limit: whole(quota.limit?), used: whole(quota.usage.unwrap_or(0.0)) })
}

/// Google tells whole numbers as fractions.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range before"
)]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// The quotas of a region in the contract's words.
pub(crate) fn read(region: &Region, settings: &Settings) -> Quota {
    let machines = book(region, "INSTANCES");
    let mut metrics = Vec::new();
    for market in &settings.markets {
        for flavour in &settings.machine_types {
            let metric = metric(region, *market, flavour);
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
    }
    let books: Option<Vec<Book>> = metrics.iter().map(|metric| book(region, metric)).collect();
    // One that is not told is not limited as far as we know: then neither is the sum.
    let processors = books.filter(|books| !books.is_empty()).map(|books| {
        books.iter().fold(Book::default(), |sum, it| Book {
            limit: sum.limit.saturating_add(it.limit),
            used: sum.used.saturating_add(it.used),
        })
    });
    Quota {
        machines: machines.map(|it| it.limit),
        machines_used: machines.map(|it| it.used),
        processors: processors.map(|it| Processors(it.limit)),
        processors_used: processors.map(|it| Processors(it.used)),
        memory: None,
        memory_used: None,
    }
}

/// The book that machines of a type are written in.
fn metric(region: &Region, market: Market, flavour: &str) -> String {
    let has_room = |book: Book| book.limit > 0;
    if market == Market::Preemptible && book(region, "PREEMPTIBLE_CPUS").is_some_and(has_room) {
        return "PREEMPTIBLE_CPUS".to_owned();
    }
    let family = flavour.split('-').next().unwrap_or_default().to_ascii_uppercase();
    let own = format!("{family}_CPUS");
    if book(region, &own).is_some() { own } else { "CPUS".to_owned() }
}

/// All books of the region that are nearly full, for people.
pub(crate) fn tight(region: &Region) -> Vec<String> {
    let tight = region.quotas.iter().filter_map(|quota| {
        let (limit, used) = (whole(quota.limit?), whole(quota.usage?));
        let name = quota.metric.as_ref()?.name()?;
        let is_tight = used > 0 && u64::from(used) * 10 >= u64::from(limit) * 9;
        is_tight.then(|| format!("{name} {used} of {limit}"))
    });
    tight.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(books: &[(&str, f64, f64)]) -> Region {
        Region::new().set_quotas(books.iter().map(|(metric, limit, usage)| {
            Google::new().set_metric(*metric).set_limit(*limit).set_usage(*usage)
        }))
    }

    fn processors(
        books: &[(&str, f64, f64)],
        types: &[&str],
        markets: &[Market],
    ) -> Option<(u32, u32)> {
        let mut settings = Settings::new("p", "r", types);
        settings.markets = markets.to_vec();
        let quota = read(&region(books), &settings);
        Some((quota.processors?.0, quota.processors_used?.0))
    }

    const DEMAND: &[Market] = &[Market::OnDemand];
    const SPOT: &[Market] = &[Market::Preemptible];
    const BOTH: &[Market] = &[Market::Preemptible, Market::OnDemand];

    #[test]
    fn a_family_with_a_book_of_its_own_is_not_in_the_common_one() {
        let books = &[("CPUS", 24.0, 4.0), ("N2_CPUS", 500.0, 8.0)];
        assert_eq!(processors(books, &["e2-standard-4"], DEMAND), Some((24, 4)));
        assert_eq!(processors(books, &["n2-standard-4", "n2-standard-8"], DEMAND), Some((500, 8)));
        assert_eq!(processors(books, &["n2-standard-4", "e2-standard-4"], DEMAND), Some((524, 12)));
    }

    #[test]
    fn spot_machines_count_with_the_others_where_they_have_no_quota() {
        let without = &[("CPUS", 24.0, 4.0), ("PREEMPTIBLE_CPUS", 0.0, 0.0)];
        assert_eq!(processors(without, &["e2-standard-4"], SPOT), Some((24, 4)));
        assert_eq!(processors(without, &["e2-standard-4"], BOTH), Some((24, 4)));
        let with = &[("CPUS", 24.0, 4.0), ("PREEMPTIBLE_CPUS", 1000.0, 16.0)];
        assert_eq!(processors(with, &["e2-standard-4"], SPOT), Some((1000, 16)));
        assert_eq!(processors(with, &["e2-standard-4"], BOTH), Some((1024, 20)));
    }

    #[test]
    fn what_is_not_told_is_not_limited() {
        assert_eq!(processors(&[], &["e2-standard-4"], DEMAND), None);
        let quota = read(&region(&[("INSTANCES", 100.0, 7.0)]), &Settings::new("p", "r", &["e2"]));
        assert_eq!((quota.machines, quota.machines_used), (Some(100), Some(7)));
    }

    #[test]
    fn nonsense_limits_are_clamped() {
        assert_eq!(whole(-1.0), 0);
        assert_eq!(whole(f64::INFINITY), u32::MAX);
        assert_eq!(whole(24.0), 24);
    }

    #[test]
    fn nearly_full_books_are_told() {
        let region =
            region(&[("CPUS", 24.0, 23.0), ("INSTANCES", 100.0, 7.0), ("SSD_TOTAL_GB", 0.0, 0.0)]);
        assert_eq!(tight(&region), ["CPUS 23 of 24"]);
    }
}
