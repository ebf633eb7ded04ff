//! One login to one project: the only way of this crate to speak to the cloud.

mod auth;
mod call;
mod catalog;
mod failure;
mod fault;
mod http;
mod login;
mod microversion;
mod page;
mod service;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod token;
mod whoami;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use vcycle_api::Clock;

pub(crate) use call::{Call, Reply, segment};
pub(crate) use failure::{Arrived, Failure};
pub(crate) use microversion::{Microversion, Range};
pub(crate) use page::Page;
pub(crate) use reqwest::Method;
pub(crate) use service::Service;
pub(crate) use time::parse_time;
pub(crate) use whoami::Whoami;

use crate::clouds::{self, Places};
use crate::{OpenError, Settings};
use http::Answer;
use login::{Access, Door, Keys};

/// More pages than any project has: a cloud that goes on for ever is caught here.
const MOST_PAGES: usize = 10_000;

/// The most that an upload may take: 20 GB at 1 MB/s.
const UPLOAD_TIME: Duration = Duration::from_secs(6 * 60 * 60);

/// A session. Cloning is cheap, and clones share the token, the limits and the connections.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    keys: Keys,
    clock: Arc<dyn Clock>,
    limit: Semaphore,
    time: Duration,
    ranges: Mutex<BTreeMap<Service, Range>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origins = self.0.keys.doors().iter().map(|door| &door.cloud.origin);
        f.debug_list().entries(origins).finish()
    }
}

/// What goes with a request.
enum Payload {
    /// The JSON of the call, if any; can be sent again.
    OfCall,
    /// A stream, which can be sent once and takes as long as it takes.
    Stream(reqwest::Body),
}

