//! Calls that failed: what came back, and what it means for a read, a create and a delete.
//!
//! The code decides before the status does: EC2 says stock-outs with status 500 and throttling with 503. What
//! was sent and not answered in EC2's own words may have been carried out.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use vcycle_api::{ErrorKind, Market, OfferingId, ProviderError};

use crate::codes::{self, Meaning};

/// Whether a call reached Amazon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It was never sent.
    Never,
    /// Nobody can tell: it may have been carried out.
    Perhaps,
    /// It was answered in Amazon's own words.
    Answered,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) operation: &'static str,
    pub(crate) arrived: Arrived,
    pub(crate) status: Option<u16>,
    /// Amazon's code.
    pub(crate) code: Option<String>,
    /// For people, without secrets.
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// The credentials could not be had, or were refused on the way to them.
    pub(crate) no_credentials: bool,
}

impl Failure {
    /// From what the SDK gives.
    pub(crate) fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let raw = error.raw_response();
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let from_body = error.as_service_error().and_then(|error| error.meta().request_id());
        let credentials = credentials_failed(error);
        let (arrived, message) = match (&credentials, error) {
            (Some((_, message)), _) => (Arrived::Never, message.clone()),
            (None, SdkError::ServiceError(refusal)) => match code {
                Some(_) => (Arrived::Answered, words(refusal.err())),
                None => (Arrived::Perhaps, "an answer that is not Amazon's".to_owned()),
            },
            (None, SdkError::ConstructionFailure(_)) => (Arrived::Never, chain(error)),
            (None, SdkError::TimeoutError(_)) => (Arrived::Perhaps, "no answer in time".to_owned()),
            (None, error) if was_never_sent(error) => (Arrived::Never, chain(error)),
            (None, error) => (Arrived::Perhaps, chain(error)),
        };
        Self {
            operation,
            arrived,
            status: raw.map(|raw| raw.status().as_u16()),
            code: code.map(str::to_owned),
            message,
            request_id: from_body
                .or_else(|| raw.and_then(RequestId::request_id))
                .map(str::to_owned),
            retry_after: raw.and_then(retry_after),
            no_credentials: credentials.is_some_and(|(is_final, _)| is_final),
        }
    }

    /// What the code means.
    pub(crate) fn meaning(&self) -> Meaning {
        if self.no_credentials {
            return Meaning::Credentials;
        }
        match (self.code.as_deref(), self.status) {
            (Some(code), status) => codes::meaning(code, status),
            (None, Some(429)) => Meaning::Throttled,
            (None, _) => Meaning::Unclear,
        }
    }

    /// Of a call that changes nothing.
    pub(crate) fn of_read(self) -> ProviderError {
        let kind = match self.meaning() {
            Meaning::NoSuchInstance => ErrorKind::NotFound,
            Meaning::Throttled => ErrorKind::Throttled { after: self.retry_after },
            Meaning::Credentials | Meaning::Permission => ErrorKind::AuthFailed,
            Meaning::Invalid | Meaning::NoSuchThing | Meaning::SpotRole => ErrorKind::InvalidSpec,
            Meaning::Capacity
            | Meaning::Quota
            | Meaning::TokenOfOther
            | Meaning::TokenEnded
            | Meaning::Permitted
            | Meaning::Protected
            | Meaning::InUse
            | Meaning::Unclear => ErrorKind::Unavailable,
        };
        self.into_error(kind)
    }

    /// Of the call that makes a machine. `markets`: those of the space; a quota that is used up in one leaves the others.
    pub(crate) fn of_create(self, offering: &OfferingId, markets: &[Market]) -> ProviderError {
        let kind = match self.meaning() {
            Meaning::Capacity => ErrorKind::InsufficientCapacity { offering: offering.clone() },
            Meaning::Quota if markets.len() > 1 && self.is_of_one_market() => {
                ErrorKind::InsufficientCapacity { offering: offering.clone() }
            }
            Meaning::Quota => ErrorKind::QuotaExceeded,
            Meaning::Throttled => ErrorKind::Throttled { after: self.retry_after },
            Meaning::Credentials | Meaning::Permission => ErrorKind::AuthFailed,
            Meaning::NoSuchInstance
            | Meaning::NoSuchThing
            | Meaning::Invalid
            | Meaning::SpotRole
            | Meaning::Protected
            | Meaning::InUse
            | Meaning::Permitted
            | Meaning::TokenEnded => ErrorKind::InvalidSpec,
            Meaning::TokenOfOther => ErrorKind::Ambiguous,
            Meaning::Unclear => match self.arrived {
                Arrived::Never => ErrorKind::Unavailable,
                Arrived::Perhaps | Arrived::Answered => ErrorKind::Ambiguous,
            },
        };
        self.into_error(kind)
    }

    fn is_of_one_market(&self) -> bool {
        self.code.as_deref().is_some_and(codes::is_of_one_market)
    }

    /// Of a call that removes something.
    pub(crate) fn of_delete(self) -> ProviderError {
        let kind = match self.meaning() {
            Meaning::NoSuchInstance | Meaning::NoSuchThing => ErrorKind::NotFound,
            Meaning::Throttled => ErrorKind::Throttled { after: self.retry_after },
            Meaning::Credentials | Meaning::Permission => ErrorKind::AuthFailed,
            Meaning::Invalid => ErrorKind::InvalidSpec,
            Meaning::Capacity
            | Meaning::Quota
            | Meaning::SpotRole
            | Meaning::TokenOfOther
            | Meaning::TokenEnded
            | Meaning::Permitted
            | Meaning::Protected
            | Meaning::InUse
            | Meaning::Unclear => ErrorKind::Unavailable,
        };
        self.into_error(kind)
    }

    /// As an error of this kind.
    pub(crate) fn into_error(self, kind: ErrorKind) -> ProviderError {
        let hint = match self.meaning() {
            Meaning::Throttled if self.code.is_none() => Some("too many requests"),
            _ => self.code.as_deref().and_then(codes::advice),
        };
        let mut message = match (&self.code, self.status) {
            (Some(code), _) => format!("{code}: {}", self.message),
            (None, Some(status)) => format!("status {status}: {}", self.message),
            (None, None) => self.message,
        };
        if let Some(hint) = hint {
            message = format!("{message}; {hint}");
        }
        ProviderError { kind, operation: self.operation, message, request_id: self.request_id }
    }
}

