//! What a machine costs: price lists that people sign off, rates of exchange, and the tariff that comes of them.
//!
//! A price that is missing, zero, negative, too old, or in a currency without a fresh rate is not a price: the answer
//! is [`Unpriced`], with what to write in which file. Everything is rounded up, and of all prices in force at any time
//! of a machine's life the dearest counts, so that a reservation is never less than the bill.
//!
//! Reading order: `list` (what people write), `rates` (exchange), `book` (which price is in force), `tariff` (the sum
//! for a machine), `lack` (why there is none).

mod book;
mod lack;
mod list;
mod rates;
mod tariff;

#[cfg(test)]
mod laws;

pub use book::{PriceBook, Twice};
pub use lack::{Lack, Unpriced};
pub use list::{Charged, Granularity, InForce, Item, PriceList, PriceRow, SpotCharge, Written};
pub use rates::{ExchangeRates, Rate};
pub use tariff::{PricePart, PriceQuestion, PricedOffering};
