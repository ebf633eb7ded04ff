//! The body of a login (Identity API v3, `POST /v3/auth/tokens`). Holds secrets: goes to the wire
//! and nowhere else.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::clouds::{Auth, CredentialId, Domain, Project, User};

/// The body.
pub(super) fn body(auth: &Auth) -> Value {
    match auth {
        Auth::Password { user, password, project } => {
            let user = with(user_of(user), "password", password);
            scoped(&json!({"methods": ["password"], "password": {"user": user}}), project.as_ref())
        }
        // With a scope Keystone refuses it: an application credential carries its own project.
        Auth::ApplicationCredential { credential, secret } => {
            let credential = with(credential_of(credential), "secret", secret);
            let methods = json!(["application_credential"]);
            scoped(&json!({"methods": methods, "application_credential": credential}), None)
        }
        Auth::Token { token, project } => {
            let identity = json!({"methods": ["token"], "token": with(json!({}), "id", token)});
            scoped(&identity, project.as_ref())
        }
    }
}

fn scoped(identity: &Value, project: Option<&Project>) -> Value {
    let Some(project) = project else {
        return json!({"auth": {"identity": identity}});
    };
    let project = match project {
        Project::Id(id) => json!({ "id": id }),
        Project::Name(name, domain) => json!({"name": name, "domain": domain_of(domain)}),
    };
    json!({"auth": {"identity": identity, "scope": {"project": project}}})
}

fn credential_of(credential: &CredentialId) -> Value {
    match credential {
        CredentialId::Id(id) => json!({ "id": id }),
        CredentialId::Name(name, user) => json!({"name": name, "user": user_of(user)}),
    }
}

fn user_of(user: &User) -> Value {
    match user {
        User::Id(id) => json!({ "id": id }),
        User::Name(name, domain) => json!({"name": name, "domain": domain_of(domain)}),
    }
}

fn domain_of(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({ "id": id }),
        Domain::Name(name) => json!({ "name": name }),
    }
}

fn with(mut object: Value, key: &str, secret: &SecretString) -> Value {
    object[key] = Value::from(secret.expose_secret());
    object
}
