//! Who is asking: tokens of the token endpoint, of the IAM credentials API and of the metadata server, and
//! the assertions that a service account signs itself.

mod assertion;
mod key;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use vcycle_api::{Clock, SystemClock, Timestamp};

use super::ask::{Ask, Target};
use super::reply::{self, Reply};
use super::site::{Login, Site};
use super::words::Ids;
use super::world::World;
use assertion::Fault;
pub(crate) use key::private_pem;

/// A token that was given out.
#[derive(Debug, Clone)]
struct Token {
    who: String,
    /// By the host's clock: the libraries that use tokens know no other.
    until: Duration,
}

/// Everything about tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    given: BTreeMap<String, Token>,
    /// Assertions that were used as tokens, and are no longer good.
    ended: BTreeSet<String>,
    seen: BTreeSet<String>,
    /// Nobody is known any more.
    pub(crate) closed: bool,
    host: SystemClock,
    /// Tokens given out so far.
    pub(crate) count: u64,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self {
            given: BTreeMap::new(),
            ended: BTreeSet::new(),
            seen: BTreeSet::new(),
            closed: false,
            host: SystemClock::new(),
            count: 0,
        }
    }

    /// Ends every token, whatever was promised when it was given out.
    pub(crate) fn end_all(&mut self) {
        self.given.clear();
        self.ended.append(&mut self.seen);
    }

    /// Whether a request comes from somebody who may be here.
    pub(crate) fn knows(&mut self, site: &Site, ask: &Ask) -> bool {
        if self.closed {
            return false;
        }
        let bearer = ask.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(bearer) = bearer else { return site.login == Login::Anyone };
        if let Some(token) = self.given.get(bearer) {
            return token.until > self.host.monotonic();
        }
        // A service account may sign its requests itself (google.aip.dev/auth/4111).
        if self.ended.contains(bearer) {
            return false;
        }
        let good = assertion::check(bearer, &site.account, &[], self.host.now()).is_ok();
        if good {
            self.seen.insert(bearer.to_owned());
        }
        good
    }

    fn give(&mut self, ids: &mut Ids, who: &str, life: Duration) -> String {
        let token = ids.token();
        let until = self.host.monotonic() + life;
        self.given.insert(token.clone(), Token { who: who.to_owned(), until });
        self.count += 1;
        token
    }
}

/// Answers what is not Compute Engine's.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Reply {
    match ask.target {
        Target::Token => token(world, ask),
        Target::Credentials => credentials(world, ask),
        Target::Metadata => metadata(world, ask),
        Target::Compute | Target::Billing | Target::Nowhere => reply::no_such_path(),
    }
}

fn oauth(error: &str, description: &str) -> Reply {
    Reply::json(400, &json!({ "error": error, "error_description": description }))
}

/// The token endpoint: an assertion of a service account (RFC 7523), or the refresh token of a person.
fn token(world: &mut World, ask: &Ask) -> Reply {
    let grant = ask.form("grant_type").unwrap_or_default();
    if world.login.closed {
        return oauth("invalid_grant", "Invalid grant: account not found");
    }
    let who = match grant.as_str() {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let assertion = ask.form("assertion").unwrap_or_default();
            // Google's Python library names Google's endpoint, whichever it asks.
            let own = format!("{}/token", world.base);
            let audiences = [own.as_str(), "https://oauth2.googleapis.com/token"];
            let now = world.login.host.now();
            match assertion::check(&assertion, &world.site.account, &audiences, now) {
                Ok(()) => world.site.account.clone(),
                Err(Fault(why)) => return oauth("invalid_grant", why),
            }
        }
        "refresh_token" if ask.form("refresh_token").as_deref() == Some(REFRESH) => {
            "person@example.org".to_owned()
        }
        "refresh_token" => return oauth("invalid_grant", "Bad Request"),
        _ => return oauth("unsupported_grant_type", "Invalid grant_type"),
    };
    let life = world.site.times.token;
    let token = world.login.give(&mut world.ids, &who, life);
    let body =
        json!({ "access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer" });
    Reply::json(200, &body)
}

/// The refresh token in [`super::FakeCloud::person_file`].
pub(crate) const REFRESH: &str = "1//refresh-of-a-person";

/// `generateAccessToken`: a token of another service account.
fn credentials(world: &mut World, ask: &Ask) -> Reply {
    let target = ask.path.last().map(String::as_str).unwrap_or_default();
    let Some(email) = target.strip_suffix(":generateAccessToken") else {
        return reply::no_such_path();
    };
    let site = world.site.clone();
    if !world.login.knows(&site, ask) {
        return reply::unauthorized();
    }
    if !site.impersonates.iter().any(|own| own == email) {
        let message = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource.";
        return reply::refusal(403, "forbidden", message);
    }
    let life = site.times.token;
    let token = world.login.give(&mut world.ids, email, life);
    let until: Timestamp = world.login.host.now() + life;
    let until = jiff::Timestamp::from_second(until.as_secs()).unwrap_or_default();
    Reply::json(200, &json!({ "accessToken": token, "expireTime": until.to_string() }))
}

/// The metadata server of the machine that the client would run on.
fn metadata(world: &mut World, ask: &Ask) -> Reply {
    // Requests without the header are refused: a browser cannot be made to send it.
    if ask.header("metadata-flavor") != Some("Google") {
        return Reply::text(
            403,
            "text/html; charset=UTF-8",
            "Missing Metadata-Flavor:Google header.",
        );
    }
    let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
    let site = world.site.clone();
    let text = |text: String| Reply::text(200, "application/text", text);
    let zone = site.zones.first().cloned().unwrap_or_default();
    let reply = match path[..] {
        ["project", "project-id"] => text(site.project),
        ["project", "numeric-project-id"] => text(site.project_number.to_string()),
        ["instance", "zone"] => text(format!("projects/{}/zones/{zone}", site.project_number)),
        ["universe", "universe-domain"] | ["universe", "universe_domain"] => {
            text("googleapis.com".to_owned())
        }
        ["instance", "service-accounts", "default", "email"] => text(site.account),
        ["instance", "service-accounts", "default"] => {
            let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
            Reply::json(
                200,
                &json!({ "email": site.account, "aliases": ["default"], "scopes": scopes }),
            )
        }
        ["instance", "service-accounts", "default", "token"] if !world.login.closed => {
            let life = site.times.token;
            let token = world.login.give(&mut world.ids, &site.account, life);
            let life = life.as_secs();
            let body = json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" });
            Reply::json(200, &body)
        }
        _ => Reply::text(404, "text/html; charset=UTF-8", "Not Found"),
    };
    reply.with("Metadata-Flavor", "Google")
}

impl Tokens {
    /// Whose tokens are good now.
    pub(crate) fn who(&self) -> BTreeSet<String> {
        let now = self.host.monotonic();
        let good = self.given.values().filter(|token| token.until > now);
        good.map(|token| token.who.clone()).collect()
    }
}
