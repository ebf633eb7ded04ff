//! Cost exports of AWS as CSV: the Cost and Usage Report 2.0 of Data Exports, and the older report of the same columns
//! under other spellings (<https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html>).
//!
//! `line_item_usage_start_date`, `lineItem/UsageStartDate` and `LineItem_UsageStartDate` are the same column. Tags stand
//! in the map `resource_tags` (`{"user_vcycle_space":"x"}`), or in a column each (`resource_tags_user_vcycle_space`,
//! `resourceTags/user:vcycle_space`); only tags that were made cost allocation tags are there at all.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::csv::{Csv, Field};
use super::day::moment;
use super::{BillDamage, BillLine, Day, Kind, What, Whose, said};
use crate::ProviderName;

/// Reads an export.
#[derive(Debug)]
pub struct Aws<R> {
    csv: Csv<R>,
    provider: ProviderName,
    state: State,
}

#[derive(Debug)]
enum State {
    Title,
    Lines(Columns),
    Over,
}

/// Where the columns stand that are of use.
#[derive(Debug, Default)]
struct Columns {
    all: usize,
    start: usize,
    cost: usize,
    currency: usize,
    sort: Option<usize>,
    product: Option<usize>,
    usage: Option<usize>,
    resource: Option<usize>,
    region: Option<usize>,
    tag_map: Option<usize>,
    /// Columns of one tag each, with its key.
    tags: Vec<(usize, String)>,
}

impl<R: BufRead> Aws<R> {
    /// Reads an export from its beginning; the lines are those of a provider of this name.
    pub fn new(input: R, provider: ProviderName) -> Self {
        Self { csv: Csv::new(input), provider, state: State::Title }
    }

