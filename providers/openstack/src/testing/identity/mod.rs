//! Keystone v3: versions, tokens, application credentials, and who a token stands for.

mod catalog;
mod credentials;
mod tokens;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::reply::{self, Answer, Reply};
use super::site::{Site, SiteCredential};
use super::world::World;

/// A token that was given out.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) tenant: usize,
    pub(crate) scoped: bool,
    pub(crate) method: &'static str,
    /// The application credential that it was given for.
    pub(crate) credential: Option<String>,
    pub(crate) audit: String,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
}

/// Keystone's own state.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) tokens: HashMap<String, Token>,
    /// Application credentials of each tenant.
    pub(crate) credentials: Vec<Vec<SiteCredential>>,
    /// User names and application credential ids that are refused.
    pub(crate) refused: BTreeSet<String>,
    /// Everybody is refused.
    pub(crate) closed: bool,
}

impl Identity {
    pub(crate) fn new(site: &Site) -> Self {
        let credentials = site.tenants.iter().map(|tenant| tenant.credentials.clone()).collect();
        Self { tokens: HashMap::new(), credentials, refused: BTreeSet::new(), closed: false }
    }

    /// Refuses a user or an application credential from now on, and ends its tokens.
    pub(crate) fn refuse(&mut self, site: &Site, who: &str) {
        self.refused.insert(who.to_owned());
        self.tokens.retain(|_, token| match &token.credential {
            Some(credential) => credential != who,
            None => site.tenants[token.tenant].user != who,
        });
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: usize,
    /// The token was given for an application credential.
    pub(crate) by_credential: bool,
}

impl World {
    /// Who asks; 401 without a good token.
    pub(crate) fn caller(&self, ask: &Ask) -> Result<Caller, Reply> {
        let token = ask.header("X-Auth-Token").and_then(|token| self.token(token));
        let token = token.ok_or_else(|| reply::unauthorized(&self.base))?;
        Ok(Caller { tenant: token.tenant, by_credential: token.credential.is_some() })
    }

    /// A token that is good now.
    pub(crate) fn token(&self, token: &str) -> Option<&Token> {
        let token = self.identity.tokens.get(token)?;
        (!self.identity.closed && self.now() < token.expires).then_some(token)
    }

    /// The id of the caller's project.
    pub(crate) fn project_id(&self, caller: &Caller) -> &str {
        &self.site.tenants[caller.tenant].project_id
    }
}

pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let (method, path) = ask.route();
    match (method, path.as_slice()) {
        ("GET", []) => Ok(versions(world)),
        ("GET", ["v3"]) => Ok(Reply::json(200, &json!({ "version": version(world) }))),
        ("POST", ["v3", "auth", "tokens"]) => tokens::issue(world, ask),
        ("GET", ["v3", "auth", "tokens"]) => tokens::show(world, ask),
        ("DELETE", ["v3", "auth", "tokens"]) => tokens::revoke(world, ask),
        ("GET", ["v3", "users", user, "application_credentials"]) => {
            credentials::list(world, ask, user)
        }
        ("POST", ["v3", "users", user, "application_credentials"]) => {
            credentials::create(world, ask, user)
        }
        ("GET", ["v3", "users", user, "application_credentials", id]) => {
            credentials::show(world, ask, user, id)
        }
        ("DELETE", ["v3", "users", user, "application_credentials", id]) => {
            credentials::delete(world, ask, user, id)
        }
        _ => Err(reply::keystone(404, "Not Found", "The resource could not be found.")),
    }
}

fn version(world: &World) -> Value {
    let media = "application/vnd.openstack.identity-v3+json";
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{ "rel": "self", "href": format!("{}/identity/v3/", world.base) }],
        "media-types": [{ "base": "application/json", "type": media }],
    })
}

fn versions(world: &World) -> Reply {
    let all = json!({ "versions": { "values": [version(world)] } });
    Reply::json(300, &all).with("Location", format!("{}/identity/v3/", world.base))
}
