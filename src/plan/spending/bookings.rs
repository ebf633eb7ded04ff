//! What the ledger must learn of the machines of a space: which have ended and what they cost, which were never made, which
//! exist longer than was reserved for, which became dearer, which exist without a reservation. Settled is only what is
//! proven to be gone.

use std::time::Duration;

use vcycle_money::book::Open;
use vcycle_money::{Book, Event, Found, ReleaseReason, Reservation, SettleReason, Tariff};

use crate::model::{
    CLOCKS_APART, Effect, EndKind, Evidence, Generation, IntentToken, MachineRecord, OutcomeRules,
    SpacePolicy, Timestamp,
};

/// A reservation that is too short is made longer by so much at a time.
const EXTENSION: Duration = Duration::from_secs(15 * 60);

/// For so long nobody has taken a record away: not `cleanup`, no person who has mended the state directory, no backup. Where it is
/// missing later, its machine was perhaps asked for, and nobody knows for how long it was there. (A maker that lives gives back
/// itself what it has not asked for.)
const RECORDS_STAND: Duration = Duration::from_secs(15 * 60);

/// What is known of the machine of a reservation.
#[derive(Debug, Clone, Copy)]
pub enum Known<'a> {
    /// This, archived or not.
    Record(&'a MachineRecord),
    /// It is proven gone, and its archived record cannot be read.
    Archived,
    /// It may exist: its record cannot be read, or its VM is seen and has none yet.
    Somehow,
    /// There is no record, as far as all records could be read, and the cloud's complete listing shows no VM.
    Nothing,
    /// There is no record, and nothing follows from that now.
    NotYet,
}

/// A machine that may exist without a reservation.
#[derive(Debug, Clone)]
pub struct Late<'a> {
    /// Its record.
    pub record: &'a MachineRecord,
    /// What is to be reserved for it.
    pub reservation: Reservation,
}

/// What is known of a space whose owner keeps the books of it.
pub struct Books<'a> {
    /// The ledger.
    pub book: &'a Book,
    /// The space, and what ends of its machines mean.
    pub policy: &'a SpacePolicy,
    /// Ours.
    pub generation: Generation,
    /// By the clock of this cycle, which is believed.
    pub now: Timestamp,
    /// Since when our clock was believed without a break.
    pub believed_since: Timestamp,
    /// What is known of the machine of a reservation.
    pub known: &'a dyn Fn(&Reservation) -> Known<'a>,
    /// What a machine costs from now on, if that is known.
    pub tariff: &'a dyn Fn(&Open) -> Option<Tariff>,
    /// Machines without a reservation.
    pub late: Vec<Late<'a>>,
}

/// Everything that must be booked now, by intent; then what was found.
pub fn bookings(books: &Books<'_>) -> Vec<Event> {
    let open = books.book.reservations();
    let own = open.filter(|open| open.reservation.account.space == books.policy.space);
    let mut events: Vec<Event> = own.flat_map(|open| of_open(books, open)).collect();
    events.extend(books.late.iter().filter_map(|late| found(books.book, late)));
    events
}

fn of_open(books: &Books<'_>, open: &Open) -> Vec<Event> {
    let intent = open.reservation.intent;
    let released = |reason| vec![Event::Released { intent, reason }];
    let record = match (books.known)(&open.reservation) {
        Known::Record(record) => record,
        Known::Archived => return settled(books, open, (books.now, SettleReason::Killed)),
        Known::Somehow => return goes_on(books, open),
        // Its intent was never written, and whoever reserved it writes it no more: it is not the owner, or it is us.
        Known::Nothing if open.reservation.generation <= books.generation => {
            let age = books.now.since(open.reservation.from);
            return if age < RECORDS_STAND.min(books.policy.cleanup) {
                released(ReleaseReason::NotAsked)
            } else {
                vec![settled_without_record(books, open)]
            };
        }
        Known::Nothing | Known::NotYet => return goes_on(books, open),
    };
    if record.rejected.is_some() {
        return released(ReleaseReason::Refused);
    }
    let Some(gone) = &record.gone else { return goes_on(books, open) };
    match gone.evidence {
        Evidence::Rejected => released(ReleaseReason::Refused),
        // That nothing is there now does not say that nothing was: a machine whose create got no reply may have run and
        // vanished before anybody looked.
        Evidence::NeverMade
        | Evidence::NotFound
        | Evidence::DeleteSaidGone
        | Evidence::Tombstone => {
            // A time that was written before our clock was believed may be another clock's.
            let is_ours = gone.at >= books.believed_since && gone.at <= books.now;
            let end = if is_ours { gone.at } else { books.now };
            settled(books, open, (end, use_of(books.policy, record)))
        }
    }
}

