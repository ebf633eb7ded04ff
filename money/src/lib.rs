//! What machines cost, and what may be spent: exact amounts, tariffs, the ledger with its caps, spending plans.
//!
//! Pure rules: no IO, no clock, no floating point for money, not async. Time comes in as an argument. Files are read and
//! written by `vcycle` itself (`src/store`), so that whoever wants to check the guarantee has this crate alone to read.
//!
//! The guarantee: at every entry of the ledger, for every cap in force, what was settled and what is reserved is together
//! not more than the cap. A machine is reserved to its hard end, and longer by the configured overstay, before it is asked for.

pub mod account;
pub mod amount;
pub mod bills;
pub mod book;
pub mod cap;
pub mod caps_change;
pub mod event;
pub mod names;
pub mod plan;
pub mod prices;
pub mod simulate;
pub mod tariff;

pub use account::{Account, Reservation};
pub use amount::{Amount, Currency, InvalidMoney, Money};
pub use book::{Book, Refusal, Span, Stage, Standing, Violation};
pub use cap::{Cap, Permille, Scope, Stages, Window};
pub use event::{Author, Entry, Event, Found, ReleaseReason, SettleReason};
pub use names::{CapName, Community, InvalidLabel, ProviderName};
pub use prices::{
    ExchangeRates, Lack, PriceBook, PriceList, PriceQuestion, PricedOffering, Rate, Unpriced,
};
pub use tariff::Tariff;