    fn read(&mut self) -> Result<Option<BillLine>, BillDamage> {
        if matches!(self.state, State::Title) {
            let titles = self.csv.next()?.ok_or_else(|| self.csv.damage("the file is empty"))?;
            self.state = State::Lines(Columns::find(&titles)?);
        }
        let State::Lines(columns) = &self.state else { return Ok(None) };
        let record = self.csv.next()?;
        record.map(|fields| columns.line(&fields, &self.provider)).transpose()
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
        let must = |name: &str| {
            find(name).ok_or_else(|| {
                titles[0].damage(format!(
                    "there is no column {name}: this is no Cost and Usage Report of AWS as CSV (of FOCUS exports nothing \
                     can be read)"
                ))
            })
        };
        let is_tag = |(place, name): (usize, &String)| {
            let key = name.strip_prefix("resource_tags_")?;
            Some((place, tag_key(key)))
        };
        Ok(Self {
            all: titles.len(),
            start: must("line_item_usage_start_date")?,
            cost: must("line_item_unblended_cost")?,
            currency: must("line_item_currency_code")?,
            sort: find("line_item_line_item_type"),
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
        let text = |column: Option<usize>| column.and_then(|column| said(&fields[column].text));
        let start = &fields[self.start];
        let at = moment(&start.text)
            .ok_or_else(|| start.damage(format!("{:?} is no time", start.text)))?;
        let cost = &fields[self.cost];
        let currency = &fields[self.currency];
        let services = [text(self.product), text(self.usage)];
        let service: Vec<String> = services.into_iter().flatten().collect();
        Ok(BillLine {
            provider: provider.clone(),
            day: Day::of(at),
            cost: cost.text.trim().parse().map_err(|error| cost.damage(format!("{error}")))?,
            currency: currency
                .text
                .trim()
                .parse()
                .map_err(|_| currency.damage(format!("{:?} is no currency", currency.text)))?,
            kind: kind(text(self.sort).as_deref()),
            whose: Whose::by_tags(&self.tags(fields)?),
            what: What {
                service: if service.is_empty() { "AWS".to_owned() } else { service.join(" ") },
                resource: text(self.resource),
                place: text(self.region),
            },
        })
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

/// Vouchers come as lines of their own; taxes too. Discounts and refunds are charges of less than nothing.
fn kind(sort: Option<&str>) -> Kind {
    match sort {
        Some("Credit") => Kind::Credit,
        Some("Tax") => Kind::Tax,
        _ => Kind::Charge,
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

#[cfg(test)]
mod tests {
    use super::super::Ours;
    use super::*;

    const TODAY: &str = "\
identity_line_item_id,line_item_usage_start_date,line_item_line_item_type,line_item_product_code,line_item_usage_type,\
line_item_resource_id,line_item_currency_code,line_item_unblended_cost,product_region_code,resource_tags\n\
a,2026-11-20T13:00:00.000Z,Usage,AmazonEC2,EUW2-SpotUsage:m5.xlarge,i-01,USD,0.0823000000,eu-west-2,\
\"{\"\"user_vcycle_space\"\":\"\"ska.aws\"\",\"\"user_vcycle_machinetype\"\":\"\"dune\"\",\"\"user_vcycle_machine\"\":\"\"vcycle-dune-abcdefghij\"\",\"\"aws_created_by\"\":\"\"Root\"\"}\"\n\
b,2026-11-20T14:00:00.000Z,Usage,AmazonS3,TimedStorage-ByteHrs,arn:aws:s3:::bucket,USD,2.5E-7,eu-west-2,{}\n\
c,2026-11-01T00:00:00.000Z,Tax,AmazonEC2,,,USD,12.34,,\n\
d,2026-11-20T00:00:00.000Z,Credit,AmazonEC2,,,USD,-100,,\n";

    fn read(text: &str) -> Vec<Result<BillLine, BillDamage>> {
        Aws::new(text.as_bytes(), ProviderName::parse("aws").unwrap()).collect()
    }

    #[test]
    fn an_export_of_today_is_read() {
        let lines: Vec<BillLine> = read(TODAY).into_iter().map(Result::unwrap).collect();
        let machine = &lines[0];
        assert_eq!(
            (machine.day.to_string(), machine.cost.to_string()),
            ("2026-11-20".into(), "0.0823".into())
        );
        assert_eq!(
            machine.what,
            What {
                service: "AmazonEC2 EUW2-SpotUsage:m5.xlarge".into(),
                resource: Some("i-01".into()),
                place: Some("eu-west-2".into()),
            }
        );
        let Whose::Ours(Ours { space, machinetype, machine, deployment }) = &machine.whose else {
            panic!("ours")
        };
        assert_eq!(space.as_str(), "ska.aws");
        assert_eq!(machinetype.as_ref().unwrap().as_str(), "dune");
        assert_eq!(
            (machine.as_ref().unwrap().as_str(), deployment.as_ref()),
            ("vcycle-dune-abcdefghij", None)
        );
        assert_eq!(
            (&lines[1].whose, lines[1].cost.to_string()),
            (&Whose::Others, "0.00000025".into())
        );
        let kinds: Vec<Kind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::Charge, Kind::Charge, Kind::Tax, Kind::Credit]);
    }

    #[test]
    fn an_export_of_the_older_report_is_read() {
        let lines = read(
            "\u{feff}lineItem/UsageStartDate,lineItem/UnblendedCost,lineItem/CurrencyCode,resourceTags/user:vcycle_space,product/region\r\n\
             2026-11-20T13:00:00Z,0.5,USD,ska.aws,eu-west-2\r\n",
        );
        let line = lines[0].as_ref().unwrap();
        assert!(matches!(&line.whose, Whose::Ours(ours) if ours.space.as_str() == "ska.aws"));
        assert_eq!(line.what.place.as_deref(), Some("eu-west-2"));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn a_field_that_makes_no_sense_is_told_with_its_place() {
        let text = TODAY.replace("2.5E-7", "cheap");
        let read = read(&text);
        assert_eq!(read.len(), 2, "nothing after the damage, and nothing before it is lost");
        let damage = read[1].as_ref().unwrap_err();
        let line = text.lines().nth(2).unwrap();
        assert_eq!((damage.line, damage.column), (3, line.find("cheap").unwrap() as u64 + 1));
        assert_eq!(damage.what, "\"cheap\" is no amount of money");
    }

    #[test]
    fn another_file_is_told_apart() {
        let damage = |text: &str| {
            let last = read(text).pop().expect("a line or a damage");
            last.unwrap_err().to_string()
        };
        assert!(
            damage("BilledCost,ServiceName\n1,x\n")
                .contains("line 1, column 1: there is no column")
        );
        assert!(damage("").contains("empty"));
        assert!(
            damage(&TODAY.replace(",eu-west-2,{}", ""))
                .contains("8 columns where the title has 10")
        );
    }
}
