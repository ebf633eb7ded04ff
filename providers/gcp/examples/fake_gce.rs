//! Serves the in-process Compute Engine on a port, for clients that others wrote (`tests/gcp/run`).
//!
//! `fake_gce FOLDER [PORT]` writes the key file of its service account into the folder, says `ready URL KEYFILE`, and
//! from then on answers each line of its standard input with one line of JSON. It ends with its standard input.

#![allow(clippy::expect_used, reason = "an example ends at the first surprise")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::SystemClock;
use vcycle_gcp::testing::{FakeCloud, Outage, Shortage, Site, SiteTimes};

/// Quick, but long enough to be seen.
fn site() -> Site {
    let short = Duration::from_millis(300);
    let mut site = Site::small();
    site.times = SiteTimes {
        operation: short,
        refusal: short,
        provisioning: short,
        staging: short,
        stopping: short,
        preempting: short,
        wait: Duration::from_secs(120),
        ..SiteTimes::default()
    };
    site
}

fn obey(fake: &FakeCloud, words: &[&str]) -> Value {
    match words {
        ["problems"] => {
            let problems = fake.problems();
            let texts =
                problems.iter().map(|one| format!("{:?} {}: {}", one.side, one.method, one.what));
            texts.collect()
        }
        ["machines"] => {
            let all = fake.machines().into_iter();
            all.map(|machine| json!([machine.name, machine.zone, machine.status])).collect()
        }
        ["ledger"] => {
            let all = fake.ledger().into_iter();
            all.map(|entry| json!([entry.name, entry.request_id, format!("{:?}", entry.why)]))
                .collect()
        }
        ["disks"] => fake.disks().into_iter().map(|disk| json!(disk.name)).collect(),
        _ => {
            pull(fake, words);
            Value::Null
        }
    }
}

/// What changes something.
fn pull(fake: &FakeCloud, words: &[&str]) {
    match words {
        ["stock-out", kind] => {
            fake.stock_out(Shortage { machine_type: (*kind).to_owned(), ..Shortage::total() });
        }
        ["restock"] => fake.restock_all(),
        ["preempt", name] => fake.preempt(name),
        ["zone-down", zone] => fake.zone_down(zone, Outage::Warned),
        ["zone-up", zone] => fake.zone_up(zone),
        ["end-tokens"] => fake.end_tokens(),
        ["status", name, word] => fake.shows_status(name, word),
        ["forget-requests"] => fake.forget_requests(),
        other => panic!("what is {other:?}?"),
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder is given"));
    let port = arguments.next().map_or(0, |port| port.parse().expect("a port is a number"));
    let fake = FakeCloud::start_on(port, site(), Arc::new(SystemClock::new())).await?;
    let key = fake.write_key_file(&folder)?;
    println!("ready {} {}", fake.base(), key.display());
    // Standard input is read by a thread of its own: it blocks.
    let (heard, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            heard.send(line).ok();
        }
    });
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        println!("{}", obey(&fake, &words));
    }
    Ok(())
}
