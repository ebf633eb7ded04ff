//! Google's description of the API, as far as it is served here: which request is which method, and whether
//! requests and answers are what it says.

mod check;
mod document;

pub(crate) use check::{Finder, odd_query, shape};
pub(crate) use document::{Method, document};

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To the cloud: the client's fault.
    Request,
    /// From the cloud: this fake's fault.
    Reply,
}

/// A message that Google's description does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which way it went.
    pub side: Side,
    /// The method, for example `compute.instances.insert`, or method and path of what is none.
    pub method: String,
    /// Where in the message, and what is wrong there.
    pub what: String,
}
