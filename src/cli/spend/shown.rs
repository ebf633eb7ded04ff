//! A comparison with a bill, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vcycle_money::Amount;
use vcycle_money::bills::Finality;

use super::super::output::{BAD, FAINT, Screen, WARN, number, styled, table, table_text};
use super::imported::{HeldRow, Imported, SumsRow};

/// As many resources of others as fit on a screen; JSON has all.
const MOST_OTHERS: usize = 10;

impl Imported {
    /// The whole answer.
    pub(super) fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        if let Some(damage) = &self.ledger_damage {
            let _ = writeln!(text, "{} {damage}\n", styled(BAD, "alarm:"));
        }
        if self.days.is_empty() {
            let _ = writeln!(text, "the bill charges nothing ({} lines)", self.lines);
            return text;
        }
        text.push_str(&self.days_text(screen));
        self.remarks(&mut text);
        text.push_str(&self.others_text(screen));
        let _ = writeln!(text, "\n{}", self.outcome());
        text
    }

    /// What is going to be booked.
    pub(super) fn agreement(&self) -> String {
        let up = self.booked_sum(|amount| amount > Amount::ZERO);
        let down = self.booked_sum(|amount| amount < Amount::ZERO);
        let currency = self.currency;
        format!(
            "{} corrections are booked for {}{}: {up:.2} {currency} more and {:.2} less{}",
            self.corrections.len(),
            self.providers.join(", "),
            self.at_rates,
            -down,
            if down < Amount::ZERO { "; what is less makes room below caps" } else { "" }
        )
    }

    fn booked_sum(&self, counts: impl Fn(Amount) -> bool) -> Amount {
        let amounts = self.corrections.iter().map(|correction| correction.amount);
        amounts.filter(|amount| counts(*amount)).sum()
    }

    fn days_text(&self, screen: Screen) -> String {
        let headings = ["DAY", "BILLED", "LEDGER", "MORE", "FACTOR", "OTHERS", "NOTE"];
        let mut table = table(screen, &headings);
        let mut add = |name: comfy_table::Cell, sums: &SumsRow, note: &str| {
            let factor = sums.factor.map_or("-".to_owned(), |factor| factor.0.to_string());
            table.add_row([
                name,
                number(format!("{:.2}", sums.billed)),
                number(format!("{:.2}", sums.ledger)),
                number(format!("{:.2}", sums.difference)),
                number(factor),
                number(format!("{:.2}", sums.others)),
                comfy_table::Cell::new(note),
            ]);
        };
        for row in &self.days {
            let note = match row.finality {
                Finality::Complete => "",
                Finality::Partial => "may not be whole",
                Finality::Estimated => "may not be complete",
            };
            add(comfy_table::Cell::new(row.day), &row.sums, note);
        }
        let all = comfy_table::Cell::new("all").add_attribute(comfy_table::Attribute::Bold);
        add(all, &self.all, "");
        table_text(&table)
    }

    fn remarks(&self, text: &mut String) {
        let head = format!(
            "{} lines of {}, in {}{}; BILLED and LEDGER of the spaces that the bill names",
            self.lines,
            self.providers.join(", "),
            self.currency,
            self.at_rates
        );
        let _ = writeln!(text, "{}", styled(FAINT, head));
        if self.credits != Amount::ZERO {
            let credits = -self.credits;
            let _ = writeln!(
                text,
                "vouchers and commitments pay {credits:.2} of the bill; they change nothing in the ledger"
            );
        }
        if self.taxes != Amount::ZERO {
            let _ = writeln!(text, "taxes of {:.2} come on top; the ledger has none", self.taxes);
        }
        if !self.names_ours {
            let _ = writeln!(text, "{} {}", styled(WARN, "warning:"), self.why_without_ours());
        }
        self.doubts(text);
        for path in &self.left_out {
            let _ = writeln!(
                text,
                "{} {} belongs to the same export by its number, and was not given",
                styled(WARN, "warning:"),
                path.display()
            );
        }
        for (space, amount) in &self.not_named {
            let _ = writeln!(
                text,
                "{} the bill never names {space}, for which the ledger has {amount:.2}: is it on another bill?",
                styled(WARN, "warning:")
            );
        }
        self.held_back(text);
    }

    /// What is perhaps mistyped.
    fn doubts(&self, text: &mut String) {
        let warning = styled(WARN, "warning:");
        for (of, rate) in self.rates.iter().filter(|(_, rate)| rate.doubtful) {
            let known = rate.known.unwrap_or_default();
            let _ = writeln!(
                text,
                "{warning} --rate {of}={} is far from {known}, which the rates of [spending] have about then: is it what one {of} \
                 is in {}?",
                rate.lowest, self.currency
            );
        }
        let nobody = if self.is_configured {
            "neither the configuration nor the ledger has"
        } else {
            "the ledger does not have, and no configuration was read that may have,"
        };
        for space in &self.unknown_spaces {
            let _ = writeln!(
                text,
                "{warning} {nobody} a space {space}, which the bill names as ours: is its tag mistyped, or is it of another deployment?"
            );
        }
    }

    fn why_without_ours(&self) -> &'static str {
        match self.providers.first().map(String::as_str) {
            Some("aws") => {
                "nothing on the bill has the tag vcycle_space: make vcycle_space, vcycle_machinetype and \
                 vcycle_deployment cost allocation tags in the billing console; they count from the day after"
            }
            Some("openstack") => {
                "nothing on the bill is known to be ours: with --space SPACE all of it counts for that space"
            }
            _ => {
                "nothing on the bill has the label vcycle_space: is it the bill of another project?"
            }
        }
    }

    fn held_back(&self, text: &mut String) {
        let mut reasons: BTreeMap<&str, Vec<&HeldRow>> = BTreeMap::new();
        for held in &self.held_back {
            reasons.entry(held.why).or_default().push(held);
        }
        for (why, rows) in reasons {
            let sum: Amount = rows.iter().map(|held| held.amount).sum();
            let (first, last) = (rows[0], rows[rows.len() - 1]);
            let _ = writeln!(
                text,
                "not booked: {sum:.2} in {} differences from {} ({}) to {} ({}): {why}",
                rows.len(),
                first.day,
                first.space,
                last.day,
                last.space
            );
        }
    }

    fn others_text(&self, screen: Screen) -> String {
        if self.others.is_empty() {
            return String::new();
        }
        let mut table = table(screen, &["NOT OURS", "RESOURCE", "PLACE", "AMOUNT"]);
        for other in self.others.iter().take(MOST_OTHERS) {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            table.add_row([
                comfy_table::Cell::new(&other.service),
                comfy_table::Cell::new(text(&other.resource)),
                comfy_table::Cell::new(text(&other.place)),
                number(format!("{:.2}", other.amount)),
            ]);
        }
        let more = self.others.len().saturating_sub(MOST_OTHERS);
        let rest: Amount = self.others.iter().skip(MOST_OTHERS).map(|other| other.amount).sum();
        let more = match more {
            0 => String::new(),
            _ => format!(
                "{}\n",
                styled(FAINT, format!("and {more} more with {rest:.2} (--json has all)"))
            ),
        };
        format!("\n{}{more}", table_text(&table))
    }

    fn outcome(&self) -> String {
        let net = self.booked_sum(|_| true);
        match (self.booked, self.corrections.len()) {
            (Some(count), _) => {
                format!("booked {count} corrections: {net:.2} {} in all", self.currency)
            }
            (None, 0) => "nothing is to be booked".to_owned(),
            (None, count) => {
                let down = self.booked_sum(|amount| amount < Amount::ZERO);
                let room = match down {
                    Amount::ZERO => String::new(),
                    _ => format!("; what is less ({:.2}) makes room below caps", -down),
                };
                format!(
                    "{count} corrections, {net:.2} {} in all, would be booked with --book{room}",
                    self.currency
                )
            }
        }
    }
}
