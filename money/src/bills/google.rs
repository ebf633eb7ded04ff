//! The export of Google Cloud Billing to BigQuery (standard and detailed usage cost), exported as JSON, one object a line
//! (<https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage>).
//!
//! `cost` is before credits. A discount (of sustained use, of a contract, the free tier) makes the use cheaper and is taken
//! off. All else pays for it with money that was or will be spent elsewhere, and is a line of its own: a promotion, and the
//! discount for a commitment, whose fee is on the bill as well. Commitments of the newer model need no such credit: what
//! they pay for is cheaper in `cost` itself, and `FEE_UTILIZATION_OFFSET` is taken off their fee.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind, Read as _};

use serde::Deserialize;
use serde_json::value::RawValue;
use vcycle_api::labels;

use super::cover::is_too_long;
use super::day::moment;
use super::{
    BillDamage, BillLine, Exact, Form, Kind, LONGEST_LINE, What, Whose, is_another, json, said,
};
use crate::{Currency, ProviderName, Span};

/// Reads an export.
#[derive(Debug)]
pub struct Google<R> {
    input: R,
    provider: ProviderName,
    /// The line that was read last.
    line: u64,
    /// The voucher of the line that was given last.
    voucher: Option<BillLine>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Lines,
    Over,
}

/// A line as it stands there, as far as it is of use.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    usage_start_time: Cow<'a, str>,
    #[serde(borrow)]
    usage_end_time: Cow<'a, str>,
    #[serde(borrow)]
    cost: &'a RawValue,
    currency: Currency,
    #[serde(borrow)]
    cost_type: Option<Cow<'a, str>>,
    service: Option<Described>,
    sku: Option<Described>,
    project: Option<Identified>,
    location: Option<Located>,
    resource: Option<Named>,
    labels: Option<Vec<Label>>,
    #[serde(borrow)]
    credits: Option<Vec<Credit<'a>>>,
}

#[derive(Deserialize)]
struct Described {
    description: Option<String>,
}

#[derive(Deserialize)]
struct Identified {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Located {
    zone: Option<String>,
    region: Option<String>,
    location: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    global_name: Option<String>,
}

#[derive(Deserialize)]
struct Label {
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Credit<'a> {
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(rename = "type")]
    sort: Option<String>,
}

impl<R: BufRead> Google<R> {
    /// Reads an export from its beginning; the lines are those of a provider of this name.
    pub fn new(input: R, provider: ProviderName) -> Self {
        Self { input, provider, line: 0, voucher: None, state: State::Lines }
    }

    fn read(&mut self) -> Result<Option<BillLine>, BillDamage> {
        if let Some(voucher) = self.voucher.take() {
            return Ok(Some(voucher));
        }
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.line += 1;
            self.read_line(&mut bytes)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if !bytes.trim_ascii().is_empty() {
                break;
            }
        }
        let row: Row<'_> = self.parse(&bytes)?;
        let (charge, voucher) = self.lines(&row, &bytes)?;
        self.voucher = voucher;
        Ok(Some(charge))
    }

    fn read_line(&mut self, into: &mut Vec<u8>) -> Result<(), BillDamage> {
        let damage = |column: usize, what: String| BillDamage {
            line: self.line,
            column: column as u64 + 1,
            what,
        };
        loop {
            let room = (LONGEST_LINE + 1 - into.len()) as u64;
            match self.input.by_ref().take(room).read_until(b'\n', into) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(damage(into.len(), format!("the file cannot be read: {error}")));
                }
            }
        }
        if into.len() > LONGEST_LINE {
            return Err(damage(
                0,
                "the line is longer than any of a bill: this is no export".into(),
            ));
        }
        match is_another(Form::Google, into) {
            Some(what) if self.line == 1 => Err(damage(0, what.to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    fn parse<'b>(&self, bytes: &'b [u8]) -> Result<Row<'b>, BillDamage> {
        serde_json::from_slice(bytes).map_err(|error| {
            let mut damage = json::damage(&error, self.line);
            if bytes.trim_ascii_start().first() == Some(&b'[') {
                damage.what =
                    "this is a list: export one object a line (newline-delimited JSON)".into();
            }
            damage
        })
    }

    fn lines(
        &self,
        row: &Row<'_>,
        bytes: &[u8],
    ) -> Result<(BillLine, Option<BillLine>), BillDamage> {
        // Values are parts of the line, so that their place is known.
        let place = |part: &str| {
            let column = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            if column < bytes.len() { column as u64 + 1 } else { 1 }
        };
        let damage =
            |part: &str, what: String| BillDamage { line: self.line, column: place(part), what };
        let exact = |raw: &RawValue| json::exact(raw).map_err(|what| damage(raw.get(), what));
        let time = |text: &str| {
            let wrong = || damage(text, format!("{:?} is no time", json::beginning(text)));
            moment(text).ok_or_else(wrong)
        };
        let during = Span { from: time(&row.usage_start_time)?, to: time(&row.usage_end_time)? };
        let (mut cost, mut voucher) = (exact(row.cost)?, Exact::ZERO);
        for credit in row.credits.iter().flatten() {
            let sum = if is_cheaper(credit.sort.as_deref()) { &mut cost } else { &mut voucher };
            *sum += exact(credit.amount)?;
        }
        let kind = if row.cost_type.as_deref() == Some("tax") { Kind::Tax } else { Kind::Charge };
        let whose = Whose::by_tags(&row.tags());
        if kind == Kind::Charge && whose != Whose::Others && is_too_long(during) {
            let (from, to) = (during.from, during.to);
            let what = format!(
                "the line of a machine of ours is for {from} to {to}: export the lines as they are, not sums of them, so \
                 that days can be compared"
            );
            return Err(damage(&row.usage_end_time, what));
        }
        let charge = BillLine {
            provider: self.provider.clone(),
            during,
            cost,
            currency: row.currency,
            kind,
            whose,
            what: row.what(),
        };
        let voucher = (voucher != Exact::ZERO).then(|| BillLine {
            cost: voucher,
            kind: Kind::Credit,
            ..charge.clone()
        });
        Ok((charge, voucher))
    }
}

