//! Cost exports of AWS as CSV: the Cost and Usage Report 2.0 of Data Exports, and the older report of the same columns
//! under other spellings (<https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html>).
//!
//! `line_item_usage_start_date`, `lineItem/UsageStartDate` and `LineItem_UsageStartDate` are the same column. Tags stand
//! in the map `resource_tags` (`{"user_vcycle_space":"x"}`), or in a column each (`resource_tags_user_vcycle_space`,
//! `resourceTags/user:vcycle_space`); only tags that were made cost allocation tags are there at all. What a line costs is
//! in `aws_cost`.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::aws_cost::CostColumns;
use super::aws_seen::Seen;
use super::cover::is_too_long;
use super::csv::{Csv, Field};
use super::day::moment;
use super::{BillDamage, BillLine, Exact, Kind, What, Whose, said};
use crate::{ProviderName, Span};

/// Reads an export.
#[derive(Debug)]
pub struct Aws<R> {
    csv: Csv<R>,
    provider: ProviderName,
    seen: Seen,
    state: State,
}

#[derive(Debug)]
enum State {
    Title,
    Lines(Box<Columns>),
    Over,
}

/// Where the columns stand that are of use.
#[derive(Debug)]
struct Columns {
    all: usize,
    identity: Option<usize>,
    start: usize,
    end: usize,
    cost: CostColumns,
    currency: usize,
    product: Option<usize>,
    usage: Option<usize>,
    resource: Option<usize>,
    region: Option<usize>,
    tag_map: Option<usize>,
    /// Columns of one tag each, with its key.
    tags: Vec<(usize, String)>,
}

impl<R: BufRead> Aws<R> {
    /// Reads an export from its beginning; the lines are those of a provider of this name. `seen`: shared by all files of a
    /// bill.
    pub fn new(input: R, provider: ProviderName, seen: Seen) -> Self {
        Self { csv: Csv::new(input), provider, seen, state: State::Title }
    }

    fn read(&mut self) -> Result<Option<BillLine>, BillDamage> {
        if matches!(self.state, State::Title) {
            let titles = self.csv.next()?.ok_or_else(|| self.csv.damage("the file is empty"))?;
            self.state = State::Lines(Box::new(Columns::find(&titles)?));
        }
        let State::Lines(columns) = &self.state else { return Ok(None) };
        let Some(fields) = self.csv.next()? else { return Ok(None) };
        let line = columns.line(&fields, &self.provider)?;
        if line.kind == Kind::Charge && line.whose != Whose::Others && line.cost != Exact::ZERO {
            self.seen.must_be_new(&fields, columns.identity)?;
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Aws<R> {
    type Item = Result<BillLine, BillDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.state = State::Over;
        }
        read
    }
}

impl Columns {
    fn find(titles: &[Field]) -> Result<Self, BillDamage> {
        let names: Vec<String> = titles.iter().map(|title| normal(&title.text)).collect();
        let find = |name: &str| names.iter().position(|known| known == name);
        let start = find("line_item_usage_start_date").ok_or_else(|| {
            titles[0].damage(
                "there is no column line_item_usage_start_date: this is no Cost and Usage Report of AWS as CSV (of FOCUS \
                 exports nothing can be read)"
                    .to_owned(),
            )
        })?;
        // Who makes an export chooses its columns.
        let must = |name: &str, why: &str| {
            find(name).ok_or_else(|| {
                let what = format!("there is no column {name}: choose it in the export ({why})");
                titles[0].damage(what)
            })
        };
        let is_tag = |(place, name): (usize, &String)| {
            let key = name.strip_prefix("resource_tags_")?;
            Some((place, tag_key(key)))
        };
        Ok(Self {
            all: titles.len(),
            identity: find("identity_line_item_id"),
            start,
            end: must("line_item_usage_end_date", "it tells days from months")?,
            cost: CostColumns::find(must, find)?,
            currency: must("line_item_currency_code", "amounts are of a currency")?,
            product: find("line_item_product_code"),
            usage: find("line_item_usage_type"),
            resource: find("line_item_resource_id"),
            region: find("product_region_code").or_else(|| find("product_region")),
            tag_map: find("resource_tags"),
            tags: names.iter().enumerate().filter_map(is_tag).collect(),
        })
    }

    fn line(&self, fields: &[Field], provider: &ProviderName) -> Result<BillLine, BillDamage> {
        if fields.len() != self.all {
            let what = format!("{} columns where the title has {}", fields.len(), self.all);
            return Err(fields[0].damage(what));
        }
        let whose = Whose::by_tags(&self.tags(fields)?);
        let (kind, cost) = self.cost.of(fields, &whose)?;
        let during = self.during(fields)?;
        let is_ours = kind == Kind::Charge && whose != Whose::Others;
        if is_ours && cost != Exact::ZERO && is_too_long(during) {
            let what = format!(
                "the line of a machine of ours is for {} to {}: have the export made with the granularity of hours or days \
                 (HOURLY, DAILY), so that days can be compared",
                during.from, during.to
            );
            return Err(fields[self.end].damage(what));
        }
        let text = |column: Option<usize>| column.and_then(|column| said(&fields[column].text));
        let currency = &fields[self.currency];
        let services = [text(self.product), text(self.usage)];
        let service: Vec<String> = services.into_iter().flatten().collect();
        Ok(BillLine {
            provider: provider.clone(),
            during,
            cost,
            currency: currency
                .text
                .trim()
                .parse()
                .map_err(|_| currency.damage(format!("{:?} is no currency", currency.text)))?,
            kind,
            whose,
            what: What {
                service: if service.is_empty() { "AWS".to_owned() } else { service.join(" ") },
                resource: text(self.resource),
                place: text(self.region),
            },
        })
    }

    fn during(&self, fields: &[Field]) -> Result<Span, BillDamage> {
        let time = |field: &Field| {
            moment(&field.text).ok_or_else(|| field.damage(format!("{:?} is no time", field.text)))
        };
        Ok(Span { from: time(&fields[self.start])?, to: time(&fields[self.end])? })
    }

    fn tags(&self, fields: &[Field]) -> Result<BTreeMap<String, String>, BillDamage> {
        let mut tags = BTreeMap::new();
        if let Some(field) = self.tag_map.map(|column| &fields[column])
            && !field.text.trim().is_empty()
        {
            let map: BTreeMap<String, Option<String>> =
                serde_json::from_str(&field.text).map_err(|error| {
                    field.damage(format!("the map of tags cannot be read ({error})"))
                })?;
            let pairs = map.into_iter().filter_map(|(key, value)| Some((tag_key(&key), value?)));
            tags.extend(pairs);
        }
        for (column, key) in &self.tags {
            tags.extend(said(&fields[*column].text).map(|value| (key.clone(), value)));
        }
        Ok(tags)
    }
}

/// The key that a person gave to a tag, which the export marks as theirs.
fn tag_key(key: &str) -> String {
    key.strip_prefix("user_").or_else(|| key.strip_prefix("user:")).unwrap_or(key).to_owned()
}

/// A column by its spelling of today.
fn normal(title: &str) -> String {
    let mut name = String::with_capacity(title.len() + 4);
    let mut after_small = false;
    for letter in title.trim_start_matches('\u{feff}').trim().chars() {
        match letter {
            'A'..='Z' => {
                if after_small {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' => name.push(letter),
            _ => name.push('_'),
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    name
}
