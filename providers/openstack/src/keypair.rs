//! Key pairs: one for each public key, named by its content, so that a name never means two keys and
//! nobody has to compare them.
//!
//! A key pair belongs to the user, not to the project: what another user imported is not seen, and is
//! imported again. Nova removes none; an old one is left, as machines may still name it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use sha2::{Digest, Sha256};
use vcycle_api::{ErrorKind, ProviderError};

use crate::session::{Call, Service};
use crate::site::Site;

const IMPORT: &str = "import key pair";

/// The key pairs that we know to be there: user and name.
#[derive(Debug, Default)]
pub(crate) struct KeyPairs(Mutex<HashSet<(String, String)>>);

impl KeyPairs {
    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cloud said that one is not there.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }
}

/// `vcycle-` and the first 16 hexadecimal digits of the key's SHA-256. Blanks around the text do not
/// count: they come and go with editors.
pub(crate) fn name_of(public_key: &str) -> String {
    let digest = Sha256::digest(public_key.trim().as_bytes());
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("vcycle-{digits}")
}

/// The name of the key pair of this key, which is there when this returns.
pub(crate) async fn ensure(site: &Site, public_key: &str) -> Result<String, ProviderError> {
    let name = name_of(public_key);
    let user = site.session.whoami().await.map_err(|failure| failure.of_read())?.user_id;
    let key = (user, name);
    if site.keys.known().contains(&key) {
        return Ok(key.1);
    }
    let body = json!({ "keypair": { "name": key.1, "public_key": public_key.trim() } });
    match site.session.send(Call::post(Service::Compute, "/os-keypairs", body, IMPORT)).await {
        Ok(_) => {}
        // There already, perhaps by another manager in this moment. Its name says what is in it.
        Err(failure) if failure.status == Some(409) => {}
        Err(failure) => return Err(not_imported(failure.of_create())),
    }
    site.keys.known().insert(key.clone());
    Ok(key.1)
}

/// Whether it arrived does not matter, importing it again is harmless; and the quota of key pairs is none
/// of machines.
fn not_imported(error: ProviderError) -> ProviderError {
    let kind = match error.kind {
        ErrorKind::Ambiguous => ErrorKind::Unavailable,
        ErrorKind::QuotaExceeded => ErrorKind::InvalidSpec,
        ErrorKind::NotFound
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => return error,
    };
    ProviderError { kind, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_follows_from_the_key_alone() {
        let key = "ssh-ed25519 AAAA lab";
        assert_eq!(name_of(key), name_of(" ssh-ed25519 AAAA lab\n"));
        assert_ne!(name_of(key), name_of("ssh-ed25519 AAAB lab"));
        assert_eq!(name_of("").len(), "vcycle-".len() + 16);
        assert_eq!(name_of(""), "vcycle-e3b0c44298fc1c14");
    }
}
