//! Files of rates of exchange: `[[rate]]`.

use vcycle_money::prices::Written;
use vcycle_money::{Currency, Rate};

use super::sums;
use crate::config::load::TextFile;
use crate::config::problem::{Collector, Finding, Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::tree;
use crate::config::values;

/// Reads them all.
pub(super) fn read_rates(files: &[TextFile], into: Currency, problems: &Collector) -> Vec<Rate> {
    let mut rates = Vec::new();
    for file in files {
        let table = tree::parse(&file.name, &file.folder, &file.text, problems);
        let root = Reader::new(&table, "", problems);
        let rows = root.tables_in("rate");
        if rows.is_empty() && root.has("rate").is_none() {
            let wrong =
                Wrong::new("no rate", "[[rate]] with `currency`, `worth`, `on` and `source`");
            let problem = Problem::at_place(root.place(), "", wrong).as_warning();
            problems.add(problem.found_by(Finding::Absence));
        }
        for row in rows {
            rates.extend(read_rate(&row, into));
            row.finish();
        }
        root.finish();
    }
    rates
}

fn read_rate(row: &Reader<'_>, into: Currency) -> Option<Rate> {
    let currency = row.required("currency", sums::currency, "the currency of prices");
    let right = format!("what one unit is worth, for example \"0.7612 {into}\"");
    let worth = row.required("worth", sums::money, &right);
    let on = row.required("on", sums::day_or_time, "the day of this rate");
    row.required("source", values::line, "where this rate is from, for whoever checks it");
    let (currency, worth, on) = (currency?, worth?, on?);
    if worth.value.currency != into {
        let wrong = Wrong::new(format!("not in {into}, the currency of [spending]"), right);
        row.problems().add(Problem::at_value(&worth, wrong));
        return None;
    }
    if currency.value == into {
        let wrong = Wrong::new("the currency of the ledger itself", "a currency of prices");
        row.problems().add(Problem::at_value(&currency, wrong));
    }
    if worth.value.amount.is_nothing() {
        let wrong = Wrong::new("not above zero", right);
        row.problems().add(Problem::at_value(&worth, wrong));
    }
    let (line, _) = row.place().line_and_column();
    let written: Written = format!("{}:{line}", row.place().source.name().display()).into();
    Some(Rate { currency: currency.value, worth: worth.value.amount, on: on.value, written })
}
