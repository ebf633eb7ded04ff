//! Ports of ours: marked while their server lives, listed and removed when it is gone.
//!
//! Neutron's tags are plain texts of at most 60 characters (older releases) without a key, so each pair
//! of ours is written `key=value`, and what is longer in pieces, `key.0=...`, `key.1=...`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vcycle_api::{Deletion, DeploymentId, ErrorKind, Identity, ProviderError, Tags};

use crate::memory::Unmarked;
use crate::session::{Call, Service, segment};
use crate::side::{Found, Kind, Marked, server_of};
use crate::site::Site;

const LIST: &str = "list ports";
const MARK: &str = "mark port";
const GET: &str = "get port";
const DELETE: &str = "delete port";

/// The longest tag that every release takes.
const TAG_CHARS: usize = 60;

/// Ports asked for in one page. Sites may give fewer.
const PAGE: u32 = 1000;

/// Servers in one question: an address of a page must stay shorter than 8 kB.
const SERVERS_ASKED: usize = 50;

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Port {
    pub(crate) id: String,
    /// The server that it is for; empty: none.
    #[serde(default)]
    pub(crate) device_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    tags: Vec<String>,
}

impl Port {
    /// Whether Nova made it for its server. A port that a person made and attached mostly has a name, and when
    /// its server goes Nova takes the server's id off it.
    fn is_novas(&self) -> bool {
        self.name.is_empty() && !self.device_id.is_empty()
    }
}

/// The tags as Neutron can hold them.
fn labels(tags: &Tags) -> Vec<String> {
    let pairs = tags.to_map();
    let mut labels = vec![crate::compute::deployment_tag(tags)];
    for (key, value) in &pairs {
        if key.len() + 1 + value.len() <= TAG_CHARS {
            labels.push(format!("{key}={value}"));
            continue;
        }
        // Names of ours are ASCII, so every byte is a character.
        let room = TAG_CHARS - key.len() - "=.00".len();
        for (number, piece) in value.as_bytes().chunks(room).enumerate() {
            labels.push(format!("{key}.{number}={}", String::from_utf8_lossy(piece)));
        }
    }
    labels
}

/// What [`labels`] wrote. Others' tags between them do not matter.
fn tags_of(labels: &[String]) -> Option<Tags> {
    let mut pieces: BTreeMap<(&str, u32), &str> = BTreeMap::new();
    for label in labels {
        let Some((key, value)) = label.split_once('=') else { continue };
        let (key, number) = match key.rsplit_once('.') {
            Some((key, number)) => (key, number.parse().unwrap_or(0)),
            None => (key, 0),
        };
        pieces.insert((key, number), value);
    }
    let mut map: BTreeMap<String, String> = BTreeMap::new();
    for ((key, _), value) in pieces {
        map.entry(key.to_owned()).or_default().push_str(value);
    }
    match Identity::from_map(&map) {
        Identity::Vcycle(tags) => Some(tags),
        Identity::Foreign => None,
    }
}

/// The ports of these servers.
pub(crate) async fn of_servers(
    site: &Site,
    servers: &[Unmarked],
) -> Result<Vec<Port>, ProviderError> {
    let mut ports = Vec::new();
    if !site.has(Service::Network).await? {
        return Ok(ports);
    }
    for some in servers.chunks(SERVERS_ASKED) {
        let mut call = listing();
        for server in some {
            call = call.with_query("device_id", server.server.as_str());
        }
        ports.extend(ask(site, call).await?);
    }
    Ok(ports)
}

/// Gives a port that Nova made our marks, unless it has them.
pub(crate) async fn mark(site: &Site, port: &Port, tags: &Tags) -> Result<(), ProviderError> {
    if !port.is_novas() || tags_of(&port.tags).as_ref() == Some(tags) {
        return Ok(());
    }
    // All tags are written at once; those of others stay.
    let ours = labels(tags);
    let others = port.tags.iter().filter(|tag| !tag.starts_with("vcycle_") && !ours.contains(tag));
    let all: Vec<&String> = others.chain(&ours).collect();
    let path = format!("/ports/{}/tags", segment(&port.id));
    let call = Call::put(Service::Network, path, json!({ "tags": all }), MARK);
    match site.session.send(call).await {
        Ok(_) => Ok(()),
        // It went meanwhile, or this Neutron cannot tag ports: there is nothing to mark.
        Err(failure) if failure.status == Some(404) => Ok(()),
        Err(failure) => Err(failure.of_read()),
    }
}