impl<R: BufRead> Iterator for Google<R> {
    type Item = Result<BillLine, BillDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.state = State::Over;
        }
        read
    }
}

/// Whether a credit makes the use cheaper. Of what is not known, nobody can say so.
fn is_cheaper(sort: Option<&str>) -> bool {
    matches!(
        sort,
        Some(
            "SUSTAINED_USAGE_DISCOUNT"
                | "DISCOUNT"
                | "SPENDING_BASED_DISCOUNT"
                | "FREE_TIER"
                | "FEE_UTILIZATION_OFFSET"
        )
    )
}

impl Row<'_> {
    fn tags(&self) -> BTreeMap<String, String> {
        let label = |label: &Label| Some((label.key.clone(), label.value.clone()?));
        let all: BTreeMap<String, String> =
            self.labels.iter().flatten().filter_map(label).collect();
        labels::decode(&all)
    }

    fn what(&self) -> What {
        let text = |text: Option<&String>| text.and_then(|text| said(text));
        let described = |part: &Option<Described>| text(part.as_ref()?.description.as_ref());
        let services = [described(&self.service), described(&self.sku)];
        let service: Vec<String> = services.into_iter().flatten().collect();
        let of_resource =
            |named: &Named| text(named.name.as_ref()).or_else(|| text(named.global_name.as_ref()));
        let of_place = |located: &Located| {
            let places = [&located.zone, &located.region, &located.location];
            places.into_iter().find_map(|place| text(place.as_ref()))
        };
        let project = self.project.as_ref().and_then(|project| text(project.id.as_ref()));
        let place = self.location.as_ref().and_then(of_place);
        let places: Vec<String> = [project, place].into_iter().flatten().collect();
        What {
            service: if service.is_empty() { "Google".to_owned() } else { service.join(", ") },
            resource: self.resource.as_ref().and_then(of_resource),
            place: said(&places.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ours;
    use super::*;

    const EXPORT: &str = r#"{"billing_account_id":"0-1","service":{"id":"6F81","description":"Compute Engine"},"sku":{"id":"x","description":"Spot Preemptible E2 Instance Core running in London"},"usage_start_time":"2026-11-20 13:00:00 UTC","usage_end_time":"2026-11-20 14:00:00 UTC","project":{"id":"ska-vms","labels":[]},"labels":[{"key":"vcycle_space","value":"ska_dgcp"},{"key":"vcycle_machinetype","value":"dune"}],"system_labels":[],"location":{"location":"europe-west2","region":"europe-west2","zone":"europe-west2-a"},"cost":0.054741999999999997,"currency":"GBP","credits":[{"name":"SUD","amount":-1.0E-3,"type":"SUSTAINED_USAGE_DISCOUNT"},{"name":"research","amount":-0.05,"type":"PROMOTION"}],"cost_type":"regular"}
{"service":{"description":"Cloud Storage"},"usage_start_time":"2026-11-21T00:00:00Z","usage_end_time":"2026-11-21T01:00:00Z","labels":[],"cost":2e-06,"currency":"GBP"}

{"service":{"description":"Invoice"},"usage_start_time":"2026-11-30 00:00:00 UTC","usage_end_time":"2026-11-30 00:00:00 UTC","cost":"12.5","currency":"GBP","cost_type":"tax"}
"#;

    fn read(text: &str) -> Vec<Result<BillLine, BillDamage>> {
        Google::new(text.as_bytes(), ProviderName::parse("gcp").unwrap()).collect()
    }

    #[test]
    fn an_export_is_read_with_its_discounts_taken_off_and_its_vouchers_apart() {
        let lines: Vec<BillLine> = read(EXPORT).into_iter().map(Result::unwrap).collect();
        let kinds: Vec<Kind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::Charge, Kind::Credit, Kind::Charge, Kind::Tax]);
        let costs: Vec<String> = lines.iter().map(|line| line.cost.to_string()).collect();
        assert_eq!(costs, ["0.053741999999999997", "-0.05", "0.000002", "12.50"]);
        let Whose::Ours(Ours { space, machinetype, .. }) = &lines[0].whose else { panic!("ours") };
        assert_eq!((space.as_str(), machinetype.as_ref().unwrap().as_str()), ("ska.gcp", "dune"));
        assert_eq!(lines[0].what.place.as_deref(), Some("ska-vms europe-west2-a"));
        assert_eq!(
            (&lines[2].whose, lines[2].during.from.to_string()),
            (&Whose::Others, "2026-11-21T00:00:00.000Z".into())
        );
    }

    /// The fee of a commitment is on the bill whether it is used or not: to take the discount off as well would make a
    /// machine free of charge that somebody pays for.
    #[test]
    fn what_a_commitment_pays_for_is_not_cheaper() {
        let first = EXPORT.lines().next().unwrap();
        let costs = |sort: &str| -> Vec<(Kind, String)> {
            let lines = read(&first.replace("SUSTAINED_USAGE_DISCOUNT", sort));
            lines.into_iter().map(Result::unwrap).map(|it| (it.kind, it.cost.to_string())).collect()
        };
        let whole = || (Kind::Charge, "0.054741999999999997".to_owned());
        for sort in [
            "COMMITTED_USAGE_DISCOUNT",
            "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE",
            "SUBSCRIPTION_BENEFIT",
            "RESELLER_MARGIN",
            "PROMOTION",
            "CREDIT_TYPE_UNSPECIFIED",
            "SOMETHING_NEW",
        ] {
            assert_eq!(costs(sort), [whole(), (Kind::Credit, "-0.051".to_owned())], "{sort}");
        }
        for sort in ["DISCOUNT", "SPENDING_BASED_DISCOUNT", "FREE_TIER", "FEE_UTILIZATION_OFFSET"] {
            assert_eq!(costs(sort)[0].1, "0.053741999999999997", "{sort}");
        }
    }

    #[test]
    fn a_sum_over_a_month_is_refused_for_our_machines() {
        let month = |line: &str| line.replace("2026-11-20 14:00:00 UTC", "2026-12-20 14:00:00 UTC");
        let lines = read(&month(EXPORT));
        let damage = lines[0].as_ref().unwrap_err();
        assert_eq!(damage.line, 1);
        assert!(damage.what.contains("not sums of them"), "{damage}");
        assert!(read(&month(EXPORT).replace("vcycle_space", "team")).iter().all(Result::is_ok));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for (good, bad) in [
            ("2e-06", "\"free\""),
            ("2026-11-21T00:00:00Z", "today"),
            ("\"GBP\"}", "\"pound\"}"),
            ("\"labels\":[],\"cost\":2e-06", "\"labels\":{},\"cost\":2e-06"),
        ] {
            let text = EXPORT.replacen(good, bad, 1);
            let lines = read(&text);
            assert_eq!(lines.len(), 3, "{bad}");
            let damage = lines[2].as_ref().unwrap_err();
            let line = text.lines().nth(1).unwrap();
            let place = line.find(bad).unwrap() as u64 + 1;
            assert_eq!(damage.line, 2, "{bad}: {damage}");
            assert!(
                (place..place + bad.len() as u64 + 1).contains(&damage.column),
                "{bad}: {damage}"
            );
        }
    }

    #[test]
    fn a_list_of_objects_is_told_apart() {
        let damage = read(&format!("[{}]", EXPORT.lines().next().unwrap()))[0].clone().unwrap_err();
        assert!(damage.what.contains("one object a line"), "{damage}");
    }
}
