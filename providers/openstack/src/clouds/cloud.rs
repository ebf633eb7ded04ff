//! From a merged entry to what a login needs. Every key is checked here, once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::OpenError;
use super::file::Entry;
use super::find::Found;
use super::places::Places;
use super::tls::{self, Tls};
use crate::session::Service;

/// A credential with all that a login needs. Secrets are not shown by `Debug`.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    /// The entry in words.
    pub(crate) origin: String,
    /// Keystone, as written but for its version: always ends in `/v3`.
    pub(crate) auth_url: Url,
    /// How to log in.
    pub(crate) auth: Auth,
    /// The chosen region.
    pub(crate) region: Option<String>,
    /// The chosen interface of the catalogue.
    pub(crate) interface: String,
    /// Endpoints that go before the catalogue's.
    pub(crate) overrides: BTreeMap<Service, Url>,
    /// Certificates.
    pub(crate) tls: Tls,
    /// Files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// What its owner should know.
    pub(crate) notices: Vec<String>,
}

/// How to log in.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// As a user.
    Password {
        /// Who.
        user: User,
        /// The password.
        password: SecretString,
        /// For which project.
        project: Option<Project>,
    },
    /// With an application credential, which carries its project.
    ApplicationCredential {
        /// Which.
        credential: CredentialId,
        /// Its secret.
        secret: SecretString,
    },
    /// With a token from elsewhere.
    Token {
        /// The token.
        token: SecretString,
        /// For which project; `None`: the token's own.
        project: Option<Project>,
    },
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    /// By id.
    Id(String),
    /// By name in a domain.
    Name(String, Domain),
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Project {
    /// By id.
    Id(String),
    /// By name in a domain.
    Name(String, Domain),
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// An application credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialId {
    /// By id.
    Id(String),
    /// By name, of a user.
    Name(String, User),
}

const KNOWN: &str = "password, v3password, v3applicationcredential, token, v3token";

/// Checks a merged entry.
pub(super) fn check(found: Found, places: &Places) -> Result<Cloud, OpenError> {
    let Found { origin, entry, files, mut notices } = found;
    let reader = Reader { origin: &origin, entry: &entry };
    if let Some(version) = entry.get(&["identity_api_version"])
        && !version.starts_with('3')
    {
        return Err(reader.bad("identity_api_version", "must be 3: there is no other any more"));
    }
    let region = match entry.regions.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => {
            return Err(OpenError::Regions { origin, regions: several.to_vec() });
        }
    };
    let tls = tls::read(&reader, places)?;
    if matches!(tls.verify, tls::Verify::No) {
        notices.push(format!(
            "{origin}: verify is off: whoever stands between us and the cloud can read its credential"
        ));
    }
    let auth = reader.auth()?;
    Ok(Cloud {
        auth_url: reader.auth_url()?,
        auth,
        region,
        interface: reader.interface(),
        overrides: reader.overrides()?,
        tls,
        files,
        notices,
        origin: origin.clone(),
    })
}

/// Reads keys of one entry; knows how to complain about them.
pub(super) struct Reader<'a> {
    pub(super) origin: &'a str,
    pub(super) entry: &'a Entry,
}

