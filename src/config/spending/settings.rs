//! `[spending]`: the currency of the ledger, and where prices and rates are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vcycle_money::{Currency, ExchangeRates, PriceBook};

use super::prices::{Rows, read_list};
use super::rates::read_rates;
use super::sums;
use crate::config::load::Texts;
use crate::config::problem::{Collector, Finding, Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::source::Placed;
use crate::config::tree::{self, Table, Value};
use crate::config::{defaults, values};

/// What is watched, in which currency, at which prices. Without `[spending]` nothing is.
#[derive(Debug, Clone)]
pub struct SpendingSettings {
    /// The currency of ledger and caps.
    pub currency: Currency,
    /// All price lists.
    pub book: Arc<PriceBook>,
    /// All rates to this currency.
    pub rates: Arc<ExchangeRates>,
    /// The command that is run when a cap comes to another stage.
    pub hook: Option<PathBuf>,
    /// How much longer than to its hard end a machine is reserved, where its space says nothing else.
    pub overstay: Duration,
}

/// Paths and patterns of the files that `[spending]` names, absolute.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct NamedFiles {
    /// `prices`.
    pub(in crate::config) prices: Vec<PathBuf>,
    /// `rates`.
    pub(in crate::config) rates: Vec<PathBuf>,
}

/// Finds them in a configuration that need not be valid.
pub(in crate::config) fn named_files(root: &Table) -> NamedFiles {
    let Some(Value::Table(spending)) = root.entries.get("spending").map(|it| &it.node.value) else {
        return NamedFiles::default();
    };
    let files = |key: &str| {
        let Some(node) = spending.entries.get(key).map(|entry| &entry.node) else {
            return Vec::new();
        };
        let paths = values::one_or_more(&node.value, values::path).unwrap_or_default();
        paths.iter().map(|path| node.place.source.absolute(path)).collect()
    };
    NamedFiles { prices: files("prices"), rates: files("rates") }
}

/// Reads the table, and the files that it names.
pub(in crate::config) fn read_spending(
    root: &Reader<'_>,
    texts: &Texts,
) -> Option<SpendingSettings> {
    let spending = root.table("spending")?;
    let files = |v: &Value| values::one_or_more(v, values::path);
    let currency = spending.required("currency", sums::currency, "the currency of ledger and caps");
    let prices = spending.required(
        "prices",
        files,
        "price lists: files, or patterns such as \"prices/*.toml\"",
    );
    let price_age = spending.get_or("price_age", values::duration_above_zero, defaults::PRICE_AGE);
    let rates = spending.get("rates", files);
    let rate_age = spending.get_or("rate_age", values::duration_above_zero, defaults::RATE_AGE);
    let rate_margin = spending.get_or("rate_margin", sums::permille, defaults::RATE_MARGIN);
    let overstay = spending.get_or("overstay", sums::seconds, defaults::OVERSTAY).value;
    let hook = spending.get("hook", values::path);
    let hook = hook.map(|hook| hook.place.source.absolute(&hook.value));
    refuse_none(&spending, prices.as_ref());
    refuse_none(&spending, rates.as_ref());
    spending.finish();
    let currency = currency?.value;
    let problems = root.problems();
    let rates = read_rates(&texts.rates, currency, problems);
    let rates = ExchangeRates::new(currency, rates, rate_margin.value, rate_age.value);
    let book = read_book(texts, price_age.value, problems)?;
    warn_unconverted(&book, &rates, prices.as_ref(), problems);
    let (book, rates) = (Arc::new(book), Arc::new(rates));
    Some(SpendingSettings { currency, book, rates, hook, overstay })
}

fn refuse_none(spending: &Reader<'_>, files: Option<&Placed<Vec<PathBuf>>>) {
    if let Some(files) = files.filter(|files| files.value.is_empty()) {
        let wrong = Wrong::new("an empty list", "at least one file");
        spending.problems().add(Problem::at_value(files, wrong));
    }
}

fn read_book(texts: &Texts, age: Duration, problems: &Collector) -> Option<PriceBook> {
    let mut places = Rows::default();
    let lists = texts.prices.iter().filter_map(|file| {
        let table = tree::parse(&file.name, &file.folder, &file.text, problems);
        read_list(Reader::new(&table, "", problems), &mut places)
    });
    match PriceBook::new(lists.collect(), age) {
        Ok(book) => Some(book),
        Err(twice) => {
            for price in twice {
                let right = "one price of a thing from one time on; `valid_from` tells them apart";
                let wrong = Wrong::new(format!("{} is there twice", price.item), right);
                let (Some(first), Some(second)) =
                    (places.get(&price.first), places.get(&price.second))
                else {
                    continue;
                };
                let problem = Problem::at_value(second, wrong);
                problems.add(problem.and_at(&first.place, "the other price"));
            }
            None
        }
    }
}

/// A price in a currency that no rate is of can never be used.
fn warn_unconverted(
    book: &PriceBook,
    rates: &ExchangeRates,
    prices: Option<&Placed<Vec<PathBuf>>>,
    problems: &Collector,
) {
    let mut unknown: BTreeMap<Currency, &str> = BTreeMap::new();
    for row in book.lists().iter().flat_map(|list| &list.rows) {
        let currency = row.price.currency;
        if currency != rates.into() && !rates.currencies().any(|known| known == currency) {
            unknown.entry(currency).or_insert(&row.written);
        }
    }
    let Some(prices) = prices else { return };
    for (from, written) in unknown {
        let into = rates.into();
        let wrong = Wrong::new(
            format!(
                "the price at {written} is in {from}, and there is no rate from {from} to {into}"
            ),
            format!("[[rate]] with `currency = \"{from}\"` in a file of `spending.rates`"),
        );
        let problem = Problem::at_value(prices, wrong).as_warning();
        problems.add(problem.found_by(Finding::Absence));
    }
}
