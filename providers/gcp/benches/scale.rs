//! What 5,000 machines cost, and how fast machines are made when each answer takes 200 ms.
//!
//! `cargo bench -p vcycle-gcp --bench scale`. The fake cloud runs in a process of its own, so that its memory and its
//! work are not counted. Google's rates per minute are kept, and counted: nothing may be refused. No threshold is
//! checked otherwise: the figures are in `docs/PERFORMANCE.md`.

#![allow(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use vcycle_api::{
    Act, Clock, CreateRequest, DeploymentId, Generation, IntentToken, Listing, MachineName,
    MachinetypeName, Observe, Offering, SpaceName, SystemClock, Tags, Timestamp, UserData,
};
use vcycle_gcp::testing::{FakeCloud, NewMachine, Rates, Site};
use vcycle_gcp::{Credentials, Gcp, Settings, Source};

const MACHINES: usize = 5000;
const CREATES: u64 = 400;
const ANSWER_TIME_MS: u64 = 200;
const ROUNDS: usize = 7;

/// Set in the process that is the cloud: the folder for its key file.
const FOLDER: &str = "VCYCLE_BENCH_CLOUD";

fn tags(number: u64) -> Tags {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let now = SystemClock::new().now();
    Tags {
        deployment: DeploymentId::compose(7),
        space: SpaceName::parse("vcycle.example").unwrap(),
        machine: MachineName::compose(&machinetype, number),
        machinetype,
        intent: IntentToken::compose(u128::from(number)),
        generation: Generation(1),
        deadline: Timestamp::from_secs(now.as_secs() + 86_400),
    }
}

fn site() -> Site {
    let mut site = Site::small();
    site.rates = Some(Rates::GOOGLE);
    for quota in &mut site.quotas {
        quota.limit = 1e9;
    }
    site
}

/// The cloud's process: a line in, a line out.
async fn be_the_cloud(folder: &Path) {
    let fake = FakeCloud::start(site(), Arc::new(SystemClock::new())).await.unwrap();
    fake.write_key_file(folder).unwrap();
    println!("{}", fake.base());
    let mut lines = BufReader::new(std::io::stdin());
    loop {
        let mut line = String::new();
        let (line, rest) = tokio::task::spawn_blocking(move || {
            let read = lines.read_line(&mut line);
            (read.map(|_| line), lines)
        })
        .await
        .unwrap();
        lines = rest;
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            [] => return,
            ["seed", count] => seed(&fake, count.parse().unwrap()),
            ["delay", millis] => {
                fake.answer_after(Duration::from_millis(millis.parse().unwrap()));
                0
            }
            ["requests"] => fake.requests(),
            ["peak"] => fake.peak(),
            ["refused"] => usize::try_from(fake.refused_by_rates()).unwrap(),
            ["problems"] => fake.problems().len(),
            ["machines"] => fake.count(),
            other => panic!("{other:?}"),
        };
        println!("{answer}");
    }
}

/// As an insert of the provider makes them.
fn seed(fake: &FakeCloud, count: usize) -> usize {
    for number in 0..count {
        let tags = tags(number as u64);
        let encoded = |value: String| value.replace('_', "__").replace('.', "_d");
        let labels: BTreeMap<String, String> =
            tags.to_map().into_iter().map(|(key, value)| (key, encoded(value))).collect();
        let zone = site().zones[number % 3].clone();
        let metadata = vec![("user-data".to_owned(), "#cloud-config\n".repeat(200))];
        let name = tags.machine.to_string();
        fake.add_machine(&NewMachine { zone, metadata, ..NewMachine::new(&name, labels) });
    }
    count
}

/// The other end.
struct Cloud {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    base: String,
}

