//! One HTTP exchange: limits, time, size, log. Knows nothing of tokens or of what calls mean.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Identity, RequestBuilder, redirect, retry};
use secrecy::ExposeSecret;

use super::Failure;
use crate::OpenError;
use crate::clouds::{Cloud, Tls, Verify};

/// The most that is read of an answer. A page of 1,000 servers has about 4 MB.
const BODY_LIMIT: usize = 64 << 20;

/// Time to reach a host. Longer than two lost packets of a handshake.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// An answer of any status, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The cloud's id of the request.
    pub(super) fn request_id(&self) -> Option<String> {
        let names = ["x-openstack-request-id", "x-compute-request-id"];
        names.iter().find_map(|name| self.header(name)).map(str::to_owned)
    }

    /// Whether the middleware in front of a service refused the token, before the service saw the
    /// request (captures: every 401 of a bad token has this header).
    pub(super) fn is_refused_by_keystone(&self) -> bool {
        self.status == 401
            && self.header("www-authenticate").is_some_and(|v| v.starts_with("Keystone"))
    }
}

/// A client with the certificates of a cloud.
pub(super) fn client(cloud: &Cloud, time: Duration) -> Result<Client, OpenError> {
    let Tls { verify, authorities, identity } = &cloud.tls;
    let bad = |key: &str, why: &str| OpenError::Bad {
        origin: cloud.origin.clone(),
        key: key.to_owned(),
        why: why.to_owned(),
    };
    let mut builder = Client::builder()
        .user_agent(concat!("vcycle/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIME.min(time))
        // A redirect would carry the token to whatever host it names.
        .redirect(redirect::Policy::none())
        // Nothing is sent twice behind our back.
        .retry(retry::never())
        .tls_danger_accept_invalid_certs(*verify == Verify::No);
    if let Some(pem) = authorities {
        let certificates = Certificate::from_pem_bundle(pem);
        let certificates = certificates.map_err(|_| bad("cacert", "is no PEM of certificates"))?;
        if certificates.is_empty() {
            return Err(bad("cacert", "has no certificate"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(pem) = identity {
        let identity = Identity::from_pem(pem.expose_secret());
        let why = "with key is no PEM of a certificate and its key";
        builder = builder.identity(identity.map_err(|_| bad("cert", why))?);
    }
    builder.build().map_err(|_| bad("cacert", "gives no certificates that TLS can work with"))
}

/// Sends a request and reads its answer.
pub(super) async fn exchange(
    request: RequestBuilder,
    operation: &'static str,
) -> Result<Answer, Failure> {
    let lost = |error: reqwest::Error| Failure::of_transport(operation, error);
    let mut response = request.send().await.map_err(lost)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            let message = format!("the answer is longer than {BODY_LIMIT} bytes");
            return Err(Failure::perhaps(operation, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}
