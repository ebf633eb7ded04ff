//! Whose turn it is: machine by machine to whom most is owed by the shares.

use super::Rate;

/// One who may get something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its part, in proportion to the others'; not 0.
    pub(super) weight: u32,
    /// What it has, and what it got lately.
    pub(super) load: Rate,
    /// How many machines at most.
    pub(super) most: u32,
    /// How many machines it gets.
    pub(super) granted: u32,
}

/// Gives `count` machines of the rate `unit` to claims; each goes to the one that has least for its weight, the first of
/// those that have the same.
pub(super) fn share_out(count: u32, unit: Rate, claims: &mut [Claim]) {
    for _ in 0..count {
        let open = claims.iter_mut().filter(|claim| claim.granted < claim.most);
        let Some(next) =
            open.reduce(|best, other| if before(other, best, unit) { other } else { best })
        else {
            return;
        };
        next.granted += 1;
    }
}

fn before(a: &Claim, b: &Claim, unit: Rate) -> bool {
    let has =
        |claim: &Claim| i128::from((claim.load + unit.times(claim.granted)).in_an_hour().nanos());
    has(a) * i128::from(b.weight) < has(b) * i128::from(a.weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Amount;

    fn claim(weight: u32, load: i64) -> Claim {
        Claim { weight, load: Rate::hourly(Amount::from_units(load)), most: 1000, granted: 0 }
    }

    fn shared(count: u32, mut claims: Vec<Claim>) -> Vec<u32> {
        share_out(count, Rate::hourly(Amount::from_units(1)), &mut claims);
        claims.into_iter().map(|claim| claim.granted).collect()
    }

    #[test]
    fn machines_go_by_shares_and_to_who_has_least() {
        assert_eq!(shared(10, vec![claim(40, 0), claim(40, 0), claim(20, 0)]), [4, 4, 2]);
        assert_eq!(shared(5, vec![claim(1, 10), claim(1, 0)]), [0, 5]);
        let full = Claim { most: 1, ..claim(1, 0) };
        assert_eq!(shared(5, vec![full.clone(), full]), [1, 1]);
    }
}
