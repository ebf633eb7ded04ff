//! What a line of AWS costs. Where reserved instances and savings plans are, the line of a machine does not say it in the
//! column that all others have: `DiscountedUsage` costs nothing there, and `SavingsPlanCoveredUsage` is taken back by a
//! `SavingsPlanNegation`, because the money was paid for the commitment. What of that is for the machine stands in columns
//! of its own (<https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-reservation.html>,
//! <https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-savings-plan.html>). So a machine has its part of
//! the commitment, the fees have what was not used, and together they are what was paid.

use super::csv::Field;
use super::{BillDamage, Exact, Kind, Whose};

/// Where the columns stand that make up a cost.
#[derive(Debug)]
pub(super) struct CostColumns {
    sort: usize,
    unblended: usize,
    amount: Option<usize>,
    reserved: Option<usize>,
    planned: Option<usize>,
    reservation: Option<usize>,
    unused_upfront: Option<usize>,
    unused_recurring: Option<usize>,
    commitment: Option<usize>,
    used_commitment: Option<usize>,
}

const SORT: &str = "line_item_line_item_type";
const RESERVED: &str = "reservation_effective_cost";
const PLANNED: &str = "savings_plan_savings_plan_effective_cost";

impl CostColumns {
    /// Finds them by the spelling of today.
    pub(super) fn find(
        must: impl Fn(&str, &str) -> Result<usize, BillDamage>,
        find: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, BillDamage> {
        let types = "without it taxes and vouchers cannot be told from charges";
        Ok(Self {
            sort: must(SORT, types)?,
            unblended: must("line_item_unblended_cost", "it is the cost of most lines")?,
            amount: find("line_item_usage_amount"),
            reserved: find(RESERVED),
            planned: find(PLANNED),
            reservation: find("reservation_reservation_a_r_n")
                .or_else(|| find("reservation_reservation_arn")),
            unused_upfront: find("reservation_unused_amortized_upfront_fee_for_billing_period"),
            unused_recurring: find("reservation_unused_recurring_fee"),
            commitment: find("savings_plan_total_commitment_to_date"),
            used_commitment: find("savings_plan_used_commitment"),
        })
    }

    /// What sort of line it is, and what it costs.
    pub(super) fn of(&self, fields: &[Field], whose: &Whose) -> Result<(Kind, Exact), BillDamage> {
        let unblended = || exact(&fields[self.unblended]);
        let sort = &fields[self.sort];
        let cost = match sort.text.trim() {
            "" => return Err(sort.damage(format!("the line has no type (column {SORT})"))),
            "Credit" => return Ok((Kind::Credit, unblended()?)),
            "Tax" => return Ok((Kind::Tax, unblended()?)),
            "DiscountedUsage" => self.effective(fields, (self.reserved, RESERVED), whose)?,
            "SavingsPlanCoveredUsage" => self.effective(fields, (self.planned, PLANNED), whose)?,
            // It takes back what the line that is covered would cost without the plan, which is not counted here; and what
            // was paid at once is in the effective costs of all lines that it pays for.
            "SavingsPlanNegation" | "SavingsPlanUpfrontFee" => Exact::ZERO,
            "Fee" if self.is_of_a_reservation(fields) => Exact::ZERO,
            "RIFee" => match self.unused_upfront.zip(self.unused_recurring) {
                Some((upfront, recurring)) => {
                    perhaps(&fields[upfront])? + perhaps(&fields[recurring])?
                }
                None => unblended()?,
            },
            "SavingsPlanRecurringFee" => match self.commitment.zip(self.used_commitment) {
                Some((all, used)) => perhaps(&fields[all])? - perhaps(&fields[used])?,
                None => unblended()?,
            },
            // Usage; and discounts and refunds, which are charges of less than nothing.
            _ => unblended()?,
        };
        Ok((Kind::Charge, cost))
    }

    /// What of a commitment a line is charged with. For a machine of ours there is no way around it: nothing, or the price
    /// without the commitment, would be wrong.
    fn effective(
        &self,
        fields: &[Field],
        (column, name): (Option<usize>, &str),
        whose: &Whose,
    ) -> Result<Exact, BillDamage> {
        let said = column.map(|column| &fields[column]);
        let said = said.filter(|field| !field.text.trim().is_empty()).map(exact).transpose()?;
        let why = match (column, said, whose) {
            (_, None, Whose::Others) => return exact(&fields[self.unblended]),
            (_, Some(cost), Whose::Others) => return Ok(cost),
            (_, Some(cost), Whose::Ours(_)) if cost != Exact::ZERO => return Ok(cost),
            (_, Some(cost), Whose::Ours(_)) if self.is_of_no_use(fields)? => return Ok(cost),
            (_, Some(_), Whose::Ours(_)) => {
                "is zero: have the export made by the account that pays for the commitment"
            }
            (Some(_), None, Whose::Ours(_)) => "is empty here",
            (None, None, Whose::Ours(_)) => "is missing: choose it in the export",
        };
        let sort = &fields[self.sort];
        let what = format!(
            "a machine of ours is paid for by a commitment ({}), and its cost is in the column {name}, which {why}",
            sort.text.trim()
        );
        Err(sort.damage(what))
    }

    /// Whether the line says that nothing was used.
    fn is_of_no_use(&self, fields: &[Field]) -> Result<bool, BillDamage> {
        self.amount.map_or(Ok(false), |column| Ok(exact(&fields[column])? == Exact::ZERO))
    }

    fn is_of_a_reservation(&self, fields: &[Field]) -> bool {
        self.reservation.is_some_and(|column| !fields[column].text.trim().is_empty())
    }
}

fn exact(field: &Field) -> Result<Exact, BillDamage> {
    field.text.trim().parse().map_err(|error| field.damage(format!("{error}")))
}

/// A column of lines of another sort may be empty.
fn perhaps(field: &Field) -> Result<Exact, BillDamage> {
    if field.text.trim().is_empty() { Ok(Exact::ZERO) } else { exact(field) }
}
