//! What is asked of the cloud, and what it answers.

use std::borrow::Cow;

use reqwest::Method;

use super::{Microversion, Service};

/// One request. `path` comes after the versioned endpoint: `/servers/detail` for Compute,
/// `/images` for Image (not `/v2/images`), `/networks` for Network (not `/v2.0/networks`),
/// `/volumes` for Volume, `/users/...` for Identity, `/leases` for Reservation; for Rating the version belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    /// Whom.
    pub(crate) service: Service,
    /// How.
    pub(crate) method: Method,
    /// What, after the endpoint; begins with `/`. Parts from outside go through [`segment`].
    pub(crate) path: Cow<'a, str>,
    /// Query parameters; a key may stand twice.
    pub(crate) query: Vec<(&'a str, String)>,
    /// Microversion; `None`: the service's oldest.
    pub(crate) microversion: Option<Microversion>,
    /// JSON body.
    pub(crate) body: Option<serde_json::Value>,
    /// Type of the body when it is not `application/json` (Glance has its own for patches).
    pub(crate) content_type: Option<&'static str>,
    /// What it is for, in errors and logs.
    pub(crate) operation: &'static str,
}

impl<'a> Call<'a> {
    /// A call without body.
    pub(crate) fn new(
        service: Service,
        method: Method,
        path: impl Into<Cow<'a, str>>,
        operation: &'static str,
    ) -> Self {
        Self {
            service,
            method,
            path: path.into(),
            query: Vec::new(),
            microversion: None,
            body: None,
            content_type: None,
            operation,
        }
    }

    /// GET.
    pub(crate) fn get(
        service: Service,
        path: impl Into<Cow<'a, str>>,
        operation: &'static str,
    ) -> Self {
        Self::new(service, Method::GET, path, operation)
    }

    /// DELETE.
    pub(crate) fn delete(
        service: Service,
        path: impl Into<Cow<'a, str>>,
        operation: &'static str,
    ) -> Self {
        Self::new(service, Method::DELETE, path, operation)
    }

    /// POST of a JSON body.
    pub(crate) fn post(
        service: Service,
        path: impl Into<Cow<'a, str>>,
        body: serde_json::Value,
        operation: &'static str,
    ) -> Self {
        Self { body: Some(body), ..Self::new(service, Method::POST, path, operation) }
    }

    /// PUT of a JSON body.
    pub(crate) fn put(
        service: Service,
        path: impl Into<Cow<'a, str>>,
        body: serde_json::Value,
        operation: &'static str,
    ) -> Self {
        Self { body: Some(body), ..Self::new(service, Method::PUT, path, operation) }
    }

    /// With one query parameter more.
    pub(crate) fn with_query(mut self, key: &'a str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// At a microversion.
    pub(crate) fn at(mut self, microversion: Microversion) -> Self {
        self.microversion = Some(microversion);
        self
    }

    /// With a body of another type than JSON.
    pub(crate) fn with_content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// From this item on: the same call for the next page.
    pub(crate) fn after(mut self, marker: impl Into<String>) -> Self {
        self.query.retain(|(key, _)| *key != "marker");
        self.query.push(("marker", marker.into()));
        self
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply<T> {
    /// Its body.
    pub(crate) body: T,
    /// The cloud's id of the request.
    pub(crate) request_id: Option<String>,
    /// HTTP status.
    pub(crate) status: u16,
}

/// A name or id as one segment of a path: nothing in it can change the path's meaning.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            // `.` too: a segment of only dots would be taken out of the path.
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_segment_changes_the_meaning_of_its_path() {
        assert_eq!(segment("aba07ad8-9080-4ca8-b8f1-f9d0b40ea332").len(), 36);
        assert_eq!(segment("../é?a#/"), "%2E%2E%2F%C3%A9%3Fa%23%2F");
    }

    #[test]
    fn the_next_page_is_the_same_call_with_another_marker() {
        let call = Call::get(Service::Compute, "/servers", "list").with_query("limit", "2");
        let next = call.after("a").after("b");
        let query = [("limit", "2".to_owned()), ("marker", "b".to_owned())];
        assert_eq!(next.query, query);
    }
}
