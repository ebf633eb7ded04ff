//! The in-process EC2 as a server of its own, for clients in other languages: `tests/aws/run` drives it with boto3.
//!
//! Says in its first line, in JSON, where it listens and what its keys are. Then it takes a lever a line from standard
//! input and answers each with a line of JSON, until the input ends. `pass SECONDS` moves its clock ahead of the host's.

#![allow(clippy::unwrap_used, reason = "a helper of tests ends at the first surprise")]

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::{Clock, SystemClock, Timestamp};
use vcycle_aws::testing::{
    FakeCloud, NewMachine, On, Pool, Rates, Reason, Refusal, Site, SiteLimits, Trouble,
};

/// The host's clock and what was added to it.
#[derive(Debug)]
struct Ahead {
    host: SystemClock,
    millis: AtomicI64,
}

impl Ahead {
    fn by(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::SeqCst).unsigned_abs())
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.host.now() + self.by()
    }

    fn monotonic(&self) -> Duration {
        self.host.monotonic() + self.by()
    }
}

/// The actions whose requests a line may trouble.
const ACTIONS: [&str; 3] = ["RunInstances", "DescribeInstances", "TerminateInstances"];

fn on(word: &str) -> On {
    ACTIONS.into_iter().find(|action| *action == word).map_or(On::Any, On::Action)
}

fn pull(fake: &FakeCloud, clock: &Ahead, words: &[&str]) -> Value {
    let number = |text: &str| text.parse::<u32>().unwrap();
    let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
    match words {
        ["pass", time] => {
            let millis = i64::try_from(seconds(time).as_millis()).unwrap();
            clock.millis.fetch_add(millis, Ordering::SeqCst);
        }
        ["add", count] => {
            for _ in 0..number(count) {
                fake.add_machine(&NewMachine::default());
            }
        }
        ["interrupt", id] => fake.interrupt(id),
        ["guest-ends", id] => fake.guest_ends(id),
        ["short", flavour, zone, market] => fake.runs_short(Pool::new(flavour, zone, market)),
        ["short-after", left, flavour] => {
            fake.runs_short_after(Pool::new(flavour, "*", "*"), number(left), None);
        }
        ["restock"] => fake.restock_all(),
        ["lag", new, state] => fake.lag(seconds(new), seconds(state)),
        ["throttle", times] => {
            fake.befall(On::Any, number(times), Trouble::Refuse(Refusal::throttled()));
        }
        ["lose-reply", action] => fake.befall(on(action), 1, Trouble::LoseReply),
        ["rates"] => fake.set_rates(&Rates::real()),
        ["fail-launches", count] => {
            fake.fail_next_launches(count.parse().unwrap(), &Reason::volume_limit());
        }
        ["limits", on_demand, spot] => {
            fake.set_limits(SiteLimits { on_demand: number(on_demand), spot: number(spot) });
        }
        ["zone-fails", zone] => fake.zone_fails(zone),
        ["zones-recover"] => fake.zones_recover(),
        ["leaves-side-resources"] => fake.leaves_side_resources(),
        ["refuse-everybody"] => fake.refuse_everybody(),
        ["refuse-nobody"] => fake.refuse_nobody(),
        ["ledger"] => {
            let ledger = fake.ledger();
            return json!({
                "machines": ledger.machines.len(),
                "living": ledger.living().count(),
                "calls": ledger.calls.len(),
                "made_twice": ledger.made_twice(),
            });
        }
        other => panic!("no such lever: {other:?}"),
    }
    json!({})
}

#[tokio::main]
async fn main() {
    let clock = Arc::new(Ahead { host: SystemClock::new(), millis: AtomicI64::new(0) });
    let mut site = Site::small();
    site.times.boot = Duration::from_secs(2);
    site.times.shutdown = Duration::from_secs(2);
    let (key, region) = (site.keys[0].clone(), site.region.clone());
    let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
    let greeting = json!({
        "endpoint": fake.endpoint(),
        "queue": fake.queue_url(),
        "role": fake.role_arn("vcycle-role"),
        "key": key.id,
        "secret": key.secret,
        "region": region,
    });
    println!("{greeting}");
    // Reading waits for the other end, so not on a thread of the runtime.
    let levers = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            println!("{}", pull(&fake, &clock, &words));
        }
    });
    levers.await.unwrap();
}
