//! A price list: `[list]`, and its `[[machine]]`, `[[disk]]` and `[[address]]`.

use std::collections::BTreeMap;

use vcycle_money::prices::{Charged, Granularity, InForce, Item, PriceRow, SpotCharge, Written};
use vcycle_money::{Currency, Money, PriceList, ProviderName};

use super::sums;
use crate::config::problem::{Finding, Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::source::Placed;
use crate::config::tree::Value;
use crate::config::values::{self, Read};
use crate::model::{Market, Timestamp};

/// Where each price stands.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<Written, Placed<()>>);

impl Rows {
    pub(super) fn get(&self, written: &str) -> Option<&Placed<()>> {
        self.0.get(written)
    }
}

/// What `[list]` says for all rows.
#[derive(Default)]
struct Head {
    provider: Option<ProviderName>,
    currency: Option<Currency>,
    valid_from: Option<Timestamp>,
    /// As good as never, where it is missing.
    confirmed: Timestamp,
}

/// Reads one file. `None` when something is wrong with its list.
pub(super) fn read_list(root: Reader<'_>, places: &mut Rows) -> Option<PriceList> {
    let list = root.table("list");
    let is_missing = list.is_none() && root.has("list").is_none();
    if is_missing {
        let right = "[list] with provider, currency, confirmed, source, minimum and granularity";
        root.absence(Wrong::new("`[list]` is missing, so this is no price list", right));
    }
    let (read, head) = list.as_ref().map_or_else(Default::default, read_head);
    if let Some(list) = list {
        list.finish();
    }
    let (mut rows, mut has_rows) = (Vec::new(), false);
    for ware in [Ware::Machine, Ware::Disk, Ware::Address] {
        for row in root.tables_in(ware.key()) {
            has_rows = true;
            // What a row lacks when there is no list at all says nothing of the row.
            if !is_missing {
                rows.extend(read_rows(ware, &row, &head));
                let (place, key) = (row.place().clone(), row.path().to_owned());
                places.0.entry(written(&row)).or_insert(Placed { value: (), place, key });
                row.finish();
            }
        }
    }
    if !has_rows && read.is_some() {
        let wrong = Wrong::new("a list without a price", "[[machine]] with `type` and `per_hour`");
        let problem = Problem::at_place(root.place(), "", wrong).as_warning();
        root.problems().add(problem.found_by(Finding::Absence));
    }
    root.finish();
    Some(PriceList { rows, ..read? })
}

fn read_head(list: &Reader<'_>) -> (Option<PriceList>, Head) {
    let provider = list.required("provider", provider, "who sends the bill, for example \"aws\"");
    let region = list.get("region", values::line).map(|region| region.value);
    let spaces = list.get("spaces", |v| sums::set(v, values::name)).map(|spaces| spaces.value);
    let currency = list.get("currency", sums::currency).map(|currency| currency.value);
    let valid_from = list.get("valid_from", sums::day_or_time).map(|from| from.value);
    let right = "the day on which somebody last looked whether these prices are right";
    let confirmed = list.required("confirmed", sums::day_or_time, right);
    list.required("source", values::line, "where these prices are from, for whoever checks them");
    let right = "the shortest time that is charged, for example \"60s\"";
    let minimum = list.required("minimum", sums::seconds, right);
    let right = "\"1s\", \"1m\" or \"1h\": time is charged in whole ones";
    let granularity = list.required("granularity", granularity, right);
    let charged = |key| list.get(key, charged).map(|charged| charged.value).unwrap_or_default();
    let (disks, addresses) = (charged("disks"), charged("addresses"));
    let age = list.get("price_age", values::duration_above_zero).map(|age| age.value);
    let spot = list.get("charge_spot", spot_charge).map(|spot| spot.value).unwrap_or_default();
    let provider = provider.map(|provider| provider.value);
    let head = Head {
        provider: provider.clone(),
        currency,
        valid_from,
        confirmed: confirmed.as_ref().map(|day| day.value).unwrap_or_default(),
    };
    let file: Written = list.place().source.name().display().to_string().into();
    let read = || {
        confirmed?;
        Some(PriceList {
            file,
            provider: provider?,
            region,
            spaces: spaces.unwrap_or_default(),
            minimum: minimum?.value,
            granularity: granularity?.value,
            disks,
            addresses,
            age,
            spot,
            rows: Vec::new(),
        })
    };
    (read(), head)
}

fn provider(value: &Value) -> Read<ProviderName> {
    const KNOWN: [&str; 5] = ["aws", "gcp", "local", "openstack", "sim"];
    let name: ProviderName = sums::label(value)?;
    if KNOWN.contains(&name.as_str()) {
        Ok(name)
    } else {
        Err(Wrong::new(
            format!("{:?} is no provider", name.as_str()),
            format!("one of: {}", KNOWN.join(", ")),
        ))
    }
}

fn granularity(value: &Value) -> Read<Granularity> {
    let time = values::duration(value)?;
    let all = [Granularity::Second, Granularity::Minute, Granularity::Hour];
    all.into_iter().find(|granule| granule.duration() == time).ok_or_else(|| {
        Wrong::new("neither a second nor a minute nor an hour", "\"1s\", \"1m\" or \"1h\"")
    })
}

fn charged(value: &Value) -> Read<Charged> {
    match values::text(value)?.as_str() {
        "apart" => Ok(Charged::Apart),
        "included" => Ok(Charged::Included),
        other => Err(Wrong::new(
            format!("{other:?} means nothing here"),
            "\"apart\": they have prices of their own, or \"included\": they are in the machine's, or free",
        )),
    }
}

fn spot_charge(value: &Value) -> Read<SpotCharge> {
    match values::text(value)?.as_str() {
        "reserved" => Ok(SpotCharge::Reserved),
        "listed" => Ok(SpotCharge::Listed),
        other => Err(Wrong::new(
            format!("{other:?} means nothing here"),
            "\"reserved\": what may be taken back is charged as much as was reserved for it, or \"listed\": its spot price in this list",
        )),
    }
}

/// The place of a row, for people.
fn written(row: &Reader<'_>) -> Written {
    let (line, _) = row.place().line_and_column();
    format!("{}:{line}", row.place().source.name().display()).into()
}

/// What a table is about.
#[derive(Clone, Copy)]
enum Ware {
    Machine,
    Disk,
    Address,
}

impl Ware {
    fn key(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Disk => "disk",
            Self::Address => "address",
        }
    }
}

