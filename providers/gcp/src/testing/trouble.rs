//! What may befall requests on their way, whatever the cloud is in truth.

use std::time::Duration;

use super::ask::{Ask, Target};
use super::reply::{self, Reply};
use super::schema::document;

/// Which requests a trouble befalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them, those for tokens too.
    Any,
    /// All of Compute Engine's.
    Compute,
    /// A page of the billing catalogue is asked for.
    Catalogue,
    /// A token is asked for.
    Token,
    /// A machine is inserted.
    Insert,
    /// A machine is deleted.
    Delete,
    /// One machine is asked for.
    Get,
    /// A page of machines is asked for.
    List,
    /// The second and further pages of machines.
    LaterPage,
    /// An operation, or a list of them, is asked for.
    Operations,
    /// A method by its id, for example `compute.regions.get`.
    Method(String),
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
    /// Carried out, but this is the answer, as of a proxy in front of a slow service.
    Mask(Refusal),
    /// Carried out and answered after this time.
    Slow(Duration),
}

/// An answer that is none of the cloud's own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: String,
    /// Body.
    pub body: String,
}

impl Refusal {
    /// A refusal in the API's own form.
    pub fn new(status: u16, reason: &str, message: &str) -> Self {
        Self::of(&reply::refusal(status, reason, message))
    }

    /// Too many requests in this minute.
    pub fn rate() -> Self {
        Self::of(&reply::too_many("Queries"))
    }

    /// The backend is not there.
    pub fn backend() -> Self {
        Self::new(
            503,
            "backendError",
            "Internal error. Please try again or contact Google Support.",
        )
    }

    /// The caller may not do this.
    pub fn forbidden(permission: &str) -> Self {
        Self::of(&reply::forbidden(permission, "projects/vcycle-lab"))
    }

    /// A page of a proxy in front of the API.
    pub fn proxy(status: u16) -> Self {
        let body = format!("<html><title>Error {status}</title>\nThe proxy says no.\n</html>\n");
        Self { status, content_type: "text/html; charset=UTF-8".to_owned(), body }
    }

    fn of(reply: &Reply) -> Self {
        let content_type = reply.headers.iter().find(|(name, _)| *name == "Content-Type");
        Self {
            status: reply.status,
            content_type: content_type.map(|(_, value)| value.clone()).unwrap_or_default(),
            body: String::from_utf8_lossy(&reply.body).into_owned(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::text(self.status, &self.content_type, self.body.clone())
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
    fn fits(&self, ask: &Ask) -> bool {
        let method = match ask.target {
            Target::Compute => {
                document().find(&ask.method, &ask.path).map(|(method, _)| &method.id)
            }
            Target::Billing
            | Target::Token
            | Target::Credentials
            | Target::Metadata
            | Target::Nowhere => None,
        };
        let method = method.map(String::as_str).unwrap_or_default();
        let list = matches!(method, "compute.instances.list" | "compute.instances.aggregatedList");
        match self {
            Self::Any => true,
            Self::Compute => ask.target == Target::Compute,
            Self::Catalogue => ask.target == Target::Billing,
            Self::Token => match ask.target {
                Target::Token | Target::Credentials | Target::Metadata => true,
                Target::Compute | Target::Billing | Target::Nowhere => false,
            },
            Self::Insert => method == "compute.instances.insert",
            Self::Delete => method == "compute.instances.delete",
            Self::Get => method == "compute.instances.get",
            Self::List => list,
            Self::LaterPage => list && ask.param("pageToken").is_some(),
            Self::Operations => method.contains("Operations."),
            Self::Method(id) => method == id,
        }
    }
}
