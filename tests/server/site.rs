//! A site for one test: a state directory, one owned space with machines, and the servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use vcycle::config::{
    Config, HttpsConfig, LibraryConfig, ServerConfig, ServerLimits, Site as SiteConfig, TlsIdentity,
};
use vcycle::library::{Definition, Setup, SpaceSetup};
use vcycle::model::{
    BlastRadius, Board, ConfigStatus, DeploymentId, EntryName, EntryRef, Generation, IntentToken,
    MachineName, MachineRecord, MachinetypeName, ManagerName, Market, Megabytes, OfferingId, Pace,
    Processors, SpaceName, SpacePolicy, Tags, Timestamp,
};
use vcycle::server::{Running, ServerSetup, start};
use vcycle::store::{Acquire, MachineFiles, Ownership, RealFs, Store};
use vcycle::telemetry::Metrics;
use vcycle_api::{Clock, SystemClock, UserData};

use crate::acquire::acquire;

/// The space of every test.
pub(crate) const SPACE: &str = "a.example";
/// The DN that machinetype `dune` admits.
pub(crate) const ADMITTED_DN: &str = "/DC=uk/CN=host1";

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// What a test may choose.
pub(crate) struct Choices {
    pub(crate) limits: ServerLimits,
    pub(crate) identity: TlsIdentity,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) board: Board,
    /// Whether `clock` stands still: then the certificate may not be valid by the client's clock.
    pub(crate) still: bool,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            limits: ServerLimits {
                file_bytes: 1 << 20,
                machine_bytes: 2 << 20,
                request_time: Duration::from_secs(30),
                header_time: Duration::from_secs(30),
                connections_per_address: 50,
            },
            identity: TlsIdentity::SelfSigned,
            client_ca: None,
            clock: Arc::new(SystemClock::new()),
            board: empty_board(),
            still: false,
        }
    }
}

/// A running site.
pub(crate) struct Site {
    pub(crate) dir: Arc<TempDir>,
    pub(crate) store: Store,
    pub(crate) running: Running,
    pub(crate) board: watch::Sender<Arc<Board>>,
    pub(crate) setup: watch::Sender<Arc<Setup>>,
    pub(crate) wakes: Arc<Mutex<Vec<SpaceName>>>,
    pub(crate) ownership: Ownership,
    machines: Mutex<u64>,
    still: bool,
}

/// A machine with its secret.
pub(crate) struct Machine {
    pub(crate) name: MachineName,
    pub(crate) token: String,
}

