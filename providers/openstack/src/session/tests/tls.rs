//! Whom we believe: certificates of a Keystone behind TLS.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use vcycle_api::{ManualClock, Timestamp};

use super::tiny::settings;
use crate::OpenError;
use crate::session::{Call, Failure, Service, Session};

/// A Keystone that refuses every login, behind a certificate of its own. Gives its address and the
/// certificate.
async fn keystone() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4096];
            let got = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..got].starts_with(b"POST /v3/auth/tokens"));
            let reply = "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(reply.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    });
    (format!("https://localhost:{port}"), made.cert.pem())
}

/// Logs in with these keys beside `auth`.
async fn log_in(url: &str, keys: &str) -> Result<Failure, OpenError> {
    let (settings, folder) = settings(&[url]);
    let file = folder.path().join("clouds.yaml");
    let auth = format!("auth: {{auth_url: '{url}', token: t, project_id: p}}");
    std::fs::write(&file, format!("clouds: {{c0: {{{auth}{keys}}}}}")).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(0)));
    let session = Session::open(&settings, clock)?;
    let call = Call::get(Service::Compute, "/servers", "list servers");
    Ok(session.send(call).await.expect_err("nobody gets in"))
}

#[tokio::test]
async fn only_a_keystone_whose_certificate_we_believe_gets_our_credential() {
    let (url, pem) = keystone().await;
    let stranger = log_in(&url, "").await.unwrap();
    assert_eq!(stranger.status, None, "{stranger}");
    assert!(stranger.message.contains("certificate"), "{stranger}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &pem).unwrap();
    let believed = log_in(&url, &format!(", cacert: '{}'", file.display())).await.unwrap();
    assert_eq!(believed.status, Some(401), "{believed}");

    let careless = log_in(&url, ", verify: false").await.unwrap();
    assert_eq!(careless.status, Some(401), "{careless}");
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_is_an_error_when_the_session_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "hunter2").unwrap();
    for key in ["cacert", "cert"] {
        let keys = format!(", {key}: '{}'", file.display());
        let error = log_in("https://localhost:1", &keys).await.expect_err("no certificate");
        let text = format!("{error} {error:?}");
        assert!(text.contains(key) && !text.contains("hunter2"), "{text}");
    }
}
