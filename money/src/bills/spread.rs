//! A difference that a bill does not divide, divided among accounts.

use crate::{Account, Amount};

/// Divides an amount in proportion to what the accounts have, to the billionth: the parts add up to the whole. What is
/// left of rounding goes to the account that has the most; where none has anything, to the first. None at all: `None`.
pub(super) fn spread(
    amount: Amount,
    accounts: &[(&Account, Amount)],
) -> Option<Vec<(Account, Amount)>> {
    let weight = |has: Amount| i128::from(has.nanos().max(0));
    let whole: i128 = accounts.iter().map(|(_, has)| weight(*has)).sum();
    // The first of those that have the most.
    let (largest, _) =
        accounts.iter().enumerate().rev().max_by_key(|(_, (_, has))| weight(*has))?;
    let exact = |has: Amount| i128::from(amount.nanos()) * weight(has);
    let part = |has: Amount| exact(has).checked_div(whole).map_or(Amount::ZERO, Amount::fit);
    let mut parts: Vec<(Account, Amount)> =
        accounts.iter().map(|(account, has)| ((*account).clone(), part(*has))).collect();
    let given: Amount = parts.iter().map(|(_, part)| *part).sum();
    parts[largest].1 = parts[largest].1 + (amount - given);
    parts.retain(|(_, part)| *part != Amount::ZERO);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compare_tests::account;
    use super::*;

    proptest! {
        #[test]
        fn the_parts_add_up_and_none_is_of_the_other_sign(
            nanos in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
            has in prop::collection::vec(-1_000_i64..1_000_000_000_000_000, 1..6),
        ) {
            let accounts: Vec<_> = (0..has.len()).map(|number| account("a", &format!("m{number}"))).collect();
            let has: Vec<_> = accounts.iter().zip(has.into_iter().map(Amount::from_nanos)).collect();
            let parts = spread(Amount::from_nanos(nanos), &has).unwrap();
            prop_assert_eq!(parts.iter().map(|(_, part)| *part).sum::<Amount>(), Amount::from_nanos(nanos));
            prop_assert!(parts.iter().all(|(_, part)| part.nanos().signum() == nanos.signum()));
        }
    }

    #[test]
    fn without_accounts_nothing_can_be_divided() {
        assert_eq!(spread(Amount::from_units(1), &[]), None);
    }
}
