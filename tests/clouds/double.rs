//! The doubles of the clouds behind one set of levers. What each lever means is the double's affair; what came of
//! everything is read off its books.

use std::sync::Arc;
use std::time::Duration;

use vcycle::model::{DeploymentId, OfferingId};
use vcycle_api::{Act, Clock, Market};

use super::books::Books;

/// What befalls requests on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woe {
    /// Read and forgotten: the connection closes without an answer.
    LoseRequest,
    /// Carried out: the connection closes without an answer.
    LoseReply,
    /// Carried out: the answer breaks off in the middle.
    CutReply,
    /// Carried out, but the answer is that the service is not available.
    Mask,
    /// Refused because there are too many, and not carried out.
    Throttle,
    /// Carried out, and answered after this time.
    Slow(Duration),
}

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// All of them.
    Any,
    /// Those that make a machine.
    Create,
    /// Those that end one.
    Delete,
    /// A listing of machines.
    List,
}

/// The double of a cloud, with one space's tenancy in it.
pub trait Double: Send + Sync {
    /// A provider for a process that starts now: it remembers nothing.
    fn open(&self, deployment: &DeploymentId, clock: Arc<dyn Clock>) -> Arc<dyn Act>;

    /// What it has written down.
    fn books(&self) -> Books;

    /// Requests so far.
    fn requests(&self) -> usize;

    /// What it told that its own description does not allow, or was asked so.
    fn problems(&self) -> Vec<String>;

    /// Everything that it sells.
    fn offerings(&self) -> Vec<OfferingId>;

    /// Somebody else makes a machine of two processors in the same tenancy.
    fn add_stranger(&self);

    /// There is none of this offering from now on; `None`: of none.
    fn runs_short(&self, offering: Option<&OfferingId>);

    /// As [`Double::runs_short`], but creates are accepted first, and come to nothing a while later.
    fn runs_short_late(&self, offering: &OfferingId);

    /// No more processors of this market may be in use from now on.
    fn limit(&self, market: Market, processors: u32);

    /// There is enough of everything again.
    fn restock(&self);

    /// Takes a machine back that may be, by the double's id: with notice, if this cloud gives one.
    fn take_back(&self, id: &str);

    /// The guest of a machine shuts it down, by the double's id.
    fn guest_ends(&self, id: &str);

    /// Everything shows late from now on: new machines in listings, refusals of accepted creates.
    fn sluggish(&self);

    /// Everything shows soon again.
    fn brisk(&self);

    /// One of the zones fails.
    fn zone_fails(&self);

    /// All zones work.
    fn zones_recover(&self);

    /// Refuses everybody from now on.
    fn refuse_everybody(&self);

    /// Nobody is refused any more.
    fn refuse_nobody(&self);

    /// After so many that go well, the next so many requests are in trouble.
    fn befall(&self, on: On, skip_and_times: (u32, u32), woe: Woe);

    /// No request is in trouble any more.
    fn calm(&self);
}
