//! A gateway between the provider and a real cloud: it passes everything on, and loses replies,
//! pages and whole connections when it is told to. What it passes is the cloud's own word; only the
//! addresses in it are changed, so that the provider comes back through here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;

/// What goes wrong from now on, each `bool` for the next such request only.
#[derive(Debug, Default)]
pub(crate) struct Mischief {
    pub(crate) lose_create_after: bool,
    pub(crate) lose_create_before: bool,
    pub(crate) lose_delete: bool,
    pub(crate) lose_page: bool,
    /// Id of a flavour that the next server is made of in place of the one that was asked for.
    pub(crate) swap_flavor: Option<String>,
    /// Nobody's credentials are good.
    pub(crate) revoked: bool,
    /// All requests fail until the provider's client has made so many calls.
    pub(crate) storm: Option<Storm>,
}

/// A time in which nothing gets through.
#[derive(Debug, Clone)]
pub(crate) struct Storm {
    pub(crate) calls: u32,
    /// Throttled, with this time to wait; or no answer at all.
    pub(crate) weather: Weather,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Weather {
    Throttled(Option<Duration>),
    Silent,
}

/// What passed.
#[derive(Debug, Default)]
struct Seen {
    token: Option<String>,
    /// The compute endpoint, as it stood before `/servers` or `/flavors`.
    compute: Option<String>,
    /// Every server that was made, also when its reply was lost.
    made: Vec<String>,
    mutations: u64,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    http: reqwest::Client,
    here: String,
    origins: Mutex<Vec<String>>,
    pub(crate) mischief: Mutex<Mischief>,
    seen: Mutex<Seen>,
}

/// What becomes of a request.
enum Fate {
    Pass,
    /// It arrives; its reply does not.
    Lost,
    /// It does not arrive.
    Never,
    Answer(u16, Value, Option<Duration>),
}

/// An error that makes the server close the connection without a word.
#[derive(Debug)]
struct HangUp;
impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up")
    }
}
impl std::error::Error for HangUp {}

type Answer = Result<Response<Full<Bytes>>, HangUp>;