impl Session {
    /// Reads the credentials. Does not speak to the cloud.
    pub(crate) fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_at(settings, clock, &Places::of_process())
    }

    fn open_at(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        places: &Places,
    ) -> Result<Self, OpenError> {
        let time = settings.request_time;
        let mut doors = Vec::new();
        for credential in &settings.credentials {
            let cloud = clouds::read(credential, places)?;
            tracing::debug!(credential = %cloud.origin, files = ?cloud.files, "credential read");
            let client = http::client(&cloud, time)?;
            doors.push(Door { cloud, client });
        }
        if doors.is_empty() {
            return Err(OpenError::NoCredential);
        }
        let keys = Keys::new(doors, Arc::clone(&clock), time);
        for notice in keys.notices() {
            tracing::warn!("{notice}");
        }
        Ok(Self(Arc::new(Inner {
            keys,
            clock,
            limit: Semaphore::new(settings.requests_at_once.max(1) as usize),
            time,
            ranges: Mutex::default(),
        })))
    }

    /// Makes one call; the answer's body as `T`.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Reply<T>, Failure> {
        let operation = call.operation;
        let answer = self.boxed(call, Payload::OfCall).await?;
        let (request_id, status) = (answer.request_id(), answer.status);
        // The parser's own words quote the body, which may hold a password.
        let body = serde_json::from_slice(&answer.body).map_err(|error| Failure {
            status: Some(status),
            request_id: request_id.clone(),
            ..Failure::perhaps(operation, unreadable(&error, &answer))
        })?;
        Ok(Reply { body, request_id, status })
    }

    /// Makes one call; the answer's body is not read.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Reply<()>, Failure> {
        let answer = self.boxed(call, Payload::OfCall).await?;
        Ok(Reply { body: (), request_id: answer.request_id(), status: answer.status })
    }

    /// Makes one call with a body of any length: it has its own limit of time and takes none of the
    /// places of `requests_at_once`, so that it delays no other call.
    pub(crate) async fn stream_put(
        &self,
        call: Call<'_>,
        body: reqwest::Body,
    ) -> Result<Reply<()>, Failure> {
        let answer = self.boxed(call, Payload::Stream(body)).await?;
        Ok(Reply { body: (), request_id: answer.request_id(), status: answer.status })
    }

    /// One page of a collection; `key` is the collection's name in the answer.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        key: &'static str,
    ) -> Result<Page<T>, Failure> {
        let operation = call.operation;
        let reply = self.call::<Value>(call).await?;
        page::parse(reply.body, key).map_err(|why| Failure {
            status: Some(reply.status),
            request_id: reply.request_id,
            ..Failure::perhaps(operation, format!("the answer cannot be used: {why}"))
        })
    }

    /// All pages of a collection, in their order. A page that fails fails the whole.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        key: &'static str,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        let mut next = call.clone();
        let mut last: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.page::<T>(next, key).await?;
            all.extend(page.items);
            match page.next {
                None => return Ok(all),
                Some(marker) if last.as_ref() == Some(&marker) => break,
                Some(marker) => {
                    next = call.clone().after(marker.clone());
                    last = Some(marker);
                }
            }
        }
        Err(Failure::perhaps(call.operation, "the pages do not come to an end"))
    }

    /// The microversions that a service speaks. Asked once, and again after a 406.
    pub(crate) async fn microversions(&self, service: Service) -> Result<Range, Failure> {
        const OPERATION: &str = "read versions";
        if let Some(range) = self.ranges().get(&service) {
            return Ok(*range);
        }
        let access = self.keys().access(OPERATION).await?;
        let base = base(&access, service, OPERATION)?;
        let root = Service::root(base);
        let id = root.path().trim_end_matches('/').rsplit('/').next().unwrap_or("").to_owned();
        let request = self.keys().door(&access).client.get(root).timeout(self.0.time);
        let call = Call::get(service, "/", OPERATION);
        let answer = self.limited(self.with_headers(request, &access, &call), &call).await?;
        if !matches!(answer.status, 200 | 300) {
            return Err(Failure::of_answer(OPERATION, &answer, self.0.clock.now()));
        }
        let document = serde_json::from_slice::<microversion::Document>(&answer.body).ok();
        let range = document.and_then(|document| document.range(&id)).ok_or_else(|| {
            Failure::perhaps(OPERATION, format!("the service does not tell its version {id}"))
        })?;
        self.ranges().insert(service, range);
        Ok(range)
    }

    /// Whether the catalogue has this service.
    pub(crate) async fn offers(&self, service: Service) -> Result<bool, Failure> {
        let access = self.keys().access("log in").await?;
        Ok(access.endpoints.base(service).is_ok())
    }

    fn keys(&self) -> &Keys {
        &self.0.keys
    }

    fn ranges(&self) -> std::sync::MutexGuard<'_, BTreeMap<Service, Range>> {
        // A map of plain values is whole even where somebody panicked.
        self.0.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In a box: a request in all its stages is large, and callers hold many.
    fn boxed<'a>(
        &'a self,
        call: Call<'a>,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.exchange(call, payload))
    }

    /// One call with a living token; once more when Keystone ended the token early.
    async fn exchange(&self, call: Call<'_>, payload: Payload) -> Result<Answer, Failure> {
        let mut access = self.keys().access(call.operation).await?;
        let replay = matches!(payload, Payload::OfCall);
        let mut answer = self.once(&access, &call, payload).await?;
        if answer.status == 401 {
            self.keys().forget(&access).await;
            if replay && may_repeat(&call.method, &answer) {
                access = self.keys().access(call.operation).await?;
                answer = self.once(&access, &call, Payload::OfCall).await?;
            }
        }
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        if answer.status == 406 {
            self.ranges().remove(&call.service);
        }
        Err(Failure::of_answer(call.operation, &answer, self.0.clock.now()))
    }

    async fn once(
        &self,
        access: &Access,
        call: &Call<'_>,
        payload: Payload,
    ) -> Result<Answer, Failure> {
        let base = base(access, call.service, call.operation)?;
        let url = format!("{}{}", base.as_str().trim_end_matches('/'), call.path);
        let client = &self.keys().door(access).client;
        let request = client.request(call.method.clone(), url).query(&call.query);
        let request = self.with_headers(request, access, call);
        match payload {
            Payload::Stream(body) => {
                self.logged(request.timeout(UPLOAD_TIME).body(body), call).await
            }
            Payload::OfCall => {
                let request = request.timeout(self.0.time);
                let request = match &call.body {
                    Some(json) => request.body(json.to_string()),
                    None => request,
                };
                self.limited(request, call).await
            }
        }
    }

    fn with_headers(
        &self,
        request: RequestBuilder,
        access: &Access,
        call: &Call<'_>,
    ) -> RequestBuilder {
        let mut request =
            request.header("accept", "application/json").header("x-auth-token", access.header());
        let json = call.body.is_some().then_some("application/json");
        if let Some(kind) = call.content_type.or(json) {
            request = request.header("content-type", kind);
        }
        if let (Some(version), Some(word)) = (call.microversion, call.service.microversion_word()) {
            request = request.header("openstack-api-version", format!("{word} {version}"));
            if call.service == Service::Compute {
                // Before 2.27 Nova knows only this one.
                request = request.header("x-openstack-nova-api-version", version.to_string());
            }
        }
        request
    }

    async fn limited(&self, request: RequestBuilder, call: &Call<'_>) -> Result<Answer, Failure> {
        let _place = self.0.limit.acquire().await.expect("the semaphore is never closed");
        self.logged(request, call).await
    }

    async fn logged(&self, request: RequestBuilder, call: &Call<'_>) -> Result<Answer, Failure> {
        let Call { operation, method, path, .. } = call;
        let started = self.0.clock.monotonic();
        let result = http::exchange(request, operation).await;
        let milliseconds = (self.0.clock.monotonic().saturating_sub(started)).as_millis();
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        match &result {
            Ok(answer) => {
                let (status, request_id) = (answer.status, answer.request_id());
                tracing::debug!(operation, %method, %path, status, request_id, milliseconds, "answered");
            }
            Err(error) => {
                tracing::debug!(operation, %method, %path, %error, milliseconds, "not answered");
            }
        }
        result
    }
}

fn base<'a>(
    access: &'a Access,
    service: Service,
    operation: &'static str,
) -> Result<&'a url::Url, Failure> {
    access.endpoints.base(service).map_err(|why| Failure::configuration(operation, why))
}

/// Whether a call that got a 401 did nothing for certain, or may be done twice.
fn may_repeat(method: &Method, answer: &Answer) -> bool {
    answer.is_refused_by_keystone() || method.is_idempotent()
}

fn unreadable(error: &serde_json::Error, answer: &Answer) -> String {
    let (line, column, length) = (error.line(), error.column(), answer.body.len());
    format!("the answer of {length} bytes cannot be used (line {line}, column {column})")
}
