//! What may befall requests on their way, whatever the cloud is in truth.

use std::time::Duration;

use serde_json::json;

use super::ask::{Ask, Target};
use super::reply::{self, Reply};

/// Which requests a trouble befalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them, logins too.
    Any,
    /// All of them but those to Keystone.
    AnyButIdentity,
    /// A token is asked for.
    Login,
    /// A server is created.
    Create,
    /// A server is deleted, by `DELETE` or `forceDelete`.
    Delete,
    /// One server is asked for.
    Show,
    /// A page of servers is asked for.
    List,
    /// The second and further pages of servers.
    LaterPage,
    /// The content of an image is uploaded.
    Upload,
    /// The path after the service's segment contains this, for example `v2/images`.
    Path(String),
}

/// What befalls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Read and forgotten: the connection closes without an answer.
    LoseRequest,
    /// Carried out: the connection closes without an answer.
    LoseReply,
    /// Carried out: the answer breaks off in the middle of its body.
    CutReply,
    /// Refused; nothing is done.
    Refuse(Refusal),
    /// Carried out and answered after this time.
    Slow(Duration),
    /// Refused with 400 and a message that repeats the whole request, as Nova's validation does.
    RepeatRequest,
    /// The server after which the page begins is gone just before it is carried out.
    MarkerVanishes,
}

/// An answer that is none of the services' own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Seconds, for the header `Retry-After`.
    pub retry_after: Option<u64>,
    /// Media type of the body.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Refusal {
    /// 429 as Nova and a rate limit in front of it write it.
    pub fn too_many(retry_after: Option<u64>) -> Self {
        Self::over_limit(429, retry_after)
    }

    /// 413 as older Novas and site proxies write the same.
    pub fn over_limit_413(retry_after: Option<u64>) -> Self {
        Self::over_limit(413, retry_after)
    }

    fn over_limit(status: u16, retry_after: Option<u64>) -> Self {
        let mut fault = json!({ "code": status, "message": "This request was rate-limited." });
        if let Some(seconds) = retry_after {
            fault["retryAfter"] = json!(seconds.to_string());
        }
        let body = json!({ "overLimit": fault }).to_string();
        Self { status, retry_after, content_type: "application/json", body }
    }

    /// A fault of Nova's own, in its form: 500 and 503.
    pub fn fault(status: u16, message: &str) -> Self {
        let reply = reply::fault(status, message);
        let body = String::from_utf8(reply.body).expect("JSON is text");
        Self { status, retry_after: None, content_type: "application/json", body }
    }

    /// A page of a proxy in front of the services.
    pub fn proxy(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1>\nThe proxy says no.\n</body></html>\n");
        Self { status, retry_after: None, content_type: "text/html", body }
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut reply = Reply::empty(self.status).with("Content-Type", self.content_type);
        reply.body = self.body.clone().into_bytes();
        match self.retry_after {
            Some(seconds) => reply.with("Retry-After", seconds.to_string()),
            None => reply,
        }
    }
}

/// A trouble that waits for its requests.
#[derive(Debug)]
struct Waiting {
    on: On,
    skip: u32,
    times: u32,
    trouble: Trouble,
}

/// All troubles, in the order in which they were ordered: the first that fits is used.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    waiting: Vec<Waiting>,
    /// Time before each answer.
    pub(crate) delay: Duration,
}

impl Troubles {
    pub(crate) fn order(&mut self, on: On, skip: u32, times: u32, trouble: Trouble) {
        self.waiting.push(Waiting { on, skip, times, trouble });
    }

    pub(crate) fn calm(&mut self) {
        self.waiting.clear();
    }

    /// The trouble of this request, used up.
    pub(crate) fn take(&mut self, ask: &Ask) -> Option<Trouble> {
        self.waiting.retain(|waiting| waiting.times > 0);
        for waiting in &mut self.waiting {
            if !waiting.on.fits(ask) {
                continue;
            }
            if waiting.skip > 0 {
                waiting.skip -= 1;
                continue;
            }
            waiting.times = waiting.times.saturating_sub(1);
            return Some(waiting.trouble.clone());
        }
        None
    }
}

impl On {
    pub(crate) fn fits(&self, ask: &Ask) -> bool {
        let (method, path) = ask.route();
        let compute = ask.target == Target::Compute;
        let list = compute && method == "GET" && matches!(path[..], [_, "servers", "detail"]);
        let list = list || (compute && method == "GET" && matches!(path[..], [_, "servers"]));
        match self {
            Self::Any => true,
            Self::AnyButIdentity => ask.target != Target::Identity,
            Self::Login => {
                ask.target == Target::Identity
                    && method == "POST"
                    && path.ends_with(&["auth", "tokens"])
            }
            Self::Create => compute && method == "POST" && matches!(path[..], [_, "servers"]),
            Self::Delete => {
                let forced = || String::from_utf8_lossy(&ask.body).contains("forceDelete");
                compute
                    && match (method, &path[..]) {
                        ("DELETE", [_, "servers", _]) => true,
                        ("POST", [_, "servers", _, "action"]) => forced(),
                        _ => false,
                    }
            }
            Self::Show => {
                compute && method == "GET" && !list && matches!(path[..], [_, "servers", _])
            }
            Self::List => list,
            Self::LaterPage => list && ask.param("marker").is_some(),
            Self::Upload => {
                ask.target == Target::Image && method == "PUT" && path.last() == Some(&"file")
            }
            Self::Path(part) => path.join("/").contains(part),
        }
    }
}
