//! A call that failed, and what it means for each kind of call.

use std::time::Duration;

use vcycle_api::{ErrorKind, ProviderError};

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
    /// Whether it arrived.
    pub(crate) arrived: Arrived,
    /// HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// The cloud's word for the fault: `forbidden`, `badRequest`, `NeutronError`'s type...
    pub(crate) code_text: String,
    /// The cloud's message, or ours when there was no answer.
    pub(crate) message: String,
    /// The cloud's id of the request.
    pub(crate) request_id: Option<String>,
    /// When to try again, if the cloud said so.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// Nothing was sent.
    pub(crate) fn never(operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            operation,
            arrived: Arrived::Never,
            status: None,
            code_text: String::new(),
            message: message.into(),
            request_id: None,
            retry_after: None,
        }
    }

    /// As the error of a call that changes nothing.
    pub(crate) fn of_read(self) -> ProviderError {
        self.into_error(ErrorKind::Unavailable)
    }

    /// As the error of a call that makes something.
    pub(crate) fn of_create(self) -> ProviderError {
        let kind = match self.arrived {
            Arrived::Never => ErrorKind::Unavailable,
            Arrived::Certainly | Arrived::Perhaps => ErrorKind::Ambiguous,
        };
        self.into_error(kind)
    }

    /// As the error of a call that removes something.
    pub(crate) fn of_delete(self) -> ProviderError {
        self.into_error(ErrorKind::Unavailable)
    }

    fn into_error(self, kind: ErrorKind) -> ProviderError {
        ProviderError {
            kind,
            operation: self.operation,
            message: self.message,
            request_id: self.request_id,
        }
    }
}
