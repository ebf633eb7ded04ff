//! The identity of the HTTPS listener, and client certificates.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, date_time_ymd};
use tempfile::TempDir;
use vcycle::config::TlsIdentity;

use crate::site::{
    Choices, Machine, Site, TestCa, answer, assert_empty_error, builder, dc, eventually, status,
};

fn nothing(_: &mut CertificateParams) {}

/// A site that admits client certificates of this CA.
async fn site_with_client_ca(ca: &TestCa) -> Site {
    let dir = Arc::new(TempDir::new().unwrap());
    let file = dir.path().join("client-ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    let choices = Choices { client_ca: Some(file), ..Choices::default() };
    Site::in_dir(dir, choices).await
}

/// A PUT with a client certificate and no token.
fn put_with(
    site: &Site,
    vm: &Machine,
    (certificate, key): &(String, String),
) -> reqwest::RequestBuilder {
    let identity = reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
    let client = site.builder().identity(identity).build().unwrap();
    client.put(site.https(&vm.path("joboutputs/log"))).body("by certificate")
}

#[tokio::test]
async fn a_client_certificate_with_an_admitted_dn_may_put() {
    let ca = TestCa::new("Grid CA");
    let site = site_with_client_ca(&ca).await;
    let vm = site.machine("dune").await;
    let host1 = ca.sign(&[], &[(dc(), "uk"), (DnType::CommonName, "host1")], nothing);
    assert_eq!(status(put_with(&site, &vm, &host1)).await, 200);
    assert_eq!(site.output(&vm, "log").unwrap(), b"by certificate");
    let below = ca.sign(
        &[],
        &[(dc(), "uk"), (DnType::CommonName, "host1"), (DnType::OrganizationalUnitName, "service")],
        nothing,
    );
    assert_eq!(status(put_with(&site, &vm, &below)).await, 200, "below the admitted DN");
}

#[tokio::test]
async fn trap_7_12_host1_does_not_admit_host10() {
    let ca = TestCa::new("Grid CA");
    let site = site_with_client_ca(&ca).await;
    let vm = site.machine("dune").await;
    for subject in [
        vec![(dc(), "uk"), (DnType::CommonName, "host10")],
        vec![(dc(), "uk"), (DnType::CommonName, "host1/evil")],
        vec![(dc(), "uk"), (DnType::CommonName, "host")],
        vec![(dc(), "uk")],
        vec![(DnType::CommonName, "host1"), (dc(), "uk")],
        vec![(DnType::OrganizationName, "x/DC=uk/CN=host1")],
        vec![(dc(), "uk/CN=host1")],
    ] {
        let other = ca.sign(&[], &subject, nothing);
        let response = put_with(&site, &vm, &other).send().await.unwrap();
        assert_empty_error(response, 403).await;
    }
    assert_eq!(site.output(&vm, "log"), None);
}

#[tokio::test]
async fn a_certificate_opens_only_machinetypes_that_admit_it() {
    let ca = TestCa::new("Grid CA");
    let site = site_with_client_ca(&ca).await;
    let vm = site.machine("lhcb").await;
    let host1 = ca.sign(&[], &[(dc(), "uk"), (DnType::CommonName, "host1")], nothing);
    assert_empty_error(put_with(&site, &vm, &host1).send().await.unwrap(), 403).await;
    // The machine's own token is enough, whatever certificate comes with it.
    assert_eq!(status(put_with(&site, &vm, &host1).bearer_auth(&vm.token)).await, 200);
    // A wrong token takes nothing from a right certificate.
    let dune = site.machine("dune").await;
    assert_eq!(status(put_with(&site, &dune, &host1).bearer_auth("wrong")).await, 200);
}

#[tokio::test]
async fn expired_and_untrusted_client_certificates_do_not_get_past_the_handshake() {
    let (ca, other_ca) = (TestCa::new("Grid CA"), TestCa::new("Grid CA"));
    let site = site_with_client_ca(&ca).await;
    let vm = site.machine("dune").await;
    let subject = [(dc(), "uk"), (DnType::CommonName, "host1")];
    let expired = ca.sign(&[], &subject, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = ca.sign(&[], &subject, |params| params.not_before = date_time_ymd(3000, 1, 1));
    let untrusted = other_ca.sign(&[], &subject, nothing);
    for bad in [expired, early, untrusted] {
        assert!(put_with(&site, &vm, &bad).send().await.is_err());
        assert!(put_with(&site, &vm, &bad).bearer_auth(&vm.token).send().await.is_err());
    }
    assert_eq!(site.output(&vm, "log"), None);
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("x")).await, 200, "without one");
}