/// Amazon's words of a refusal. A missing permission comes with a long encoded text, of use only to a tool.
fn words<E: Error + ProvideErrorMetadata>(error: &E) -> String {
    const ENCODED: &str = "Encoded authorization failure message";
    let text = error.message().map_or_else(|| error.to_string(), str::to_owned);
    match text.split_once(ENCODED) {
        Some((plain, _)) => {
            format!("{} (the request's record in CloudTrail tells more)", plain.trim_end())
        }
        None => text,
    }
}

/// An error with its causes, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref::<T>() {
            return Some(found);
        }
        cause = inner.source();
    }
    None
}

/// Only where no connection came about: what happened on one may have happened after the request was read.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether the credentials could not be had, with what people should read; `true`: nobody has any, or they
/// are refused; `false`: who gives them did not answer.
fn credentials_failed(error: &(dyn Error + 'static)) -> Option<(bool, String)> {
    let failed = find::<CredentialsError>(error)?;
    let what = match failed {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials found",
        CredentialsError::InvalidConfiguration(_) => "the credentials are not written down rightly",
        _ => "the credentials could not be fetched",
    };
    let is_final = match failed {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            true
        }
        CredentialsError::ProviderTimedOut(_) => false,
        _ => role_was_refused(failed),
    };
    let details = failed.source().map(chain).unwrap_or_default();
    Some((is_final, format!("{what}: {details}").trim_end_matches(": ").to_owned()))
}

fn role_was_refused(error: &(dyn Error + 'static)) -> bool {
    let by_role = find::<AssumeRoleError>(error).and_then(ProvideErrorMetadata::code);
    let by_web = find::<AssumeRoleWithWebIdentityError>(error).and_then(ProvideErrorMetadata::code);
    by_role.or(by_web).is_some_and(|code| match codes::meaning(code, None) {
        Meaning::Throttled | Meaning::Unclear => false,
        Meaning::Credentials
        | Meaning::Permission
        | Meaning::Invalid
        | Meaning::NoSuchThing
        | Meaning::NoSuchInstance
        | Meaning::Capacity
        | Meaning::Quota
        | Meaning::SpotRole
        | Meaning::TokenOfOther
        | Meaning::TokenEnded
        | Meaning::Permitted
        | Meaning::Protected
        | Meaning::InUse => true,
    })
}

/// RFC 9110, section 10.2.3; only the form in seconds.
fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    let seconds: u64 = raw.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
