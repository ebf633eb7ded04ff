//! What 5,000 machines cost to look at, and how fast machines are made when each answer takes 200 ms.
//!
//! `cargo bench --workspace --bench scale`. Google's rates per minute are kept, and counted: nothing may be refused. No
//! threshold is checked otherwise: the figures are in `docs/PERFORMANCE.md`.

#![allow(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::testing::scale::{self, Apart, Told};
use vcycle_api::{Act, Clock, SystemClock, Timestamp};
use vcycle_gcp::testing::{FakeCloud, NewMachine, Rates, Site};
use vcycle_gcp::{Credentials, Gcp, Settings, Source};

const IMAGE: &str = "family/lab-tiny";

/// Google counts the end of a machine from its deadline, on the real clock here.
fn deadline() -> Timestamp {
    SystemClock::new().now() + Duration::from_secs(86_400)
}

fn site() -> Site {
    let mut site = Site::small();
    site.rates = Some(Rates::GOOGLE);
    for quota in &mut site.quotas {
        quota.limit = 1e9;
    }
    site
}

async fn be_the_cloud(folder: &Path) {
    let fake = FakeCloud::start(site(), Arc::new(SystemClock::new())).await.unwrap();
    fake.write_key_file(folder).unwrap();
    let answer = |told| match told {
        Told::Seed(machines) => seed(&fake, machines),
        Told::Delay(time) => {
            fake.answer_after(time);
            0
        }
        Told::Requests => fake.requests(),
        Told::Peak => fake.peak(),
        Told::Complaints => {
            usize::try_from(fake.refused_by_rates()).unwrap() + fake.problems().len()
        }
    };
    scale::be_the_cloud(&fake.base(), answer).await;
}

/// As an insert of the provider makes them.
fn seed(fake: &FakeCloud, count: usize) -> usize {
    for number in 0..count {
        let tags = scale::tags(number as u64, deadline());
        let encoded = |value: String| value.replace('_', "__").replace('.', "_d");
        let labels: BTreeMap<String, String> =
            tags.to_map().into_iter().map(|(key, value)| (key, encoded(value))).collect();
        let zone = site().zones[number % 3].clone();
        let metadata = vec![("user-data".to_owned(), scale::user_data())];
        let name = tags.machine.to_string();
        fake.add_machine(&NewMachine { zone, metadata, ..NewMachine::new(&name, labels) });
    }
    count
}

fn provider(cloud: &Apart, folder: &Path) -> Arc<dyn Act> {
    let site = site();
    let types = ["e2-standard-2", "n2-standard-4"];
    let mut settings = Settings::new(&site.project, &site.region, &types);
    let file = Source::File(folder.join("service-account.json"));
    settings.credentials = Credentials { source: file, impersonate: None };
    settings.endpoint = Some(cloud.address().to_owned());
    settings.deployment = Some(scale::deployment());
    Arc::new(Gcp::open(settings, Arc::new(SystemClock::new())).unwrap())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(folder) = scale::folder() {
        return runtime.block_on(be_the_cloud(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runtime.block_on(async {
        let mut cloud = Apart::start(folder);
        cloud.making(&provider(&cloud, folder), deadline(), IMAGE).await;
        assert_eq!(cloud.tell(Told::Complaints), 0);
        let mut cloud = Apart::start(folder);
        cloud.looking(&provider(&cloud, folder)).await;
        assert_eq!(cloud.tell(Told::Complaints), 0);
    });
}
