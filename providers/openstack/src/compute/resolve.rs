//! What became of an intent. Nova has no idempotency key, so it is looked for by our metadata, which
//! was set in the create call itself. Tags and names only make a first look cheap.

use vcycle_api::{InstanceId, IntentToken, MachineName, ProviderError, Resolution, Timestamp};

use super::body::intent_tag;
use super::list::{self, Scan};
use super::server::Server;
use crate::session::{Call, Service};
use crate::site::Site;

const RESOLVE: &str = "find server of an intent";

/// What became of it. `ProvenAbsent` only from a look at everything that began after it had settled.
pub(crate) async fn resolve(
    site: &Site,
    intent: &IntentToken,
    since: Timestamp,
) -> Result<Resolution, ProviderError> {
    let settled = site.intents.has_settled(intent, since);
    let dialect = site.dialect().await?;
    if dialect.has_tags() {
        let found = some(site, ("tags", intent_tag(intent))).await?;
        if let Some(id) = of_intent(&found, intent) {
            return Ok(is_found(site, intent, id));
        }
        if !settled {
            // A look at everything would prove nothing yet.
            return Ok(Resolution::Unknown);
        }
    }
    let Scan { servers, missing } = list::scan(site).await?;
    if let Some(id) = of_intent(&servers, intent) {
        return Ok(is_found(site, intent, id));
    }
    if missing.is_some() || !settled {
        return Ok(Resolution::Unknown);
    }
    site.intents.resolved(intent);
    Ok(Resolution::ProvenAbsent)
}

fn is_found(site: &Site, intent: &IntentToken, id: InstanceId) -> Resolution {
    site.intents.resolved(intent);
    Resolution::Found(id)
}

/// The server of an intent, looked for by the name that it was given. For an intent that `resolve` knows
/// nothing of any more, or that is sent twice; it finds, and proves nothing.
pub(crate) async fn by_name(
    site: &Site,
    machine: &MachineName,
    intent: &IntentToken,
) -> Result<Option<InstanceId>, ProviderError> {
    // Nova matches names as regular expressions; a machine's name holds none of their characters.
    let found = some(site, ("name", format!("^{machine}$"))).await?;
    Ok(of_intent(&found, intent))
}

/// Servers that pass a filter of Nova's. Those of a cell that is down are not among them.
async fn some(site: &Site, filter: (&str, String)) -> Result<Vec<Server>, ProviderError> {
    let call = Call::get(Service::Compute, "/servers/detail", RESOLVE);
    let call = site.dialect().await?.say(call.with_query(filter.0, filter.1));
    let servers = site.session.pages::<Server>(call, "servers").await;
    servers.map_err(|failure| failure.of_read())
}

/// The one that carries the intent. Of several the oldest, and one that exists before a tombstone: the
/// core keeps the same one, and deletes the others.
fn of_intent(servers: &[Server], intent: &IntentToken) -> Option<InstanceId> {
    servers
        .iter()
        .filter(|server| server.tags().is_some_and(|tags| tags.intent == *intent))
        .min_by_key(|server| (server.status() == "DELETED", &server.created, &server.id))
        .and_then(|server| InstanceId::parse(&server.id).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vcycle_api::{
        DeploymentId, Generation, MachinetypeName, SpaceName, Tags, Timestamp as Time,
    };

    use super::*;

    fn tags(intent: u128) -> Tags {
        let machinetype = MachinetypeName::parse("dune").unwrap();
        Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("a.example").unwrap(),
            machine: MachineName::compose(&machinetype, 3),
            machinetype,
            intent: IntentToken::compose(intent),
            generation: Generation(4),
            deadline: Time::from_secs(1_767_200_000),
        }
    }

    fn server(id: &str, created: &str, status: &str, tags: &Tags) -> Server {
        let metadata = tags.to_map();
        let value = json!({ "id": id, "name": tags.machine, "status": status, "created": created,
            "metadata": metadata });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn of_two_servers_of_one_intent_the_oldest_that_exists_is_it() {
        let (mine, other) = (tags(1), tags(2));
        let servers = [
            server("other", "2026-11-21T00:00:00Z", "ACTIVE", &other),
            server("gone", "2026-11-21T00:30:00Z", "DELETED", &mine),
            server("younger", "2026-11-21T02:00:00Z", "ACTIVE", &mine),
            server("older", "2026-11-21T01:00:00Z", "ERROR", &mine),
        ];
        let found = |intent| of_intent(&servers, &IntentToken::compose(intent));
        assert_eq!(found(1), Some(InstanceId::parse("older").unwrap()));
        assert_eq!(found(2), Some(InstanceId::parse("other").unwrap()));
        assert_eq!(found(3), None);
    }

    #[test]
    fn a_server_with_our_name_and_other_metadata_is_not_it() {
        let mut stranger = server("x", "2026-11-21T00:00:00Z", "ACTIVE", &tags(1));
        stranger.metadata.as_mut().unwrap().remove("vcycle_deadline");
        assert_eq!(of_intent(&[stranger], &IntentToken::compose(1)), None);
    }
}
