//! Summaries of CloudKitty, `GET /v2/summary`: columns and rows, or one object a row (`response_format=object`);
//! <https://docs.openstack.org/cloudkitty/latest/api-reference/v2/index.html>.
//!
//! `rate` is the cost, in units that the operator gives a meaning. It knows projects, not our machines, unless its operator
//! has it group by our tags: so that it must be told whose the project is.
//!
//! Reading order: `document` (the JSON), `time` (what time a row is for), `pages` (files that are one answer).

mod document;
mod pages;
mod time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::de::DeserializeSeed;
use serde_json::value::RawValue;
use vcycle_api::SpaceName;

use self::document::Document;
pub use self::pages::Pages;
use super::{BillDamage, BillLine, Exact, Form, Kind, Ours, What, Whose, is_another, json};
use crate::{Currency, ProviderName};

/// What a summary does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// Who sends the bill.
    pub provider: ProviderName,
    /// In what its rates are.
    pub currency: Currency,
    /// The space whose project it is; `None`: only lines with our tags are ours.
    pub space: Option<SpaceName>,
}

/// Reads a summary, which may be one page of several: its lines up to the first damage, then that.
pub fn cloudkitty(
    mut input: impl BufRead,
    rated: &Rated,
    pages: &mut Pages,
) -> std::vec::IntoIter<Result<BillLine, BillDamage>> {
    let mut bytes = Vec::new();
    let failed = input.read_to_end(&mut bytes).err();
    let (mut lines, damage) = read(&bytes, rated, pages);
    let end =
        failed.map(|error| at(&bytes, bytes.len(), format!("the file cannot be read: {error}")));
    lines.extend(end.or(damage).map(Err));
    lines.into_iter()
}

type Lines = Vec<Result<BillLine, BillDamage>>;

fn read(bytes: &[u8], rated: &Rated, pages: &mut Pages) -> (Lines, Option<BillDamage>) {
    if let Some(what) = is_another(Form::Cloudkitty, bytes) {
        return (Vec::new(), Some(at(bytes, 0, what.to_owned())));
    }
    let (text, mut damage) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = error.valid_up_to();
            let text = std::str::from_utf8(&bytes[..good]).unwrap_or_default();
            (text, Some(at(bytes, good, "this is no text (not UTF-8)".to_owned())))
        }
    };
    let mut document = Document::default();
    let mut parser = serde_json::Deserializer::from_str(text);
    if let Err(error) = (&mut document).deserialize(&mut parser).and_then(|()| parser.end()) {
        damage = damage.or_else(|| Some(json::damage(&error, 1)));
    }
    let place = |raw: &str| (raw.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let mut lines = Vec::new();
    for row in &document.rows {
        match line(row, document.columns.as_deref(), rated, pages) {
            Ok(line) => lines.push(Ok(line)),
            Err(what) => return (lines, Some(at(bytes, place(row.get()), what))),
        }
    }
    let page = || {
        let end = |what| at(bytes, text.len(), what);
        pages.add(document.total?, lines.len() as u64, end).err()
    };
    let damage = damage.or_else(page);
    (lines, damage)
}

/// The place of a byte.
fn at(bytes: &[u8], place: usize, what: String) -> BillDamage {
    let before = &bytes[..place];
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let is_character = |byte: &&u8| !(0x80..=0xbf).contains(*byte);
    let column = before[begin..].iter().filter(is_character).count() as u64 + 1;
    BillDamage { line, column, what }
}

/// One row, by its columns.
type Row = BTreeMap<String, String>;

fn line(
    raw: &RawValue,
    columns: Option<&[String]>,
    rated: &Rated,
    pages: &mut Pages,
) -> Result<BillLine, String> {
    let (row, rate) = cells(raw, columns)?;
    let during = time::of(&row)?;
    pages.must_be_new(&row)?;
    let by_tags = Whose::by_tags(&row);
    let space = rated.space.clone().filter(|_| by_tags == Whose::Others);
    let whole =
        |space| Whose::Ours(Ours { deployment: None, space, machinetype: None, machine: None });
    Ok(BillLine {
        provider: rated.provider.clone(),
        during,
        cost: rate,
        currency: rated.currency,
        kind: Kind::Charge,
        whose: space.map_or(by_tags, whole),
        what: What {
            service: row.get("type").cloned().unwrap_or_else(|| "all".to_owned()),
            resource: row.get("id").cloned(),
            place: row.get("project_id").cloned(),
        },
    })
}

/// The cells of a row that are texts, by column, and the rate.
fn cells(raw: &RawValue, columns: Option<&[String]>) -> Result<(Row, Exact), String> {
    let broken = |error: serde_json::Error| format!("the row cannot be read ({error})");
    let cells: BTreeMap<String, &RawValue> = if raw.get().starts_with('{') {
        serde_json::from_str(raw.get()).map_err(broken)?
    } else {
        let cells: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(broken)?;
        let columns = columns.ok_or("the list of columns is missing")?;
        if cells.len() != columns.len() {
            return Err(format!("{} cells where there are {} columns", cells.len(), columns.len()));
        }
        columns.iter().cloned().zip(cells).collect()
    };
    let rate = cells.get("rate").ok_or("the row has no rate")?;
    let rate = json::exact(rate)?;
    let texts = cells.into_iter().filter_map(|(name, cell)| Some((name, json::text(cell)?)));
    Ok((texts.collect(), rate))
}
