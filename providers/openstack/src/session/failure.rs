//! A call that failed, and what it means for each kind of call.
//!
//! The tables here decide what is proven. Absence is proven only by a service's own fault body, not
//! by any 404: a proxy or a wrong path answers 404, too. That nothing was made is proven only by a
//! refusal that Nova gives before it makes anything; all else leaves the outcome open.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use vcycle_api::{ErrorKind, ProviderError, Timestamp};

use super::fault::{self, Fault};
use super::http::Answer;

/// Whether the request reached the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The cloud answered it with a refusal of its own.
    Certainly,
    /// It was not sent: refused connection, no such host, login failed.
    Never,
    /// Not known: lost reply, time limit, 5xx.
    Perhaps,
}

/// A call that failed. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was tried.
    pub(crate) operation: &'static str,
    /// Whether it arrived. A login that was refused is `Never` with the status of the refusal.
    pub(crate) arrived: Arrived,
    /// HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// The cloud's word for the fault: `forbidden`, `badRequest`, the type of a `NeutronError`...
    /// Empty when the body was no fault of a service.
    pub(crate) code_text: String,
    /// The cloud's message, or ours when there was no answer.
    pub(crate) message: String,
    /// The cloud's id of the request.
    pub(crate) request_id: Option<String>,
    /// When to try again, if the cloud said so.
    pub(crate) retry_after: Option<Duration>,
}

/// `code_text` of what its owner must mend: no such region, no project, no such service.
const CONFIGURATION: &str = "configuration";

impl Failure {
    fn new(operation: &'static str, arrived: Arrived, message: impl Into<String>) -> Self {
        Self {
            operation,
            arrived,
            status: None,
            code_text: String::new(),
            message: message.into(),
            request_id: None,
            retry_after: None,
        }
    }

