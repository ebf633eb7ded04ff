//! A bill that was read and compared, in the form that scripts get. What people get is in `shown`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vcycle_money::bills::{
    Bill, BillDamage, Comparison, Correction, Day, DayCompared, DaySums, Finality, HeldBack,
    RateUsed, What,
};
use vcycle_money::{Account, Amount, Currency};

use super::super::error::CliError;
use super::reading::Reading;
use crate::model::{SpaceName, Timestamp};

/// The documented JSON of `vcycle spend import --json`.
#[derive(Serialize)]
pub(super) struct Imported {
    format: u32,
    pub(super) now: Timestamp,
    pub(super) currency: Currency,
    /// Why the ledger cannot be read to its end.
    pub(super) ledger_damage: Option<String>,
    /// Why the bill could not be read to its end.
    pub(super) damage: Option<Damaged>,
    /// Files that belong to those that were given, by their numbers.
    pub(super) left_out: Vec<PathBuf>,
    pub(super) providers: Vec<String>,
    pub(super) lines: u64,
    /// For its other currencies, what a unit was taken for.
    pub(super) rates: BTreeMap<Currency, RateRow>,
    /// ` at USD=0.80`.
    #[serde(skip)]
    pub(super) at_rates: String,
    /// Whether any line of the bill is for a machine of ours.
    pub(super) names_ours: bool,
    /// Spaces that are ours by the bill, and that neither the configuration nor the ledger has.
    pub(super) unknown_spaces: Vec<SpaceName>,
    /// Whether a configuration was read.
    #[serde(skip)]
    pub(super) is_configured: bool,
    pub(super) days: Vec<DayRow>,
    pub(super) all: SumsRow,
    pub(super) credits: Amount,
    pub(super) taxes: Amount,
    pub(super) others: Vec<OtherRow>,
    /// Spaces of the provider that the bill never names, with what the ledger has.
    pub(super) not_named: BTreeMap<SpaceName, Amount>,
    pub(super) corrections: Vec<CorrectionRow>,
    pub(super) held_back: Vec<HeldRow>,
    /// How many corrections were booked; null: it was not asked for, or there was nothing to book.
    pub(super) booked: Option<usize>,
}

/// What a unit of another currency was taken for.
#[derive(Serialize)]
pub(super) struct RateRow {
    /// Whether it was typed; else it is that of `rates`, with its margin.
    said: bool,
    pub(super) lowest: Amount,
    highest: Amount,
    /// Of one that was typed: that of `rates` about then, from which it is furthest.
    pub(super) known: Option<Amount>,
    /// Whether the two are so far apart that one of them may be wrong.
    pub(super) doubtful: bool,
}

/// Sums of a day, or of all.
#[derive(Clone, Copy, Serialize)]
pub(super) struct SumsRow {
    pub(super) billed: Amount,
    pub(super) ledger: Amount,
    pub(super) difference: Amount,
    /// Billed for each unit in the ledger.
    pub(super) factor: Option<Text<vcycle_money::bills::Factor>>,
    pub(super) others: Amount,
}

#[derive(Serialize)]
pub(super) struct DayRow {
    pub(super) day: Day,
    #[serde(flatten)]
    pub(super) sums: SumsRow,
    /// Whether it is old enough for its bill to be complete, and the bill has it whole.
    pub(super) complete: bool,
    #[serde(skip)]
    pub(super) finality: Finality,
}

#[derive(Serialize)]
pub(super) struct OtherRow {
    pub(super) service: String,
    pub(super) resource: Option<String>,
    pub(super) place: Option<String>,
    pub(super) amount: Amount,
}

#[derive(Serialize)]
pub(super) struct CorrectionRow {
    day: Day,
    account: Account,
    pub(super) amount: Amount,
}

#[derive(Serialize)]
pub(super) struct HeldRow {
    pub(super) day: Day,
    pub(super) space: SpaceName,
    pub(super) amount: Amount,
    pub(super) why: &'static str,
}

/// Written as its text.
#[derive(Clone, Copy)]
pub(super) struct Text<T>(pub(super) T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Where a file of a bill cannot be read.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Damaged {
    file: String,
    line: u64,
    column: u64,
    what: String,
}

impl Damaged {
    pub(super) fn new(path: &Path, damage: BillDamage) -> Self {
        let BillDamage { line, column, what } = damage;
        Self { file: path.display().to_string(), line, column, what }
    }

    /// That the answer is only a part, of so many lines.
    pub(super) fn failure(&self, lines: u64) -> CliError {
        let Self { file, line, column, what } = self;
        let so = match lines {
            0 => " (no line could be read, and nothing is booked)",
            _ => {
                "; only what stands before it was compared, and nothing is booked: export or copy the file again"
            }
        };
        CliError::Failed(format!("{file}, line {line}, column {column}: {what}{so}"))
    }
}

impl Imported {
    pub(super) fn new(
        reading: &Reading,
        currency: Currency,
        (bill, damage): (&Bill, Option<Damaged>),
        comparison: Comparison,
    ) -> Self {
        let other = |(what, amount): (What, Amount)| {
            let What { service, resource, place } = what;
            OtherRow { service, resource, place, amount }
        };
        let correction = |Correction { day, account, amount }: Correction| CorrectionRow {
            day,
            account,
            amount,
        };
        let held = |HeldBack { day, space, amount, why }: HeldBack| HeldRow {
            day,
            space,
            amount,
            why: why.text(),
        };
        Self {
            format: 1,
            now: reading.now,
            currency,
            ledger_damage: reading.damage.clone(),
            damage,
            left_out: Vec::new(),
            providers: bill.providers().map(ToString::to_string).collect(),
            lines: bill.lines(),
            rates: bill.rates().iter().map(|(of, used)| (*of, RateRow::of(used))).collect(),
            at_rates: at_rates(bill.rates()),
            names_ours: bill.names_ours(),
            unknown_spaces: Vec::new(),
            is_configured: false,
            days: comparison.days.iter().map(DayRow::of).collect(),
            all: SumsRow::of(comparison.all),
            credits: comparison.credits,
            taxes: comparison.taxes,
            others: comparison.others.into_iter().map(other).collect(),
            not_named: comparison.not_named,
            corrections: comparison.corrections.into_iter().map(correction).collect(),
            held_back: comparison.held_back.into_iter().map(held).collect(),
            booked: None,
        }
    }
}

/// The rates of a bill in a sentence: ` at USD=0.80`; empty where it is in the currency of the ledger.
pub(super) fn at_rates(rates: &BTreeMap<Currency, RateUsed>) -> String {
    let text = |(of, used): (&Currency, &RateUsed)| format!("{of}={used}");
    let all: Vec<String> = rates.iter().map(text).collect();
    if all.is_empty() { String::new() } else { format!(" at {}", all.join(", ")) }
}

impl RateRow {
    fn of(used: &RateUsed) -> Self {
        let RateUsed { said, lowest, highest, known, .. } = *used;
        Self { said, lowest, highest, known, doubtful: used.doubt().is_some() }
    }
}

impl SumsRow {
    fn of(sums: DaySums) -> Self {
        Self {
            billed: sums.billed,
            ledger: sums.ledger,
            difference: sums.difference(),
            factor: sums.factor().map(Text),
            others: sums.others,
        }
    }
}

impl DayRow {
    fn of(compared: &DayCompared) -> Self {
        Self {
            day: compared.day,
            sums: SumsRow::of(compared.sums),
            complete: compared.finality == Finality::Complete,
            finality: compared.finality,
        }
    }
}
