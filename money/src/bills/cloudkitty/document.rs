//! The JSON of an answer, read so that what stands before a damage is there.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The whole answer, filled as it is read, so that what stands before a damage is there.
#[derive(Default)]
pub(super) struct Document<'a> {
    pub(super) columns: Option<Vec<String>>,
    pub(super) rows: Vec<&'a RawValue>,
    pub(super) total: Option<u64>,
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
        let mut is_answer = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "columns" => self.columns = Some(map.next_value()?),
                "results" => {
                    is_answer = true;
                    map.next_value_seed(Rows(&mut self.rows))?;
                }
                "total" => self.total = map.next_value()?,
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        if is_answer && self.total.is_some() {
            return Ok(());
        }
        Err(serde::de::Error::custom(
            "there are no results with their total: this is no summary of CloudKitty",
        ))
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
