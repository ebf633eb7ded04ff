//! The fake itself, driven by Google's own client and by nothing of ours: lists whose cloud changes between the pages,
//! requests that the API refuses, operations, tokens.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::service_account::{AccessSpecifier, Builder};
use google_cloud_auth::credentials::{Credentials, user_account};
use google_cloud_compute_v1::client::{Instances, ZoneOperations};
use google_cloud_compute_v1::model::{
    AttachedDisk, AttachedDiskInitializeParams, Duration as GoogleDuration, Instance,
    NetworkInterface, Operation, Scheduling, operation, scheduling,
};
use google_cloud_gax::retry_policy::NeverRetry;
use vcycle_api::{ManualClock, Timestamp};
use vcycle_gcp::testing::{
    End, FakeCloud, NewMachine, On, Refusal, Shortage, Side, Site, Told, Trouble,
};

const PROJECT: &str = "vcycle-lab";
const ZONE: &str = "europe-west2-a";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A cloud and Google's clients of it.
struct Lab {
    fake: FakeCloud,
    clock: Arc<ManualClock>,
    instances: Instances,
    operations: ZoneOperations,
}

impl Lab {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_224_884)));
        let fake = FakeCloud::start(Site::small(), clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = std::fs::read_to_string(fake.write_key_file(folder.path()).unwrap()).unwrap();
        let scopes = AccessSpecifier::from_scopes([SCOPE]);
        let key = Builder::new(serde_json::from_str(&key).unwrap());
        let credentials = key.with_access_specifier(scopes).build().unwrap();
        let instances = clients(&fake, credentials.clone()).await;
        let operations = ZoneOperations::builder().with_endpoint(fake.base());
        let operations = operations.with_credentials(credentials).with_retry_policy(NeverRetry);
        let operations = operations.build().await.unwrap();
        Self { fake, clock, instances, operations }
    }

    fn machine(&self, name: &str) -> Instance {
        let image = "projects/vcycle-lab/global/images/family/lab-tiny";
        let disk = AttachedDiskInitializeParams::new().set_source_image(image);
        let disk =
            AttachedDisk::new().set_boot(true).set_auto_delete(true).set_initialize_params(disk);
        Instance::new()
            .set_name(name)
            .set_machine_type(format!("zones/{ZONE}/machineTypes/e2-standard-2"))
            .set_disks([disk])
            .set_network_interfaces(
                [NetworkInterface::new().set_network("global/networks/default")],
            )
    }

    async fn insert(&self, machine: Instance) -> google_cloud_gax::Result<Operation> {
        let insert = self.instances.insert().set_project(PROJECT).set_zone(ZONE);
        insert.set_body(machine).send().await
    }

    async fn look(&self, operation: &Operation) -> Operation {
        let get = self.operations.get().set_project(PROJECT).set_zone(ZONE);
        get.set_operation(operation.name.clone().unwrap()).send().await.unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn status(&self, name: &str) -> String {
        self.fake.machine(name).map_or("gone".to_owned(), |machine| machine.status)
    }
}

async fn clients(fake: &FakeCloud, credentials: Credentials) -> Instances {
    let builder = Instances::builder().with_endpoint(fake.base()).with_retry_policy(NeverRetry);
    builder.with_credentials(credentials).build().await.unwrap()
}

fn status_of<T>(answer: google_cloud_gax::Result<T>) -> Option<u16> {
    answer.err().and_then(|error| error.http_status_code())
}

#[tokio::test]
async fn a_machine_goes_through_its_words_by_the_clock() {
    let lab = Lab::new().await;
    let operation = lab.insert(lab.machine("vm-1")).await.unwrap();
    assert_eq!(operation.status, Some(operation::Status::Running));
    assert_eq!(lab.status("vm-1"), "PROVISIONING");
    assert_eq!(lab.look(&operation).await.status, Some(operation::Status::Done));
    lab.pass(2);
    assert_eq!(lab.status("vm-1"), "STAGING");
    lab.pass(3);
    assert_eq!(lab.status("vm-1"), "RUNNING");
    let delete = lab.instances.delete().set_project(PROJECT).set_zone(ZONE);
    let operation = delete.set_instance("vm-1").send().await.unwrap();
    assert_eq!(lab.status("vm-1"), "STOPPING");
    assert_eq!(lab.look(&operation).await.status, Some(operation::Status::Running));
    lab.pass(3);
    assert_eq!(lab.status("vm-1"), "gone");
    assert_eq!(lab.look(&operation).await.status, Some(operation::Status::Done));
    let ledger = lab.fake.ledger();
    assert_eq!((&ledger[0].why, ledger[0].billed), (&Some(End::Deleted), Duration::from_secs(3)));
    assert_eq!(lab.fake.problems(), []);
}

