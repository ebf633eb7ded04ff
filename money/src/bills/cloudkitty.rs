//! Summaries of CloudKitty, `GET /v2/summary?groupby=time-d&groupby=...`: columns and rows, or one object a row
//! (`response_format=object`); <https://docs.openstack.org/cloudkitty/latest/api-reference/v2/index.html>.
//!
//! `rate` is the cost, in units that the operator gives a meaning. It knows projects, not our machines, unless its operator
//! has it group by our tags: so that it must be told whose the project is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use vcycle_api::SpaceName;

use super::day::moment;
use super::{BillDamage, BillLine, Day, Kind, Ours, What, Whose, is_no_text, json};
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

/// Reads a summary: its lines up to the first damage, then that.
pub fn cloudkitty(
    mut input: impl BufRead,
    rated: &Rated,
) -> std::vec::IntoIter<Result<BillLine, BillDamage>> {
    let mut bytes = Vec::new();
    let failed = input.read_to_end(&mut bytes).err();
    let (mut lines, damage) = read(&bytes, rated);
    let end =
        failed.map(|error| at(&bytes, bytes.len(), format!("the file cannot be read: {error}")));
    lines.extend(end.or(damage).map(Err));
    lines.into_iter()
}

type Lines = Vec<Result<BillLine, BillDamage>>;