impl Machine {
    /// The path of something of this machine.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/machines/{SPACE}/{}/{rest}", self.name)
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Choices::default()).await
    }

    pub(crate) async fn with(choices: Choices) -> Self {
        Self::in_dir(Arc::new(TempDir::new().unwrap()), choices).await
    }

    /// A site on a state directory that may have been used before.
    pub(crate) async fn in_dir(dir: Arc<TempDir>, choices: Choices) -> Self {
        let Choices { limits, identity, client_ca, clock, board, still } = choices;
        let store = Store::new(Arc::new(RealFs::new(dir.path())), Arc::clone(&clock));
        store.open_deployment(DeploymentId::compose(1)).await.unwrap();
        let ownership = own(&store).await;
        let server = ServerConfig {
            https_host: "localhost".to_owned(),
            https: HttpsConfig { listen: any_port(), port: None, identity, client_ca },
            http_listen: Some(any_port()),
            admin_listen: any_port(),
            limits,
        };
        let setup = watch::Sender::new(setup_of(dir.path().to_owned(), server.clone()));
        let board = watch::Sender::new(Arc::new(board));
        let wakes = Arc::new(Mutex::new(Vec::new()));
        let woken = Arc::clone(&wakes);
        let running = start(ServerSetup {
            config: server,
            store: store.clone(),
            board: board.subscribe(),
            setup: setup.subscribe(),
            clock,
            wake: Arc::new(move |space: &SpaceName| woken.lock().unwrap().push(space.clone())),
            metrics: Arc::new(Metrics::new()),
        })
        .await
        .unwrap();
        Self { dir, store, running, board, setup, wakes, ownership, machines: Mutex::new(0), still }
    }

    /// Makes a machine as `act` does: folder, features, record.
    pub(crate) async fn machine(&self, machinetype: &str) -> Machine {
        let number = {
            let mut machines = self.machines.lock().unwrap();
            *machines += 1;
            *machines
        };
        let machine = Machine {
            name: MachineName::compose(&machinetype.parse().unwrap(), number),
            token: format!("token-of-machine-{number}"),
        };
        let files = MachineFiles {
            machinefeatures: keys(&[("total_cpu", "8"), ("hs06", "80.0")]),
            jobfeatures: keys(&[("allocated_cpu", "8"), ("grace_secs_job", "600")]),
            user_data: UserData::new("#!/bin/sh\n"),
        };
        let proof = self.ownership.proof().unwrap();
        self.store.create_machine(&proof, &record_of(&machine), &files).await.unwrap();
        machine
    }

    /// Changes a machine's record, as the owner does when it learns something.
    pub(crate) async fn change(&self, machine: &Machine, how: impl FnOnce(&mut MachineRecord)) {
        let mut record = self.store.record(&space(), &machine.name).await.unwrap().unwrap();
        how(&mut record);
        self.store.save_record(&self.ownership.proof().unwrap(), &record).await.unwrap();
    }

    /// Where the outputs of a machine lie.
    pub(crate) fn outputs(&self, machine: &Machine) -> PathBuf {
        self.dir
            .path()
            .join("spaces")
            .join(SPACE)
            .join("current")
            .join(machine.name.as_str())
            .join("joboutputs")
    }

    /// What a machine has put, if it has.
    pub(crate) fn output(&self, machine: &Machine, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.outputs(machine).join(file)).ok()
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.https_addr.port())
    }

    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_addr.unwrap())
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.admin_addr)
    }

    /// A client that trusts what VMs are given.
    pub(crate) fn client(&self) -> reqwest::Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> reqwest::ClientBuilder {
        let ca = self.running.ca_pem.as_deref().expect("the site made its own certificate");
        builder(ca).tls_danger_accept_invalid_certs(self.still)
    }

    /// A PUT of a machine's file with a token, over HTTPS.
    pub(crate) fn put(&self, machine: &Machine, file: &str, token: &str) -> RequestBuilder {
        let url = self.https(&machine.path(&format!("joboutputs/{file}")));
        self.client().put(url).bearer_auth(token)
    }

    /// A connection to the HTTPS listener with the handshake done, for what no client would send.
    pub(crate) async fn raw_tls(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let ca = self.running.ca_pem.as_deref().unwrap();
        raw_tls(self.running.https_addr, ca).await
    }

    /// Sends bytes to the HTTPS listener just as they are, and reads the answer to its end.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut stream = self.raw_tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

pub(crate) fn builder(ca: &str) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
        .redirect(redirect::Policy::none())
        .no_proxy()
}

pub(crate) async fn raw_tls(
    address: SocketAddr,
    ca: &str,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap()
}

/// Everything until the other side closes, however it does that.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut part).await {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8(answer).unwrap()
}

/// The status and the body of an answer; the body of an error must be empty.
pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap();
    (status, body)
}

/// The status of an answer of which nothing else matters.
pub(crate) async fn status(request: RequestBuilder) -> u16 {
    answer(request).await.0.as_u16()
}

/// An answer to a VM that is an error: the given status, and not one byte of body.
pub(crate) async fn assert_empty_error(response: Response, expected: u16) {
    let url = response.url().clone();
    assert_eq!(response.status().as_u16(), expected, "{url}");
    let declared = response.headers().get("content-length").cloned();
    assert_eq!(response.bytes().await.unwrap(), "", "{url}");
    assert!(declared.is_none_or(|length| length == "0"), "{url}");
}

/// Tries until it holds; a test that waits for nothing fails.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn space() -> SpaceName {
    SPACE.parse().unwrap()
}

pub(crate) fn empty_board() -> Board {
    Board {
        manager: "m1".parse().unwrap(),
        version: "0.1.0".to_owned(),
        started: Timestamp::from_secs(1_799_990_000),
        config: ConfigStatus {
            loaded: Timestamp::from_secs(1_799_990_000),
            digest: "0123456789ab".to_owned(),
            refused: None,
        },
        store_problem: None,
        spaces: BTreeMap::new(),
        idle_spaces: BTreeMap::new(),
        idle_since: BTreeMap::new(),
        abandoned: BTreeMap::new(),
        spending: None,
    }
}

