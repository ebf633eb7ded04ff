//! What 5,000 machines cost to look at, and how launches keep to the buckets of EC2.
//!
//! `cargo bench -p vcycle-aws --bench scale`. The fake cloud runs in a process of its own, so that its memory and its
//! work are not counted. No threshold is checked here: the figures are in `docs/PERFORMANCE.md`.

#![allow(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use vcycle_api::{
    Act, Clock, CreateRequest, DeploymentId, ErrorKind, Generation, IntentToken, Listing,
    MachineName, MachinetypeName, ManualClock, Observe, Offering, SpaceName, SystemClock, Tags,
    Timestamp, UserData,
};
use vcycle_aws::testing::{FakeCloud, NewMachine, Rates, Site};
use vcycle_aws::{Aws, Settings};

const MACHINES: usize = 5000;
const CREATES: u64 = 400;
const ANSWER_TIME_MS: u64 = 200;
const ROUNDS: usize = 7;
/// Seconds of virtual time in which as many machines are launched as EC2 takes.
const LAUNCH_TIME: u64 = 600;
const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_884);

/// Set in the process that is the cloud: the folder for its credentials and its address.
const FOLDER: &str = "VCYCLE_BENCH_CLOUD";

fn tags(number: u64) -> Tags {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    Tags {
        deployment: DeploymentId::compose(7),
        space: SpaceName::parse("vcycle.example").unwrap(),
        machine: MachineName::compose(&machinetype, number),
        machinetype,
        intent: IntentToken::compose(u128::from(number)),
        generation: Generation(1),
        deadline: Timestamp::from_secs(4_000_000_000),
    }
}

fn site() -> Site {
    let mut site = Site::small();
    (site.limits.on_demand, site.limits.spot) = (1_000_000, 1_000_000);
    for subnet in &mut site.subnets {
        subnet.free = 65_000;
    }
    site
}

/// The cloud's process: a line in, a line out.
async fn be_the_cloud(folder: &Path) {
    let clock = Arc::new(ManualClock::at(BEGIN));
    let fake = FakeCloud::start(site(), clock.clone()).await.unwrap();
    fake.write_credentials(folder).unwrap();
    println!("{}", fake.endpoint());
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
            ["seed", count] => seed(&fake, &clock, count.parse().unwrap()),
            ["delay", millis] => {
                fake.answer_after(Duration::from_millis(millis.parse().unwrap()));
                0
            }
            ["requests"] => fake.requests(),
            ["machines"] => fake.ledger().machines.len(),
            ["peak"] => fake.peak(),
            other => panic!("{other:?}"),
        };
        println!("{answer}");
    }
}

fn seed(fake: &FakeCloud, clock: &ManualClock, count: usize) -> usize {
    for number in 0..count {
        let tags = tags(number as u64).to_map();
        fake.add_machine(&NewMachine { tags, ..NewMachine::default() });
    }
    clock.advance(Duration::from_secs(60));
    count
}

/// The other end.
struct Cloud {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    endpoint: String,
}

impl Cloud {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let endpoint = String::new();
        let mut cloud = Self { child, ask, answers: BufReader::new(answers), endpoint };
        cloud.endpoint = cloud.line();
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
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A line of `/proc/self/status`, in MiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
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
    name: &str,
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
    let (best, middle) = (times[0], times[ROUNDS / 2]);
    println!("{name:28} {middle:>9.1?} (best {best:.1?}, own work {own:.0?}), {requests} requests");
    last.unwrap()
}

fn request(number: u64, offering: &Offering) -> CreateRequest {
    let tags = tags(number);
    CreateRequest {
        machine: tags.machine.clone(),
        offering: offering.clone(),
        tags,
        image: Some("ami-0aaaaaaaaaaaaaaa2".to_owned()),
        user_data: UserData::new("#cloud-config\n".repeat(200)),
        environment: Vec::new(),
        public_key: None,
    }
}