fn read(bytes: &[u8], rated: &Rated) -> (Lines, Option<BillDamage>) {
    if let Some(what) = is_no_text(bytes) {
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
        match line(row, document.columns.as_deref(), rated) {
            Ok(line) => lines.push(Ok(line)),
            Err(what) => return (lines, Some(at(bytes, place(row.get()), what))),
        }
    }
    let missing = document.total.filter(|total| *total > lines.len() as u64).map(|total| {
        let what = format!(
            "the summary has {total} rows and {} of them are here: ask for all (limit={total})",
            lines.len()
        );
        at(bytes, text.len(), what)
    });
    (lines, damage.or(missing))
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

fn line(raw: &RawValue, columns: Option<&[String]>, rated: &Rated) -> Result<BillLine, String> {
    let (row, rate) = cells(raw, columns)?;
    let time = |name: &str| {
        let text = row.get(name).ok_or_else(|| format!("the row has no {name}"))?;
        moment(text).ok_or_else(|| format!("{:?} is no time", json::beginning(text)))
    };
    let (begin, end) = (time("begin")?, time("end")?);
    if end.since(begin) > LONGEST {
        return Err(format!(
            "the row is for {begin} to {end}: ask for days (groupby=time-d), so that they can be compared"
        ));
    }
    let by_tags = Whose::by_tags(&row);
    let space = rated.space.clone().filter(|_| by_tags == Whose::Others);
    let whole =
        |space| Whose::Ours(Ours { deployment: None, space, machinetype: None, machine: None });
    Ok(BillLine {
        provider: rated.provider.clone(),
        day: Day::of(begin),
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

/// A day, with the hour that it may be longer where clocks change.
const LONGEST: Duration = Duration::from_secs(25 * 3600);

/// The cells of a row that are texts, by column, and the rate.
fn cells(raw: &RawValue, columns: Option<&[String]>) -> Result<(Row, super::Exact), String> {
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

/// The whole answer, filled as it is read, so that what stands before a damage is there.
#[derive(Default)]
struct Document<'a> {
    columns: Option<Vec<String>>,
    rows: Vec<&'a RawValue>,
    total: Option<u64>,
}

impl<'a> DeserializeSeed<'a> for &mut Document<'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for &mut Document<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of /v2/summary")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "columns" => self.columns = Some(map.next_value()?),
                "results" => map.next_value_seed(Rows(&mut self.rows))?,
                "total" => self.total = map.next_value()?,
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        if self.rows.is_empty() && self.columns.is_none() {
            return Err(serde::de::Error::custom(
                "there are no columns and results: this is no summary of CloudKitty",
            ));
        }
        Ok(())
    }
}

struct Rows<'s, 'a>(&'s mut Vec<&'a RawValue>);

impl<'a> DeserializeSeed<'a> for Rows<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Rows<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of results")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            self.0.push(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"{"total": 2, "columns": ["begin", "end", "qty", "rate", "project_id", "type"],
 "results": [
  ["2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00", 24.0, 12.345678901234567, "5f3c", "instance"],
  ["2026-11-21T00:00:00", "2026-11-22T00:00:00", 24.0, null, "5f3c", "volume.size"]]}
"#;

    fn read(text: &str, space: Option<&str>) -> Vec<Result<BillLine, BillDamage>> {
        let rated = Rated {
            provider: ProviderName::parse("openstack").unwrap(),
            currency: Currency::GBP,
            space: space.map(|space| SpaceName::parse(space).unwrap()),
        };
        cloudkitty(text.as_bytes(), &rated).collect()
    }

    #[test]
    fn a_summary_by_days_is_read_without_losing_digits() {
        let lines: Vec<BillLine> =
            read(SUMMARY, Some("iris.example")).into_iter().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].cost.to_string(), "12.345678901234567");
        assert_eq!(lines[1].cost, super::super::Exact::ZERO);
        assert!(
            matches!(&lines[0].whose, Whose::Ours(ours) if ours.space.as_str() == "iris.example")
        );
        assert_eq!(
            (lines[0].what.service.as_str(), lines[0].what.place.as_deref()),
            ("instance", Some("5f3c"))
        );
    }

    #[test]
    fn a_project_is_not_ours_because_it_is_on_the_bill() {
        assert_eq!(read(SUMMARY, None)[0].as_ref().unwrap().whose, Whose::Others);
        let tagged = SUMMARY.replace("project_id", "vcycle_space");
        assert!(
            matches!(&read(&tagged, None)[0].as_ref().unwrap().whose, Whose::Ours(ours) if ours.space.as_str() == "5f3c")
        );
    }

    #[test]
    fn objects_and_rows_before_their_columns_are_read_too() {
        let objects = r#"{"results": [{"begin": "2026-11-20", "end": "2026-11-21 00:00:00", "rate": "0.1", "qty": 1}], "total": 1}"#;
        let objects = objects.replace("2026-11-20\"", "2026-11-20 00:00:00\"");
        assert_eq!(read(&objects, None)[0].as_ref().unwrap().cost.to_string(), "0.10");
        let late = r#"{"results": [["2026-11-20T00:00:00", "2026-11-21T00:00:00", 3]], "columns": ["begin", "end", "rate"]}"#;
        assert_eq!(read(late, None)[0].as_ref().unwrap().cost.to_string(), "3.00");
    }

    #[test]
    fn what_cannot_be_compared_is_told_with_what_to_ask_for() {
        let month = SUMMARY.replace("2026-11-22", "2026-12-22");
        let lines = read(&month, None);
        assert!(lines[0].is_ok());
        let damage = lines[1].as_ref().unwrap_err();
        assert_eq!((damage.line, damage.column), (4, 3));
        assert!(damage.what.contains("groupby=time-d"), "{damage}");
        let page = SUMMARY.replace("\"total\": 2", "\"total\": 250");
        assert!(read(&page, None)[2].as_ref().unwrap_err().what.contains("limit=250"));
        for other in ["{}", "[]", "x", "{\"results\": 5}"] {
            assert!(read(other, None)[0].is_err(), "{other}");
        }
    }

    #[test]
    fn a_summary_that_is_cut_off_gives_what_stands_before() {
        let cut = &SUMMARY[..SUMMARY.find("volume").unwrap()];
        let lines = read(cut, None);
        assert!(lines[0].is_ok());
        let damage = lines[1].as_ref().unwrap_err();
        assert_eq!(damage.line, 4);
        assert!(damage.what.contains("cut off"), "{damage}");
        assert_eq!(lines.len(), 2);
    }
}
