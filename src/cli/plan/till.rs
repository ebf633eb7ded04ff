//! What `vcycle plan` may spend: as a manager would see it that has read the ledger and the files of the spend manager.

use vcycle_money::plan::Budget;
use vcycle_money::{Author, Book, Cap, Currency, Entry, Event};

use crate::config::{CapsStand, load_caps, speaks_of_caps};
use crate::cycle::{CAPS_UNWATCHED, costs, costs_unknown};
use crate::library::{Setup, SpaceSetup};
use crate::model::{Offering, Timestamp};
use crate::plan::Costs;
use crate::store::{Ledger, Store};

/// What is known of money in one space.
pub(super) struct Till {
    /// What machines cost.
    pub(super) costs: Costs,
    /// The ledger, with the caps of the files in force.
    pub(super) book: Book,
    /// What the files say of budgets.
    pub(super) budgets: Vec<Budget>,
    /// Why nothing may be spent.
    pub(super) stopped: Option<String>,
    /// Why the caps of the files are not those that are in force.
    pub(super) alarm: Option<String>,
}

impl Till {
    /// Reads the ledger and the files. `None`: spending is not watched here, and no cap wants it to be.
    pub(super) async fn of(
        store: &Store,
        (setup, space): (&Setup, &SpaceSetup),
        offerings: (&[Offering], Timestamp),
    ) -> Result<Option<Self>, String> {
        let ledger = Ledger::new(store);
        let unread = ledger.refresh().await.err().map(|problem| problem.to_string());
        let book = Book::clone(&ledger.book());
        match costs(setup, space, offerings) {
            Some(costs) => Self::watched(setup, costs, (book, unread)).map(Some),
            None => Ok(Self::unwatched((setup, space), (book, unread))),
        }
    }

    fn watched(
        setup: &Setup,
        costs: Costs,
        (book, unread): (Book, Option<String>),
    ) -> Result<Self, String> {
        let currency = setup.config.spending.as_ref().map(|spending| spending.currency);
        let unread = unread.or_else(|| other_currency(&book, currency));
        let files = load_caps(&setup.config);
        let stand = files.stand(book.caps());
        let has_caps = !book.caps().is_empty();
        let till =
            |book, stopped, alarm| Self { costs, book, budgets: files.budgets, stopped, alarm };
        match stand {
            CapsStand::InForce => Ok(till(book, unread, None)),
            CapsStand::Otherwise(caps) => Ok(till(with_caps(book, caps)?, unread, None)),
            CapsStand::NotTakenUp { why } if has_caps => {
                let alarm = format!(
                    "the caps in force stay as they are, and a plan of budgets is not looked at here: {why}"
                );
                Ok(till(book, unread, Some(alarm)))
            }
            CapsStand::NotTakenUp { why } => {
                Ok(till(book, unread.or(Some(format!("the caps cannot be read: {why}"))), None))
            }
        }
    }

    /// Whoever wrote a cap believes that it holds.
    fn unwatched(
        (setup, space): (&Setup, &SpaceSetup),
        (book, unread): (Book, Option<String>),
    ) -> Option<Self> {
        let texts = load_caps(&setup.config).texts;
        let mut files = texts.files.iter();
        let has_caps = !book.caps().is_empty() || files.any(|file| speaks_of_caps(&file.text.text));
        let stopped = unread.or_else(|| has_caps.then(|| CAPS_UNWATCHED.to_owned()))?;
        let costs = costs_unknown(setup, space)?;
        Some(Self { costs, book, budgets: Vec::new(), stopped: Some(stopped), alarm: None })
    }
}

/// Amounts of two currencies cannot stand in one ledger.
fn other_currency(book: &Book, currency: Option<Currency>) -> Option<String> {
    let (known, new) = (book.currency()?, currency?);
    (known != new).then(|| {
        format!("the ledger is in {known}, and spending.currency of the configuration is {new}")
    })
}

/// The ledger with other caps in force, as they will be.
fn with_caps(mut book: Book, caps: Vec<Cap>) -> Result<Book, String> {
    let entry = Entry {
        format: 0,
        number: 0,
        previous: String::new(),
        at: book.at(),
        by: Author::Person { who: "vcycle plan".to_owned() },
        attempt: String::new(),
        events: vec![Event::CapsSet { caps, source: String::new() }],
    };
    let (sealed, _) = book.head().seal(entry);
    book.apply(&sealed).map_err(|violation| format!("the caps cannot be in force: {violation}"))?;
    Ok(book)
}