/// What a table prices.
type Offers = Vec<(Item, Option<Placed<Money>>)>;

/// The prices of one table: two, where a machine has a ceiling.
fn read_rows(ware: Ware, row: &Reader<'_>, head: &Head) -> Vec<PriceRow> {
    let price = |v: &Value| sums::price(v, head.currency);
    let items = match ware {
        Ware::Machine => read_machine(row, head),
        Ware::Disk => {
            let kind = row.get("type", values::line).map(|kind| kind.value);
            let price = row.required("per_gb_month", price, "the price of a GiB for a month");
            vec![(Item::Disk(kind), price)]
        }
        Ware::Address => {
            vec![(Item::Address, row.required("per_hour", price, "the price of an hour"))]
        }
    };
    let from = row.get("valid_from", sums::day_or_time);
    let until = row.get("valid_until", sums::day_or_time);
    let confirmed = row.get("confirmed", sums::day_or_time).map_or(head.confirmed, |day| day.value);
    let Some(begins) = from.as_ref().map(|from| from.value).or(head.valid_from) else {
        if row.has("valid_from").is_none() {
            let right = "`valid_from` here or in [list]: the day from which on this is the price";
            row.absence(Wrong::new("nobody knows from when on this price is right", right));
        }
        return Vec::new();
    };
    if let Some(until) = until.as_ref().filter(|until| until.value <= begins) {
        let wrong =
            Wrong::new("not after `valid_from`, so it is never in force", "a later day, or none");
        row.problems().add(Problem::at_value(until, wrong));
    }
    let in_force = InForce { from: begins, until: until.map(|until| until.value) };
    let rows = items.into_iter().filter_map(|(item, price)| {
        let price = price?;
        warn_nothing(row, &price);
        Some(PriceRow { item, price: price.value, in_force, confirmed, written: written(row) })
    });
    rows.collect()
}

fn read_machine(row: &Reader<'_>, head: &Head) -> Offers {
    let price = |v: &Value| sums::price(v, head.currency);
    let kind = row.required("type", values::line, "the type, as the cloud names it");
    let market = row.get_or("market", values::market, Market::OnDemand).value;
    let per_hour = row.required("per_hour", price, "the price of an hour");
    let ceiling = row.get("spot_ceiling", price);
    refuse_ceiling(row, head, market, ceiling.as_ref());
    let Some(kind) = kind.map(|kind| kind.value) else { return Vec::new() };
    let item = match market {
        Market::OnDemand => Item::OnDemand(kind.clone()),
        Market::Preemptible => Item::Spot(kind.clone()),
    };
    let ceiling = ceiling.map(|ceiling| (Item::SpotCeiling(kind), Some(ceiling)));
    [(item, per_hour)].into_iter().chain(ceiling).collect()
}

/// A ceiling is reserved in place of the price on demand, so it must be one.
fn refuse_ceiling(row: &Reader<'_>, head: &Head, market: Market, ceiling: Option<&Placed<Money>>) {
    let Some(ceiling) = ceiling else { return };
    let wrong = match (market, head.provider.as_ref().map(ProviderName::as_str)) {
        (Market::OnDemand, _) => {
            Wrong::new("a ceiling of a price that does not move", "`market = \"spot\"` beside it")
        }
        (Market::Preemptible, Some("aws")) => Wrong::new(
            "EC2 is not told a highest price, so nothing keeps its price below this",
            "leave it out: what may be taken back is then reserved at the price on demand, which EC2 never passes",
        ),
        (Market::Preemptible, _) => return,
    };
    row.problems().add(Problem::at_value(ceiling, wrong));
}

/// It is not a price, and everything that needs it fails closed: better said now than then.
fn warn_nothing(row: &Reader<'_>, price: &Placed<Money>) {
    if price.value.amount.is_nothing() {
        let wrong = Wrong::new(
            "not above zero, so it counts as unknown",
            "the price; for what costs nothing, `price = \"unmetered\"` in its space",
        );
        row.problems().add(Problem::at_value(price, wrong).as_warning());
    }
}
