//! Certificates both ways, against a server of TLS that demands one of its clients: whom we believe (`cacert`),
//! and who we are (`cert`, `key`).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use vcycle_api::{ErrorKind, ManualClock, Timestamp};

use super::tiny::{Says, Tiny, hour};
use crate::session::{Arrived, Call, Failure, Service, Session};
use crate::{CloudRef, Credential, Settings};

/// An authority, and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }
}

/// Takes only clients with a certificate of the authority.
struct Strict {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Strict {
    async fn bind(site: &Authority, users: &Authority) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(users.certificate()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = site.sign("127.0.0.1");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { tcp, tls: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl axum::serve::Listener for Strict {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// A cloud that demands certificates of these users.
async fn cloud(site: &Authority, users: &Authority) -> Tiny {
    let strict = Strict::bind(site, users).await;
    let url = format!("https://{}", strict.tcp.local_addr().unwrap());
    Tiny::serve(
        strict,
        url,
        |seen| {
            if seen.is_login() { hour() } else { Says::json(200, &json!({})) }
        },
    )
}

/// What comes of a call with these lines in `clouds.yaml`; `{}` is the folder.
async fn call(cloud: &Tiny, files: &[(&str, &str)], lines: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let session = open(folder.path(), &cloud.url, lines);
    let call = Call::get(Service::Compute, "/servers", "list servers");
    session.send(call).await.map(|_| ())
}

fn open(folder: &Path, url: &str, lines: &str) -> Session {
    let file = folder.join("clouds.yaml");
    let auth = format!("{{auth_url: '{url}', username: u, password: s, project_name: p}}");
    let lines = lines.replace("{}", &folder.display().to_string());
    std::fs::write(&file, format!("clouds:\n  c:\n    auth: {auth}\n{lines}")).unwrap();
    let cloud = CloudRef::Named { cloud: "c".to_owned(), file: Some(file) };
    let settings = Settings::new(Credential { cloud, region: None, interface: None });
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_000_000)));
    Session::open(&settings, clock).unwrap()
}

#[tokio::test]
async fn a_cloud_that_demands_a_certificate_is_shown_ours_in_one_file_or_in_two() {
    let (site, users) = (Authority::new("site"), Authority::new("users"));
    let (certificate, key) = users.sign("vcycle.example");
    let both = format!("{certificate}{key}");
    let files = [
        ("ca.pem", site.pem.as_str()),
        ("cert.pem", &certificate),
        ("key.pem", &key),
        ("both.pem", &both),
    ];
    let cloud = cloud(&site, &users).await;
    let two = "    cacert: '{}/ca.pem'\n    cert: '{}/cert.pem'\n    key: '{}/key.pem'\n";
    call(&cloud, &files, two).await.unwrap();
    call(&cloud, &files, "    cacert: '{}/ca.pem'\n    cert: '{}/both.pem'\n").await.unwrap();
    assert_eq!((cloud.logins(), cloud.seen().len()), (2, 4), "the services see it too");
}

#[tokio::test]
async fn without_a_certificate_that_the_cloud_takes_nothing_arrives_and_nothing_is_proven() {
    let (site, users) = (Authority::new("site"), Authority::new("users"));
    let (certificate, key) = Authority::new("strangers").sign("vcycle.example");
    let both = format!("{certificate}{key}");
    let files = [("ca.pem", site.pem.as_str()), ("both.pem", &both)];
    let cloud = cloud(&site, &users).await;
    for lines in ["    cacert: '{}/ca.pem'\n", "    cacert: '{}/ca.pem'\n    cert: '{}/both.pem'\n"]
    {
        let failure = call(&cloud, &files, lines).await.expect_err("not let in");
        assert_eq!(failure.of_read().kind, ErrorKind::Unavailable, "{lines}");
    }
    assert_eq!(cloud.seen().len(), 0);
}

#[tokio::test]
async fn a_cloud_that_cannot_prove_who_it_is_is_told_nothing() {
    let (site, users) = (Authority::new("site"), Authority::new("users"));
    let (certificate, key) = users.sign("vcycle.example");
    let (both, other) = (format!("{certificate}{key}"), Authority::new("another"));
    let files = [("ca.pem", other.pem.as_str()), ("both.pem", &both)];
    let cloud = cloud(&site, &users).await;
    let lines = "    cacert: '{}/ca.pem'\n    cert: '{}/both.pem'\n";
    let failure = call(&cloud, &files, lines).await.expect_err("not believed");
    assert_eq!(failure.arrived, Arrived::Never, "{failure}");
    assert!(failure.message.contains("certificate"), "people see why: {failure}");
    assert_eq!(cloud.seen().len(), 0);
}
