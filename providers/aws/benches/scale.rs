//! What 5,000 machines cost to look at, and how launches keep to the buckets of EC2.
//!
//! `cargo bench --workspace --bench scale`. No threshold is checked here: the figures are in `docs/PERFORMANCE.md`.

#![allow(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::testing::scale::{self, Apart, Told};
use vcycle_api::{Act, Clock, ErrorKind, ManualClock, SystemClock, Timestamp};
use vcycle_aws::testing::{FakeCloud, Ledger, NewMachine, Rates, Site};
use vcycle_aws::{Aws, Settings};

const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_884);
const DEADLINE: Timestamp = Timestamp::from_secs(4_000_000_000);
const IMAGE: &str = "ami-0aaaaaaaaaaaaaaa2";
/// Virtual time in which as many machines are launched as EC2 takes.
const LAUNCH_TIME: Duration = Duration::from_secs(600);
/// Between two looks whether a launch may go out: five times as often as EC2 takes them.
const LAUNCH_STEP: Duration = Duration::from_millis(100);

fn site() -> Site {
    let mut site = Site::small();
    (site.limits.on_demand, site.limits.spot) = (1_000_000, 1_000_000);
    for subnet in &mut site.subnets {
        subnet.free = 65_000;
    }
    site
}

async fn be_the_cloud(folder: &Path) {
    let clock = Arc::new(ManualClock::at(BEGIN));
    let fake = FakeCloud::start(site(), clock.clone()).await.unwrap();
    fake.write_credentials(folder).unwrap();
    let answer = |told| match told {
        Told::Seed(machines) => seed(&fake, &clock, machines),
        Told::Delay(time) => {
            fake.answer_after(time);
            0
        }
        Told::Requests => fake.requests(),
        Told::Peak => fake.peak(),
        Told::Complaints => fake.ledger().calls.iter().filter(|call| call.code.is_some()).count(),
    };
    scale::be_the_cloud(&fake.endpoint(), answer).await;
}

fn seed(fake: &FakeCloud, clock: &ManualClock, count: usize) -> usize {
    for number in 0..count {
        let tags = scale::tags(number as u64, DEADLINE).to_map();
        fake.add_machine(&NewMachine { tags, ..NewMachine::default() });
    }
    clock.advance(Duration::from_secs(60));
    count
}

fn provider(endpoint: &str, folder: &Path, clock: Arc<dyn Clock>) -> Arc<dyn Act> {
    let mut settings = Settings::new("eu-west-2", vec!["m5.large".to_owned()]);
    settings.endpoint = Some(endpoint.to_owned());
    settings.credentials.files.credentials = Some(folder.join("credentials"));
    // Side resources of nobody would not even be asked for.
    settings.deployment = Some(scale::deployment());
    Arc::new(Aws::open(settings, clock).unwrap())
}

fn throttled(ledger: &Ledger) -> usize {
    let is_throttled = |code: Option<&str>| code == Some("RequestLimitExceeded");
    ledger.calls.iter().filter(|call| is_throttled(call.code.as_deref())).count()
}

/// Launches on virtual time as the driver does: a turn is taken first, and a create that has none waits for the next
/// round. The fake throttles by the buckets of EC2 meanwhile.
async fn launching(folder: &Path) {
    let clock = Arc::new(ManualClock::at(BEGIN));
    let mut site = site();
    site.rates = Some(Rates::real());
    let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
    fake.write_credentials(folder).unwrap();
    let provider = provider(&fake.endpoint(), folder, clock.clone());
    let offering = provider.offerings().await.unwrap().remove(0);
    let (end, mut number, mut put_off) = (clock.now() + LAUNCH_TIME, 3_000_000, 0);
    while clock.now() < end {
        match provider.turn_to_create(Duration::ZERO) {
            Ok(_) => {
                number += 1;
                let request = scale::request(scale::tags(number, DEADLINE), &offering, IMAGE);
                if let Err(error) = provider.create(&request).await {
                    println!("launch {} fails: {error}", number - 3_000_000);
                }
            }
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::Throttled { after: _ }), "{error}");
                put_off += 1;
            }
        }
        clock.advance(LAUNCH_STEP);
    }
    let ledger = fake.ledger();
    println!(
        "{LAUNCH_TIME:?} of launches, 10 wanted a second: {} machines, {} RunInstances, {} calls throttled by EC2, \
         {put_off} creates put off before they were sent",
        ledger.machines.len(),
        ledger.calls_of("RunInstances").count(),
        throttled(&ledger)
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(folder) = scale::folder() {
        return runtime.block_on(be_the_cloud(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runtime.block_on(async {
        let open = |cloud: &Apart| provider(cloud.address(), folder, Arc::new(SystemClock::new()));
        let mut cloud = Apart::start(folder);
        cloud.making(&open(&cloud), DEADLINE, IMAGE).await;
        let mut cloud = Apart::start(folder);
        cloud.looking(&open(&cloud)).await;
        drop(cloud);
        launching(folder).await;
    });
}
