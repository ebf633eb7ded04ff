//! How an entry changes the book, and what no entry may do.

use std::sync::Arc;

use vcycle_api::{IntentToken, Timestamp};

use super::settled::{Bucket, Hour, Purpose};
use super::sums::{Sum, Sums, post};
use super::windows::HOUR;
use super::{Book, Damage, Open, Recorded, Refusal, Sealed, Span, open};
use crate::{Account, Amount, Author, Cap, CapName, Currency, Entry, Event, SettleReason, Window};

/// What no entry may do. An entry in the ledger that does is a damage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It is not the next entry.
    #[error("{0}")]
    NotNext(#[from] Damage),
    /// Nothing is reserved for this intent: it never was, or was settled or released before.
    #[error("nothing is reserved for {intent}, or it was settled or released before")]
    Unknown {
        /// The intent.
        intent: IntentToken,
    },
    /// Something is reserved for this intent already.
    #[error("something is reserved for {intent} already")]
    Twice {
        /// The intent.
        intent: IntentToken,
    },
    /// A reservation passes a cap.
    #[error("the reservation for {intent} passes a cap: {refusal}")]
    CapPassed {
        /// The intent.
        intent: IntentToken,
        /// Which cap, and by how much.
        refusal: Refusal,
    },
    /// A machine is settled for a time that was not reserved.
    #[error(
        "the time for which {intent} is settled is not within its reservation: extend it first"
    )]
    NotReserved {
        /// The intent.
        intent: IntentToken,
    },
    /// A reservation is extended to an end that it has already, or to an earlier one.
    #[error("the reservation for {intent} lasts that long already")]
    NotLonger {
        /// The intent.
        intent: IntentToken,
    },
    /// A reservation cannot be reckoned with.
    #[error("the reservation for {intent} is absurd: {what}")]
    Absurd {
        /// The intent.
        intent: IntentToken,
        /// Why.
        what: &'static str,
    },
    /// A correction cannot be reckoned with.
    #[error("a correction is absurd: {what}")]
    AbsurdCorrection {
        /// Why.
        what: &'static str,
    },
    /// The amounts of a ledger are of one currency.
    #[error("the ledger is in {known}, and its amounts cannot become {new}")]
    OtherCurrency {
        /// That of the ledger.
        known: Currency,
        /// That of the entry.
        new: Currency,
    },
    /// A cap cannot be reckoned with.
    #[error("the cap {cap} {why}")]
    BadCap {
        /// Its name.
        cap: CapName,
        /// What it does.
        why: &'static str,
    },
}

/// A correction that is larger is none.
const LARGEST_CORRECTION: Amount = Amount::from_units(100_000_000);

impl Book {
    /// Applies the next entry, as a whole or not at all.
    ///
    /// # Errors
    /// [`Violation`]: it may not follow; the book is as it was.
    pub fn apply(&mut self, sealed: &Sealed) -> Result<(), Violation> {
        let entry = sealed.entry();
        self.head.followed_by(entry)?;
        let mut next = self.clone();
        for event in &entry.events {
            next.happen(event, entry)?;
        }
        if let Author::Owner { space, generation, .. } = &entry.by {
            let highest = next.generations.entry(space.clone()).or_default();
            *highest = (*highest).max(*generation);
        }
        next.at = entry.at;
        next.head = sealed.head().clone();
        *self = next;
        Ok(())
    }

    fn happen(&mut self, event: &Event, entry: &Entry) -> Result<(), Violation> {
        match event {
            Event::Reserved(reservation) => {
                let open = Open::new(reservation.clone(), entry.number);
                open.check()?;
                self.must_fit(&open).map_err(|refusal| Violation::CapPassed {
                    intent: reservation.intent,
                    refusal,
                })?;
                self.begin(open)
            }
            Event::Found { reservation, how: _ } => {
                let open = Open::new(reservation.clone(), entry.number);
                open.check()?;
                self.begin(open)
            }
            Event::Settled { intent, begin, end, reason } => {
                self.settle(*intent, (*begin, *end), *reason)
            }
            Event::Released { intent, reason: _ } => self.end(intent).map(|_| ()),
            Event::Extended { intent, until } => self.change(intent, |open| open.extend(*until)),
            Event::Repriced { intent, tariff, from } => {
                self.change(intent, |open| open.reprice(*tariff, *from))
            }
            Event::CurrencySet { currency } => match self.currency {
                Some(known) if known != *currency => {
                    Err(Violation::OtherCurrency { known, new: *currency })
                }
                Some(_) | None => {
                    self.currency = Some(*currency);
                    Ok(())
                }
            },
            Event::CapsSet { caps, source } => {
                check_caps(caps)?;
                self.tell_caps(caps, source, entry);
                self.caps_source.clone_from(source);
                self.set_caps(caps.clone());
                Ok(())
            }
            Event::Corrected { account, at, amount, source: _ } => {
                self.correct(account, *at, *amount)
            }
            Event::StageChanged { cap, stage } => {
                let recorded = Recorded { stage: *stage, at: entry.at };
                self.stages.insert(cap.clone(), recorded);
                self.tell_stage(cap, *stage, entry);
                Ok(())
            }
        }
    }

