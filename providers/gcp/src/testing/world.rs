//! The whole cloud in one struct, and the way of a request to who answers it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vcycle_api::Clock;

use super::ask::{Ask, Target};
use super::billing;
use super::compute::{self, Compute, Disk, Place};
use super::ledger::{Called, Ledger};
use super::login::{self, Tokens};
use super::reply::Reply;
use super::schema::Problem;
use super::site::Site;
use super::trouble::Troubles;
use super::words::Ids;

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) clock: Arc<dyn Clock>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) ids: Ids,
    pub(crate) login: Tokens,
    pub(crate) compute: Compute,
    pub(crate) troubles: Troubles,
    pub(crate) ledger: Ledger,
    pub(crate) problems: Vec<Problem>,
    /// Words that a test made up.
    pub(crate) odd_words: BTreeSet<String>,
    /// Calls that changed something.
    pub(crate) mutations: u64,
}

impl World {
    pub(crate) fn new(site: Site, clock: Arc<dyn Clock>, base: String) -> Self {
        let compute = Compute { now: clock.now(), ..Compute::default() };
        Self {
            site,
            clock,
            base,
            compute,
            ids: Ids::default(),
            login: Tokens::new(),
            troubles: Troubles::default(),
            ledger: Ledger::default(),
            problems: Vec::new(),
            odd_words: BTreeSet::new(),
            mutations: 0,
        }
    }

    /// Answers a request. `heard`: whether the answer arrives.
    pub(crate) fn answer(&mut self, ask: &Ask, heard: Heard) -> Reply {
        let (reply, method, names) = match ask.target {
            Target::Compute => compute::answer(self, ask),
            Target::Billing => (
                billing::answer(self, ask),
                "cloudbilling.services.skus.list".to_owned(),
                BTreeMap::new(),
            ),
            Target::Token | Target::Credentials | Target::Metadata | Target::Nowhere => (
                login::answer(self, ask),
                format!("{} {:?}", ask.method, ask.target),
                BTreeMap::new(),
            ),
        };
        let status = match heard {
            Heard::Yes => Some(reply.status),
            Heard::No => None,
        };
        self.note(ask, method, names, status);
        reply
    }

    /// Looks again for a call that is still waiting: it was written down when it came.
    pub(crate) fn look(&mut self, ask: &Ask) -> Reply {
        compute::answer(self, ask).0
    }

    /// Writes a request down that was not carried out.
    pub(crate) fn note_only(&mut self, ask: &Ask, status: Option<u16>) {
        let found = super::schema::document().find(&ask.method, &ask.path);
        let found = found.filter(|_| ask.target == Target::Compute);
        let (method, names) = match found {
            Some((method, names)) => {
                let names = names.into_iter().map(|(name, value)| (name.to_owned(), value));
                (method.id.clone(), names.collect())
            }
            None => (format!("{} {:?}", ask.method, ask.target), BTreeMap::new()),
        };
        self.note(ask, method, names, status);
    }

    fn note(
        &mut self,
        ask: &Ask,
        method: String,
        names: BTreeMap<String, String>,
        status: Option<u16>,
    ) {
        let at = self.clock.now();
        self.ledger.calls.push(Called { at, method, names, query: ask.query.clone(), status });
    }

    /// `projects/P/zones/Z/KIND/NAME`
    pub(crate) fn path(&self, zone: &str, kind: &str, name: &str) -> String {
        format!("projects/{}/zones/{zone}/{kind}/{name}", self.site.project)
    }

    /// The address of a path from `projects/`, as resources name each other: of Google, wherever we listen.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://www.googleapis.com/compute/v1/{path}")
    }

    /// Puts a disk that nobody uses into the cloud.
    pub(crate) fn add_disk(
        &mut self,
        place: &Place,
        gb: u32,
        labels: BTreeMap<String, String>,
    ) -> u64 {
        let id = self.ids.number();
        let disk = Disk {
            id,
            gb,
            kind: "pd-standard".to_owned(),
            image: None,
            labels,
            labels_version: 1,
            made: self.compute.now,
            user: None,
            attached: None,
            detached: None,
        };
        self.compute.disks.insert(place.clone(), disk);
        id
    }
}

/// Whether an answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Yes,
    No,
}
