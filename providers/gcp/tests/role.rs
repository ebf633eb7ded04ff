//! The role in `etc/gcp-role.yaml` is enough for a whole life of machines, and nothing outside it is ever called.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::{
    Act, Clock, CreateRequest, DeploymentId, Generation, IntentToken, MachineName, MachinetypeName,
    ManualClock, Market, Need, Observe, SideResource, SpaceName, Tags, Timestamp, UserData,
    Verdict,
};
use vcycle_gcp::testing::{FakeCloud, Site};
use vcycle_gcp::{Credentials, ExternalAddress, Gcp, ServiceAccount, Settings, Source};

/// The role that people are told to make.
const ROLE: &str = include_str!("../../../etc/gcp-role.yaml");

fn granted() -> BTreeSet<String> {
    let lines = ROLE.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let mut all: BTreeSet<String> =
        lines.filter(|it| it.starts_with("compute.")).map(str::to_owned).collect();
    // Granted on the account of the machines.
    all.insert("iam.serviceAccounts.actAs".to_owned());
    all
}

struct Lab {
    cloud: FakeCloud,
    clock: Arc<ManualClock>,
    provider: Gcp,
    _folder: tempfile::TempDir,
}

/// A provider that uses everything that settings can ask for.
async fn lab() -> Lab {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let site = Site::small();
    let cloud = FakeCloud::start(site.clone(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = cloud.write_key_file(folder.path()).unwrap();
    let mut settings = Settings::new(&site.project, &site.region, &["n2-standard-4"]);
    settings.credentials = Credentials { source: Source::File(file), impersonate: None };
    settings.endpoint = Some(cloud.base());
    settings.markets = vec![Market::Preemptible, Market::OnDemand];
    settings.subnetwork = Some("default".to_owned());
    settings.external_address = ExternalAddress::Yes;
    settings.network_tags = vec!["batch".to_owned()];
    settings.service_account =
        Some(ServiceAccount { email: site.account.clone(), scopes: Vec::new() });
    settings.deployment = Some(DeploymentId::compose(7));
    settings.insert_wait = Duration::from_secs(1);
    let provider = Gcp::open(settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Lab { cloud, clock, provider, _folder: folder }
}

fn need(image: &str) -> Need {
    Need {
        machinetype: MachinetypeName::parse("dune").unwrap(),
        image: Some(image.to_owned()),
        public_key: None,
        flavors: vec!["n2-standard-4".to_owned()],
    }
}

async fn request(lab: &Lab, number: u64, image: &str) -> CreateRequest {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let machine = MachineName::compose(&machinetype, number);
    let offering = lab.provider.offerings().await.unwrap().remove(0);
    CreateRequest {
        machine: machine.clone(),
        offering,
        tags: Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("gcp.example").unwrap(),
            machinetype,
            machine,
            intent: IntentToken::compose(number.into()),
            generation: Generation(1),
            deadline: lab.clock.now() + Duration::from_secs(3600),
        },
        image: Some(image.to_owned()),
        public_key: Some("ssh-ed25519 AAAA somebody".to_owned()),
        user_data: UserData::new("#cloud-config\n"),
        environment: Vec::new(),
    }
}

/// Everything that the contract has, at least once, and each on a machine of its own image.
async fn live(lab: &Lab) {
    let provider = &lab.provider;
    let images = ["lab-tiny-1", "family/lab-tiny"];
    provider.prepare(&images.map(need)).await.unwrap();
    for (number, image) in (1..).zip(images) {
        let request = request(lab, number, image).await;
        let id = provider.create(&request).await.unwrap().id().clone();
        lab.clock.advance(Duration::from_secs(30));
        provider.list().await.unwrap();
        provider.interruptions().await.unwrap();
        provider.get(&id).await.unwrap();
        provider.quota().await.unwrap();
        provider.resolve(&request.tags.intent, lab.clock.now()).await.unwrap();
        if number == 1 {
            lab.cloud.preempt(request.machine.as_str());
        }
        lab.clock.advance(Duration::from_secs(60));
        provider.list().await.unwrap();
        drop(provider.get(&id).await);
        provider.delete(&id).await.unwrap();
        lab.clock.advance(Duration::from_secs(60));
        assert!(provider.get(&id).await.is_err());
    }
    let labels = std::collections::BTreeMap::new();
    lab.cloud.add_disk("europe-west2-a", "left-behind", labels);
    provider.side_resources().await.unwrap();
    let orphan = SideResource {
        kind: "disk".to_owned(),
        id: "vcycle-lab/europe-west2-a/left-behind".to_owned(),
        tags: request(lab, 9, "lab-tiny-1").await.tags,
        attached_to: None,
    };
    provider.delete_side_resource(&orphan).await.unwrap();
}

#[tokio::test]
async fn the_role_is_enough_for_everything_that_is_called() {
    let lab = lab().await;
    lab.cloud.allow_only(granted());
    live(&lab).await;
    let findings = lab.provider.inspect(&[need("lab-tiny-1")]).await;
    let failing: Vec<_> = findings.iter().filter(|it| it.verdict == Verdict::Fails).collect();
    assert!(failing.is_empty(), "{failing:?}");
    let needed = lab.cloud.permissions_needed();
    let outside: Vec<_> = needed.difference(&granted()).cloned().collect();
    assert!(outside.is_empty(), "{outside:?}");
    assert_eq!(lab.cloud.problems(), Vec::new());
}

#[tokio::test]
async fn every_permission_that_a_life_needs_is_missed_when_it_is_not_there() {
    let needed = {
        let lab = lab().await;
        live(&lab).await;
        lab.cloud.permissions_needed()
    };
    // What is granted and never needed would be too much.
    let unused: Vec<_> = granted().difference(&needed).cloned().collect();
    // Asked for only by an inspection.
    let inspection: BTreeSet<String> = [
        "compute.networks.get",
        "compute.projects.get",
        "compute.subnetworks.get",
        "compute.zones.get",
    ]
    .map(str::to_owned)
    .into();
    let unused: Vec<_> = unused.into_iter().filter(|it| !inspection.contains(it)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