fn settings(endpoint: &str, folder: &Path) -> Settings {
    let mut settings = Settings::new("eu-west-2", vec!["m5.large".to_owned()]);
    settings.endpoint = Some(endpoint.to_owned());
    settings.credentials.files.credentials = Some(folder.join("credentials"));
    // Side resources of nobody would not even be asked for.
    settings.deployment = Some(DeploymentId::compose(7));
    settings
}

async fn looking(cloud: &mut Cloud, clock: &SystemClock, folder: &Path) {
    cloud.tell(&format!("seed {MACHINES}"));
    let provider =
        Aws::open(settings(&cloud.endpoint, folder), Arc::new(SystemClock::new())).unwrap();
    provider.offerings().await.unwrap();
    let before = memory("VmRSS");
    let listing = measure(cloud, clock, "list of 5,000 machines", || provider.list()).await;
    let Ok(Listing::Complete(all)) = listing else { panic!("{listing:?}") };
    assert_eq!(all.len(), MACHINES);
    measure(cloud, clock, "offerings", || provider.offerings()).await.unwrap();
    measure(cloud, clock, "quota", || provider.quota()).await.unwrap();
    measure(cloud, clock, "side resources of 5,000", || provider.side_resources()).await.unwrap();
    measure(cloud, clock, "list, offerings and quota", async || {
        provider.list().await.unwrap();
        provider.offerings().await.unwrap();
        provider.quota().await.unwrap();
    })
    .await;
    let (after, most) = (memory("VmRSS"), memory("VmHWM"));
    println!("memory: {before} MiB before, {after} MiB after, {most} MiB at the most");
}

async fn making(cloud: &mut Cloud, clock: &SystemClock, folder: &Path) {
    let provider =
        Aws::open(settings(&cloud.endpoint, folder), Arc::new(SystemClock::new())).unwrap();
    let offering = provider.offerings().await.unwrap().remove(0);
    // Credentials, subnets and images are known in a running manager.
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
        "{CREATES} creates at {ANSWER_TIME_MS} ms an answer, no bucket, {peak} at once: {took:.1?}, {rate:.1} \
         machines a second, {asked} requests"
    );
    cloud.tell("delay 0");
}

/// Launches on virtual time as the driver does: a turn is taken first, and a create that has none waits for the next
/// round. The fake throttles by the buckets of EC2 meanwhile.
async fn launching(folder: &Path) {
    let clock = Arc::new(ManualClock::at(BEGIN));
    let mut site = site();
    site.rates = Some(Rates::real());
    let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
    fake.write_credentials(folder).unwrap();
    let provider = Aws::open(settings(&fake.endpoint(), folder), clock.clone()).unwrap();
    let offering = provider.offerings().await.unwrap().remove(0);
    let (mut number, mut put_off) = (3_000_000, 0);
    for _ in 0..LAUNCH_TIME * 10 {
        // Ten times a second: five times as often as EC2 takes launches.
        match provider.turn_to_create(Duration::ZERO) {
            Ok(_) => {
                number += 1;
                if let Err(error) = provider.create(&request(number, &offering)).await {
                    assert!(matches!(error.kind, ErrorKind::Throttled { after: _ }), "{error}");
                    println!("launch {} is throttled by EC2", number - 3_000_000);
                }
            }
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::Throttled { after: _ }), "{error}");
                put_off += 1;
            }
        }
        clock.advance(Duration::from_millis(100));
    }
    let ledger = fake.ledger();
    let is_throttled = |code: Option<&str>| code == Some("RequestLimitExceeded");
    let throttled = ledger.calls.iter().filter(|call| is_throttled(call.code.as_deref())).count();
    println!(
        "{LAUNCH_TIME} s of launches, 10 wanted a second: {} machines, {} RunInstances, {throttled} calls \
         throttled by EC2, {put_off} creates put off before they were sent",
        ledger.machines.len(),
        ledger.calls_of("RunInstances").count()
    );
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
        looking(&mut Cloud::start(folder.path()), &clock, folder.path()).await;
        launching(folder.path()).await;
    });
}
