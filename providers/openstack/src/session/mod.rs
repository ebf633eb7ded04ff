//! One login to one project: the only way of this crate to speak to the cloud.

#![allow(unused_imports, reason = "the modules of this crate land one after another")]

mod call;
mod failure;
mod microversion;
mod page;
mod whoami;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use vcycle_api::Clock;

pub(crate) use call::{Call, Reply, Service, segment};
pub(crate) use failure::{Arrived, Failure};
pub(crate) use microversion::{Microversion, Range};
pub(crate) use page::Page;
pub(crate) use reqwest::Method;
pub(crate) use whoami::Whoami;

use crate::{OpenError, Settings};

/// A session. Cloning is cheap, and clones share the token, the limits and the connections.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Reads the credentials. Does not speak to the cloud.
    pub(crate) fn open(_settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Inner { clock })))
    }

    /// Makes one call; the answer's body as `T`.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Reply<T>, Failure> {
        Err(Failure::never(call.operation, "not logged in"))
    }

    /// Makes one call; the answer's body is not read.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Reply<()>, Failure> {
        Err(Failure::never(call.operation, "not logged in"))
    }

    /// Makes one call with a body of any length and without the time limit of one request.
    pub(crate) async fn stream_put(
        &self,
        call: Call<'_>,
        _body: reqwest::Body,
    ) -> Result<Reply<()>, Failure> {
        Err(Failure::never(call.operation, "not logged in"))
    }

    /// One page of a collection; `key` is the collection's name in the answer.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        _key: &'static str,
    ) -> Result<Page<T>, Failure> {
        Err(Failure::never(call.operation, "not logged in"))
    }

    /// All pages of a collection, in their order. A page that fails fails the whole.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        _key: &'static str,
    ) -> Result<Vec<T>, Failure> {
        Err(Failure::never(call.operation, "not logged in"))
    }

    /// The microversions that a service speaks. Asked once.
    pub(crate) async fn microversions(&self, _service: Service) -> Result<Range, Failure> {
        Err(Failure::never("read versions", "not logged in"))
    }

    /// Whether the catalogue has this service.
    pub(crate) async fn offers(&self, _service: Service) -> Result<bool, Failure> {
        Err(Failure::never("log in", "not logged in"))
    }

    /// Who we are for the cloud.
    pub(crate) async fn whoami(&self) -> Result<Whoami, Failure> {
        Err(Failure::never("log in", "not logged in"))
    }
}
