//! Who is at the other end of a connection, as far as the connection itself tells.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::tls::SlashDn;
use crate::telemetry::metrics::Listening;

/// In the extensions of every request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The address.
    pub(super) address: SocketAddr,
    /// The listener.
    pub(super) listener: Listening,
    /// The client certificate that TLS has verified against the client CAs, the client's own first;
    /// empty without one.
    pub(super) chain: Arc<[CertificateDer<'static>]>,
}

/// The verified client certificate of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientCertificate {
    /// None was presented.
    None,
    /// Presented and verified, with this subject.
    Subject(SlashDn),
    /// Presented and verified, but its subject has no unambiguous slash form.
    Unreadable,
}

impl Peer {
    /// The client certificate.
    pub(super) fn certificate(&self) -> ClientCertificate {
        match self.chain.first() {
            None => ClientCertificate::None,
            Some(own) => SlashDn::of_certificate(own)
                .map_or(ClientCertificate::Unreadable, ClientCertificate::Subject),
        }
    }
}
