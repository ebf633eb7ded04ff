//! Credentials: `clouds.yaml`, `secure.yaml` and the `OS_*` environment, read as other OpenStack
//! clients read them. Reads files and nothing else; `session` opens what this finds.

mod cloud;
mod error;
mod file;
mod find;
mod places;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use cloud::{Auth, Cloud, CredentialId, Domain, Project, User};
pub use error::OpenError;
pub(crate) use places::Places;
pub(crate) use tls::{Tls, Verify};

use crate::{CloudRef, Credential};

/// Reads one credential.
pub(crate) fn read(credential: &Credential, places: &Places) -> Result<Cloud, OpenError> {
    let mut found = match &credential.cloud {
        CloudRef::Named { cloud, file } => find::named(places, cloud, file.as_deref())?,
        CloudRef::Environment => find::environment(places)?,
    };
    if let Some(region) = &credential.region {
        found.entry.regions = vec![region.clone()];
    }
    if let Some(interface) = &credential.interface {
        found.entry.plain.insert("interface".to_owned(), interface.as_str().into());
        found.entry.auth.remove("interface");
    }
    cloud::check(found, places)
}