/// A machine that may exist: booked longer when its time is over, and at a higher price when that has risen.
fn goes_on(books: &Books<'_>, open: &Open) -> Vec<Event> {
    let Reservation { intent, until, .. } = open.reservation;
    let is_over = books.now + clocks_apart(books, open) >= until;
    let longer =
        is_over.then_some(Event::Extended { intent, until: books.now + EXTENSION + CLOCKS_APART });
    let dearer = (books.tariff)(open)
        .and_then(|tariff| open.tariff_at(books.now).risen_to(&tariff))
        .map(|tariff| Event::Repriced { intent, tariff, from: books.now });
    dearer.into_iter().chain(longer).collect()
}

/// From the moment of its reservation, before which it cannot have existed, to the proof that it does not.
fn settled(books: &Books<'_>, open: &Open, (end, reason): (Timestamp, SettleReason)) -> Vec<Event> {
    let Reservation { intent, from: begin, until, .. } = open.reservation;
    let end = (end + clocks_apart(books, open)).max(begin);
    let longer = (end > until).then_some(Event::Extended { intent, until: end });
    let settled = Event::Settled { intent, begin, end, reason };
    longer.into_iter().chain([settled]).collect()
}

/// As long as its machine can have been there at the most, and never for longer than was reserved: no cap is passed for what
/// was perhaps never asked for.
fn settled_without_record(books: &Books<'_>, open: &Open) -> Event {
    let Reservation { intent, from: begin, until, .. } = open.reservation;
    let end = (books.now + clocks_apart(books, open)).min(until);
    Event::Settled { intent, begin, end, reason: SettleReason::Killed }
}

/// What was reserved under another ownership was reserved by another clock.
fn clocks_apart(books: &Books<'_>, open: &Open) -> Duration {
    let is_ours = open.reservation.generation == books.generation
        && open.reservation.from >= books.believed_since;
    if is_ours { Duration::ZERO } else { CLOCKS_APART }
}

/// Whether what a machine cost was of use. Budgets see from it whether a community has work: an abort, for example "300 No
/// work", says that it has none.
fn use_of(policy: &SpacePolicy, record: &MachineRecord) -> SettleReason {
    let policy = policy.machinetypes.get(record.machinetype());
    let fizzle = policy.map_or(Duration::ZERO, |policy| policy.fizzle);
    let effect = |kind: &EndKind| match policy {
        Some(policy) => kind.effect(&policy.outcomes),
        None => kind.effect(&OutcomeRules::default()),
    };
    match record.how_it_ended(fizzle).map(|ended| ended.kind) {
        Some(kind @ EndKind::Message { message: _ }) => match effect(&kind) {
            Effect::Abort => SettleReason::Fizzled,
            Effect::Normal => SettleReason::Worked,
        },
        Some(EndKind::Silent) | None => SettleReason::Worked,
        Some(EndKind::Fizzled) => SettleReason::Fizzled,
        Some(
            EndKind::NeverStarted
            | EndKind::CloudFault
            | EndKind::NeverMade
            | EndKind::Rejected { kind: _ },
        ) => SettleReason::NeverStarted,
        Some(EndKind::Preempted) => SettleReason::Preempted,
        Some(EndKind::Killed { reason: _ }) => SettleReason::Killed,
    }
}

fn found(book: &Book, Late { record, reservation }: &Late<'_>) -> Option<Event> {
    let intent: &IntentToken = record.intent();
    if book.reservation(intent).is_some() {
        return None;
    }
    let how = if record.can_write_outputs() { Found::OlderThanLedger } else { Found::Adopted };
    Some(Event::Found { reservation: reservation.clone(), how })
}
