//! A request as it came, taken apart once.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// Compute Engine.
    Compute,
    /// The billing catalogue.
    Billing,
    /// The OAuth 2 token endpoint.
    Token,
    /// The IAM credentials API, which gives tokens of other service accounts.
    Credentials,
    /// The metadata server of a machine.
    Metadata,
    /// Nobody.
    Nowhere,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) target: Target,
    /// Segments after the target's own, decoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

fn decoded(segment: &str) -> String {
    // A form's decoding differs in `+` only, which no path here has.
    let form = format!("x={segment}");
    let pair = url::form_urlencoded::parse(form.as_bytes()).next();
    pair.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl Ask {
    /// Takes a request apart.
    pub(crate) fn new(parts: &Parts) -> Self {
        let segments = parts.uri.path().split('/').filter(|segment| !segment.is_empty());
        let mut path: Vec<String> = segments.map(decoded).collect();
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let (target, own) = match words[..] {
            ["compute", "v1", ..] => (Target::Compute, 2),
            ["v1", "services", _, "skus"] => (Target::Billing, 2),
            ["token"] => (Target::Token, 1),
            ["v1", "projects", "-", "serviceAccounts", _] => (Target::Credentials, 4),
            ["computeMetadata", "v1", ..] => (Target::Metadata, 2),
            _ => (Target::Nowhere, 0),
        };
        path.drain(..own);
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.as_str().to_owned(),
            target,
            path,
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.clone(),
            body: Bytes::new(),
        }
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter; an empty one is none.
    pub(crate) fn param(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A field of a body that is a form, or JSON: token endpoints of Google take both.
    pub(crate) fn form(&self, key: &str) -> Option<String> {
        if let Some(all) = self.json() {
            return all[key].as_str().map(str::to_owned);
        }
        let mut fields = url::form_urlencoded::parse(&self.body);
        fields.find(|(k, _)| k == key).map(|(_, value)| value.into_owned())
    }
}
