//! What may befall requests on their way, whatever the cloud is in truth.

use std::time::Duration;

use super::ask::{Ask, Service};
use super::reply::Refusal;

/// Which requests a trouble befalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them.
    Any,
    /// All of a service.
    Service(Service),
    /// All with this name, for example `RunInstances`.
    Action(&'static str),
    /// The second and further pages of `DescribeInstances`.
    LaterPage,
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
    /// Carried out, but the answer is this error: EC2 may have done what it says it could not.
    RefuseAfter(Refusal),
    /// A page of a proxy in front of the service, with this status; nothing is done.
    Page(u16),
    /// Carried out and answered after this time, on the runtime's clock.
    Slow(Duration),
    /// Read from a replica that is this old: later machines and states do not show.
    Stale(Duration),
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
            waiting.times -= 1;
            return Some(waiting.trouble.clone());
        }
        None
    }
}

impl On {
    fn fits(&self, ask: &Ask) -> bool {
        match self {
            Self::Any => true,
            Self::Service(service) => ask.service == *service,
            Self::Action(action) => ask.action == *action,
            Self::LaterPage => {
                ask.action == "DescribeInstances" && ask.params.get("NextToken").is_some()
            }
        }
    }
}