#[tokio::test]
async fn what_happened_between_two_looks_happened_at_its_own_time() {
    let lab = Lab::new().await;
    let limit = GoogleDuration::new().set_seconds(3600);
    let scheduling = Scheduling::new()
        .set_max_run_duration(limit)
        .set_instance_termination_action(scheduling::InstanceTerminationAction::Delete);
    lab.insert(lab.machine("vm-1").set_scheduling(scheduling)).await.unwrap();
    lab.pass(86_400);
    let ledger = lab.fake.ledger();
    let [entry] = ledger.as_slice() else { panic!("{ledger:?}") };
    assert_eq!(entry.why, Some(End::RanOut));
    assert_eq!(entry.began, Some(entry.accepted + Duration::from_secs(5)));
    assert_eq!(entry.ended, Some(entry.accepted + Duration::from_secs(3608)));
    assert_eq!(entry.billed, Duration::from_secs(3603));
    assert!(lab.fake.disks().is_empty());
}

#[tokio::test]
async fn pages_go_on_after_the_last_name_whatever_came_or_went_meanwhile() {
    let lab = Lab::new().await;
    for name in ["vm-b", "vm-d", "vm-f", "vm-h"] {
        lab.fake.add_machine(&NewMachine::new(name, Default::default()));
    }
    let page = |token: Option<String>| {
        let list = lab.instances.list().set_project(PROJECT).set_zone(ZONE).set_max_results(2_u32);
        list.set_or_clear_page_token(token).send()
    };
    let names = |all: &[Instance]| -> Vec<String> {
        all.iter().map(|machine| machine.name.clone().unwrap()).collect()
    };
    let first = page(None).await.unwrap();
    assert_eq!(names(&first.items), ["vm-b", "vm-d"]);
    lab.fake.vanish("vm-d");
    for name in ["vm-a", "vm-e"] {
        lab.fake.add_machine(&NewMachine::new(name, Default::default()));
    }
    let second = page(first.next_page_token).await.unwrap();
    assert_eq!(names(&second.items), ["vm-e", "vm-f"]);
    let third = page(second.next_page_token).await.unwrap();
    assert_eq!((names(&third.items), third.next_page_token), (vec!["vm-h".to_owned()], None));
    let strange = Some("bm9uc2Vuc2U".to_owned());
    assert_eq!(status_of(page(strange).await), Some(400));
    assert_eq!(lab.fake.problems(), []);
}

#[tokio::test]
async fn a_request_that_google_would_refuse_is_refused_and_noted() {
    let lab = Lab::new().await;
    assert_eq!(status_of(lab.insert(lab.machine("Bad_Name")).await), Some(400));
    let problems = lab.fake.problems();
    assert!(problems.iter().all(|problem| problem.side == Side::Request), "{problems:?}");
    assert!(problems[0].what.contains("Instance.name"), "{problems:?}");
    for machine in [
        lab.machine("vm-1").set_machine_type("zones/europe-west2-b/machineTypes/e2-standard-2"),
        lab.machine("vm-1").set_machine_type(format!("zones/{ZONE}/machineTypes/e9-giant-2")),
        lab.machine("vm-1").set_labels([("Key", "value")]),
        lab.machine("vm-1").set_labels([("key", "a.b")]),
        lab.machine("vm-1").set_disks(Vec::<AttachedDisk>::new()),
        lab.machine("vm-1").set_network_interfaces(Vec::<NetworkInterface>::new()),
    ] {
        assert_eq!(status_of(lab.insert(machine).await), Some(400));
    }
    assert!(lab.fake.ledger().is_empty());
}

