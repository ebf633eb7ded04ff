//! All metrics, in one documented struct, as Prometheus reads them from `/metrics`.
//!
//! Two kinds. What happens to requests and cycles is counted here as it happens. What is true of
//! spaces, machinetypes and machines is derived from the [`Board`] at the moment of the scrape
//! (`metrics_board.rs`), from the same rows that people see, so the two can never disagree.
//! Labels hold only names of the configuration and words from closed sets, so their number is bounded.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::metrics_board;
use crate::model::{Board, SpaceName, Timestamp};

/// Which of our listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listening {
    /// HTTPS for VMs.
    Https,
    /// Plain HTTP for VMs: reads only.
    Http,
    /// Status, metrics and health for people.
    Admin,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Admin => "admin",
        })
    }
}

impl EncodeLabelValue for Listening {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.to_string().as_str(), encoder)
    }
}

/// Why a connection was closed before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turned {
    /// Its address has too many connections already.
    Address,
    /// All addresses together have too many.
    Total,
    /// The TLS handshake failed: not TLS, or a client certificate that is expired or not trusted.
    Handshake,
    /// The TLS handshake or the first header took too long.
    Slow,
}

impl EncodeLabelValue for Turned {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let word = match self {
            Self::Address => "address-limit",
            Self::Total => "total-limit",
            Self::Handshake => "handshake",
            Self::Slow => "slow",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    listener: Listening,
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: Listening,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnedLabels {
    listener: Listening,
    why: Turned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpaceLabels {
    space: String,
}

/// One answered request.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Where it came in.
    pub listener: Listening,
    /// `GET`, `HEAD`, `PUT` or `other`.
    pub method: &'a str,
    /// The pattern of the path that matched, or `none`.
    pub route: &'a str,
    /// The status of the answer.
    pub status: u16,
}

/// What is counted as it happens. Cheap to share; every method may be called from anywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    connections: Family<ListenerLabels, Gauge>,
    turned_away: Family<TurnedLabels, Counter>,
    upload_bytes: Family<SpaceLabels, Counter>,
    cycle_seconds: Family<SpaceLabels, Histogram, fn() -> Histogram>,
    certificate_expiry: Gauge,
    certificate_refused: Gauge,
}

/// Upper bounds of the cycle histogram, in seconds: a steady cycle takes milliseconds, a slow cloud minutes.
const CYCLE_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        let new = Self {
            registry: Registry::default(),
            requests: Family::default(),
            connections: Family::default(),
            turned_away: Family::default(),
            upload_bytes: Family::default(),
            cycle_seconds: Family::new_with_constructor(|| Histogram::new(CYCLE_BUCKETS)),
            certificate_expiry: Gauge::default(),
            certificate_refused: Gauge::default(),
        };
        new.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "vcycle_http_requests",
            "Requests answered, by listener, method, pattern of the path, and status",
            self.requests.clone(),
        );
        registry.register(
            "vcycle_http_connections",
            "Connections open now",
            self.connections.clone(),
        );
        registry.register(
            "vcycle_http_turned_away",
            "Connections closed before their first request, and why",
            self.turned_away.clone(),
        );
        registry.register(
            "vcycle_upload_bytes",
            "Bytes of outputs that VMs have put and that were kept",
            self.upload_bytes.clone(),
        );
        registry.register(
            "vcycle_cycle_seconds",
            "Time from the beginning of a cycle until its end was shown",
            self.cycle_seconds.clone(),
        );
        registry.register(
            "vcycle_tls_certificate_expiry_seconds",
            "Unix time at which the certificate of the HTTPS listener expires",
            self.certificate_expiry.clone(),
        );
        registry.register(
            "vcycle_tls_certificate_refused",
            "1 while newer certificate files are refused and the last good ones are in use",
            self.certificate_refused.clone(),
        );
        self
    }

    /// A request was answered.
    pub fn answered(&self, answered: Answered<'_>) {
        let Answered { listener, method, route, status } = answered;
        let labels =
            RequestLabels { listener, method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
    }

    /// A connection was opened.
    pub fn connected(&self, listener: Listening) {
        self.connections.get_or_create(&ListenerLabels { listener }).inc();
    }

    /// A connection was closed.
    pub fn disconnected(&self, listener: Listening) {
        self.connections.get_or_create(&ListenerLabels { listener }).dec();
    }

    /// A connection was closed before its first request.
    pub fn turned_away(&self, listener: Listening, why: Turned) {
        self.turned_away.get_or_create(&TurnedLabels { listener, why }).inc();
    }

    /// A VM's output was kept.
    pub fn uploaded(&self, space: &SpaceName, bytes: u64) {
        self.upload_bytes.get_or_create(&SpaceLabels { space: space.to_string() }).inc_by(bytes);
    }

    /// A cycle ended, this long after it began.
    pub fn cycle_finished(&self, space: &SpaceName, took: Duration) {
        let labels = SpaceLabels { space: space.to_string() };
        self.cycle_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The space is not ours any more: its cycles are for its new owner to show.
    pub fn forget_cycles(&self, space: &SpaceName) {
        self.cycle_seconds.remove(&SpaceLabels { space: space.to_string() });
    }

    /// The certificate in use, and whether newer files are refused.
    pub fn certificate(&self, expires: Timestamp, refused: Option<&str>) {
        self.certificate_expiry.set(expires.as_secs());
        self.certificate_refused.set(i64::from(refused.is_some()));
    }

    /// Everything in the OpenMetrics text format: what was counted, and what the board shows at `now`.
    pub fn render(&self, board: &Board, now: Timestamp) -> String {
        let mut text = String::new();
        let from_board = metrics_board::registry(board, now);
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &from_board))
            .and_then(|()| encode_eof(&mut text))
            .expect("writing into a String cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