impl Cloud {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut cloud = Self { child, ask, answers: BufReader::new(answers), base: String::new() };
        cloud.base = cloud.line();
        cloud
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, what: &str) -> usize {
        writeln!(self.ask, "{what}").unwrap();
        self.line().parse().unwrap()
    }

    fn provider(&self, folder: &Path) -> Gcp {
        let site = site();
        let mut settings =
            Settings::new(&site.project, &site.region, &["e2-standard-2", "n2-standard-4"]);
        let file: PathBuf = folder.join("service-account.json");
        settings.credentials = Credentials { source: Source::File(file), impersonate: None };
        settings.endpoint = Some(self.base.clone());
        settings.deployment = Some(DeploymentId::compose(7));
        Gcp::open(settings, Arc::new(SystemClock::new())).unwrap()
    }

    fn assert_well_behaved(&mut self) {
        assert_eq!((self.tell("refused"), self.tell("problems")), (0, 0));
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A line of `/proc/self/status`, in KiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Processor time of this process so far, which counts in hundredths of a second on Linux.
fn work() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

async fn measure<T>(
    cloud: &mut Cloud,
    clock: &SystemClock,
    name: &'static str,
    call: impl AsyncFn() -> T,
) -> T {
    let (mut last, mut times, mut requests) = (None, Vec::new(), 0);
    let began = work();
    for _ in 0..ROUNDS {
        let (before, begin) = (cloud.tell("requests"), clock.monotonic());
        last = Some(call().await);
        times.push(clock.monotonic() - begin);
        requests = cloud.tell("requests") - before;
    }
    let own = (work() - began) / u32::try_from(ROUNDS).unwrap();
    times.sort();
    let (best, middle) = (times[0], times[times.len() / 2]);
    println!("{name:28} {middle:>9.1?} (best {best:.1?}, own work {own:.0?}), {requests} requests");
    last.unwrap()
}

fn request(number: u64, offering: &Offering) -> CreateRequest {
    let tags = tags(number);
    CreateRequest {
        machine: tags.machine.clone(),
        offering: offering.clone(),
        tags,
        image: Some("family/lab-tiny".to_owned()),
        user_data: UserData::new("#cloud-config\n".repeat(200)),
        environment: Vec::new(),
        public_key: None,
    }
}

async fn looking(cloud: &mut Cloud, clock: &SystemClock, folder: &Path) {
    cloud.tell(&format!("seed {MACHINES}"));
    let provider = cloud.provider(folder);
    provider.quota().await.unwrap();
    let before = (memory("VmRSS"), memory("VmHWM"));
    let listing = measure(cloud, clock, "list of 5,000 machines", || provider.list()).await;
    let Ok(Listing::Complete(all)) = listing else { panic!("{listing:?}") };
    assert_eq!(all.len(), MACHINES);
    measure(cloud, clock, "offerings", || provider.offerings()).await.unwrap();
    measure(cloud, clock, "quota", || provider.quota()).await.unwrap();
    measure(cloud, clock, "list, offerings and quota", async || {
        provider.list().await.unwrap();
        provider.offerings().await.unwrap();
        provider.quota().await.unwrap();
    })
    .await;
    let disks = measure(cloud, clock, "side resources", || provider.side_resources()).await;
    assert_eq!(disks.unwrap().len(), MACHINES);
    let after = (memory("VmRSS"), memory("VmHWM"));
    println!(
        "memory: {} MiB before, {} MiB after, {} MiB at the most",
        before.0 / 1024,
        after.0 / 1024,
        after.1 / 1024
    );
    cloud.assert_well_behaved();
}

async fn making(cloud: &mut Cloud, clock: &SystemClock, folder: &Path) {
    let provider = cloud.provider(folder);
    let offering = provider.offerings().await.unwrap().remove(0);
    // Tokens and images are known in a running manager.
    provider.create(&request(1_000_000, &offering)).await.unwrap();
    cloud.tell(&format!("delay {ANSWER_TIME_MS}"));
    let (before, begin) = (cloud.tell("requests"), clock.monotonic());
    let requests: Vec<CreateRequest> =
        (0..CREATES).map(|number| request(2_000_000 + number, &offering)).collect();
    let calls = futures::stream::iter(&requests).map(|request| provider.create(request));
    let made = calls.buffer_unordered(64).filter(|made| std::future::ready(made.is_ok()));
    let made = made.count().await;
    let took = clock.monotonic() - begin;
    let asked = cloud.tell("requests") - before;
    assert_eq!(made as u64, CREATES);
    let rate = CREATES as f64 / took.as_secs_f64();
    let peak = cloud.tell("peak");
    println!(
        "{CREATES} creates at {ANSWER_TIME_MS} ms an answer, {peak} at once: {took:.1?}, {rate:.1} \
         machines a second, {asked} requests"
    );
    cloud.assert_well_behaved();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(be_the_cloud(Path::new(&folder)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut cloud = Cloud::start(folder.path());
    let clock = SystemClock::new();
    runtime.block_on(async {
        making(&mut cloud, &clock, folder.path()).await;
        drop(cloud);
        looking(&mut Cloud::start(folder.path()), &clock, folder.path()).await;
    });
}
