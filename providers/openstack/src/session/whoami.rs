//! Who we are for the cloud.

use serde::Deserialize;
use vcycle_api::{TenancyId, Timestamp};

use super::login::{Access, Keys};
use super::time::parse_time;
use super::token::Named;
use super::{Call, Failure, Service, Session, segment};

/// What a login gave. For people, and for what depends on it (roles, expiry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whoami {
    /// Which credential, in the words of its file: `cloud 'iris' of /etc/openstack/clouds.yaml`.
    pub(crate) credential: String,
    /// Why the first credential was refused, when this is the second.
    pub(crate) first_refused: Option<String>,
    /// Name of the project.
    pub(crate) project: String,
    /// Id of the project.
    pub(crate) project_id: String,
    /// Name of the user.
    pub(crate) user: String,
    /// Id of the user.
    pub(crate) user_id: String,
    /// Region, when one was chosen or the catalogue has only one.
    pub(crate) region: Option<String>,
    /// Roles in the project.
    pub(crate) roles: Vec<String>,
    /// When the token ends.
    pub(crate) token_expires: Timestamp,
    /// When the credential ends, if it has an end and we can know it.
    pub(crate) credential_expires: Option<Timestamp>,
    /// Files that the credentials were read from.
    pub(crate) files: Vec<String>,
    /// What else its owner should know (files that others can read, unverified TLS).
    pub(crate) notices: Vec<String>,
}

#[derive(Deserialize)]
struct Credential {
    application_credential: Expiry,
}

#[derive(Deserialize)]
struct Expiry {
    expires_at: Option<String>,
}

impl Session {
    /// Who we are for the cloud.
    pub(crate) async fn whoami(&self) -> Result<Whoami, Failure> {
        let keys = self.keys();
        let access = keys.access("log in").await?;
        let credential_expires = self.credential_expires(keys, &access).await?;
        let Access { first_refused, endpoints, project, token, expires, .. } = &*access;
        let clouds = || keys.doors().iter().map(|door| &door.cloud);
        let files = clouds().flat_map(|cloud| &cloud.files).map(|file| file.display().to_string());
        Ok(Whoami {
            credential: keys.door(&access).cloud.origin.clone(),
            first_refused: first_refused.clone(),
            project: project.name.clone(),
            project_id: project.id.clone(),
            user: token.user.name.clone(),
            user_id: token.user.id.clone(),
            region: endpoints.region.clone(),
            roles: token.roles.iter().map(|role| role.name.clone()).collect(),
            token_expires: *expires,
            credential_expires,
            files: files.collect(),
            notices: keys.notices(),
        })
    }

    /// Where the login led to, by Keystone's own ids: the same for the life of the session.
    pub(crate) async fn tenancy(&self) -> Result<TenancyId, Failure> {
        let access = self.keys().access("log in").await?;
        let Named { id, name } = &access.project;
        let region = access.endpoints.region.as_ref();
        let region = region.map_or_else(String::new, |region| format!(", region {region}"));
        Ok(TenancyId {
            id: format!("project {id}{region}"),
            name: format!("project '{name}' ({id}){region}"),
        })
    }

    /// As [`Self::whoami`], by a login made now: that one was good an hour ago tells nobody what works.
    pub(crate) async fn log_in_anew(&self) -> Result<Whoami, Failure> {
        self.keys().forget_all().await;
        self.whoami().await
    }

    /// An application credential may be read by its user, where policy lets it; else its end shows
    /// when it comes before the end that tokens usually have. A password tells its own.
    async fn credential_expires(
        &self,
        keys: &Keys,
        access: &Access,
    ) -> Result<Option<Timestamp>, Failure> {
        let shown = (access.capped || keys.is_token(access)).then_some(access.expires);
        let Some(credential) = &access.token.application_credential else {
            return Ok(access.token.password_expires().or(shown));
        };
        let (user, id) = (segment(&access.token.user.id), segment(&credential.id));
        let path = format!("/users/{user}/application_credentials/{id}");
        let call = Call::get(Service::Identity, path, "read application credential");
        match self.call::<Credential>(call).await {
            Ok(reply) => {
                let expires = reply.body.application_credential.expires_at;
                Ok(expires.as_deref().and_then(parse_time).or(shown))
            }
            Err(failure) if matches!(failure.status, Some(403 | 404)) => Ok(shown),
            Err(failure) => Err(failure),
        }
    }
}