    /// Keeps its worst free in every window that it touches.
    fn begin(&mut self, open: Open) -> Result<(), Violation> {
        let intent = open.reservation.intent;
        if self.open.get(&intent).is_some() {
            return Err(Violation::Twice { intent });
        }
        self.post(&open.reservation.account, open.span(), |span| Sum {
            settled: 0,
            reserved: i128::from(open.worst_within(span).nanos()),
        });
        self.open.insert(intent, Arc::new(open));
        Ok(())
    }

    /// Frees what was kept for it.
    fn end(&mut self, intent: &IntentToken) -> Result<Arc<Open>, Violation> {
        let open = self.open.remove(intent).ok_or(Violation::Unknown { intent: *intent })?;
        self.post(&open.reservation.account, open.span(), |span| Sum {
            settled: 0,
            reserved: -i128::from(open.worst_within(span).nanos()),
        });
        Ok(open)
    }

    fn change(
        &mut self,
        intent: &IntentToken,
        change: impl FnOnce(&mut Open) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let mut open = Arc::unwrap_or_clone(self.end(intent)?);
        change(&mut open)?;
        self.begin(open)
    }

    /// Books what a life cost in place of what was kept for it, which is never less.
    fn settle(
        &mut self,
        intent: IntentToken,
        life: (Timestamp, Timestamp),
        reason: SettleReason,
    ) -> Result<(), Violation> {
        let open = self.end(&intent)?;
        let reserved = open.span();
        if !reserved.contains(life.0) || life.1 < life.0 || life.1 > reserved.to {
            return Err(Violation::NotReserved { intent });
        }
        let (touched, account) = (Span::touched(life), &open.reservation.account);
        self.post(account, touched, |span| Sum {
            settled: i128::from(open.charged_within(life, span).nanos()),
            reserved: 0,
        });
        let account = self.accounts.intern(account, &self.caps);
        self.told.entry(account).or_default().of_end(life, reason);
        let purpose = Purpose::from(reason);
        for hour in Hour::touched_by(touched) {
            let amount = open.charged_within(life, hour.span());
            self.settled.add(Bucket { hour, account, purpose }, amount);
        }
        Ok(())
    }

    fn correct(
        &mut self,
        account: &Account,
        at: Timestamp,
        amount: Amount,
    ) -> Result<(), Violation> {
        if !open::is_sane(at) {
            return Err(Violation::AbsurdCorrection { what: "its time is not in this century" });
        }
        if amount > LARGEST_CORRECTION || amount < -LARGEST_CORRECTION {
            return Err(Violation::AbsurdCorrection { what: "it is more than a hundred millions" });
        }
        let hour = Hour::of(at);
        let more = Sum { settled: i128::from(amount.nanos()), reserved: 0 };
        self.post(account, hour.span(), |_| more);
        let account = self.accounts.intern(account, &self.caps);
        self.settled.add(Bucket { hour, account, purpose: Purpose::Corrected }, amount);
        Ok(())
    }

    /// Adds to the windows of every cap on an account what falls into them.
    fn post(&mut self, account: &Account, over: Span, part: impl Fn(Span) -> Sum) {
        let account = self.accounts.intern(account, &self.caps);
        for place in self.accounts.covering(account) {
            post(&mut self.sums[*place], &self.caps[*place], over, &part);
        }
    }

    pub(super) fn set_caps(&mut self, caps: Vec<Cap>) {
        self.stages.retain(|name, _| caps.iter().any(|cap| cap.name == *name));
        self.accounts.set_caps(&caps);
        self.caps = Arc::new(caps);
        self.sums = self.rebuilt();
    }

    /// The sums as they follow from what is settled and open, without what was reckoned before.
    pub(super) fn rebuilt(&self) -> Vec<Sums> {
        let mut sums = vec![Sums::default(); self.caps.len()];
        for (bucket, amount) in self.settled.iter() {
            let more = Sum { settled: i128::from(amount.nanos()), reserved: 0 };
            for place in self.accounts.covering(bucket.account) {
                post(&mut sums[*place], &self.caps[*place], bucket.hour.span(), |_| more);
            }
        }
        for open in self.reservations() {
            let account = self.accounts.number(&open.reservation.account);
            let account = account.expect("its account was interned when it was opened");
            for place in self.accounts.covering(account) {
                post(&mut sums[*place], &self.caps[*place], open.span(), |span| Sum {
                    settled: 0,
                    reserved: i128::from(open.worst_within(span).nanos()),
                });
            }
        }
        sums
    }
}

fn check_caps(caps: &[Cap]) -> Result<(), Violation> {
    for (place, cap) in caps.iter().enumerate() {
        let bad = |why| Err(Violation::BadCap { cap: cap.name.clone(), why });
        if caps[..place].iter().any(|other| other.name == cap.name) {
            return bad("is there twice");
        }
        match cap.window {
            Window::Grant { from, to } => {
                let whole = |at: Timestamp| at.as_millis().rem_euclid(HOUR) == 0;
                if from >= to || !open::is_sane(from) || !open::is_sane(to) {
                    return bad("ends before it begins, or is not in this century");
                }
                if !whole(from) || !whole(to) {
                    return bad("does not begin and end on a whole hour of UTC");
                }
            }
            Window::Hour => {}
            Window::Day { utc_offset_hours }
            | Window::Week { utc_offset_hours }
            | Window::Month { utc_offset_hours } => {
                if !(-12..=14).contains(&utc_offset_hours) {
                    return bad("has an offset from UTC that is used nowhere");
                }
            }
        }
    }
    Ok(())
}
