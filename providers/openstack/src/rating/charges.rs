//! What our project was charged for its servers in the last day: `GET /v2/dataframes`, which a reader of the project may ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use vcycle_api::Timestamp;

use super::hashmap::text;
use super::{FlavorRate, GroupRate, get};
use crate::compute::Flavor;
use crate::session::{Failure, parse_time};
use crate::site::Site;

/// How far back: long enough for sites that rate in the night.
const BACK: Duration = Duration::from_secs(2 * 86_400);

/// Charges on a page.
const PAGE: usize = 1000;

/// More pages than two days of any project have.
const MOST_PAGES: usize = 1000;

/// The charges.
#[derive(Debug, Default)]
pub(super) struct Charges {
    /// The collect period; `None`: there were no charges, or of different periods.
    pub(super) period: Option<Duration>,
    /// What one server of a flavour (name, id) was charged for a period, each price once.
    by_flavor: BTreeMap<(String, String), Vec<String>>,
}

#[derive(Deserialize)]
struct Answer {
    total: usize,
    dataframes: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    period: Period,
    usage: BTreeMap<String, Vec<Charge>>,
}

#[derive(Deserialize)]
struct Period {
    begin: String,
    end: String,
}

#[derive(Deserialize)]
struct Charge {
    vol: Volume,
    rating: Rating,
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Volume {
    qty: Box<RawValue>,
}

#[derive(Deserialize)]
struct Rating {
    price: Box<RawValue>,
}

/// Reads them.
pub(super) async fn read(site: &Site, now: Timestamp) -> Result<Charges, Failure> {
    let begin = iso(now - BACK);
    let (mut charges, mut periods, mut offset) = (Charges::default(), Vec::new(), 0);
    for _ in 0..MOST_PAGES {
        let call = get("/v2/dataframes").with_query("filters", "type:instance");
        let call = call.with_query("begin", begin.clone()).with_query("limit", PAGE.to_string());
        let call = call.with_query("offset", offset.to_string());
        let answer = match site.session.call::<Answer>(call).await {
            Ok(reply) => reply.body,
            // Its word for an empty list.
            Err(failure) if failure.status == Some(404) => break,
            Err(failure) => return Err(failure),
        };
        let before = offset;
        for Frame { period, usage } in answer.dataframes {
            periods.push(length(&period));
            for charge in
                usage.into_iter().filter(|(kind, _)| kind == "instance").flat_map(|it| it.1)
            {
                offset += 1;
                charges.take(&charge);
            }
        }
        if offset == before || offset >= answer.total {
            break;
        }
    }
    periods.dedup();
    if let [Some(only)] = periods[..] {
        charges.period = Some(only);
    }
    Ok(charges)
}

fn length(period: &Period) -> Option<Duration> {
    let (begin, end) = (parse_time(&period.begin)?, parse_time(&period.end)?);
    (begin < end).then(|| end.since(begin))
}

/// As CloudKitty takes times.
fn iso(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_second(time.as_secs()).unwrap_or_default();
    time.to_string()
}

impl Charges {
    /// Takes the charge of one whole server; parts of servers say nothing of a whole one.
    fn take(&mut self, charge: &Charge) {
        let word = |key: &str| match charge.metadata.get(key) {
            Some(serde_json::Value::String(word)) => word.clone(),
            _ => String::new(),
        };
        let flavor = (word("flavor_name"), word("flavor_id"));
        let is_whole = |qty: String| {
            let plain = qty.trim_end_matches('0').trim_end_matches('.');
            qty.contains('.') && plain == "1" || qty == "1"
        };
        let Some(price) = text(&charge.rating.price) else { return };
        if !text(&charge.vol.qty).is_some_and(is_whole) {
            return;
        }
        let prices = self.by_flavor.entry(flavor).or_default();
        if !prices.contains(&price) {
            prices.push(price);
        }
    }
}

/// The dearest charge of each flavour is its cost. Pure.
pub(super) fn rate(
    flavors: &[Flavor],
    charges: &Charges,
) -> (Vec<FlavorRate>, Vec<(String, String)>) {
    let (mut rated, mut left_out) = (Vec::new(), Vec::new());
    for flavor in flavors {
        let of_it = |(name, id): &(String, String)| {
            *name == flavor.name || name.is_empty() && *id == flavor.id
        };
        let found = charges.by_flavor.iter().filter(|(key, _)| of_it(key));
        let flats: Vec<String> = found.flat_map(|(_, prices)| prices.iter().cloned()).collect();
        if flats.is_empty() {
            let why = "the rules may not be read, and the project was charged for none in two days";
            left_out.push((flavor.name.clone(), why.to_owned()));
        } else {
            let groups = vec![GroupRate { flats, factors: Vec::new() }];
            rated.push(FlavorRate { flavor: flavor.name.clone(), groups });
        }
    }
    (rated, left_out)
}
