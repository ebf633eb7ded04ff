//! Servers: listed, described, made, resolved and deleted (Nova).

mod body;
mod create;
mod delete;
mod dialect;
mod faults;
mod flavors;
mod instance;
mod list;
mod quota;
mod resolve;
mod server;

#[cfg(test)]
pub(crate) mod captured;

pub use body::USER_DATA_LIMIT;
pub(crate) use body::deployment_tag;
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use dialect::Dialect;
pub(crate) use flavors::{Flavor, FlavorTable, offerings, table_with};
pub(crate) use instance::SoftDeleted;
pub(crate) use list::{get, get_server, list};
pub(crate) use quota::quota;
pub(crate) use resolve::resolve;
pub(crate) use server::Server;
