//! A tiny cloud: a function from a request to an answer, with Keystone answered for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use vcycle_api::{ManualClock, Timestamp};

use crate::session::Session;
use crate::{CloudRef, Credential, Settings};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn is_login(&self) -> bool {
        self.path == "/v3/auth/tokens"
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Says {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Says {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string() }
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// As the middleware in front of the services refuses a token.
    pub(super) fn refused_by_keystone() -> Self {
        let body = json!({"error": {"code": 401, "title": "Unauthorized", "message": "no"}});
        Self::json(401, &body).with("www-authenticate", "Keystone uri=\"http://k/v3\"")
    }
}

type Answers = dyn Fn(&Seen) -> Says + Send + Sync;

pub(super) struct Tiny {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Inside {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Answers>,
}

impl Tiny {
    pub(super) async fn start(answers: impl Fn(&Seen) -> Says + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inside =
            Inside { url: url.clone(), seen: Arc::clone(&seen), answers: Arc::new(answers) };
        let app = axum::Router::new().fallback(handle).with_state(inside);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn logins(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_login()).count()
    }
}

async fn handle(State(inside): State<Inside>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    inside.seen.lock().unwrap().push(seen.clone());
    let says = (inside.answers)(&seen);
    let mut response = Response::builder().status(StatusCode::from_u16(says.status).unwrap());
    for (name, value) in says.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(says.body.replace("http://HERE", &inside.url))).unwrap()
}

/// A token of `life` seconds by a Keystone whose clock stands in 2001.
pub(super) fn token(secret: &str, project: &str, life: i64) -> Says {
    let issued = Timestamp::from_secs(1_000_000_000);
    let expires = Timestamp::from_secs(1_000_000_000 + life);
    let endpoint = |url: &str| json!([{"interface": "public", "region": "R", "url": url}]);
    let body = json!({"token": {
        "issued_at": issued.to_string(),
        "expires_at": expires.to_string(),
        "user": {"id": "u1", "name": "user"},
        "project": {"id": project, "name": format!("{project}-name")},
        "roles": [{"name": "member"}],
        "catalog": [
            {"type": "compute", "endpoints": endpoint("http://HERE/compute/v2.1")},
            {"type": "image", "endpoints": endpoint("http://HERE/image")},
        ],
    }});
    Says::json(201, &body).with("x-subject-token", secret)
}

/// The usual token: an hour, project `p1`.
pub(super) fn hour() -> Says {
    token("token-1", "p1", 3600)
}

/// A session with one or two password credentials (`secret-0`, `secret-1`), and its clock.
pub(super) struct Setup {
    pub(super) session: Session,
    pub(super) clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

pub(super) fn open(urls: &[&str], adjust: impl FnOnce(&mut Settings)) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("clouds.yaml");
    let mut text = "clouds:\n".to_owned();
    for (i, url) in urls.iter().enumerate() {
        text += &format!(
            "  c{i}: {{auth: {{auth_url: '{url}', username: u, password: secret-{i}, \
             project_name: p}}}}\n"
        );
    }
    std::fs::write(&file, text).unwrap();
    let credential = |i: usize| Credential {
        cloud: CloudRef::Named { cloud: format!("c{i}"), file: Some(file.clone()) },
        region: None,
        interface: None,
    };
    let mut settings = Settings::new(credential(0));
    settings.credentials = (0..urls.len()).map(credential).collect();
    settings.request_time = Duration::from_secs(20);
    adjust(&mut settings);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_000_000)));
    let session = Session::open(&settings, clock.clone()).unwrap();
    Setup { session, clock, _folder: folder }
}
