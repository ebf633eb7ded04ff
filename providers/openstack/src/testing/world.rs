//! The whole cloud in one struct, and the way of a request to its service.

use std::sync::Arc;

use vcycle_api::{Clock, Timestamp};

use super::ask::{Ask, Target};
use super::blazar;
use super::cinder::{self, Volumes};
use super::cloudkitty;
use super::glance::{self, Images};
use super::identity::{self, Identity};
use super::neutron::{self, Network};
use super::nova::{self, Nova};
use super::reply::{self, Reply};
use super::site::Site;
use super::trouble::Troubles;
use super::words::Ids;

/// A request that came, for tests that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Service and path, without the query: `compute/v2.1/servers/detail`.
    pub path: String,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// Status of the answer; `None`: there was none, or it broke off.
    pub status: Option<u16>,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) clock: Arc<dyn Clock>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) ids: Ids,
    pub(crate) identity: Identity,
    pub(crate) nova: Nova,
    pub(crate) images: Images,
    pub(crate) network: Network,
    pub(crate) volumes: Volumes,
    pub(crate) troubles: Troubles,
    pub(crate) asked: Vec<Asked>,
    /// Requests that changed a resource.
    pub(crate) mutations: u64,
}

impl World {
    pub(crate) fn new(site: Site, clock: Arc<dyn Clock>, base: String) -> Self {
        let images = Images::new(&site);
        Self {
            identity: Identity::new(&site),
            nova: Nova::default(),
            network: Network::new(&site),
            volumes: Volumes::default(),
            troubles: Troubles::default(),
            ids: Ids::default(),
            asked: Vec::new(),
            mutations: 0,
            images,
            site,
            clock,
            base,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, ask: &Ask) -> Reply {
        nova::bury(self);
        let answer = match ask.target {
            Target::Identity => identity::answer(self, ask),
            Target::Compute => nova::answer(self, ask),
            Target::Image => glance::answer(self, ask),
            Target::Network => neutron::answer(self, ask),
            Target::Volume => cinder::answer(self, ask),
            Target::Reservation => blazar::answer(self, ask),
            Target::Rating => cloudkitty::answer(self, ask),
        };
        let done = answer.is_ok();
        let request = self.ids.request();
        let mut reply = answer.unwrap_or_else(|refusal| refusal);
        if done && ask.method != "GET" && ask.target != Target::Identity {
            self.mutations += 1;
        }
        if matches!(ask.target, Target::Compute | Target::Volume) {
            reply = reply.with("x-compute-request-id", request.clone());
        }
        reply.with("x-openstack-request-id", request)
    }

    /// The answer to a path that begins with no service.
    pub(crate) fn nowhere() -> Reply {
        reply::no_such_path()
    }

    pub(crate) fn note(&mut self, ask: &Ask, status: Option<u16>) {
        let path = format!("{}/{}", ask.target.word(), ask.path.join("/"));
        let (method, query) = (ask.method.clone(), ask.query.clone());
        self.asked.push(Asked { method, path, query, status });
    }
}
