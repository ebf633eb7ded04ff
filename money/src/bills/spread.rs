//! A difference that a bill does not divide, divided among accounts.

use crate::{Account, Amount};

/// Divides an amount in proportion to what the accounts have, to the billionth: the parts add up to the whole. What is
/// left of rounding goes to the account that has the most; where none has anything, to the first. What is less than
/// nothing is no more than all have together, and no account comes below nothing by it. None at all: `None`.
pub(super) fn spread(
    amount: Amount,
    accounts: &[(&Account, Amount)],
) -> Option<Vec<(Account, Amount)>> {
    let weight = |has: Amount| i128::from(has.nanos().max(0));
    let whole: i128 = accounts.iter().map(|(_, has)| weight(*has)).sum();
    let exact = |has: Amount| i128::from(amount.nanos()) * weight(has);
    let part = |has: Amount| exact(has).checked_div(whole).map_or(Amount::ZERO, Amount::fit);
    let mut parts: Vec<Amount> = accounts.iter().map(|(_, has)| part(*has)).collect();
    let mut left = amount - parts.iter().copied().sum();
    // The first of those that have the most is the first of all.
    let mut by_most: Vec<usize> = (0..accounts.len()).collect();
    by_most.sort_by_key(|at| std::cmp::Reverse(weight(accounts[*at].1)));
    by_most.first()?;
    for at in by_most {
        let lowest = -accounts[at].1.max(Amount::ZERO) - parts[at];
        let taken = left.max(lowest);
        parts[at] = parts[at] + taken;
        left = left - taken;
    }
    let all = accounts.iter().zip(parts).map(|((account, _), part)| ((*account).clone(), part));
    Some(all.filter(|(_, part)| *part != Amount::ZERO).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compare_tests::account;
    use super::*;

    proptest! {
        #[test]
        fn the_parts_add_up_and_none_is_of_the_other_sign_or_takes_more_than_there_is(
            nanos in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
            small in -9_i64..9,
            has in prop::collection::vec(-1_000_i64..1_000_000_000_000_000, 1..6),
            has_small in prop::collection::vec(-3_i64..6, 1..6),
        ) {
            for (nanos, has) in [(nanos, has), (small, has_small)] {
                let whole: i64 = has.iter().map(|nanos| *nanos.max(&0)).sum();
                let nanos = nanos.max(-whole);
                let accounts: Vec<_> = (0..has.len()).map(|number| account("a", &format!("m{number}"))).collect();
                let has: Vec<_> = accounts.iter().zip(has.into_iter().map(Amount::from_nanos)).collect();
                let parts = spread(Amount::from_nanos(nanos), &has).unwrap();
                prop_assert_eq!(parts.iter().map(|(_, part)| *part).sum::<Amount>(), Amount::from_nanos(nanos));
                for (account, part) in parts {
                    prop_assert_eq!(part.nanos().signum(), nanos.signum());
                    let (_, had) = has.iter().find(|(of, _)| **of == account).unwrap();
                    prop_assert!(*had + part >= Amount::ZERO.min(*had), "{:?} {}", had, part);
                }
            }
        }
    }

    #[test]
    fn without_accounts_nothing_can_be_divided() {
        assert_eq!(spread(Amount::from_units(1), &[]), None);
    }
}