#[tokio::test]
async fn client_certificates_do_nothing_without_client_cas() {
    let ca = TestCa::new("Grid CA");
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let host1 = ca.sign(&[], &[(dc(), "uk"), (DnType::CommonName, "host1")], nothing);
    assert_empty_error(put_with(&site, &vm, &host1).send().await.unwrap(), 401).await;
}

#[tokio::test]
async fn a_changed_file_of_client_cas_is_used() {
    let (old, new) = (TestCa::new("Old CA"), TestCa::new("New CA"));
    let site = site_with_client_ca(&old).await;
    let vm = site.machine("dune").await;
    let subject = [(dc(), "uk"), (DnType::CommonName, "host1")];
    let host1 = new.sign(&[], &subject, nothing);
    assert!(put_with(&site, &vm, &host1).send().await.is_err());
    std::fs::write(site.dir.path().join("client-ca.pem"), &new.pem).unwrap();
    eventually("the new CA is trusted", || async {
        put_with(&site, &vm, &host1).send().await.is_ok_and(|response| response.status() == 200)
    })
    .await;
}

/// Certificate files of the site's own CA for `localhost`, on a state directory of its own.
struct Files {
    dir: Arc<TempDir>,
    ca: TestCa,
}

impl Files {
    fn new() -> Self {
        let files = Self { dir: Arc::new(TempDir::new().unwrap()), ca: TestCa::new("Site CA") };
        files.write(&files.sign(2030));
        files
    }

    fn sign(&self, year: i32) -> (String, String) {
        self.ca.sign(&["localhost"], &[(DnType::CommonName, "localhost")], |params| {
            params.not_after = date_time_ymd(year, 1, 1);
        })
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.dir.path().join("server.pem")
    }

    fn write(&self, (certificate, key): &(String, String)) {
        std::fs::write(self.key(), key).unwrap();
        std::fs::write(self.certificate(), certificate).unwrap();
    }

    fn key(&self) -> std::path::PathBuf {
        self.dir.path().join("server.key")
    }

    fn choices(&self) -> Choices {
        let identity = TlsIdentity::Files { certificate: self.certificate(), key: self.key() };
        Choices { identity, ..Choices::default() }
    }
}