impl Gateway {
    /// Listens on a free port of this host until the runtime ends.
    pub(crate) async fn start(http: reqwest::Client) -> Arc<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Arc::new(Self {
            http,
            here,
            origins: Mutex::default(),
            mischief: Mutex::default(),
            seen: Mutex::default(),
        });
        let served = Arc::clone(&gateway);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let gateway = Arc::clone(&served);
                tokio::spawn(async move {
                    let serve = service_fn(move |request| Arc::clone(&gateway).serve(request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // An error is a connection that was hung up on purpose, or by the client.
                    builder.serve_connection(TokioIo::new(stream), serve).await.ok();
                });
            }
        });
        gateway
    }

    /// The address here that stands for one of the cloud.
    pub(crate) fn through(&self, url: &str) -> String {
        let (origin, path) = split_origin(url);
        let mut origins = self.origins.lock().unwrap();
        let number = origins.iter().position(|known| known == origin).unwrap_or_else(|| {
            origins.push(origin.to_owned());
            origins.len() - 1
        });
        format!("{}/o{number}{path}", self.here)
    }

    /// The provider's client has ended a call: storms last for a number of calls, not of requests.
    pub(crate) fn called(&self) {
        let mut mischief = self.mischief.lock().unwrap();
        if let Some(storm) = &mut mischief.storm {
            storm.calls = storm.calls.saturating_sub(1);
            if storm.calls == 0 {
                mischief.storm = None;
            }
        }
    }

    /// Requests so far that may have changed the cloud, logins left out.
    pub(crate) fn mutations(&self) -> u64 {
        self.seen.lock().unwrap().mutations
    }

    /// The servers that were made through here since the last time.
    pub(crate) fn take_made(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().made)
    }

    /// A call to Nova with the provider's own token, as somebody else in the project.
    pub(crate) async fn nova(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: &str,
    ) -> (u16, Value) {
        let (token, compute) = {
            let seen = self.seen.lock().unwrap();
            (seen.token.clone(), seen.compute.clone())
        };
        let (token, compute) = token.zip(compute).expect("the provider has spoken to Nova before");
        let mut request = self.http.request(method, format!("{compute}{path}"));
        request =
            request.header("X-Auth-Token", token).header("X-OpenStack-Nova-API-Version", version);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    fn fate(&self, method: &Method, path: &str, query: Option<&str>) -> Fate {
        let mut mischief = self.mischief.lock().unwrap();
        let once = |flag: &mut bool, now: bool| now && std::mem::take(flag);
        match mischief.storm.as_ref().map(|storm| storm.weather) {
            Some(Weather::Silent) => return Fate::Never,
            Some(Weather::Throttled(after)) => {
                let body =
                    serde_json::json!({"overLimit": {"code": 429, "message": "too many requests"}});
                return Fate::Answer(429, body, after);
            }
            None => {}
        }
        if mischief.revoked {
            // Keystone's own words for a token that is not good any more.
            let message = "The request you have made requires authentication.";
            let body = serde_json::json!({"error": {"code": 401, "message": message, "title": "Unauthorized"}});
            return Fate::Answer(401, body, None);
        }
        let create = is_create(method, path);
        let delete = *method == Method::DELETE && path.contains("/servers/");
        let later_page =
            path.ends_with("/servers/detail") && query.is_some_and(|q| q.contains("marker="));
        if once(&mut mischief.lose_create_before, create)
            || once(&mut mischief.lose_page, later_page)
        {
            Fate::Never
        } else if once(&mut mischief.lose_create_after, create)
            || once(&mut mischief.lose_delete, delete)
        {
            Fate::Lost
        } else {
            Fate::Pass
        }
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
        let (origin, path) = self.target(head.uri.path()).ok_or(HangUp)?;
        self.look_at(&head, &origin, &path);
        let lost = match self.fate(&head.method, &path, head.uri.query()) {
            Fate::Pass => false,
            Fate::Lost => true,
            Fate::Never => return Err(HangUp),
            Fate::Answer(status, body, after) => return Ok(refusal(status, &body, after)),
        };
        let body = self.with_flavor_swapped(&head.method, &path, body);
        let url = format!(
            "{origin}{path}{}",
            head.uri.query().map_or(String::new(), |q| format!("?{q}"))
        );
        let mut forward = self.http.request(head.method.clone(), url).body(body);
        for (name, value) in &head.headers {
            // Hop-by-hop, or made anew; and no packed answers, since addresses in them are changed.
            if !matches!(
                name.as_str(),
                "host" | "content-length" | "connection" | "accept-encoding"
            ) {
                forward = forward.header(name, value);
            }
        }
        let answer = forward.send().await.map_err(|_| HangUp)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| HangUp)?;
        self.look_at_reply(&head.method, &path, &body);
        if lost {
            return Err(HangUp);
        }
        let body = self.with_addresses_here(&path, body);
        let mut reply = Response::builder().status(status);
        for (name, value) in &headers {
            if !matches!(name.as_str(), "content-length" | "connection" | "transfer-encoding") {
                reply = reply.header(name, value);
            }
        }
        Ok(reply.body(Full::new(body)).expect("a reply made of a reply"))
    }

    /// The real address that a path here stands for.
    fn target(&self, path: &str) -> Option<(String, String)> {
        let rest = path.strip_prefix("/o")?;
        let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let origin = self.origins.lock().unwrap().get(number.parse::<usize>().ok()?)?.clone();
        Some((origin, format!("/{rest}")))
    }

    fn look_at(&self, head: &hyper::http::request::Parts, origin: &str, path: &str) {
        let mut seen = self.seen.lock().unwrap();
        let place = path.find("/servers").or_else(|| path.find("/flavors"));
        let token = head.headers.get("X-Auth-Token").and_then(|token| token.to_str().ok());
        if let (Some(place), Some(token)) = (place, token) {
            seen.compute = Some(format!("{origin}{}", &path[..place]));
            seen.token = Some(token.to_owned());
        }
        if !matches!(head.method, Method::GET | Method::HEAD) && !path.contains("/auth/tokens") {
            seen.mutations += 1;
        }
    }

    /// A server that is to be removed in the end.
    pub(crate) fn note_made(&self, id: &str) {
        self.seen.lock().unwrap().made.push(id.to_owned());
    }

    fn look_at_reply(&self, method: &Method, path: &str, body: &Bytes) {
        if is_create(method, path)
            && let Ok(answer) = serde_json::from_slice::<Value>(body)
            && let Some(id) = answer["server"]["id"].as_str()
        {
            self.note_made(id);
        }
    }

    fn with_flavor_swapped(&self, method: &Method, path: &str, body: Bytes) -> Bytes {
        if !is_create(method, path) {
            return body;
        }
        let Some(flavor) = self.mischief.lock().unwrap().swap_flavor.take() else { return body };
        let mut asked: Value = serde_json::from_slice(&body).expect("a create is JSON");
        asked["server"]["flavorRef"] = Value::String(flavor);
        Bytes::from(asked.to_string())
    }

    /// Replaces the cloud's addresses by ours. What the catalogue names is known from then on.
    fn with_addresses_here(&self, path: &str, body: Bytes) -> Bytes {
        if path.ends_with("/auth/tokens")
            && let Ok(answer) = serde_json::from_slice::<Value>(&body)
        {
            for service in answer["token"]["catalog"].as_array().into_iter().flatten() {
                for endpoint in service["endpoints"].as_array().into_iter().flatten() {
                    endpoint["url"].as_str().inspect(|url| drop(self.through(url)));
                }
            }
        }
        let Ok(text) = std::str::from_utf8(&body) else { return body };
        if !text.trim_start().starts_with(['{', '[']) {
            return body;
        }
        let mut by_length: Vec<(String, String)> = {
            let origins = self.origins.lock().unwrap();
            let here = |n| format!("{}/o{n}", self.here);
            origins.iter().enumerate().map(|(n, origin)| (origin.clone(), here(n))).collect()
        };
        // Longest first: one may be the beginning of another (a host with and without its port).
        by_length.sort_by_key(|(origin, _)| std::cmp::Reverse(origin.len()));
        Bytes::from(replace_addresses(text, &by_length))
    }
}

