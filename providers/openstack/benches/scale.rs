//! What 5,000 servers cost to look at, and how fast servers are made when each answer takes 200 ms.
//!
//! `cargo bench --workspace --bench scale`. No threshold is checked here: the figures are in `docs/PERFORMANCE.md`.

#![allow(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::path::Path;
use std::sync::Arc;

use vcycle_api::testing::scale::{self, Apart, Told};
use vcycle_api::{Act, SystemClock, Timestamp};
use vcycle_openstack::testing::{FakeCloud, NewServer, Site};
use vcycle_openstack::{CloudRef, Credential, OpenStack, Settings};

const DEADLINE: Timestamp = Timestamp::from_secs(4_000_000_000);
const IMAGE: &str = "lab-tiny";

async fn be_the_cloud(folder: &Path) {
    let mut site = Site::small();
    let quota = &mut site.tenants[0].quota;
    (quota.cores, quota.instances) = (-1, -1);
    let fake = FakeCloud::start(site, Arc::new(SystemClock::new())).await.unwrap();
    fake.write_clouds_yaml(folder).unwrap();
    let answer = |told| match told {
        Told::Seed(servers) => seed(&fake, servers),
        Told::Delay(time) => {
            fake.answer_after(time);
            0
        }
        Told::Requests => fake.requests(),
        Told::Peak => fake.peak(),
        Told::Complaints => {
            let refused = |status: u16| status >= 400;
            fake.asked().iter().filter(|asked| asked.status.is_none_or(refused)).count()
        }
    };
    scale::be_the_cloud(&fake.base(), answer).await;
}

fn seed(fake: &FakeCloud, count: usize) -> usize {
    for number in 0..count {
        let tags = scale::tags(number as u64, DEADLINE);
        let (name, metadata) = (tags.machine.to_string(), tags.to_map());
        fake.add_server(&NewServer { name, metadata, ..NewServer::default() });
    }
    count
}

fn provider(folder: &Path) -> Arc<dyn Act> {
    let file = Some(folder.join("clouds.yaml"));
    let cloud = CloudRef::Named { cloud: "site-a".to_owned(), file };
    let settings = Settings::new(Credential { cloud, region: None, interface: None });
    Arc::new(OpenStack::open(settings, Arc::new(SystemClock::new())).unwrap())
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
        cloud.making(&provider(folder), DEADLINE, IMAGE).await;
        let mut cloud = Apart::start(folder);
        cloud.looking(&provider(folder)).await;
    });
}
