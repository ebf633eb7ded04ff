//! A request as it came, taken apart once.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

/// A service of the cloud, by the first segment of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// Keystone.
    Identity,
    /// Nova.
    Compute,
    /// Glance.
    Image,
    /// Neutron.
    Network,
    /// Cinder.
    Volume,
    /// Blazar.
    Reservation,
    /// CloudKitty.
    Rating,
}

impl Target {
    pub(crate) const ALL: [Self; 7] = [
        Self::Identity,
        Self::Compute,
        Self::Image,
        Self::Network,
        Self::Volume,
        Self::Reservation,
        Self::Rating,
    ];

    /// Its segment.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Compute => "compute",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Reservation => "reservation",
            Self::Rating => "rating",
        }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) target: Target,
    /// Segments after the service's own, decoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

fn decoded(segment: &str) -> String {
    // A form's decoding differs in `+` only, which no path of OpenStack has.
    let form = format!("x={segment}");
    let pair = url::form_urlencoded::parse(form.as_bytes()).next();
    pair.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl Ask {
    /// Takes a request apart; `None`: no service is there.
    pub(crate) fn new(parts: &Parts, body: Bytes) -> Option<Self> {
        let mut segments = parts.uri.path().split('/').filter(|segment| !segment.is_empty());
        let word = segments.next()?;
        let target = Target::ALL.into_iter().find(|target| target.word() == word)?;
        let query = parts.uri.query().unwrap_or_default();
        Some(Self {
            method: parts.method.as_str().to_owned(),
            target,
            path: segments.map(decoded).collect(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.clone(),
            body,
        })
    }

    /// Method and segments, to match on.
    pub(crate) fn route(&self) -> (&str, Vec<&str>) {
        (&self.method, self.path.iter().map(String::as_str).collect())
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    pub(crate) fn param(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}
