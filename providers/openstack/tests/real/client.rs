//! The line to the provider under test, with two things added: calls are counted for the gateway's storms, and
//! servers that were in the project before are not shown, as the suite wants an empty tenancy.

use std::collections::BTreeSet;
use std::sync::Arc;

use vcycle_api::testing::Line;
use vcycle_api::{Instance, InstanceId, Listing};

use crate::gateway::Gateway;

pub(crate) struct Client {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) before: BTreeSet<InstanceId>,
}

impl Client {
    fn without_others(&self, mut all: Vec<Instance>) -> Vec<Instance> {
        all.retain(|instance| !self.before.contains(&instance.id));
        all
    }
}

impl Line for Client {
    fn listed(&self, listing: Listing) -> Listing {
        match listing {
            Listing::Complete(all) => Listing::Complete(self.without_others(all)),
            Listing::Partial { seen, why } => {
                Listing::Partial { seen: self.without_others(seen), why }
            }
        }
    }

    fn ended(&self) {
        self.gateway.called();
    }
}