    /// Nothing was sent.
    pub(crate) fn never(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, Arrived::Never, message)
    }

    /// It was sent, and what became of it is not known.
    pub(super) fn perhaps(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, Arrived::Perhaps, message)
    }

    /// Nothing was sent, because the owner of the credential must mend something.
    pub(super) fn configuration(operation: &'static str, message: impl Into<String>) -> Self {
        Self { code_text: CONFIGURATION.to_owned(), ..Self::never(operation, message) }
    }

    /// The exchange broke.
    pub(super) fn of_transport(operation: &'static str, error: reqwest::Error) -> Self {
        // Only these two are certain to come before the first byte of the request.
        let unsent = error.is_connect() || error.is_builder();
        let arrived = if unsent { Arrived::Never } else { Arrived::Perhaps };
        let error = error.without_url();
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::new(operation, arrived, message)
    }

    /// An answer that is no success.
    pub(super) fn of_answer(operation: &'static str, answer: &Answer, now: Timestamp) -> Self {
        let Fault { code_text, message, retry_after } = fault::parse(answer, now);
        let arrived = match answer.status {
            400..=407 | 409..=499 if answer.status != 401 => Arrived::Certainly,
            // Nova passes on a 401 that it got itself, from Neutron or Cinder, with half its work done.
            401 if answer.is_refused_by_keystone() => Arrived::Certainly,
            _ => Arrived::Perhaps,
        };
        Self {
            operation,
            arrived,
            status: Some(answer.status),
            code_text,
            message,
            request_id: answer.request_id(),
            retry_after,
        }
    }

    /// The same, of a login that another call needed: that call was not sent.
    pub(super) fn of_login(self, operation: &'static str, whose: &str) -> Self {
        let message = format!("login with {whose}: {}", self.message);
        Self { operation, arrived: Arrived::Never, message, ..self }
    }

    /// Whether Keystone refused the credential. A wrong address or a proxy answers 404, too, but
    /// not with a fault of Keystone's.
    pub(super) fn is_refused_credential(&self) -> bool {
        match self.status {
            Some(401 | 403) => true,
            Some(400 | 404) => !self.code_text.is_empty(),
            _ => false,
        }
    }

    /// Whether the service itself said that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == Some(404) && self.arrived == Arrived::Certainly && !self.code_text.is_empty()
    }

    /// As the error of a call that changes nothing.
    pub(crate) fn of_read(self) -> ProviderError {
        let kind = self.common().unwrap_or(match self.status {
            Some(503) if self.retry_after.is_some() => self.throttled(),
            _ => ErrorKind::Unavailable,
        });
        self.into_error(kind)
    }

    /// As the error of a call that makes something. Never a lost reply as a refusal.
    pub(crate) fn of_create(self) -> ProviderError {
        let kind = match self.arrived {
            Arrived::Never => self.common().unwrap_or(ErrorKind::Unavailable),
            Arrived::Perhaps => ErrorKind::Ambiguous,
            Arrived::Certainly => self.refused_create(),
        };
        self.into_error(kind)
    }

    /// As the error of a call that removes something.
    pub(crate) fn of_delete(self) -> ProviderError {
        let kind = self.common().unwrap_or(ErrorKind::Unavailable);
        self.into_error(kind)
    }

    /// What means the same for each kind of call.
    fn common(&self) -> Option<ErrorKind> {
        if self.code_text == CONFIGURATION {
            return Some(ErrorKind::AuthFailed);
        }
        let status = self.status?;
        if self.arrived == Arrived::Never && self.is_refused_credential() {
            return Some(ErrorKind::AuthFailed);
        }
        match status {
            429 => Some(self.throttled()),
            _ if self.arrived != Arrived::Certainly => None,
            400 | 406 => Some(ErrorKind::InvalidSpec),
            401 => Some(ErrorKind::AuthFailed),
            403 | 409 if self.is_quota() => Some(ErrorKind::QuotaExceeded),
            403 => Some(ErrorKind::AuthFailed),
            404 if self.is_missing() => Some(ErrorKind::NotFound),
            413 if self.is_quota() => Some(ErrorKind::QuotaExceeded),
            413 if self.is_over_limit() => Some(self.throttled()),
            413 => Some(ErrorKind::InvalidSpec),
            _ => None,
        }
    }

    /// A create that Nova answered with 4xx.
    fn refused_create(&self) -> ErrorKind {
        match (self.status, self.common()) {
            // The machinetype asks for what it may not have (a zone, a flavour, an external
            // network), unless it is the create itself that this user may not.
            (Some(403), Some(ErrorKind::AuthFailed)) if !self.is_policy_of_create() => {
                ErrorKind::InvalidSpec
            }
            // `NotFound` would say that the machine is absent; here something it needs is.
            (_, Some(ErrorKind::NotFound)) => ErrorKind::InvalidSpec,
            (Some(409), None) if self.message.contains("network") => ErrorKind::InvalidSpec,
            // Another 409 may be our own first attempt ("Instance already exists").
            (_, None) => ErrorKind::Ambiguous,
            (_, Some(kind)) => kind,
        }
    }

    /// Nova, Neutron and Cinder each have their sentences for a quota, and several statuses.
    fn is_quota(&self) -> bool {
        let text = self.message.to_lowercase();
        // "Maximum number of metadata items exceeds 128" is a fault of the request.
        let limit = text.contains("maximum number of ports")
            || text.contains("maximum number of fixed ips")
            || text.contains("maximum number of volumes");
        // A policy may name `os-quota-sets`: only what is exceeded is a quota.
        let quota = text.contains("quota") && text.contains("exceed");
        self.code_text == "OverQuota" || quota || limit
    }

    fn is_over_limit(&self) -> bool {
        self.code_text == "overLimit" || self.retry_after.is_some()
    }

    /// "Policy doesn't allow os_compute_api:servers:create to be performed.", but not
    /// `os_compute_api:servers:create:forced_host`.
    fn is_policy_of_create(&self) -> bool {
        self.message.contains("servers:create to be performed")
    }

    fn throttled(&self) -> ErrorKind {
        ErrorKind::Throttled { after: self.retry_after }
    }

    fn into_error(self, kind: ErrorKind) -> ProviderError {
        let message = match (self.status, self.code_text.as_str()) {
            (None, _) => self.message,
            (Some(status), "") => format!("{status}: {}", self.message),
            (Some(status), word) => format!("{status} {word}: {}", self.message),
        };
        ProviderError { kind, operation: self.operation, message, request_id: self.request_id }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

impl Error for Failure {}
