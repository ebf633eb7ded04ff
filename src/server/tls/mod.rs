//! The identity of the HTTPS listener and the CAs of client certificates, reloaded when their
//! files change.
//!
//! The content of the files is compared, not their times. A new version takes effect only as a
//! whole (certificate and key belong together, every PEM file can be read); else the last good one
//! stays in use, with a warning and a metric, until the files change again.

mod authority;
mod dn;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

pub(super) use authority::{Authority, AuthorityError};
pub(super) use dn::SlashDn;

use crate::model::Timestamp;
use vcycle_api::Clock;

/// How often the files are looked at.
pub(super) const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {what} {path}: {source}")]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What came back.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{what} {path} is not usable: {why}")]
    Content {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Certificate and key cannot be used together.
    #[error("the certificate and its private key cannot be used: {0}; do they belong together?")]
    Pair(rustls::Error),
    /// Our own authority failed.
    #[error("our own certificate cannot be made: {0}")]
    Authority(String),
    /// The trusted CAs cannot be used.
    #[error("the CAs for client certificates cannot be used: {0}")]
    ClientCa(String),
}

impl From<AuthorityError> for TlsError {
    fn from(error: AuthorityError) -> Self {
        Self::Authority(error.to_string())
    }
}

/// Where the identity comes from.
pub(super) enum Source {
    /// PEM files.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// Our own authority, for this host.
    Own {
        /// It.
        authority: Box<Authority>,
        /// The name by which VMs reach us.
        host: String,
    },
}

/// The identity in use.
pub(super) struct Tls {
    source: Source,
    client_ca: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

struct State {
    current: Arc<ServerConfig>,
    expires: Timestamp,
    /// When it should be made again, if it is ours.
    renew: Option<Timestamp>,
    /// Of the files that were last looked at, good or bad.
    seen: [u8; 32],
    refused: Option<String>,
}

/// The files as they were read.
struct Contents {
    pair: Option<(Vec<u8>, Vec<u8>)>,
    client_ca: Option<Vec<u8>>,
}

struct Built {
    config: Arc<ServerConfig>,
    expires: Timestamp,
    renew: Option<Timestamp>,
}

impl Tls {
    /// Loads the identity. At start a bad one is an error, as there is no good one to keep.
    pub(super) async fn load(
        source: Source,
        client_ca: Option<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let contents = read(&source, client_ca.as_deref()).await?;
        let built = build(&source, client_ca.as_deref(), &contents, &clock)?;
        let state = State {
            current: built.config,
            expires: built.expires,
            renew: built.renew,
            seen: fingerprint(&contents),
            refused: None,
        };
        Ok(Self { source, client_ca, clock, state: RwLock::new(state) })
    }

    /// The configuration for the next connection.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read_state().current)
    }

    /// When the certificate in use expires, and why newer files are refused, if they are.
    pub(super) fn status(&self) -> (Timestamp, Option<String>) {
        let state = self.read_state();
        (state.expires, state.refused.clone())
    }

