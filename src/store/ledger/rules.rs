//! Who may write what.

use vcycle_money::{Author, Book, Event, Refusal, Reservation};

use super::error::LedgerError;
use crate::model::{Generation, SpaceName};
use crate::store::StoreError;

/// The answers to a wave, each with the entry that reserved it before, if one did; and what is to be written.
pub(super) fn wave(
    book: &Book,
    wave: &[Reservation],
) -> (Vec<Result<Option<u64>, Refusal>>, Vec<Event>) {
    let stands = |reservation: &Reservation| {
        let open = book.reservation(&reservation.intent)?;
        (open.reservation == *reservation).then_some(open.entry)
    };
    let new: Vec<Reservation> =
        wave.iter().filter(|reservation| stands(reservation).is_none()).cloned().collect();
    let mut decided = book.admit(&new).into_iter();
    let mut events = Vec::new();
    let answers = wave.iter().map(|reservation| {
        if let Some(entry) = stands(reservation) {
            return Ok(Some(entry));
        }
        decided.next().expect("an answer to each")?;
        events.push(Event::Reserved(reservation.clone()));
        Ok(None)
    });
    (answers.collect(), events)
}

/// Reservations are made by the owner of their space, under its generation.
pub(super) fn must_be_of(
    space: &SpaceName,
    generation: Generation,
    wave: &[Reservation],
) -> Result<(), LedgerError> {
    for reservation in wave {
        if reservation.account.space != *space {
            let (record, proof) = (reservation.account.space.to_string(), space.to_string());
            return Err(StoreError::WrongSpace { record, proof }.into());
        }
        if reservation.generation != generation {
            let why = format!(
                "a reservation of generation {} under the ownership {generation}",
                reservation.generation
            );
            return Err(LedgerError::NotTheirs { why });
        }
    }
    Ok(())
}

/// An owner writes of the machines of its space.
pub(super) fn must_concern(
    space: &SpaceName,
    book: &Book,
    events: &[Event],
) -> Result<(), LedgerError> {
    for event in events {
        let of = match event {
            Event::Reserved(reservation) | Event::Found { reservation, how: _ } => {
                Some(&reservation.account.space)
            }
            // What nothing is reserved for is refused by the book, if this entry does not begin with it.
            Event::Settled { intent, .. }
            | Event::Released { intent, .. }
            | Event::Extended { intent, .. }
            | Event::Repriced { intent, .. } => {
                book.reservation(intent).map(|open| &open.reservation.account.space)
            }
            Event::StageChanged { .. } => None,
            Event::CurrencySet { .. } | Event::CapsSet { .. } | Event::Corrected { .. } => {
                let why = "the owner of a space sets no caps and corrects nothing".to_owned();
                return Err(LedgerError::NotTheirs { why });
            }
        };
        if let Some(of) = of.filter(|of| *of != space) {
            let why = format!("the owner of {space} writes of a machine of {of}");
            return Err(LedgerError::NotTheirs { why });
        }
    }
    Ok(())
}

/// Who owns no space writes of no machine.
pub(super) fn must_concern_nobody(author: &Author, events: &[Event]) -> Result<(), LedgerError> {
    let of_machines = |event: &Event| match event {
        Event::Reserved(_)
        | Event::Found { .. }
        | Event::Settled { .. }
        | Event::Released { .. }
        | Event::Extended { .. }
        | Event::Repriced { .. } => true,
        Event::CurrencySet { .. }
        | Event::CapsSet { .. }
        | Event::Corrected { .. }
        | Event::StageChanged { .. } => false,
    };
    let is_owner = matches!(author, Author::Owner { .. });
    if is_owner || events.iter().any(of_machines) {
        let why =
            "of machines only the owner of their space writes, with the proof of it".to_owned();
        return Err(LedgerError::NotTheirs { why });
    }
    Ok(())
}

/// Whether an error means that nothing can be reserved by anybody, until a person or the file server does something.
pub(super) fn stops_spending(error: &LedgerError) -> bool {
    match error {
        LedgerError::Damaged(_) => true,
        LedgerError::Store(error) => {
            !matches!(error, StoreError::Fenced(_) | StoreError::WrongSpace { .. })
        }
        LedgerError::Refused(_) | LedgerError::NotTheirs { .. } | LedgerError::Busy => false,
    }
}