/// The methods that no path for reading offers.
pub(crate) fn writing_methods() -> [Method; 5] {
    [Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS]
}

/// A certificate authority of the test, and what it signs.
pub(crate) struct TestCa {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl TestCa {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key in PEM, with the subject in the given order.
    pub(crate) fn sign(
        &self,
        names: &[&str],
        subject: &[(DnType, &str)],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

pub(crate) fn dc() -> DnType {
    DnType::from_oid(&[0, 9, 2342, 19200300, 100, 1, 25])
}

async fn own(store: &Store) -> Ownership {
    let manager = ManagerName::parse("m1").unwrap();
    let hour = Duration::from_secs(3600);
    match acquire(store, &space(), &manager, hour).await.unwrap() {
        Acquire::Owned(ownership) => ownership,
        Acquire::HeldBy { manager, .. } => panic!("the space is held by {manager}"),
    }
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn keys(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn record_of(machine: &Machine) -> MachineRecord {
    let machinetype = machine.name.machinetype();
    let now = Timestamp::from_secs(1_800_000_000);
    MachineRecord {
        format: MachineRecord::FORMAT,
        tags: Tags {
            deployment: DeploymentId::compose(1),
            space: space(),
            machinetype: machinetype.clone(),
            machine: machine.name.clone(),
            intent: IntentToken::compose(7),
            generation: Generation(1),
            deadline: now + Duration::from_secs(3600),
        },
        written_by: Generation(1),
        manager: "m1".parse().unwrap(),
        entry: entry(),
        offering: OfferingId {
            flavour: "large".to_owned(),
            zone: String::new(),
            market: Market::OnDemand,
        },
        processors: Processors(8),
        memory: Megabytes(16_384),
        intended: now,
        asked: now,
        base_url: String::new(),
        outputs_token_sha256: Sha256::digest(&machine.token)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        instance: None,
        created: None,
        rejected: None,
        refused_late: None,
        started: None,
        ended: None,
        drain: None,
        deletion: None,
        gone: None,
    }
}

fn entry() -> EntryRef {
    EntryRef { name: EntryName::parse("dune").unwrap(), version: "1".to_owned() }
}

fn setup_of(state_dir: PathBuf, server: ServerConfig) -> Arc<Setup> {
    let config = Config {
        site: SiteConfig {
            name: "UKI-TEST".to_owned(),
            state_dir,
            manager: "m1".parse().unwrap(),
            cycle: Duration::from_secs(60),
            ownership_ttl: Duration::from_secs(15),
        },
        library: LibraryConfig { paths: Vec::new() },
        server,
        spending: None,
        spaces: BTreeMap::new(),
        files: Vec::new(),
    };
    let policy = SpacePolicy {
        space: space(),
        processors_limit: None,
        machines_limit: None,
        pace: Pace::FractionOfLimit(0.1),
        shutdown_time: None,
        cleanup: Duration::from_secs(3600),
        blast_radius: BlastRadius { machines: 5, fraction: 0.5 },
        taken_back_after: None,
        delete_pause: Duration::from_secs(60),
        delete_pause_max: Duration::from_secs(3600),
        hs23: BTreeMap::new(),
        machinetypes: BTreeMap::new(),
    };
    let definition = |dns: &[&str]| Definition {
        entry: entry(),
        image: None,
        public_key: None,
        template: "#!/bin/sh\n".into(),
        options: BTreeMap::new(),
        https_x509dn: dns.iter().map(|dn| (*dn).to_owned()).collect(),
        heartbeat_file: Some("heartbeat".to_owned()),
    };
    let machinetypes = BTreeMap::from([
        (MachinetypeName::parse("dune").unwrap(), definition(&[ADMITTED_DN])),
        (MachinetypeName::parse("lhcb").unwrap(), definition(&[])),
    ]);
    Arc::new(Setup {
        config: Arc::new(config),
        spaces: BTreeMap::from([(space(), Arc::new(SpaceSetup { policy, machinetypes }))]),
        digest: "0123456789ab".to_owned(),
    })
}

/// The same setup with one thing changed.
pub(crate) fn changed(setup: &Setup, how: impl FnOnce(&mut Config)) -> Arc<Setup> {
    let mut config = (*setup.config).clone();
    how(&mut config);
    Arc::new(Setup { config: Arc::new(config), ..setup.clone() })
}
