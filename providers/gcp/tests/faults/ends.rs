//! Ends of machines: by Google, by their own guests, by others; and what they leave behind.

use std::time::Duration;

use vcycle_api::{
    Act, Deletion, ErrorKind, Instance, InstanceId, InstanceState, Listing, Market, Observe,
};
use vcycle_gcp::testing::{End, NewMachine, Site};

use crate::common::{Place, labels};

const BOTH: [Market; 2] = [Market::OnDemand, Market::Preemptible];

async fn spot() -> Place {
    Place::with(Site::small(), |settings| settings.markets = BOTH.to_vec()).await
}

async fn running(place: &Place, number: u64, market: Market) -> InstanceId {
    let mut request = place.request(number).await;
    request.offering.id.market = market;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    place.pass(10);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
    id
}

fn name_of(id: &InstanceId) -> &str {
    id.as_str().rsplit('/').next().unwrap()
}

async fn listed(place: &Place) -> Vec<Instance> {
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    all
}

#[tokio::test]
async fn a_preempted_machine_is_told_of_and_then_gone_with_its_disk() {
    let place = spot().await;
    let id = running(&place, 1, Market::Preemptible).await;
    place.fake.preempt(name_of(&id));
    let notices = place.provider.interruptions().await.unwrap();
    assert!(notices.iter().any(|notice| notice.instance == id), "{notices:?}");
    place.pass(40);
    assert!(place.fake.machines().is_empty() && place.fake.disks().is_empty());
    let all = listed(&place).await;
    let tombstone = all.iter().find(|machine| machine.id == id).expect("a preemption is shown");
    assert_eq!(tombstone.state, InstanceState::Gone);
    let next = place.another(|_| {});
    let notices = next.interruptions().await.unwrap();
    assert!(notices.iter().any(|notice| notice.instance == id), "a new manager knows, too");
    assert_eq!(place.fake.ledger()[0].why, Some(End::Preempted));
    place.assert_described();
}

#[tokio::test]
async fn a_preempted_machine_that_only_stopped_costs_its_disk_until_it_is_deleted() {
    let place = spot().await;
    let request = place.request(1).await;
    // As somebody may change it behind our back: instanceTerminationAction=STOP.
    let labels = labels(&request.tags.to_map());
    let name = request.machine.as_str();
    place
        .fake
        .add_machine(&NewMachine { market: Market::Preemptible, ..NewMachine::new(name, labels) });
    place.fake.preempt(name);
    place.pass(40);
    let all = listed(&place).await;
    assert_eq!(all[0].state, InstanceState::Preempted, "{all:?}");
    assert_eq!(place.fake.disks().len(), 1);
    let id = all[0].id.clone();
    place.provider.delete(&id).await.unwrap();
    place.pass(10);
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::AlreadyGone);
    assert!(place.fake.machines().is_empty() && place.fake.disks().is_empty());
}

#[tokio::test]
async fn google_itself_ends_every_machine_at_its_hard_end() {
    for market in BOTH {
        let place = spot().await;
        running(&place, 1, market).await;
        place.pass(86_400 + 120);
        assert!(place.fake.machines().is_empty() && place.fake.disks().is_empty());
        let ledger = place.fake.ledger();
        assert_eq!(ledger[0].why, Some(End::RanOut));
        assert!(ledger[0].billed <= Duration::from_secs(86_400 + 60), "{ledger:?}");
        assert_eq!(listed(&place).await, []);
    }
}

#[tokio::test]
async fn a_machine_that_its_guest_ended_stays_and_is_stopped_until_somebody_deletes_it() {
    let place = spot().await;
    let id = running(&place, 1, Market::OnDemand).await;
    place.fake.guest_ends(name_of(&id));
    place.pass(10);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Stopped);
    // The time of a machine that does not run does not end: its disk would cost for ever.
    place.pass(10 * 86_400);
    assert_eq!(listed(&place).await.len(), 1);
    place.provider.delete(&id).await.unwrap();
    place.pass(10);
    assert!(place.fake.disks().is_empty());
}

#[tokio::test]
async fn a_disk_that_outlives_its_machine_is_found_and_removed() {
    let place = spot().await;
    let id = running(&place, 1, Market::OnDemand).await;
    let used = place.provider.side_resources().await.unwrap();
    assert!(used.iter().all(|disk| disk.attached_to.as_ref() == Some(&id)), "{used:?}");
    place.fake.leaves_disks();
    place.provider.delete(&id).await.unwrap();
    place.pass(3600);
    let left = place.provider.side_resources().await.unwrap();
    let [orphan] = left.as_slice() else { panic!("{left:?}") };
    assert_eq!(orphan.attached_to, None);
    place.fake.add_disk("europe-west2-a", "of-somebody-else", Default::default());
    assert_eq!(place.provider.delete_side_resource(orphan).await.unwrap(), Deletion::Accepted);
    assert_eq!(place.provider.delete_side_resource(orphan).await.unwrap(), Deletion::AlreadyGone);
    let disks = place.fake.disks();
    assert_eq!(disks.len(), 1, "the other's disk stays: {disks:?}");
    place.assert_described();
}

#[tokio::test]
async fn a_protected_machine_stays_and_the_error_says_why() {
    let place = spot().await;
    let id = running(&place, 1, Market::OnDemand).await;
    place.fake.protect(name_of(&id));
    let error = place.provider.delete(&id).await.unwrap_err();
    assert!(error.message.contains("protect"), "{error}");
    assert!(!matches!(error.kind, ErrorKind::NotFound), "{error}");
    place.fake.unprotect(name_of(&id));
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
}

#[tokio::test]
async fn a_machine_that_is_not_ready_to_be_deleted_is_deleted_later() {
    let place = spot().await;
    place.fake.set_times(|times| times.provisioning = Duration::from_secs(60));
    place.fake.refuses_early_deletes();
    let request = place.request(1).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    let error = place.provider.delete(&id).await.unwrap_err();
    assert!(!matches!(error.kind, ErrorKind::NotFound), "{error}");
    place.pass(70);
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
}

#[tokio::test]
async fn a_status_that_nobody_knows_means_that_it_exists_and_costs() {
    let place = spot().await;
    let id = running(&place, 1, Market::OnDemand).await;
    for word in ["LEVITATING", "SUSPENDED", "REPAIRING"] {
        place.fake.shows_status(name_of(&id), word);
        let all = listed(&place).await;
        let InstanceState::Unknown { word: seen } = &all[0].state else { panic!("{all:?}") };
        assert!(seen.contains(word), "{seen}");
    }
    place.fake.shows_status(name_of(&id), "DEPROVISIONING");
    assert_eq!(listed(&place).await[0].state, InstanceState::Deleting);
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
    place.assert_described();
}

#[tokio::test]
async fn a_machine_that_somebody_removed_is_proven_absent() {
    let place = spot().await;
    let id = running(&place, 1, Market::OnDemand).await;
    place.fake.vanish(name_of(&id));
    let error = place.provider.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::AlreadyGone);
}
