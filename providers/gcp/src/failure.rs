//! A call that failed, as it came: what Google said, and whether the request may have arrived. What it means is
//! decided in `meaning`.
//!
//! Compute answers errors in its old form: `error.code`, `error.message` and `error.errors[].reason`, mostly without
//! the `status` of newer APIs. The client library keeps status and message, and turns the list (or `details`, where
//! there are any) into typed details; its own code is then `Unknown` and says nothing.

use std::error::Error as _;
use std::time::Duration;

use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::client_builder::Error as ClientError;
use google_cloud_gax::error::Error as Google;
use google_cloud_gax::error::rpc::StatusDetails;

use crate::call::Call;

/// Longest text of the cloud that is passed on.
const LONGEST: usize = 500;

/// What can go wrong with a call.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The credentials that are written down cannot be used.
    Credentials(String),
    /// No token: refused, or the one who gives them cannot be reached.
    Token(CredentialsError),
    /// No token within this time.
    NoToken(Duration),
    /// The client cannot be made.
    Client(ClientError),
    /// The call failed.
    Call(Google),
    /// No answer within this time.
    Silence(Duration),
}

impl From<Google> for Trouble {
    fn from(error: Google) -> Self {
        Self::Call(error)
    }
}

/// Whether the request reached Google.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Certainly not.
    No,
    /// Nobody knows.
    Perhaps,
    /// It was answered.
    Yes,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was attempted.
    pub(crate) call: Call,
    /// The HTTP status; `None`: no answer of the API.
    pub(crate) status: Option<u16>,
    /// Google's words for the cause, as they came: `notFound`, `QUOTA_EXCEEDED`.
    pub(crate) reasons: Vec<String>,
    /// Google's sentence for people.
    pub(crate) message: String,
    /// What Google's support can find the request by.
    pub(crate) request_id: Option<String>,
    /// When to come again, if it was said.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the request arrived.
    pub(crate) arrived: Arrived,
}

impl Failure {
    /// What the library tells of a failed call.
    pub(crate) fn of(call: Call, trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Credentials(why) => Self::before(
                call,
                &["credentials"],
                &format!("the credentials cannot be used: {why}"),
            ),
            Trouble::Token(error) => Self::without_token(call, error),
            Trouble::NoToken(limit) => {
                Self::before(call, &[], &format!("no access token within {limit:?}"))
            }
            Trouble::Client(error) => {
                // The library tells the cause apart from the sentence.
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::before(call, &[], &format!("{error}{cause}"))
            }
            Trouble::Silence(limit) => Self {
                arrived: Arrived::Perhaps,
                ..Self::before(call, &[], &format!("no answer within {limit:?}"))
            },
            Trouble::Call(error) => Self::of_call(call, error),
        }
    }

    /// A failure before anything was sent.
    fn before(call: Call, reasons: &[&str], message: &str) -> Self {
        Self {
            call,
            status: None,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            message: shortened(message),
            request_id: None,
            retry_after: None,
            arrived: Arrived::No,
        }
    }

    fn without_token(call: Call, error: &CredentialsError) -> Self {
        // A refusal is for good, an unreachable token endpoint is not.
        let reasons: &[&str] = if error.is_transient() { &[] } else { &["authError"] };
        Self::before(call, reasons, &format!("no access token: {}", chain(error)))
    }

    fn of_call(call: Call, error: &Google) -> Self {
        if let Some(status) = error.http_status_code() {
            return Self::answered(call, status, error);
        }
        if error.is_authentication() {
            let cause = error.source().and_then(|cause| cause.downcast_ref::<CredentialsError>());
            if let Some(cause) = cause {
                return Self::without_token(call, cause);
            }
        }
        let failure = Self::before(call, &[], &chain(error));
        if error.is_connect() || error.is_serialization() || error.is_binding() {
            let reasons = if error.is_connect() { vec![] } else { vec!["invalid".to_owned()] };
            return Self { reasons, ..failure };
        }
        // A time limit, a broken connection, an answer that cannot be read.
        Self { arrived: Arrived::Perhaps, ..failure }
    }

    fn answered(call: Call, status: u16, error: &Google) -> Self {
        let header = |name: &str| Some(error.http_headers()?.get(name)?.to_str().ok()?.to_owned());
        let mut failure = Self {
            status: Some(status),
            arrived: Arrived::Yes,
            retry_after: header("retry-after")
                .and_then(|text| text.trim().parse().ok())
                .map(Duration::from_secs),
            ..Self::before(call, &[], "")
        };
        let Some(said) = error.status() else {
            // A body that is not Google's: a proxy speaks.
            let body = error.http_payload().map(|body| String::from_utf8_lossy(body).into_owned());
            let body = body.unwrap_or_default();
            failure.message =
                shortened(&format!("HTTP {status} without Google's error body: {body}"));
            failure.reasons = vec![NOT_GOOGLE.to_owned()];
            return failure;
        };
        failure.message = shortened(&said.message);
        for detail in &said.details {
            match detail {
                StatusDetails::ErrorInfo(info) => failure.reasons.push(info.reason.clone()),
                StatusDetails::QuotaFailure(_) => failure.reasons.push("quotaFailure".to_owned()),
                StatusDetails::RequestInfo(info) => {
                    failure.request_id = Some(info.request_id.clone())
                }
                // Help, localized texts and what the library does not know: nothing follows from them.
                _ => {}
            }
        }
        failure.reasons.retain(|reason| !reason.is_empty());
        failure.reasons.dedup();
        failure
    }

    /// Whether fresh credentials might help.
    pub(crate) fn is_about_credentials(&self) -> bool {
        self.status == Some(401)
            || (self.status.is_none() && self.reasons.iter().any(|reason| reason == "authError"))
    }

    /// Google's words and sentence in one line.
    pub(crate) fn words(&self) -> String {
        let message = if self.message.is_empty() { "(no message)" } else { self.message.as_str() };
        match (self.status, self.reasons.as_slice()) {
            (Some(status), []) => format!("HTTP {status}: {message}"),
            (Some(status), reasons) => format!("HTTP {status} {}: {message}", reasons.join(", ")),
            (None, _) => message.to_owned(),
        }
    }
}

