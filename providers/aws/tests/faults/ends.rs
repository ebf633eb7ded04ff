//! Ends that nobody asked for, and what they leave behind.

use vcycle_api::{Act, Deletion, ErrorKind, InstanceState, Observe};
use vcycle_aws::testing::{End, Guest, NewMachine, Site, State};

use crate::common::{Place, tags};

#[tokio::test]
async fn a_notice_is_told_with_its_time_and_the_machine_is_preempted() {
    let place = Place::new(Site::small()).await;
    let request = place.spot_request(1).await;
    let id = place.running(&request).await;
    assert!(place.provider.interruptions().await.unwrap().is_empty());
    place.fake.interrupt(id.as_str());
    let at = place.now() + std::time::Duration::from_secs(120);
    let notices = place.provider.interruptions().await.unwrap();
    let told: Vec<_> = notices.iter().filter(|notice| notice.instance == id).collect();
    assert_eq!(told.len(), 1, "{notices:?}");
    assert_eq!(told[0].at, Some(at));
    place.pass(119);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
    place.pass(30);
    let shown = place.provider.get(&id).await.unwrap();
    assert_eq!(shown.state, InstanceState::Preempted);
    assert!(shown.ended.is_some());
    assert_eq!(place.fake.ledger().machines[0].ended.unwrap().1, End::Interrupted);
}

#[tokio::test]
async fn a_machine_that_is_taken_back_without_notice_is_preempted_too() {
    let place = Place::new(Site::small()).await;
    let id = place.running(&place.spot_request(1).await).await;
    place.listed().await.unwrap();
    place.fake.interrupt_at_once(id.as_str());
    place.pass(60);
    let listed = place.listed().await.unwrap();
    let shown = listed.iter().find(|instance| instance.id == id).unwrap();
    assert_eq!(shown.state, InstanceState::Preempted);
    // The core then asks for its end, and it is a tombstone.
    place.provider.delete(&id).await.unwrap();
    let listed = place.listed().await.unwrap();
    let shown = listed.iter().find(|instance| instance.id == id);
    assert!(shown.is_none_or(|instance| instance.state == InstanceState::Gone), "{shown:?}");
}

#[tokio::test]
async fn strange_messages_in_the_queue_hide_no_notice() {
    let place = Place::new(Site::small()).await;
    let id = place.running(&place.spot_request(1).await).await;
    place.fake.send_to_queue("not JSON");
    place.fake.send_to_queue("{\"detail-type\": 7}");
    place.fake.recommend_rebalance(id.as_str());
    for _ in 0..25 {
        place.fake.send_to_queue("{\"detail-type\": \"something else\", \"detail\": {}}");
    }
    place.fake.interrupt(id.as_str());
    let mut told = false;
    for _ in 0..5 {
        let notices = place.provider.interruptions().await.unwrap();
        told |= notices.iter().any(|notice| notice.instance == id && notice.at.is_some());
    }
    assert!(told);
}

#[tokio::test]
async fn notices_are_taken_out_of_the_queue() {
    let place = Place::new(Site::small()).await;
    for number in 1..=15 {
        let id = place.running(&place.spot_request(number).await).await;
        place.fake.interrupt(id.as_str());
    }
    for _ in 0..5 {
        place.provider.interruptions().await.unwrap();
    }
    assert_eq!(place.fake.queue_depth(), 0);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_an_error_and_not_an_empty_answer() {
    let place = Place::with(Site::small(), |settings| {
        let queue = settings.interruption_queue.clone().unwrap();
        settings.interruption_queue = Some(format!("{queue}-of-nobody"));
    })
    .await;
    assert!(place.provider.interruptions().await.is_err());
}

#[tokio::test]
async fn a_guest_that_ends_leaves_a_stopped_machine_and_costs_no_more() {
    let mut site = Site::small();
    site.guest = Guest::Ends(std::time::Duration::from_secs(600));
    let place = Place::new(site).await;
    let id = place.running(&place.request(1).await).await;
    place.listed().await.unwrap();
    place.pass(700);
    let listed = place.listed().await.unwrap();
    let shown = listed.iter().find(|instance| instance.id == id).unwrap();
    assert_eq!(shown.state, InstanceState::Stopped);
    assert!(shown.ended.is_some());
    assert_eq!(place.fake.machine(id.as_str()).unwrap().state, State::Terminated);
    assert!(place.fake.volumes().is_empty(), "nothing is left to pay for");
}

#[tokio::test]
async fn a_guest_that_ignores_its_timer_can_still_be_ended() {
    let mut site = Site::small();
    site.guest = Guest::IgnoresItsTimer;
    let place = Place::new(site).await;
    let request = place.request(1).await;
    let id = place.running(&request).await;
    place.pass(30 * 3600);
    let ledger = place.fake.ledger();
    assert_eq!(ledger.overdue(place.now(), std::time::Duration::ZERO).len(), 1);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
    place.provider.delete(&id).await.unwrap();
    assert_eq!(place.fake.ledger().living().count(), 0);
}

#[tokio::test]
async fn a_protected_machine_is_said_to_be_so_and_is_not_gone() {
    let place = Place::new(Site::small()).await;
    let id = place.running(&place.request(1).await).await;
    place.fake.protect(id.as_str());
    let error = place.provider.delete(&id).await.unwrap_err();
    assert_ne!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("OperationNotPermitted"), "{error}");
    place.fake.unprotect(id.as_str());
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
}

#[tokio::test]
async fn what_outlives_its_machine_is_an_orphan_and_can_be_removed() {
    let place = Place::new(Site::small()).await;
    place.fake.leaves_side_resources();
    let id = place.running(&place.request(1).await).await;
    let attached = place.provider.side_resources().await.unwrap();
    assert!(attached.iter().all(|one| one.attached_to.as_ref() == Some(&id)), "{attached:?}");
    place.provider.delete(&id).await.unwrap();
    place.fake.add_address(&place.map(1), None);
    // A young volume may still be waiting for its machine.
    place.pass(1000);
    let orphans = place.provider.side_resources().await.unwrap();
    let kinds: Vec<&str> = orphans.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    for orphan in &orphans {
        assert_eq!(orphan.attached_to, None);
        assert_eq!(orphan.tags.intent, tags(1).intent);
        place.provider.delete_side_resource(orphan).await.unwrap();
        // Again, as after a lost reply.
        let again = place.provider.delete_side_resource(orphan).await;
        assert!(matches!(again, Ok(Deletion::AlreadyGone)), "{again:?}");
    }
    assert!(place.fake.volumes().is_empty() && place.fake.interfaces().is_empty());
    assert!(place.fake.addresses().is_empty());
}

#[tokio::test]
async fn side_resources_of_others_are_not_told() {
    let place = Place::new(Site::small()).await;
    place.fake.add_volume(&std::collections::BTreeMap::new());
    let mut of_another = tags(1);
    of_another.deployment = vcycle_api::DeploymentId::compose(77);
    place.fake.add_volume(&of_another.to_map());
    place.fake.add_machine(&NewMachine::default());
    assert_eq!(place.provider.side_resources().await.unwrap(), []);
}
