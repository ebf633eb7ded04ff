//! Certificates of a cloud: whom we believe, and who we are.

use std::path::{Path, PathBuf};

use secrecy::SecretSlice;

use super::OpenError;
use super::cloud::Reader;
use super::places::Places;

/// Whether the cloud must prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Yes.
    Yes,
    /// No: somebody wrote `verify: false`.
    No,
}

/// Certificates of a cloud.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// Whether the cloud must prove who it is.
    pub(crate) verify: Verify,
    /// The only authorities to believe, in PEM; `None`: those of this host.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Our own certificate and key, in PEM.
    pub(crate) identity: Option<SecretSlice<u8>>,
}

/// Reads `verify` (or `insecure`), `cacert`, `cert` and `key`.
pub(super) fn read(reader: &Reader<'_>, places: &Places) -> Result<Tls, OpenError> {
    let authorities = match reader.entry.get(&["cacert"]) {
        Some(path) => Some(file(reader, "cacert", &places.expand(path))?),
        None => None,
    };
    let cert = reader.entry.get(&["cert"]).map(|path| places.expand(path));
    let key = reader.entry.get(&["key"]).map(|path| places.expand(path));
    Ok(Tls { verify: verify(reader)?, authorities, identity: identity(reader, cert, key)? })
}

fn identity(
    reader: &Reader<'_>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<SecretSlice<u8>>, OpenError> {
    let Some(cert) = cert else {
        return match key {
            Some(_) => Err(reader.bad("key", "is of no use without cert")),
            None => Ok(None),
        };
    };
    let mut pem = file(reader, "cert", &cert)?;
    if let Some(key) = key {
        pem.push(b'\n');
        pem.extend(file(reader, "key", &key)?);
    }
    Ok(Some(SecretSlice::from(pem)))
}

fn file(reader: &Reader<'_>, key: &'static str, path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::KeyFile {
        origin: reader.origin.to_owned(),
        key,
        file: path.to_owned(),
        source,
    })
}

fn verify(reader: &Reader<'_>) -> Result<Verify, OpenError> {
    if let Some(word) = reader.entry.get(&["verify"]) {
        return match truth(word) {
            Some(Verify::Yes) => Ok(Verify::Yes),
            Some(Verify::No) => Ok(Verify::No),
            None => Err(reader.bad("verify", "must be true or false")),
        };
    }
    match reader.entry.get(&["insecure"]).map(truth) {
        None | Some(Some(Verify::No)) => Ok(Verify::Yes),
        Some(Some(Verify::Yes)) => Ok(Verify::No),
        Some(None) => Err(reader.bad("insecure", "must be true or false")),
    }
}

/// The truths of YAML 1.1, which other clients read.
fn truth(word: &str) -> Option<Verify> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(Verify::Yes),
        "false" | "no" | "off" | "0" => Some(Verify::No),
        _ => None,
    }
}