/// The reason of an answer that is not Google's.
pub(crate) const NOT_GOOGLE: &str = "(not an answer of the API)";

/// An error with its causes, which the libraries keep apart.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// One line of at most [`LONGEST`] bytes.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().find(|(at, _)| *at >= LONGEST) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    fn answered(status: u16, body: &str) -> Failure {
        let bytes = bytes_of(body);
        let error = match Status::try_from(&bytes) {
            Ok(said) => Google::service_with_http_metadata(said, Some(status), None),
            Err(_) => Google::http(status, Default::default(), bytes),
        };
        Failure::of(Call::GetInstance, &Trouble::Call(error))
    }

    /// Bytes of the library's own kind, without naming its crate.
    fn bytes_of<B: From<Vec<u8>>>(body: &str) -> B {
        body.as_bytes().to_vec().into()
    }

    #[test]
    fn the_old_form_of_errors_gives_its_reasons() {
        let failure = answered(
            403,
            r#"{"error": {"code": 403, "message": "Rate Limit Exceeded", "errors": [
                {"domain": "usageLimits", "reason": "rateLimitExceeded", "message": "Rate Limit Exceeded"}]}}"#,
        );
        assert_eq!(failure.status, Some(403));
        assert_eq!(failure.reasons, ["rateLimitExceeded"]);
        assert_eq!(failure.message, "Rate Limit Exceeded");
        assert_eq!(failure.arrived, Arrived::Yes);
        assert_eq!(failure.words(), "HTTP 403 rateLimitExceeded: Rate Limit Exceeded");
    }

    #[test]
    fn the_new_form_gives_its_reasons_and_the_id_of_the_request() {
        let failure = answered(
            401,
            r#"{"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no", "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_EXPIRED", "domain": "googleapis.com"},
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "abc"}]}}"#,
        );
        assert_eq!(failure.reasons, ["ACCESS_TOKEN_EXPIRED"]);
        assert_eq!(failure.request_id.as_deref(), Some("abc"));
        assert!(failure.is_about_credentials());
    }

    #[test]
    fn a_page_of_a_proxy_is_not_taken_for_googles_word() {
        let failure = answered(404, "<html>not found</html>");
        assert_eq!(failure.reasons, [NOT_GOOGLE]);
        assert!(failure.message.contains("<html>"), "{}", failure.message);
    }

    #[test]
    fn a_refused_token_is_about_credentials_and_an_unreachable_endpoint_is_not() {
        let of = |transient| {
            let error = CredentialsError::from_msg(transient, "no");
            Failure::of(Call::GetInstance, &Trouble::Token(error))
        };
        assert!(of(false).is_about_credentials());
        assert!(!of(true).is_about_credentials());
        assert_eq!(of(true).arrived, Arrived::No);
    }

    #[test]
    fn whether_it_arrived_is_known_only_when_no_connection_came_about() {
        let of = |error: Google| Failure::of(Call::InsertInstance, &Trouble::Call(error)).arrived;
        assert_eq!(of(Google::connect("refused")), Arrived::No);
        assert_eq!(of(Google::timeout("late")), Arrived::Perhaps);
        assert_eq!(of(Google::io("reset")), Arrived::Perhaps);
        assert_eq!(of(Google::deser("half")), Arrived::Perhaps);
        let silence = Trouble::Silence(Duration::from_secs(1));
        assert_eq!(Failure::of(Call::InsertInstance, &silence).arrived, Arrived::Perhaps);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = shortened(&"ä ".repeat(LONGEST));
        assert!(text.ends_with("...") && text.len() <= LONGEST + 5, "{}", text.len());
    }
}
