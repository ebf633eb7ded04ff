//! Whether reservations fit under all caps on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use vcycle_api::Timestamp;

use super::accounts::covering;
use super::{Book, Open, Span};
use crate::{Account, Amount, Cap, CapName, Permille, Reservation};

/// A reservation does not fit: by which cap, and how much is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The cap.
    pub cap: CapName,
    /// In which of its windows.
    pub window: Span,
    /// What may still be reserved there: nothing, or less, once it has stopped growing, or drains.
    pub left: Amount,
    /// What the reservation may cost there.
    pub needed: Amount,
    /// Whether there would be more below the limit: the cap has come to where it stops growing, or drains.
    pub is_closed: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cap, window, left, needed, is_closed } = self;
        if *is_closed {
            write!(f, "{cap} from {}: {needed} needed, and it stops growing here", window.from)
        } else {
            write!(f, "{cap} from {}: {needed} needed, {left} left", window.from)
        }
    }
}

impl std::error::Error for Refusal {}

/// What is admitted in the same wave and not in the book yet, by cap and window.
type Promised = BTreeMap<(usize, Timestamp), i128>;

/// A wave while it is put together: each reservation is asked for after those before it that were admitted.
#[derive(Debug, Clone)]
pub struct Admission<'a> {
    book: &'a Book,
    promised: Promised,
    /// Caps that are spent to where everything below them is to end, once that was asked for: what is made now would be told
    /// to end at once.
    drained: Option<BTreeSet<usize>>,
}

impl Admission<'_> {
    /// Whether one more may be made. What cannot be reckoned with is not decided here: [`Book::apply`] refuses it.
    ///
    /// # Errors
    /// [`Refusal`]: a cap has no room for it; those before it stay admitted.
    pub fn admit(&mut self, reservation: &Reservation) -> Result<(), Refusal> {
        let open = Open::new(reservation.clone(), 0);
        let Self { book, promised, drained } = self;
        let drained = drained.get_or_insert_with(|| book.drained(reservation.from));
        book.fits(&open, promised, |book, place, window, promised| {
            let room = book.room(place, window, promised);
            if drained.contains(&place) { room.min(0) } else { room }
        })
    }
}

impl Book {
    /// A wave of reservations, of which nothing is admitted yet.
    pub fn admission(&self) -> Admission<'_> {
        Admission { book: self, promised: Promised::new(), drained: None }
    }

    /// Which of these reservations may be made, each after those before it that may.
    pub fn admit(&self, reservations: &[Reservation]) -> Vec<Result<(), Refusal>> {
        let mut wave = self.admission();
        reservations.iter().map(|reservation| wave.admit(reservation)).collect()
    }

    /// The least that is left for an account in any window that a time touches, with the cap that leaves it; `None`: no
    /// cap is on it.
    pub fn left_for(&self, account: &Account, within: Span) -> Option<(Amount, CapName)> {
        let windows = covering(account, &self.caps).into_iter().flat_map(|place| {
            let cap = &self.caps[place];
            cap.window
                .spans(within)
                .map(move |window| (Amount::fit(self.room(place, window, 0)), cap.name.clone()))
        });
        windows.min()
    }

    /// The caps that are spent to where they drain.
    fn drained(&self, now: Timestamp) -> BTreeSet<usize> {
        if self.caps.iter().all(|cap| cap.stages.drain >= Permille(1000)) {
            return BTreeSet::new();
        }
        let standings = self.standings(now).into_iter().enumerate();
        standings
            .filter(|(_, standing)| standing.ends_everything())
            .map(|(place, _)| place)
            .collect()
    }

    /// The rule that holds for every entry: the limits.
    pub(super) fn must_fit(&self, open: &Open) -> Result<(), Refusal> {
        self.fits(open, &mut Promised::new(), Self::left)
    }

    /// Whether it fits, by what is left in each window; then it is promised.
    fn fits(
        &self,
        open: &Open,
        promised: &mut Promised,
        left: impl Fn(&Self, usize, Span, i128) -> i128,
    ) -> Result<(), Refusal> {
        let mut new = Vec::new();
        for place in self.caps_on(&open.reservation.account).iter().copied() {
            let cap = &self.caps[place];
            for window in cap.window.spans(open.span()) {
                let key = (place, window.from);
                let before = promised.get(&key).copied().unwrap_or(0);
                let needed = i128::from(open.worst_within(window).nanos());
                let left = left(self, place, window, before);
                if needed > left {
                    let is_closed = self.left(place, window, before) > left;
                    let (left, needed) = (Amount::fit(left), Amount::fit(needed));
                    return Err(Refusal { cap: cap.name.clone(), window, left, needed, is_closed });
                }
                new.push((key, needed));
            }
        }
        for (key, needed) in new {
            *promised.entry(key).or_default() += needed;
        }
        Ok(())
    }

    /// What is left below the limit.
    fn left(&self, place: usize, window: Span, promised: i128) -> i128 {
        let sum = self.sum(place, window);
        i128::from(self.caps[place].limit.nanos()) - sum.settled - sum.reserved - promised
    }

    /// The same, and nothing once the cap has stopped growing.
    fn room(&self, place: usize, window: Span, promised: i128) -> i128 {
        let cap = &self.caps[place];
        let left = self.left(place, window, promised);
        let taken = i128::from(cap.limit.nanos()) - left;
        let has_stopped = reaches(taken, cap, cap.stages.stop_growing);
        if has_stopped { left.min(0) } else { left }
    }

    fn caps_on(&self, account: &Account) -> std::borrow::Cow<'_, [usize]> {
        match self.accounts.number(account) {
            Some(number) => self.accounts.covering(number).into(),
            None => covering(account, &self.caps).into(),
        }
    }
}

/// Whether an amount is a part of a limit, or more.
pub(super) fn reaches(amount: i128, cap: &Cap, part: Permille) -> bool {
    amount * 1000 >= i128::from(cap.limit.nanos()) * i128::from(part.0)
}
