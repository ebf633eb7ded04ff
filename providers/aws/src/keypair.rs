//! Key pairs: one for each public key, named by its content, so that a name never means two keys and
//! nobody has to compare them. EC2 removes none; an old one is left, as machines may still name it.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_ec2::primitives::Blob;
use sha2::{Digest, Sha256};
use vcycle_api::{ErrorKind, ProviderError};

use crate::account::Account;
use crate::errors::Failure;

const IMPORT: &str = "import key pair";

/// The names of key pairs that we know to be there.
#[derive(Debug, Default)]
pub(crate) struct KeyPairs(Mutex<HashSet<String>>);

impl KeyPairs {
    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// EC2 said that one is not there.
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
pub(crate) async fn ensure(account: &Account, public_key: &str) -> Result<String, ProviderError> {
    let name = name_of(public_key);
    if account.keys.known().contains(&name) {
        return Ok(name);
    }
    let imported = account.session.call(IMPORT, |clients| {
        let text = Blob::new(public_key.trim().as_bytes());
        clients.ec2.import_key_pair().key_name(&name).public_key_material(text).send()
    });
    match imported.await {
        Ok(_) => {}
        // There already, perhaps by another manager in this moment. Its name says what is in it.
        Err(failure) if failure.code.as_deref() == Some("InvalidKeyPair.Duplicate") => {}
        Err(failure) => return Err(not_imported(failure)),
    }
    account.keys.known().insert(name.clone());
    Ok(name)
}

/// Whether it arrived does not matter: importing it again is harmless.
fn not_imported(failure: Failure) -> ProviderError {
    let error = failure.of_read();
    let kind = match error.kind {
        ErrorKind::QuotaExceeded | ErrorKind::NotFound => ErrorKind::InvalidSpec,
        ErrorKind::Ambiguous
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
        assert_eq!(name_of(""), "vcycle-e3b0c44298fc1c14");
    }
}
