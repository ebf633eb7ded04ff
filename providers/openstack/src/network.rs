//! Networks: which ones a server of ours is put on (Neutron).

use std::time::Duration;

use serde::Deserialize;
use vcycle_api::{ErrorKind, ProviderError};

use crate::Networks;
use crate::session::{Call, Service};
use crate::site::Site;

const FIND: &str = "find network";

/// How long the ids of networks are remembered.
const LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Network {
    id: String,
}

/// The ids of the networks that the settings name, in their order; none where they name none.
pub(crate) async fn ids(site: &Site) -> Result<Vec<String>, ProviderError> {
    let wanted = match &site.settings.networks {
        Networks::Auto | Networks::None => return Ok(Vec::new()),
        Networks::These(wanted) => wanted,
    };
    let ids = site.networks.younger_than(LIFETIME, find_all(site, wanted)).await?;
    Ok(ids.to_vec())
}

async fn find_all(site: &Site, wanted: &[String]) -> Result<Vec<String>, ProviderError> {
    let mut ids = Vec::with_capacity(wanted.len());
    for name_or_id in wanted {
        ids.push(find(site, name_or_id).await?);
    }
    Ok(ids)
}

async fn find(site: &Site, name_or_id: &str) -> Result<String, ProviderError> {
    if looks_like_id(name_or_id)
        && let Some(network) = ask(site, ("id", name_or_id)).await?.into_iter().next()
    {
        return Ok(network.id);
    }
    the_one(name_or_id, ask(site, ("name", name_or_id)).await?)
}

/// The id of the only one. Which of several is meant, nobody but the admin can know.
fn the_one(name: &str, mut found: Vec<Network>) -> Result<String, ProviderError> {
    let wrong = |message| Err(ProviderError::new(ErrorKind::InvalidSpec, FIND, message));
    match (found.pop(), found.as_slice()) {
        (Some(network), []) => Ok(network.id),
        (Some(last), others) => {
            let others = others.iter().map(|network| network.id.as_str());
            let ids: Vec<&str> = others.chain([last.id.as_str()]).collect();
            wrong(format!("several networks are called {name}; name one by id: {}", ids.join(", ")))
        }
        (None, _) => wrong(format!("there is no network {name} for this project")),
    }
}

fn looks_like_id(text: &str) -> bool {
    let digits = text.chars().filter(|c| *c != '-');
    text.len() == 36
        && digits.clone().count() == 32
        && digits.clone().all(|c| c.is_ascii_hexdigit())
}

async fn ask(site: &Site, (key, value): (&str, &str)) -> Result<Vec<Network>, ProviderError> {
    let call = Call::get(Service::Network, "/networks", FIND)
        .with_query(key, value)
        .with_query("fields", "id");
    site.session.pages::<Network>(call, "networks").await.map_err(|failure| failure.of_read())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(ids: &[&str]) -> Vec<Network> {
        ids.iter().map(|id| Network { id: (*id).to_owned() }).collect()
    }

    #[test]
    fn a_name_must_mean_one_network() {
        assert_eq!(the_one("a", networks(&["1"])).unwrap(), "1");
        let none = the_one("a b", networks(&[])).unwrap_err();
        assert_eq!(none.kind, ErrorKind::InvalidSpec);
        let two = the_one("a", networks(&["1", "2"])).unwrap_err();
        assert!(two.message.contains("1, 2"), "{}", two.message);
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        assert!(looks_like_id("c896d7fc-fa87-4d69-b7c6-35ca023dc5a9"));
        assert!(!looks_like_id("c896d7fc-fa87-4d69-b7c6-35ca023dc5aX"));
        assert!(!looks_like_id("site-a-net"));
        assert!(!looks_like_id("réseau-de-trente-six-caractères-long"));
    }
}
