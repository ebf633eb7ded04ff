//! Bills of providers, line by line, and how they compare with the ledger.
//!
//! A reader takes any stream of bytes and gives [`BillLine`]s as it goes, so that an export of gigabytes needs no more
//! memory than its longest line (of AWS: and a few bytes for each line of ours, so that none is charged twice). Amounts are read from their text, never by way of floating point. A file that is cut
//! off or malformed gives every line before the damage, then one [`BillDamage`] that tells where it is, then nothing.
//!
//! What a bill says is never a reason to make or to delete a machine: it comes hours or days late. It corrects the ledger.

mod aws;
mod aws_cost;
mod aws_seen;
mod bill;
mod cloudkitty;
mod compare;
mod comparison;
mod cover;
mod csv;
mod day;
mod exact;
mod exchange;
mod google;
mod json;
mod ledger;
mod rate_used;
mod spread;
mod tags;

#[cfg(test)]
mod aws_tests;
#[cfg(test)]
mod compare_tests;
#[cfg(test)]
mod cover_tests;
#[cfg(test)]
mod damage_tests;

pub use aws::Aws;
pub use aws_seen::Seen;
pub use bill::Bill;
pub use cloudkitty::{Pages, Rated, cloudkitty};
pub use compare::{CommunityOf, LedgerLine, Terms, WholeDays};
pub use comparison::{
    Comparison, Correction, DayCompared, DaySums, Factor, Finality, HeldBack, Why,
};
pub use day::Day;
pub use exact::{Exact, NotExact};
pub use exchange::{Exchange, NoRate};
pub use google::Google;
pub use ledger::ledger_lines;
pub use rate_used::{Doubt, RateUsed};
pub use tags::{Ours, Whose};

use crate::{Currency, ProviderName, Span};

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// Who sends it.
    pub provider: ProviderName,
    /// From when to when the use was. What is longer than a day counts for its first one.
    pub during: Span,
    /// How much; less than nothing: paid back.
    pub cost: Exact,
    /// Of what.
    pub currency: Currency,
    /// What sort of line it is.
    pub kind: Kind,
    /// Whose resource it is for.
    pub whose: Whose,
    /// For what.
    pub what: What,
}

/// What sort of line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// For the use of something, after discounts.
    Charge,
    /// Paid in another way, so that the use is no cheaper: by a voucher or grant of the provider, or by a commitment for
    /// which there is a bill of its own.
    Credit,
    /// A tax.
    Tax,
}

/// For what a line is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct What {
    /// The service or the sort of use.
    pub service: String,
    /// The resource, if the bill names it.
    pub resource: Option<String>,
    /// The region, zone or project, if the bill names it.
    pub place: Option<String>,
}

/// Where and how a bill cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct BillDamage {
    /// The line, from 1.
    pub line: u64,
    /// The character in it, from 1.
    pub column: u64,
    /// What is wrong.
    pub what: String,
}

/// No line of a bill is longer: what is, is no bill, and would fill the memory.
const LONGEST_LINE: usize = 16 << 20;

/// In which form a bill is.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// CSV of AWS.
    Aws,
    /// Lines of JSON of Google.
    Google,
    /// JSON of CloudKitty.
    Cloudkitty,
}

/// What a file is that is no bill of this form, by its first bytes.
fn is_another(form: Form, start: &[u8]) -> Option<&'static str> {
    if let Some(what) = is_no_text(start) {
        return Some(what);
    }
    let start = start.trim_ascii_start();
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_json = matches!(start.first(), Some(b'{' | b'['));
    let is_csv = !is_json && first_line.contains(&b',');
    match form {
        Form::Aws if is_json => Some(
            "this looks like JSON, and the report of AWS is CSV: is it --from google, or --from cloudkitty?",
        ),
        Form::Google if is_csv => Some(
            "this looks like CSV, and Google's export is newline-delimited JSON: is it --from aws?",
        ),
        Form::Cloudkitty if is_csv => {
            Some("this looks like CSV, and the answers of CloudKitty are JSON: is it --from aws?")
        }
        Form::Aws | Form::Google | Form::Cloudkitty => None,
    }
}

/// What a file is that is no text, by its first bytes.
fn is_no_text(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 3] = [
        (&[0x1f, 0x8b], "the file is compressed: unpack it first (gunzip)"),
        (b"PAR1", "the file is in Parquet: export it as text (CSV)"),
        (b"PK\x03\x04", "the file is compressed: unpack it first (unzip)"),
    ];
    KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what)
}

/// A text without blanks around it, if there is any.
fn said(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}
