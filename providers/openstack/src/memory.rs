//! What the last looks at the cloud have shown, as far as later calls need it: whose side resources are
//! to be marked, which servers stand, which ones only wait for their end. Nothing here proves anything.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vcycle_api::{DeploymentId, InstanceId, Tags};

use crate::compute::{Server, SoftDeleted};

/// A server of ours whose volumes and ports do not carry our mark yet, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmarked {
    pub(crate) server: String,
    pub(crate) tags: Tags,
    /// Ids of the volumes that Nova made for it.
    pub(crate) volumes: Vec<String>,
}

/// The memory.
#[derive(Debug)]
pub(crate) struct Memory(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whose machines are ours. `None` until it is known: then nobody's side resources are.
    deployment: Option<DeploymentId>,
    /// Ids of servers that the last complete listing showed.
    standing: HashSet<String>,
    /// Ids of those whose end was asked for.
    ending: HashSet<String>,
    /// Ids of servers that the site keeps for a while after their delete.
    soft_deleted: HashSet<String>,
    force: SoftDeleted,
    unmarked: BTreeMap<String, Unmarked>,
    marked: HashSet<String>,
}

impl Memory {
    pub(crate) fn new(deployment: Option<DeploymentId>) -> Self {
        Self(Mutex::new(Inner {
            deployment,
            standing: HashSet::new(),
            ending: HashSet::new(),
            soft_deleted: HashSet::new(),
            force: SoftDeleted::CanBeForced,
            unmarked: BTreeMap::new(),
            marked: HashSet::new(),
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine of this deployment is made here, so it is ours.
    pub(crate) fn remember_deployment(&self, deployment: &DeploymentId) {
        self.inner().deployment.get_or_insert_with(|| deployment.clone());
    }

    /// Whose machines are ours.
    pub(crate) fn deployment(&self) -> Option<DeploymentId> {
        self.inner().deployment.clone()
    }

    /// A listing.
    pub(crate) fn saw(&self, servers: &[Server], is_complete: bool) {
        let mut inner = self.inner();
        if is_complete {
            inner.standing = HashSet::with_capacity(servers.len());
            inner.soft_deleted.clear();
            inner.unmarked.clear();
        }
        for server in servers {
            inner.meet(server);
        }
        if is_complete {
            let Inner { standing, ending, marked, .. } = &mut *inner;
            marked.retain(|server| standing.contains(server));
            ending.retain(|server| standing.contains(server));
        }
    }

    /// One server.
    pub(crate) fn met(&self, server: &Server) {
        self.inner().meet(server);
    }

    /// Whether the server was standing when everything was last looked at.
    pub(crate) fn stands(&self, server: &str) -> bool {
        self.inner().standing.contains(server)
    }

    /// Servers that were standing, are not among these, and whose end nobody asked for, in a fixed order.
    pub(crate) fn vanished(&self, servers: &[Server]) -> Vec<String> {
        let inner = self.inner();
        let listed: HashSet<&str> = servers.iter().map(|server| server.id.as_str()).collect();
        let gone = inner.standing.iter().filter(|id| !listed.contains(id.as_str()));
        let mut vanished: Vec<String> =
            gone.filter(|id| !inner.ending.contains(*id)).cloned().collect();
        vanished.sort_unstable();
        vanished
    }

    /// Its end has been asked for.
    pub(crate) fn remember_ending(&self, id: &InstanceId) {
        self.inner().ending.insert(id.as_str().to_owned());
    }

    /// The cloud itself says that it has ended.
    pub(crate) fn remember_ended(&self, server: &str) {
        self.inner().standing.remove(server);
    }

    /// Whether the server has been deleted, and the site keeps it.
    pub(crate) fn is_soft_deleted(&self, id: &InstanceId) -> bool {
        let inner = self.inner();
        inner.force == SoftDeleted::CanBeForced && inner.soft_deleted.contains(id.as_str())
    }

    /// How servers that the site keeps after their delete are seen.
    pub(crate) fn soft_deleted(&self) -> SoftDeleted {
        self.inner().force
    }

    /// The site does not let us end them.
    pub(crate) fn remember_force_refused(&self) {
        self.inner().force = SoftDeleted::IsFinal;
    }

    /// Up to `most` servers of ours whose side resources are to be marked.
    pub(crate) fn unmarked(&self, most: usize) -> Vec<Unmarked> {
        self.inner().unmarked.values().take(most).cloned().collect()
    }

    /// All side resources of this server carry our mark.
    pub(crate) fn remember_marked(&self, server: &str) {
        let mut inner = self.inner();
        inner.unmarked.remove(server);
        inner.marked.insert(server.to_owned());
    }
}

impl Inner {
    fn meet(&mut self, server: &Server) {
        let soft_deleted = server.status() == "SOFT_DELETED";
        let changed = match soft_deleted {
            true => self.soft_deleted.insert(server.id.clone()),
            false => self.soft_deleted.remove(&server.id),
        };
        if changed {
            tracing::debug!(server = server.id, soft_deleted, "kept by the site after its delete");
        }
        if server.status() == "DELETED" {
            return;
        }
        self.standing.insert(server.id.clone());
        if server.is_ending() {
            self.ending.insert(server.id.clone());
        }
        if !has_its_resources(server) || self.marked.contains(&server.id) {
            return;
        }
        let Some(tags) =
            server.tags().filter(|tags| Some(&tags.deployment) == self.deployment.as_ref())
        else {
            return;
        };
        let volumes = server.own_volumes().map(str::to_owned).collect();
        let unmarked = Unmarked { server: server.id.clone(), tags, volumes };
        self.unmarked.insert(server.id.clone(), unmarked);
    }
}

/// While a server is being made its ports and volumes come one by one; when it goes they go.
fn has_its_resources(server: &Server) -> bool {
    !server.is_ending() && !matches!(server.status(), "BUILD" | "UNKNOWN" | "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vcycle_api::{Generation, IntentToken, MachineName, MachinetypeName, SpaceName, Timestamp};

    use super::*;

    fn tags(deployment: u64) -> Tags {
        let machinetype = MachinetypeName::parse("dune").unwrap();
        Tags {
            deployment: DeploymentId::compose(deployment),
            space: SpaceName::parse("a.example").unwrap(),
            machine: MachineName::compose(&machinetype, 3),
            machinetype,
            intent: IntentToken::compose(1),
            generation: Generation(4),
            deadline: Timestamp::from_secs(1_767_200_000),
        }
    }

    fn server(id: &str, status: &str, tags: &Tags) -> Server {
        let volumes = json!([
            { "id": format!("volume-of-{id}"), "delete_on_termination": true },
            { "id": "of-a-person", "delete_on_termination": false },
            { "id": "of-nobody-knows-whom" },
        ]);
        let value = json!({ "id": id, "name": "x", "status": status, "metadata": tags.to_map(),
            "os-extended-volumes:volumes_attached": volumes });
        serde_json::from_value(value).unwrap()
    }

    fn unmarked(memory: &Memory) -> Vec<String> {
        memory.unmarked(100).into_iter().map(|unmarked| unmarked.server).collect()
    }

    #[test]
    fn only_servers_of_our_deployment_that_are_made_want_marks() {
        let memory = Memory::new(None);
        let servers = [
            server("ours", "ACTIVE", &tags(1)),
            server("theirs", "ACTIVE", &tags(2)),
            server("young", "BUILD", &tags(1)),
            server("failed", "ERROR", &tags(1)),
        ];
        memory.saw(&servers, true);
        assert_eq!(unmarked(&memory), [""; 0], "whose are ours is not known yet");
        memory.remember_deployment(&tags(1).deployment);
        memory.saw(&servers, true);
        assert_eq!(unmarked(&memory), ["failed", "ours"]);
        assert_eq!(memory.unmarked(1)[0].volumes, ["volume-of-failed"]);
    }

    #[test]
    fn what_is_marked_is_not_marked_again_and_forgotten_with_its_server() {
        let memory = Memory::new(Some(tags(1).deployment));
        memory.saw(&[server("a", "ACTIVE", &tags(1))], true);
        memory.remember_marked("a");
        memory.saw(&[server("a", "ACTIVE", &tags(1))], true);
        assert_eq!(unmarked(&memory), [""; 0]);
        memory.saw(&[], true);
        memory.saw(&[server("a", "ACTIVE", &tags(1))], true);
        assert_eq!(unmarked(&memory), ["a"]);
    }

    #[test]
    fn a_partial_listing_takes_nothing_back() {
        let memory = Memory::new(None);
        memory.saw(&[server("a", "ACTIVE", &tags(1))], true);
        memory.saw(&[server("b", "ACTIVE", &tags(1))], false);
        assert!(memory.stands("a") && memory.stands("b"));
        memory.saw(&[], true);
        assert!(!memory.stands("a"));
    }

    #[test]
    fn only_what_stood_and_was_not_asked_to_end_has_vanished() {
        let memory = Memory::new(None);
        let all = ["a", "b", "c", "d"].map(|id| server(id, "ACTIVE", &tags(1)));
        memory.saw(&all, true);
        memory.remember_ending(&InstanceId::parse("b").unwrap());
        assert_eq!(memory.vanished(&all[..1]), ["c", "d"]);
        memory.remember_ended("c");
        memory.saw(&all[..1], false);
        assert_eq!(memory.vanished(&all[..1]), ["d"], "a partial listing explains nothing");
        memory.saw(&all[..1], true);
        assert_eq!(memory.vanished(&all[..1]), [""; 0]);
    }

    #[test]
    fn a_server_that_was_restored_is_not_soft_deleted_any_more() {
        let (memory, id) = (Memory::new(None), InstanceId::parse("a").unwrap());
        memory.met(&server("a", "SOFT_DELETED", &tags(1)));
        assert!(memory.is_soft_deleted(&id));
        memory.met(&server("a", "ACTIVE", &tags(1)));
        assert!(!memory.is_soft_deleted(&id));
        memory.met(&server("a", "SOFT_DELETED", &tags(1)));
        memory.remember_force_refused();
        assert!(!memory.is_soft_deleted(&id), "asking again would only be refused again");
    }
}
