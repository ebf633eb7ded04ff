//! Who we are: tokens that end early, roles that lack something, the metadata server.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use vcycle_api::{Act, ErrorKind, Listing, Observe, SystemClock};
use vcycle_gcp::testing::{FakeCloud, NewMachine, On, Refusal, Site, Trouble};
use vcycle_gcp::{Credentials, Gcp, Settings, Source};

use crate::common::Place;

#[tokio::test]
async fn tokens_that_end_early_are_made_anew_and_nothing_is_concluded_from_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let person = place.fake.write_person_file(folder.path()).unwrap();
    let provider = place.another(|settings| {
        settings.credentials = Credentials { source: Source::File(person), impersonate: None };
    });
    place.fake.add_machine(&NewMachine::new("a-stranger", Default::default()));
    assert_eq!(provider.list().await.unwrap().len(), 1);
    for _ in 0..3 {
        place.fake.end_tokens();
        match provider.list().await {
            Ok(listing) => assert_eq!(listing.len(), 1),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
                assert_eq!(provider.list().await.unwrap().len(), 1, "a new login is enough");
            }
        }
    }
    place.assert_described();
}

/// How many there are.
trait Count {
    fn len(&self) -> usize;
}

impl Count for Listing {
    fn len(&self) -> usize {
        match self {
            Listing::Complete(all) => all.len(),
            Listing::Partial { seen, why } => panic!("{why}: {seen:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_an_outage_and_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let person = place.fake.write_person_file(folder.path()).unwrap();
    let provider = place.another(|settings| {
        settings.credentials = Credentials { source: Source::File(person), impersonate: None };
    });
    place.fake.befall(On::Token, u32::MAX, Trouble::Refuse(Refusal::proxy(503)));
    let error = provider.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    place.fake.calm();
    provider.list().await.unwrap();
}

#[tokio::test]
async fn a_role_that_lacks_a_permission_is_told_by_its_name() {
    let place = Place::new().await;
    let request = place.request(1).await;
    place.provider.create(&place.request(2).await).await.unwrap();
    let mut all = place.fake.permissions_needed();
    assert!(all.remove("compute.instances.create"));
    place.fake.allow_only(all);
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    assert!(error.message.contains("compute.instances.create"), "{error}");
    place.fake.allow_only(BTreeSet::new());
    let error = place.provider.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
    place.fake.allow_all();
    place.provider.create(&request).await.unwrap();
}

const ENDPOINT: &str = "VCYCLE_TEST_GCE_ENDPOINT";

/// Where the metadata server is stands in the environment of a process: this test runs the next in one of its own.
#[tokio::test]
async fn the_metadata_server_of_a_machine_is_who_we_are_when_nothing_else_is_said() {
    let fake = FakeCloud::start(Site::small(), Arc::new(SystemClock::new())).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "logins::in_a_process_of_its_own"]);
    child.env("GCE_METADATA_HOST", fake.metadata_host()).env(ENDPOINT, fake.base());
    child.env("HOME", home.path()).env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    let done = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    let who: Vec<String> = fake.logged_in().into_iter().collect();
    assert_eq!(who, [Site::small().account]);
    assert_eq!(fake.problems(), []);
}

#[tokio::test]
#[ignore = "run by the test above, with its environment"]
async fn in_a_process_of_its_own() {
    let site = Site::small();
    let mut settings = Settings::new(&site.project, &site.region, &["e2-standard-2"]);
    settings.endpoint = Some(std::env::var(ENDPOINT).unwrap());
    let provider = Gcp::open(settings, Arc::new(SystemClock::new())).unwrap();
    assert_eq!(provider.list().await.unwrap().len(), 0);
}
