//! What a provider costs at thousands of machines: time, requests, memory, and its own work.
//!
//! The fake cloud runs in a process of its own, so that neither its memory nor its work is counted: the program
//! starts itself again ([`Apart::start`]), and finds out by [`folder`] that it is the cloud ([`be_the_cloud`]).
//! Surprises end the program.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{
    Act, Clock, CreateRequest, DeploymentId, Generation, IntentToken, Listing, MachineName,
    MachinetypeName, Offering, ProviderError, SpaceName, SystemClock, Tags, Timestamp, UserData,
};

/// Machines in the cloud that is looked at.
pub const MACHINES: usize = 5000;

/// Machines that are made.
const CREATES: u64 = 400;

/// Creates that are under way at once, as far as the provider lets them.
const AT_ONCE: usize = 64;

/// How long each answer takes while machines are made.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// How often each call is measured.
const ROUNDS: u32 = 7;

/// Set in the process that is the cloud: the folder for its credentials.
const FOLDER: &str = "VCYCLE_BENCH_CLOUD";

/// Whose machines they are.
pub fn deployment() -> DeploymentId {
    DeploymentId::compose(7)
}

/// Identity of a machine.
pub fn tags(number: u64, deadline: Timestamp) -> Tags {
    let machinetype = MachinetypeName::parse("dune").expect("a plain name is valid");
    Tags {
        deployment: deployment(),
        space: SpaceName::parse("vcycle.example").expect("a plain name is valid"),
        machine: MachineName::compose(&machinetype, number),
        machinetype,
        intent: IntentToken::compose(u128::from(number)),
        generation: Generation(1),
        deadline,
    }
}

/// What the `user_data` of each machine is.
pub fn user_data() -> String {
    "#cloud-config\n".repeat(200)
}

/// A request for a machine of this offering and image.
pub fn request(tags: Tags, offering: &Offering, image: &str) -> CreateRequest {
    CreateRequest {
        machine: tags.machine.clone(),
        offering: offering.clone(),
        tags,
        image: Some(image.to_owned()),
        user_data: UserData::new(user_data()),
        environment: Vec::new(),
        public_key: None,
    }
}

/// The folder for the cloud's credentials, in the process that is the cloud; `None` in the one that measures.
pub fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// What the cloud's process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// To hold so many machines more.
    Seed(usize),
    /// To take this long for each answer.
    Delay(Duration),
    /// To say how many requests have come.
    Requests,
    /// To say how many requests were served at one time, at the most.
    Peak,
    /// To say how many requests it did not like.
    Complaints,
}

impl Told {
    fn line(self) -> String {
        match self {
            Self::Seed(machines) => format!("seed {machines}"),
            Self::Delay(time) => format!("delay {}", time.as_millis()),
            Self::Requests => "requests 0".to_owned(),
            Self::Peak => "peak 0".to_owned(),
            Self::Complaints => "complaints 0".to_owned(),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "seed" => usize::try_from(number).ok().map(Self::Seed),
            "delay" => Some(Self::Delay(Duration::from_millis(number))),
            "requests" => Some(Self::Requests),
            "peak" => Some(Self::Peak),
            "complaints" => Some(Self::Complaints),
            _ => None,
        }
    }
}

/// Is the cloud until the other process ends: says where it is, and answers each line.
///
/// # Panics
/// When it is told what it does not know.
pub async fn be_the_cloud(address: &str, answer: impl Fn(Told) -> usize) {
    println!("{address}");
    let mut lines = BufReader::new(io::stdin());
    loop {
        let read = move || {
            let mut line = String::new();
            (lines.read_line(&mut line).map(|_| line), lines)
        };
        let (line, rest) = tokio::task::spawn_blocking(read).await.expect("reading never panics");
        lines = rest;
        let line = line.expect("the other process speaks text");
        if line.is_empty() {
            return;
        }
        let told = Told::parse(&line).unwrap_or_else(|| panic!("what is {line:?}?"));
        println!("{}", answer(told));
    }
}

/// The cloud in its own process, from outside. It ends when this is dropped.
#[derive(Debug)]
pub struct Apart {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: String,
    clock: SystemClock,
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Apart {
    /// Starts this program again, as the cloud.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(folder: &Path) -> Self {
        let program = env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts again");
        let ask = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let (address, clock) = (String::new(), SystemClock::new());
        let mut cloud = Self { child, ask, answers, address, clock };
        cloud.address = cloud.line();
        cloud
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the cloud's process lives");
        line.trim().to_owned()
    }

