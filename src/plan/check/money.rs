//! Where spending is watched, nothing is made that is not paid for, and all of it together passes every cap.

use vcycle_money::{Account, Reservation};

use crate::config::{Metering, OfferingPrice};
use crate::plan::spending::budgets;
use crate::plan::{NewMachine, Pays, PlanInput, Spending};

use super::{Verdict, ensure};

/// Each machine has its reservation, and the book takes them all.
pub(super) fn all_is_paid(input: &PlanInput<'_>, news: &[&NewMachine]) -> Verdict {
    let Some(spending) = input.spending else {
        return news.iter().try_for_each(|new| {
            let law = "where spending is not watched nothing is reserved";
            ensure(new.pays == Pays::Nothing, law, || new.tags.machine.to_string())
        });
    };
    let mut wave: Vec<Reservation> = Vec::new();
    for new in news {
        match &new.pays {
            Pays::Nothing => is_free(&spending, new)?,
            Pays::Unpriced(account) => is_uncapped(input, (&spending, account), new)?,
            Pays::Reserve(reservation) => {
                is_its_own(input, (&spending, reservation), new)?;
                is_planned(&spending, reservation, new)?;
                wave.push((**reservation).clone());
            }
        }
    }
    let law = "nothing is reserved while spending is stopped";
    ensure(wave.is_empty() || spending.stopped.is_none(), law, || format!("{wave:?}"))?;
    let law = "no cap is passed";
    spending.book.admit(&wave).iter().zip(&wave).try_for_each(|(admitted, reservation)| {
        ensure(admitted.is_ok(), law, || format!("{}: {admitted:?}", reservation.machine))
    })
}

/// The plans of the budgets that pay for it want it, and it ends within their time.
fn is_planned(spending: &Spending<'_>, reservation: &Reservation, new: &NewMachine) -> Verdict {
    let detail = || format!("{}: {:?}", new.tags.machine, reservation.account);
    let is_wanted = budgets::is_wanted(spending.orders, &reservation.account);
    ensure(is_wanted, "nothing is made that the plan of its budget does not want", detail)?;
    let end = budgets::latest_end(spending.orders, &reservation.account);
    let in_time = end.is_none_or(|(end, _)| new.tags.deadline <= end);
    ensure(in_time, "no machine outlives the time of its budget", detail)
}

const NOT_NOTHING: &str = "an unknown price is never nothing";

/// What is made without anything costs nothing.
fn is_free(spending: &Spending<'_>, new: &NewMachine) -> Verdict {
    let id = &new.offering.id;
    let is_free = match spending.costs.prices.get(id) {
        Some(OfferingPrice::Unmetered) => true,
        Some(OfferingPrice::Priced(_) | OfferingPrice::Unpriced(_)) | None => {
            spending.costs.metering == Metering::Unmetered
        }
    };
    ensure(is_free, NOT_NOTHING, || format!("{} of {id}", new.tags.machine))
}

/// What is made at an unknown price has none, and no cap is on it.
fn is_uncapped(
    input: &PlanInput<'_>,
    (spending, account): (&Spending<'_>, &Account),
    new: &NewMachine,
) -> Verdict {
    let (id, machinetype) = (&new.offering.id, &new.tags.machinetype);
    let own = spending.costs.account(&input.policy.space, machinetype, id);
    let is_unpriced = match spending.costs.prices.get(id) {
        Some(OfferingPrice::Unmetered | OfferingPrice::Priced(_)) => false,
        Some(OfferingPrice::Unpriced(_)) | None => true,
    };
    let is_allowed = is_unpriced && *account == own && !spending.book.is_capped(account);
    ensure(is_allowed, NOT_NOTHING, || format!("{} of {id}", new.tags.machine))
}

fn is_its_own(
    input: &PlanInput<'_>,
    (spending, reservation): (&Spending<'_>, &Reservation),
    new: &NewMachine,
) -> Verdict {
    let tags = &new.tags;
    let is_its_own = reservation.intent == tags.intent
        && reservation.machine == tags.machine
        && reservation.generation == tags.generation
        && reservation.offering == new.offering.id
        && reservation.account.space == tags.space
        && reservation.account.machinetype == tags.machinetype
        && reservation.account.market == new.offering.id.market;
    ensure(is_its_own, "a reservation is for its machine", || format!("{reservation:?}"))?;
    let is_whole = reservation.from <= input.now
        && reservation.until >= tags.deadline + spending.costs.overstay;
    ensure(is_whole, "a machine is paid for to its hard end", || format!("{reservation:?}"))?;
    let is_dear = match spending.costs.prices.get(&new.offering.id) {
        Some(OfferingPrice::Priced(priced)) => reservation.tariff == priced.tariff,
        Some(OfferingPrice::Unmetered | OfferingPrice::Unpriced(_)) | None => false,
    };
    ensure(is_dear, "what is reserved is what it costs at most", || format!("{reservation:?}"))
}