#[tokio::test]
async fn a_refused_insert_vanishes_with_its_disk_and_its_operation_says_why() {
    let lab = Lab::new().await;
    lab.fake.stock_out(Shortage::total());
    let operation = lab.insert(lab.machine("vm-1")).await.unwrap();
    assert!(operation.error.is_none());
    let operation = lab.look(&operation).await;
    let error = operation.error.unwrap();
    assert_eq!(error.errors[0].code.as_deref(), Some("ZONE_RESOURCE_POOL_EXHAUSTED"));
    assert_eq!(operation.http_error_status_code, Some(503));
    assert!(lab.fake.machines().is_empty() && lab.fake.disks().is_empty());
    lab.fake.restock_all();
    lab.fake.stock_out(Shortage { told: Told::AtOnce, ..Shortage::total() });
    assert_eq!(status_of(lab.insert(lab.machine("vm-1")).await), Some(503));
    assert_eq!(lab.fake.ledger().len(), 1);
    assert_eq!(lab.fake.problems(), []);
}

#[tokio::test]
async fn a_request_id_is_one_machine_however_often_it_is_sent() {
    let lab = Lab::new().await;
    let id = "7d2c1b3e-9a55-4f0e-8b1c-0a5d1f2e3c4b";
    let send = || {
        let insert = lab.instances.insert().set_project(PROJECT).set_zone(ZONE);
        insert.set_request_id(id).set_body(lab.machine("vm-1")).send()
    };
    lab.fake.befall(On::Insert, 1, Trouble::LoseReply);
    send().await.unwrap_err();
    let (first, second) = (send().await.unwrap(), send().await.unwrap());
    assert_eq!((&first.name, first.client_operation_id.as_deref()), (&second.name, Some(id)));
    assert_eq!(lab.fake.ledger().len(), 1);
    lab.pass(3601);
    assert_eq!(status_of(send().await), Some(409), "it is not remembered for ever");
}

#[tokio::test]
async fn a_filter_that_is_none_and_a_field_that_is_none_are_refused() {
    let lab = Lab::new().await;
    lab.fake.add_machine(&NewMachine::new("vm-1", [("owner".into(), "x".into())].into()));
    let count = async |filter: &str| {
        let list = lab.instances.list().set_project(PROJECT).set_zone(ZONE).set_filter(filter);
        list.send().await.map(|list| list.items.len())
    };
    assert_eq!(count("labels.owner = \"x\"").await.unwrap(), 1);
    assert_eq!(count("labels.owner = \"y\"").await.unwrap(), 0);
    assert_eq!(count("name eq 'vm-.*'").await.unwrap(), 1);
    for filter in ["colour = red", "name =", "(name = vm-1)(name eq vm-1)"] {
        assert_eq!(status_of(count(filter).await), Some(400), "{filter}");
    }
}

#[tokio::test]
async fn a_person_gets_tokens_that_can_end_before_their_time() {
    let lab = Lab::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = lab.fake.write_person_file(folder.path()).unwrap();
    let file = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let credentials = user_account::Builder::new(file).build().unwrap();
    let instances = clients(&lab.fake, credentials).await;
    let list = || instances.list().set_project(PROJECT).set_zone(ZONE).send();
    list().await.unwrap();
    assert_eq!(lab.fake.logged_in(), BTreeSet::from(["person@example.org".to_owned()]));
    lab.fake.end_tokens();
    assert_eq!(status_of(list().await), Some(401));
}

#[tokio::test]
async fn troubles_of_requests_are_in_the_books() {
    let lab = Lab::new().await;
    lab.fake.befall(On::Insert, 1, Trouble::Refuse(Refusal::rate()));
    assert_eq!(status_of(lab.insert(lab.machine("vm-1")).await), Some(403));
    lab.fake.befall(On::Insert, 1, Trouble::LoseRequest);
    lab.insert(lab.machine("vm-1")).await.unwrap_err();
    lab.insert(lab.machine("vm-1")).await.unwrap();
    let calls = lab.fake.calls();
    let inserts: Vec<Option<u16>> = calls.iter().map(|call| call.status).collect();
    assert_eq!(inserts, [Some(403), None, Some(200)]);
    assert_eq!((lab.fake.mutations(), lab.fake.ledger().len()), (1, 1));
}