    /// Tells it something, and gives its answer.
    ///
    /// # Panics
    /// When it has ended.
    pub fn tell(&mut self, what: Told) -> usize {
        writeln!(self.ask, "{}", what.line()).expect("the cloud's process lives");
        self.line().parse().expect("each answer is a number")
    }

    /// Makes a call some times, and prints what it took: time, work of this process, requests.
    pub async fn measure<T>(&mut self, name: &str, call: impl AsyncFn() -> T) -> T {
        let (mut last, mut times, mut requests) = (None, Vec::new(), Vec::new());
        let began = work();
        for _ in 0..ROUNDS {
            let (before, begin) = (self.tell(Told::Requests), self.clock.monotonic());
            last = Some(call().await);
            times.push(self.clock.monotonic() - begin);
            requests.push(self.tell(Told::Requests) - before);
        }
        let own = (work() - began) / ROUNDS;
        times.sort();
        let (best, middle) = (times[0], times[times.len() / 2]);
        println!(
            "{name:34} {middle:>9.1?} (best {best:.1?}, own work {own:.0?}), requests {requests:?}"
        );
        last.expect("there was a round")
    }

    /// What it costs to look at [`MACHINES`] machines, which the cloud is told to hold.
    ///
    /// # Panics
    /// When a call fails, or not all of them are seen.
    pub async fn looking(&mut self, provider: &Arc<dyn Act>) {
        self.tell(Told::Seed(MACHINES));
        // A login, and what is remembered for long.
        provider.offerings().await.expect("offerings can be read");
        let before = memory("VmRSS");
        let listing = self.measure("list", || provider.list()).await;
        let Ok(Listing::Complete(all)) = listing else { panic!("{listing:?}") };
        assert_eq!(all.len(), MACHINES);
        drop(all);
        let answer = self.measure("offerings", || provider.offerings()).await;
        answer.expect("offerings can be read");
        self.measure("quota", || provider.quota()).await.expect("the quota can be read");
        let cycle = self.measure("list and quota, as a cycle asks", || look(provider)).await;
        cycle.expect("both can be read");
        let answer = self.measure("side resources", || provider.side_resources()).await;
        println!("{} side resources", answer.expect("side resources can be read").len());
        let (after, most) = (memory("VmRSS"), memory("VmHWM"));
        println!("memory: {before} MiB before, {after} MiB after, {most} MiB at the most");
    }

    /// How fast machines are made, from this image.
    ///
    /// # Panics
    /// When one of them is not.
    pub async fn making(&mut self, provider: &Arc<dyn Act>, deadline: Timestamp, image: &str) {
        let offering = provider.offerings().await.expect("offerings can be read").remove(0);
        let wanted = |number| request(tags(number, deadline), &offering, image);
        // Credentials, networks and images are known in a running manager.
        provider.create(&wanted(1_000_000)).await.expect("a machine can be made");
        self.tell(Told::Delay(ANSWER_TIME));
        let (before, begin) = (self.tell(Told::Requests), self.clock.monotonic());
        let (places, mut creates) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for number in 0..CREATES {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            let (provider, request) = (Arc::clone(provider), wanted(2_000_000 + number));
            creates.spawn(async move {
                let made = provider.create(&request).await;
                drop(place);
                made
            });
        }
        for made in creates.join_all().await {
            made.expect("a machine can be made");
        }
        let took = self.clock.monotonic() - begin;
        let (asked, peak) = (self.tell(Told::Requests) - before, self.tell(Told::Peak));
        let rate = CREATES as f64 / took.as_secs_f64();
        println!(
            "{CREATES} creates at {ANSWER_TIME:?} an answer, {peak} requests at once: {took:.1?}, {rate:.1} machines \
             a second, {asked} requests"
        );
        self.tell(Told::Delay(Duration::ZERO));
    }
}

/// Listing and quota side by side, the listing asked for first.
async fn look(provider: &Arc<dyn Act>) -> Result<(), ProviderError> {
    let (listed, told) = tokio::join!(provider.list(), provider.quota());
    listed?;
    told?;
    Ok(())
}

/// A line of `/proc/self/status`, in MiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find(|line| line.starts_with(field)).expect("Linux tells it");
    let number = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    number.expect("it is a number") / 1024
}

/// Processor time of this process so far, which Linux counts in hundredths of a second.
fn work() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time: fields 14 and 15 of the whole line, which begins with the number and the name.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
