//! What Keystone gives for a credential: the token, whose it is, and the catalogue.

use serde::Deserialize;
use vcycle_api::Timestamp;

use super::time::parse_time;

/// Body of `POST /v3/auth/tokens` (Identity API v3, "Password authentication with scoped
/// authorization"); only what is used.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) token: Token,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    expires_at: String,
    issued_at: Option<String>,
    pub(super) user: Person,
    pub(super) project: Option<Named>,
    #[serde(default)]
    pub(super) roles: Vec<Role>,
    #[serde(default)]
    pub(super) catalog: Vec<CatalogEntry>,
    pub(super) application_credential: Option<Named>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    password_expires_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
}

/// A service of the catalogue.
#[derive(Debug, Deserialize)]
pub(super) struct CatalogEntry {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
}

/// An address of a service.
#[derive(Debug, Deserialize)]
pub(super) struct Endpoint {
    pub(super) interface: String,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    pub(super) url: String,
}

impl Endpoint {
    /// Its region, when it has one.
    pub(super) fn region(&self) -> Option<&str> {
        let region = self.region_id.as_deref().or(self.region.as_deref());
        region.filter(|name| !name.is_empty())
    }
}

impl Token {
    /// When it ends, by Keystone's clock.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        parse_time(&self.expires_at)
    }

    /// When it was made, by Keystone's clock.
    pub(super) fn issued(&self) -> Option<Timestamp> {
        parse_time(self.issued_at.as_deref()?)
    }

    /// When the user's password ends.
    pub(super) fn password_expires(&self) -> Option<Timestamp> {
        parse_time(self.user.password_expires_at.as_deref()?)
    }
}