/// The ports that carry our deployment's marks; none where there is no Neutron.
pub(crate) async fn marked(
    site: &Site,
    deployment: &DeploymentId,
) -> Result<Vec<Marked>, ProviderError> {
    if !site.has(Service::Network).await? {
        return Ok(Vec::new());
    }
    let ports = ask(site, listing().with_query("tags", format!("vcycle-{deployment}"))).await?;
    let marked = ports.into_iter().filter(Port::is_novas).filter_map(|port| {
        let tags = tags_of(&port.tags).filter(|tags| tags.deployment == *deployment)?;
        Some(Marked { kind: Kind::Port, tags, server: server_of(&port.device_id), id: port.id })
    });
    Ok(marked.collect())
}

fn listing<'a>() -> Call<'a> {
    let mut call =
        Call::get(Service::Network, "/ports", LIST).with_query("limit", PAGE.to_string());
    for field in ["id", "device_id", "name", "tags"] {
        call = call.with_query("fields", field);
    }
    call
}

async fn ask(site: &Site, call: Call<'_>) -> Result<Vec<Port>, ProviderError> {
    site.session.pages::<Port>(call, "ports").await.map_err(|failure| failure.of_read())
}

#[derive(Deserialize)]
struct One {
    port: Port,
}

/// A port as it is now; `None`: there is none.
pub(crate) async fn get(site: &Site, id: &str) -> Result<Option<Found>, ProviderError> {
    let call = Call::get(Service::Network, format!("/ports/{}", segment(id)), GET);
    let port = match site.session.call::<One>(call).await {
        Ok(reply) => reply.body.port,
        Err(failure) => {
            let error = failure.of_read();
            return if error.kind == ErrorKind::NotFound { Ok(None) } else { Err(error) };
        }
    };
    let tags = tags_of(&port.tags).filter(|_| port.is_novas());
    let server = server_of(&port.device_id);
    Ok(Some(Found { kind: Kind::Port, id: port.id, tags, server }))
}

/// Removes a port.
pub(crate) async fn delete(site: &Site, id: &str) -> Result<Deletion, ProviderError> {
    let call = Call::delete(Service::Network, format!("/ports/{}", segment(id)), DELETE);
    match site.session.send(call).await {
        Ok(_) => Ok(Deletion::Accepted),
        Err(failure) => {
            let error = failure.of_delete();
            match error.kind == ErrorKind::NotFound {
                true => Ok(Deletion::AlreadyGone),
                false => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vcycle_api::{Generation, IntentToken, MachineName, MachinetypeName, SpaceName, Timestamp};

    use super::*;
    use crate::compute::captured;

    fn longest() -> Tags {
        let machinetype = MachinetypeName::parse(&format!("0-{}", "m".repeat(38))).unwrap();
        Tags {
            deployment: DeploymentId::parse(&"d9".repeat(16)).unwrap(),
            space: SpaceName::parse(&format!("a_b-c.{}.9", "s".repeat(92))).unwrap(),
            machine: MachineName::compose(&machinetype, u64::MAX),
            machinetype,
            intent: IntentToken::compose(u128::MAX),
            generation: Generation(u64::MAX),
            deadline: Timestamp::from_secs(99_999_999_999),
        }
    }

    #[test]
    fn the_longest_tags_come_back_from_short_labels_in_any_order() {
        let mut labels = labels(&longest());
        assert!(labels.iter().all(|label| label.len() <= TAG_CHARS), "{labels:?}");
        labels.reverse();
        labels.insert(3, "somebody=else".to_owned());
        assert_eq!(tags_of(&labels), Some(longest()));
    }

    #[test]
    fn a_label_that_is_missing_makes_it_nobodys() {
        let whole = labels(&longest());
        for missing in 1..whole.len() {
            let mut labels = whole.clone();
            labels.remove(missing);
            assert_ne!(tags_of(&labels), Some(longest()), "without {}", whole[missing]);
        }
    }

    #[test]
    fn a_port_that_nova_let_go_or_that_has_a_name_is_a_persons() {
        let port = |device: &str, name: &str| {
            let value = json!({ "id": "1", "device_id": device, "name": name, "tags": [] });
            serde_json::from_value::<Port>(value).unwrap().is_novas()
        };
        assert!(port("server", ""));
        assert!(!port("", "") && !port("server", "mine"));
    }

    #[test]
    fn a_recorded_port_is_read() {
        let mut body = captured::body("143-server-ports");
        let ports: Vec<Port> = serde_json::from_value(body["ports"].take()).unwrap();
        assert_eq!(ports[0].device_id, "8bccfab8-81c3-4f17-a138-a702300330bb");
        assert_eq!(tags_of(&ports[0].tags), None);
    }
}