async fn metric(site: &Site, name: &str) -> String {
    let text = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

const EXPIRY: &str = "vcycle_tls_certificate_expiry_seconds ";
const REFUSED: &str = "vcycle_tls_certificate_refused ";

#[tokio::test]
async fn changed_certificate_files_are_used_and_bad_ones_are_not() {
    let files = Files::new();
    let site = Site::in_dir(Arc::clone(&files.dir), files.choices()).await;
    let url = site.https("/");
    let works = || async {
        let client = builder(&files.ca.pem).build().unwrap();
        client.get(&url).send().await.is_ok_and(|response| response.status() == 404)
    };
    assert!(works().await);
    assert_eq!(site.running.ca_pem, None, "what the site brings, the site makes trusted");
    assert_eq!(metric(&site, EXPIRY).await, "1893456000");
    assert_eq!(metric(&site, REFUSED).await, "0");

    files.write(&files.sign(2031));
    eventually("the new one is used", || async { metric(&site, EXPIRY).await == "1924992000" })
        .await;
    assert!(works().await);

    for break_it in [
        (|files: &Files| std::fs::write(files.certificate(), "not PEM").unwrap()) as fn(&Files),
        |files| std::fs::remove_file(files.key()).unwrap(),
        |files| std::fs::write(files.certificate(), files.sign(2040).0).unwrap(),
    ] {
        break_it(&files);
        eventually("it is refused", || async { metric(&site, REFUSED).await == "1" }).await;
        assert_eq!(metric(&site, EXPIRY).await, "1924992000", "the last good one stays");
        assert!(works().await, "and works");
        files.write(&files.sign(2031));
        eventually("a good one is used", || async { metric(&site, REFUSED).await == "0" }).await;
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start_with_its_reason() {
    for (break_it, expected) in [
        (
            (|files: &Files| std::fs::remove_file(files.certificate()).unwrap()) as fn(&Files),
            "the https listener cannot start: cannot read the certificate [DIR]/server.pem: \
             No such file or directory (os error 2)",
        ),
        (
            |files| std::fs::write(files.certificate(), "").unwrap(),
            "the https listener cannot start: the certificate [DIR]/server.pem is not usable: \
             it holds no PEM section CERTIFICATE",
        ),
        (
            |files| std::fs::write(files.certificate(), files.sign(2030).0).unwrap(),
            "the https listener cannot start: the certificate and its private key cannot be used: \
             keys may not be consistent: KeyMismatch; do they belong together?",
        ),
    ] {
        let files = Files::new();
        break_it(&files);
        let error = start_error(files.dir.path(), files.choices()).await;
        assert_eq!(error.replace(files.dir.path().to_str().unwrap(), "[DIR]"), expected);
    }
}

async fn start_error(dir: &Path, choices: Choices) -> String {
    let Choices { identity, client_ca, clock, .. } = choices;
    let site = Site::new().await;
    let mut config = site.setup.borrow().config.server.clone();
    config.https.identity = identity;
    config.https.client_ca = client_ca;
    let fs = Arc::new(vcycle::store::RealFs::new(dir));
    let started = vcycle::server::start(vcycle::server::ServerSetup {
        config,
        store: vcycle::store::Store::new(fs, Arc::clone(&clock)),
        board: site.board.subscribe(),
        setup: site.setup.subscribe(),
        clock,
        wake: Arc::new(|_| {}),
        metrics: Arc::default(),
    });
    started.await.unwrap_err().to_string()
}

#[tokio::test]
async fn machines_made_before_a_restart_still_trust_the_manager() {
    let before = Site::new().await;
    let vm = before.machine("dune").await;
    let ca_before = before.running.ca_pem.clone().unwrap();
    assert!(ca_before.len() <= vcycle::library::LARGEST_MANAGER_CA, "checks of size count less");
    let Site { dir, running, ownership, .. } = before;
    running.shutdown().await;
    ownership.release().await;

    let after = Site::in_dir(dir, Choices::default()).await;
    let client = builder(&ca_before).build().unwrap();
    let request = client.put(after.https(&vm.path("joboutputs/heartbeat"))).bearer_auth(&vm.token);
    assert_eq!(status(request.body("alive")).await, 200);
    assert_eq!(after.running.ca_pem.as_deref(), Some(ca_before.as_str()));
}

#[tokio::test]
async fn the_key_of_our_own_authority_is_for_us_alone() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new().await;
    let file = site.dir.path().join("authority.pem");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(file).unwrap().contains("PRIVATE KEY"));
    assert!(!site.running.ca_pem.as_deref().unwrap().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn our_own_certificate_holds_for_the_host_and_for_this_machine() {
    let site = Site::new().await;
    let port = site.running.https_addr.port();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/");
        assert_eq!(status(site.client().get(url)).await, 404);
    }
    assert_eq!(site.running.base_url, format!("https://localhost:{port}"));
}
