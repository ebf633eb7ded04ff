//! `vcycle spend export`: what was settled, by hour, account and purpose, with all digits.

use std::path::Path;

use serde::Serialize;
use vcycle_money::book::Line;
use vcycle_money::{Account, Amount, Book, Currency, Span};

use super::super::error::CliError;
use super::super::output::{clock_time, json, print};
use super::args::{ExportArgs, ExportFormat};
use super::reading::Reading;
use crate::model::Timestamp;

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &ExportArgs) -> Result<(), CliError> {
    let reading = Reading::in_use(config, args.state_dir.as_deref()).await?;
    // An account that silently ends at a damage would be taken for the whole.
    reading.must_be_whole("no export is made of a part of it")?;
    let days = reading.days(args.days)?;
    match args.format {
        ExportFormat::Csv => print(&csv(&reading.book, days, reading.currency)),
        ExportFormat::Json => print(&json(&Exported::of(&reading, days))?),
    }
}

/// The documented JSON of `vcycle spend export --format json`.
#[derive(Serialize)]
struct Exported<'a> {
    format: u32,
    now: Timestamp,
    currency: Option<Currency>,
    from: Timestamp,
    to: Timestamp,
    lines: Vec<ExportedLine<'a>>,
}

#[derive(Serialize)]
struct ExportedLine<'a> {
    hour: Timestamp,
    #[serde(flatten)]
    account: &'a Account,
    purpose: &'static str,
    amount: Amount,
}

impl<'a> Exported<'a> {
    fn of(reading: &'a Reading, days: Span) -> Self {
        let line = |line: Line<'a>| ExportedLine {
            hour: line.hour.begin(),
            account: line.account,
            purpose: line.purpose.word(),
            amount: line.amount,
        };
        Self {
            format: 1,
            now: reading.now,
            currency: reading.currency,
            from: days.from,
            to: days.to,
            lines: reading.book.lines(days).map(line).collect(),
        }
    }
}

const TITLE: &str = "hour,provider,space,machinetype,community,market,purpose,amount,currency\n";

fn csv(book: &Book, days: Span, currency: Option<Currency>) -> String {
    let currency = currency.map_or(String::new(), |currency| currency.to_string());
    let mut text = TITLE.to_owned();
    for Line { hour, account, purpose, amount } in book.lines(days) {
        let Account { provider, space, machinetype, community, market } = account;
        let community = community.as_ref().map_or(String::new(), ToString::to_string);
        let fields = [
            clock_time(hour.begin()),
            provider.to_string(),
            space.to_string(),
            machinetype.to_string(),
            quoted(&community),
            market.to_string(),
            purpose.word().to_owned(),
            amount.to_string(),
            currency.clone(),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A field by RFC 4180. The others have none of these characters.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_community_with_a_comma_stays_one_field() {
        assert_eq!(quoted("SKA, low"), "\"SKA, low\"");
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
        assert_eq!(quoted("ska"), "ska");
    }
}
