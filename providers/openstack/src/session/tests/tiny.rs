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
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_login(&self) -> bool {
        self.path == "/v3/auth/tokens"
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Says {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// As the middleware in front of the services refuses a token.
    pub(crate) fn refused_by_keystone() -> Self {
        let body = json!({"error": {"code": 401, "title": "Unauthorized", "message": "no"}});
        Self::json(401, &body).with("www-authenticate", "Keystone uri=\"http://k/v3\"")
    }
}

type Answers = dyn Fn(&Seen) -> Says + Send + Sync;

pub(crate) struct Tiny {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Inside {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Answers>,
}

impl Tiny {
    pub(crate) async fn start(answers: impl Fn(&Seen) -> Says + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, url, answers)
    }

    /// The same behind any door.
    pub(crate) fn serve<L>(
        listener: L,
        url: String,
        answers: impl Fn(&Seen) -> Says + Send + Sync + 'static,
    ) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inside =
            Inside { url: url.clone(), seen: Arc::clone(&seen), answers: Arc::new(answers) };
        let app = axum::Router::new().fallback(handle).with_state(inside);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn logins(&self) -> usize {
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
pub(crate) fn token(secret: &str, project: &str, life: i64) -> Says {
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
pub(crate) fn hour() -> Says {
    token("token-1", "p1", 3600)
}

/// A session with password credentials, and its clock.
pub(crate) struct Setup {
    pub(crate) session: Session,
    pub(crate) clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

pub(crate) fn open(urls: &[&str], adjust: impl FnOnce(&mut Settings)) -> Setup {
    let (mut settings, folder) = settings(urls);
    adjust(&mut settings);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_000_000)));
    let session = Session::open(&settings, clock.clone()).unwrap();
    Setup { session, clock, _folder: folder }
}

/// Settings with one credential (`secret-0`, `secret-1`, ...) for each address.
pub(crate) fn settings(urls: &[&str]) -> (Settings, tempfile::TempDir) {
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
    (settings, folder)
}