fn is_create(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.ends_with("/servers")
}

fn refusal(status: u16, body: &Value, after: Option<Duration>) -> Response<Full<Bytes>> {
    let mut reply = Response::builder().status(status).header("Content-Type", "application/json");
    if let Some(after) = after {
        reply = reply.header("Retry-After", after.as_secs().to_string());
    }
    reply.body(Full::new(Bytes::from(body.to_string()))).expect("a plain reply")
}

/// `http://host:port` and the rest.
fn split_origin(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(end)
}

/// In one pass, so that what was put in is not looked at again.
fn replace_addresses(text: &str, pairs: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = pairs.iter().find(|(origin, _)| {
            rest.strip_prefix(origin.as_str()).is_some_and(|then| then.starts_with(['/', '"', '?']))
        });
        let (put, skip) = match found {
            Some((origin, here)) => (here.as_str(), origin.len()),
            None => ("http", 4),
        };
        out.push_str(put);
        rest = &rest[skip..];
    }
    out.push_str(rest);
    out
}

#[test]
fn addresses_are_replaced_once_and_whole() {
    let pairs = [
        ("http://c:8774".to_owned(), "http://127.0.0.1:1/o1".to_owned()),
        ("http://c".to_owned(), "http://127.0.0.1:1/o0".to_owned()),
    ];
    let text = r#"["http://c:8774/v2.1/servers", "http://c/identity", "http://cc", "http:", "http://c.d/"]"#;
    assert_eq!(
        replace_addresses(text, &pairs),
        r#"["http://127.0.0.1:1/o1/v2.1/servers", "http://127.0.0.1:1/o0/identity", "http://cc", "http:", "http://c.d/"]"#
    );
}