    /// The certificate that VMs must trust; `None`: a public one, or the site's.
    pub(super) fn ca_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Own { authority, host: _ } => Some(authority.certificate_pem()),
            Source::Files { .. } => None,
        }
    }

    /// Looks at the files, and at the age of our own certificate; says in the log what is new.
    pub(super) async fn reload(&self) {
        let contents = match read(&self.source, self.client_ca.as_deref()).await {
            Ok(contents) => contents,
            // What cannot be read has no fingerprint: nothing equals it, so it is looked at again.
            Err(error) => return self.refuse(&error, [0; 32]),
        };
        let seen = fingerprint(&contents);
        let renewal_due = {
            let state = self.read_state();
            let due = state.renew.is_some_and(|renew| renew <= self.clock.now());
            if state.seen == seen && !due {
                return;
            }
            due
        };
        match build(&self.source, self.client_ca.as_deref(), &contents, &self.clock) {
            Ok(Built { config, expires, renew }) => {
                tracing::info!(%expires, renewal_due, "certificate of the https listener loaded");
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                *state = State { current: config, expires, renew, seen, refused: None };
            }
            Err(error) => self.refuse(&error, seen),
        }
    }

    fn refuse(&self, error: &TlsError, seen: [u8; 32]) {
        let why = error.to_string();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.seen = seen;
        if state.refused.as_ref() != Some(&why) {
            tracing::warn!(
                error = %why,
                expires = %state.expires,
                "new certificate files are refused, the last good ones stay in use"
            );
            state.refused = Some(why);
        }
    }

    fn read_state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(source: &Source, client_ca: Option<&Path>) -> Result<Contents, TlsError> {
    let pair = match source {
        Source::Files { certificate, key } => Some((
            read_file("the certificate", certificate).await?,
            read_file("the private key", key).await?,
        )),
        Source::Own { .. } => None,
    };
    let client_ca = match client_ca {
        Some(path) => Some(read_file("the file of client CAs", path).await?),
        None => None,
    };
    Ok(Contents { pair, client_ca })
}

async fn read_file(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

fn fingerprint(contents: &Contents) -> [u8; 32] {
    let Contents { pair, client_ca } = contents;
    let mut digest = Sha256::new();
    let parts = [
        pair.as_ref().map(|(certificate, _)| certificate),
        pair.as_ref().map(|(_, key)| key),
        client_ca.as_ref(),
    ];
    for part in parts.into_iter().flatten() {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn build(
    source: &Source,
    client_ca: Option<&Path>,
    contents: &Contents,
    clock: &Arc<dyn Clock>,
) -> Result<Built, TlsError> {
    let (chain, key, renew) = match (source, &contents.pair) {
        (Source::Own { authority, host }, _) => {
            let issued = authority.issue(host, clock.now())?;
            (issued.chain, issued.key, Some(issued.renew))
        }
        (Source::Files { certificate, key }, Some((certificate_pem, key_pem))) => {
            let chain = certificates("the certificate", certificate, certificate_pem)?;
            let key =
                PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| TlsError::Content {
                    what: "the private key",
                    path: key.clone(),
                    why: error.to_string(),
                })?;
            (chain, key, None)
        }
        (Source::Files { .. }, None) => unreachable!("files were read for a source of files"),
    };
    let expires = expiry(&chain)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_details(
        Arc::clone(&provider),
        Arc::new(ClockTime(Arc::clone(clock))),
    )
    .with_safe_default_protocol_versions()
    .map_err(TlsError::Pair)?;
    let builder = match (client_ca, &contents.client_ca) {
        (Some(path), Some(pem)) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("the file of client CAs", path, pem)? {
                roots.add(root).map_err(|error| TlsError::ClientCa(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::ClientCa(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        (None, _) | (_, None) => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    // No resumption: a resumed session would bring its client certificate along unverified, and
    // VMs come minutes apart, so it would save nothing.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Built { config: Arc::new(config), expires, renew })
}

fn certificates(
    what: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |why: String| TlsError::Content { what, path: path.to_owned(), why };
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("it holds no PEM section CERTIFICATE".to_owned()));
    }
    Ok(found)
}

/// When the first certificate of the chain to expire does so.
fn expiry(chain: &[CertificateDer<'_>]) -> Result<Timestamp, TlsError> {
    let mut earliest: Option<Timestamp> = None;
    for der in chain {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|_| TlsError::Pair(rustls::CertificateError::BadEncoding.into()))?;
        let at = Timestamp::from_secs(certificate.validity().not_after.timestamp());
        earliest = Some(earliest.map_or(at, |before| before.min(at)));
    }
    earliest.ok_or(TlsError::Pair(rustls::Error::NoCertificatesPresented))
}

/// Certificates are judged by the same clock as everything else.
#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.now().as_secs()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}
