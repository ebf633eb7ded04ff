//! Whose turn it is: machine by machine to whom most is owed by the shares, as long as there is room.

use super::Rate;
use crate::Amount;

/// One who may get something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its part, in proportion to the others'; not 0.
    pub(super) weight: u32,
    /// What it has, and what it got lately.
    pub(super) load: Rate,
    /// What a machine of it costs in an hour. Nothing: none can be made.
    pub(super) unit: Rate,
    /// The most that one costs in all.
    pub(super) cost: Amount,
    /// How many machines at most.
    pub(super) most: u32,
    /// How many machines it gets.
    pub(super) granted: u32,
}

/// What there is for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    /// In one cycle no more; but one machine, where that is more.
    pub(super) step: Rate,
    /// What was taken of it.
    pub(super) taken: Rate,
    /// To the nearest machine; nothing: there is no line.
    pub(super) line: Option<Rate>,
    /// Never more; nothing: there is no maximum.
    pub(super) maximum: Option<Rate>,
    /// To pay machines with to their hard end.
    pub(super) money: Amount,
}

impl Room {
    /// Whether there is room for a machine, by what it costs in an hour and in all.
    pub(super) fn has(&self, (unit, cost): (Rate, Amount)) -> bool {
        unit > Rate::ZERO
            && (self.taken == Rate::ZERO || self.taken + unit <= self.step)
            && self.line.is_none_or(|line| line.nearest(unit) > 0)
            && self.maximum.is_none_or(|maximum| unit <= maximum)
            && cost <= self.money
    }

    fn take(&mut self, (unit, cost): (Rate, Amount)) {
        self.taken = self.taken + unit;
        self.line = self.line.map(|line| line.above(unit));
        self.maximum = self.maximum.map(|maximum| maximum.above(unit));
        self.money = self.money - cost;
    }
}

/// Gives machines to claims; each goes to the one that has least for its weight, the first of those that have the same. For whose next
/// machine there is no room waits.
pub(super) fn share_out(room: &mut Room, claims: &mut [Claim]) {
    loop {
        let open = claims
            .iter_mut()
            .filter(|claim| claim.granted < claim.most && room.has((claim.unit, claim.cost)));
        let Some(next) = open.reduce(|best, other| if before(other, best) { other } else { best })
        else {
            return;
        };
        next.granted += 1;
        room.take((next.unit, next.cost));
    }
}

fn before(a: &Claim, b: &Claim) -> bool {
    let has = |claim: &Claim| {
        i128::from((claim.load + claim.unit.times(claim.granted)).in_an_hour().nanos())
    };
    has(a) * i128::from(b.weight) < has(b) * i128::from(a.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(weight: u32, load: i64) -> Claim {
        let (load, unit) = (units(load), units(1));
        Claim { weight, load, unit, cost: Amount::from_units(5), most: 1000, granted: 0 }
    }

    fn units(count: i64) -> Rate {
        Rate::hourly(Amount::from_units(count))
    }

    fn room(step: i64) -> Room {
        let money = Amount::from_units(1_000_000);
        Room { step: units(step), taken: Rate::ZERO, line: None, maximum: None, money }
    }

    fn shared(mut room: Room, mut claims: Vec<Claim>) -> Vec<u32> {
        share_out(&mut room, &mut claims);
        claims.into_iter().map(|claim| claim.granted).collect()
    }

    #[test]
    fn machines_go_by_shares_and_to_who_has_least() {
        assert_eq!(shared(room(10), vec![claim(40, 0), claim(40, 0), claim(20, 0)]), [4, 4, 2]);
        assert_eq!(shared(room(5), vec![claim(1, 10), claim(1, 0)]), [0, 5]);
        let full = Claim { most: 1, ..claim(1, 0) };
        assert_eq!(shared(room(5), vec![full.clone(), full]), [1, 1]);
    }

    #[test]
    fn a_machine_that_is_larger_than_the_step_is_made_alone_and_never_above_what_there_is() {
        let large = Claim { unit: units(8), ..claim(1, 0) };
        assert_eq!(shared(room(2), vec![large.clone(), claim(1, 4)]), [1, 0]);
        assert_eq!(shared(room(2), vec![large.clone(), claim(1, 0)]), [1, 0], "who was first");
        let near = |line| Room { line: Some(units(line)), ..room(2) };
        assert_eq!(shared(near(4), vec![large.clone()]), [1], "half of one is one");
        assert_eq!(shared(near(3), vec![large.clone(), claim(1, 4)]), [0, 2]);
        let below = Room { maximum: Some(units(7)), ..room(2) };
        assert_eq!(
            shared(below, vec![large.clone()]),
            [0],
            "a maximum is not passed by half of one"
        );
        let poor = Room { money: Amount::from_units(14), ..room(9) };
        assert_eq!(shared(poor, vec![claim(1, 0)]), [2]);
        assert_eq!(shared(room(9), vec![Claim { unit: Rate::ZERO, ..large }]), [0]);
    }
}