impl Reader<'_> {
    pub(super) fn bad(&self, key: &str, why: impl Into<String>) -> OpenError {
        OpenError::Bad { origin: self.origin.to_owned(), key: key.to_owned(), why: why.into() }
    }

    fn missing(&self, key: &str) -> OpenError {
        OpenError::Missing { origin: self.origin.to_owned(), key: key.to_owned() }
    }

    fn get(&self, keys: &[&str]) -> Option<String> {
        self.entry.get(keys).map(str::to_owned)
    }

    fn need_secret(&self, keys: &[&str]) -> Result<SecretString, OpenError> {
        self.entry.secret(keys).ok_or_else(|| self.missing(keys[0]))
    }

    /// Keystone's address, with `/v3` whether it is written or not.
    fn auth_url(&self) -> Result<Url, OpenError> {
        let text = self.get(&["auth_url"]).ok_or_else(|| self.missing("auth_url"))?;
        let mut url = self.url("auth_url", &text)?;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/auth/tokens").unwrap_or(path);
        // RC files of old sites still name v2.0, beside which v3 stands.
        let base = ["/v3", "/v2.0"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        let path = format!("{base}/v3");
        url.set_path(&path);
        Ok(url)
    }

    /// An address, never shown in an error: its owner may have put a password into it.
    fn url(&self, key: &str, text: &str) -> Result<Url, OpenError> {
        let url = Url::parse(text).map_err(|error| self.bad(key, format!("is no URL: {error}")))?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(self.bad(key, "must begin with http:// or https:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.bad(key, "must not hold a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.bad(key, "must not have a query or a fragment"));
        }
        Ok(url)
    }

    fn interface(&self) -> String {
        let word = self.get(&["interface", "endpoint_type"]).unwrap_or_else(|| "public".to_owned());
        // The catalogue of v2 said `publicURL`; files still do.
        word.strip_suffix("URL").map_or(word.clone(), str::to_owned)
    }

    fn overrides(&self) -> Result<BTreeMap<Service, Url>, OpenError> {
        let mut all = BTreeMap::new();
        for service in Service::ALL {
            for kind in service.types() {
                let key = format!("{}_endpoint_override", kind.replace('-', "_"));
                if let Some(text) = self.entry.get(&[&key]) {
                    all.entry(service).or_insert(self.url(&key, text)?);
                }
            }
        }
        Ok(all)
    }

    fn auth(&self) -> Result<Auth, OpenError> {
        let given = self.get(&["auth_type"]);
        let has = |key| self.entry.get(&[key]).is_some();
        match given.as_deref() {
            Some("v3applicationcredential") => self.application_credential(),
            Some("password" | "v3password") => self.password(),
            Some("token" | "v3token") => self.token(),
            // Without a word the keys tell, as a credential that was pasted without its type still
            // has only one meaning.
            None if has("application_credential_secret") => self.application_credential(),
            None if !has("password") && (has("token") || has("auth_token")) => self.token(),
            None => self.password(),
            Some(other) => Err(OpenError::AuthType {
                origin: self.origin.to_owned(),
                given: other.to_owned(),
                known: KNOWN,
            }),
        }
    }

    fn password(&self) -> Result<Auth, OpenError> {
        let user = self.user()?.ok_or_else(|| self.missing("username (or user_id)"))?;
        let password = self.need_secret(&["password"])?;
        Ok(Auth::Password { user, password, project: self.project() })
    }

    fn token(&self) -> Result<Auth, OpenError> {
        let token = self.need_secret(&["token", "auth_token"])?;
        Ok(Auth::Token { token, project: self.project() })
    }

    fn application_credential(&self) -> Result<Auth, OpenError> {
        let secret = self.need_secret(&["application_credential_secret"])?;
        let id = self.get(&["application_credential_id"]);
        let name = self.get(&["application_credential_name"]);
        let credential = match (id, name) {
            (Some(id), _) => CredentialId::Id(id),
            (None, Some(name)) => {
                let user = self.user()?;
                let user = user.ok_or_else(|| {
                    self.missing("username (or user_id), needed with application_credential_name,")
                })?;
                CredentialId::Name(name, user)
            }
            (None, None) => {
                let keys = "application_credential_id (or application_credential_name)";
                return Err(self.missing(keys));
            }
        };
        Ok(Auth::ApplicationCredential { credential, secret })
    }

    fn user(&self) -> Result<Option<User>, OpenError> {
        if let Some(id) = self.get(&["user_id"]) {
            return Ok(Some(User::Id(id)));
        }
        let name = self.get(&["username", "user_name"]);
        Ok(name.map(|name| User::Name(name, self.domain("user_domain"))))
    }

    fn project(&self) -> Option<Project> {
        if let Some(id) = self.get(&["project_id", "tenant_id"]) {
            return Some(Project::Id(id));
        }
        let name = self.get(&["project_name", "tenant_name"])?;
        Some(Project::Name(name, self.domain("project_domain")))
    }

    /// The domain of a user or a project: its own keys, the default keys, or Keystone's `default`.
    fn domain(&self, own: &str) -> Domain {
        for prefix in [own, "default_domain", "domain"] {
            if let Some(id) = self.get(&[&format!("{prefix}_id")]) {
                return Domain::Id(id);
            }
            if let Some(name) = self.get(&[&format!("{prefix}_name")]) {
                return Domain::Name(name);
            }
        }
        Domain::Id(self.get(&["default_domain"]).unwrap_or_else(|| "default".to_owned()))
    }
}
