//! Every VM lands in exactly one place, and in the right one.

use proptest::prelude::*;

use super::*;
use crate::model::{
    EntryName, EntryRef, Generation, MachinetypeName, ManagerName, Market, Megabytes, OfferingId,
};

fn deployment() -> DeploymentId {
    DeploymentId::compose(1)
}

fn space() -> SpaceName {
    SpaceName::parse("a.example").unwrap()
}

fn tags(number: u64) -> Tags {
    let machinetype = MachinetypeName::parse("batch").unwrap();
    Tags {
        deployment: deployment(),
        space: space(),
        machine: MachineName::compose(&machinetype, number),
        machinetype,
        intent: IntentToken::compose(u128::from(number)),
        generation: Generation(1),
        deadline: Timestamp::from_secs(90_000),
    }
}

fn offering() -> OfferingId {
    OfferingId { flavour: "small".into(), zone: String::new(), market: Market::OnDemand }
}

fn id(number: u64) -> InstanceId {
    InstanceId::parse(&format!("i-{number}")).unwrap()
}

pub(in crate::observe) fn record(number: u64, instance: Option<u64>) -> MachineRecord {
    let at = Timestamp::from_secs(1000);
    MachineRecord {
        format: MachineRecord::FORMAT,
        tags: tags(number),
        written_by: Generation(1),
        manager: ManagerName::parse("one").unwrap(),
        entry: EntryRef { name: EntryName::parse("batch").unwrap(), version: "1".into() },
        offering: offering(),
        processors: Processors(1),
        memory: Megabytes(1),
        intended: at,
        asked: at,
        outputs_token_sha256: String::new(),
        base_url: String::new(),
        instance: instance.map(id),
        created: None,
        rejected: None,
        refused_late: None,
        started: None,
        ended: None,
        drain: None,
        deletion: None,
        gone: None,
    }
}

fn vm(number: u64, identity: Identity) -> Instance {
    Instance {
        id: id(number),
        name: format!("vm {number}"),
        identity,
        state: InstanceState::Running,
        offering: Some(offering()),
        processors: Some(Processors(2)),
        memory: None,
        created: Some(Timestamp::from_secs(i64::try_from(number).unwrap())),
        started: None,
        ended: None,
        addresses: Vec::new(),
    }
}

fn sort_out(records: &[MachineRecord], listed: Vec<Instance>) -> Joined {
    let (deployment, space) = (deployment(), space());
    let ours = Ours { deployment: &deployment, space: &space, offerings: &[] };
    join(&ours, &records.iter().collect::<Vec<_>>(), listed)
}

#[test]
fn tags_come_before_ids_and_ids_before_nothing() {
    let records = [record(1, Some(50)), record(2, Some(60))];
    let by_tag = vm(51, Identity::Vcycle(tags(1)));
    let by_id = vm(60, Identity::Foreign);
    let joined = sort_out(&records, vec![by_id.clone(), by_tag.clone()]);
    assert_eq!(joined.matches[0].instance, Some(by_tag));
    assert_eq!(joined.matches[1].instance, Some(by_id));
    assert_eq!(joined.strangers, Strangers::default());
}

#[test]
fn an_id_that_carries_others_tags_is_a_stranger_whatever_our_record_says() {
    let records = [record(1, Some(50))];
    let other = Tags { deployment: DeploymentId::compose(2), ..tags(1) };
    let elsewhere = Tags { space: SpaceName::parse("b.example").unwrap(), ..tags(1) };
    let listed = vec![vm(50, Identity::Vcycle(other)), vm(51, Identity::Vcycle(elsewhere))];
    let joined = sort_out(&records, listed);
    assert_eq!(joined.matches[0], Match::default());
    let expected = Strangers { machines: 2, processors: Processors(4), other_deployments: 1 };
    assert_eq!(joined.strangers, expected);
}

#[test]
fn a_vm_that_is_listed_on_two_pages_is_not_its_own_duplicate() {
    let records = [record(1, None)];
    let twice = vm(50, Identity::Vcycle(tags(1)));
    let joined = sort_out(&records, vec![twice.clone(), twice.clone()]);
    assert_eq!(joined.matches[0], Match { instance: Some(twice), duplicates: Vec::new() });
}

#[test]
fn of_two_machines_of_one_intent_the_remembered_one_stays_then_the_oldest() {
    let two = || vec![vm(51, Identity::Vcycle(tags(1))), vm(50, Identity::Vcycle(tags(1)))];
    for (remembered, stays, goes) in [(None, 50, 51), (Some(51), 51, 50), (Some(99), 50, 51)] {
        let joined = sort_out(&[record(1, remembered)], two());
        assert_eq!(joined.matches[0].instance.as_ref().map(|i| &i.id), Some(&id(stays)));
        assert_eq!(joined.matches[0].duplicates[0].id, id(goes));
    }
    let mut tombstone = vm(50, Identity::Vcycle(tags(1)));
    tombstone.state = InstanceState::Gone;
    let alive = vm(51, Identity::Vcycle(tags(1)));
    let joined = sort_out(&[record(1, Some(50))], vec![tombstone, alive.clone()]);
    assert_eq!(joined.matches[0], Match { instance: Some(alive), duplicates: Vec::new() });
}

/// PEERS 1j-7: a second deployment in one tenancy, with the same name prefix.
#[test]
fn trap_1j_7_a_name_like_ours_does_not_make_a_vm_ours() {
    let mut stranger = vm(50, Identity::Foreign);
    stranger.name = tags(1).machine.to_string();
    let joined = sort_out(&[record(1, None)], vec![stranger]);
    assert_eq!(joined.matches[0], Match::default());
    assert_eq!((joined.strangers.machines, joined.orphans.len()), (1, 0));
}

#[test]
fn strangers_whose_cloud_tells_only_the_flavour_are_counted_by_it() {
    let offering = Offering {
        id: offering(),
        processors: Processors(8),
        memory: Megabytes(1),
        attached: vcycle_api::Attached::default(),
        price: vcycle_api::Price::Unmetered,
        availability: vcycle_api::Availability::Available,
    };
    let mut stranger = vm(50, Identity::Foreign);
    stranger.processors = None;
    let (deployment, space) = (deployment(), space());
    let ours = Ours { deployment: &deployment, space: &space, offerings: &[offering] };
    let joined = join(&ours, &[], vec![stranger]);
    assert_eq!(joined.strangers.processors, Processors(8));
}

#[test]
fn a_listing_that_lacks_many_is_suspected_and_one_that_lacks_few_is_not() {
    let started = Timestamp::from_secs(1);
    let complete = ListingState::Complete { started };
    for (expected, missing, believed) in [
        (1, 1, true),
        (2, 2, false),
        (3, 3, false),
        (3, 2, true),
        (4, 4, false),
        (10, 3, true),
        (10, 4, false),
        (100, 30, true),
        (100, 31, false),
    ] {
        let state = judge(started, expected, missing);
        assert_eq!(state == complete, believed, "{missing} of {expected}");
    }
}

#[test]
fn an_intent_is_resolved_and_not_missed() {
    let settled = HashSet::new();
    assert!(must_be_listed(&record(1, Some(1)), &settled));
    assert!(!must_be_listed(&record(1, None), &settled));
    let unsettled = HashSet::from([record(1, None).machine().clone()]);
    assert!(!must_be_listed(&record(1, Some(1)), &unsettled));
}

/// Where each id went.
fn places(joined: &Joined) -> Vec<InstanceId> {
    let of_records = joined.matches.iter().flat_map(|m| m.instance.iter().chain(&m.duplicates));
    let orphans = joined.orphans.iter().map(|orphan| &orphan.instance);
    of_records.chain(orphans).map(|instance| instance.id.clone()).collect()
}

fn identities() -> impl Strategy<Value = Identity> {
    prop_oneof![
        Just(Identity::Foreign),
        (0..12_u64).prop_map(|n| Identity::Vcycle(tags(n))),
        (0..12_u64).prop_map(|n| Identity::Vcycle(Tags {
            deployment: DeploymentId::compose(2),
            ..tags(n)
        })),
        (0..12_u64).prop_map(|n| Identity::Vcycle(Tags {
            space: SpaceName::parse("b.example").unwrap(),
            ..tags(n)
        })),
    ]
}

proptest! {
    #[test]
    fn every_vm_lands_in_exactly_one_place(
        remembered in proptest::collection::btree_map(0..12_u64, proptest::option::of(0..30_u64), 0..8),
        listed in proptest::collection::vec((0..30_u64, identities(), any::<bool>()), 0..30),
    ) {
        let records: Vec<_> = remembered.into_iter().map(|(n, i)| record(n, i)).collect();
        let listed: Vec<_> = listed.into_iter().map(|(number, identity, gone)| {
            let mut vm = vm(number, identity);
            if gone { vm.state = InstanceState::Gone; }
            vm
        }).collect();
        let mut distinct: Vec<_> = Vec::new();
        for vm in &listed {
            if distinct.iter().all(|known: &&Instance| known.id != vm.id) { distinct.push(vm); }
        }
        let alive = distinct.iter().filter(|vm| vm.state != InstanceState::Gone);
        let joined = sort_out(&records, listed.clone());
        let mut placed = places(&joined);
        placed.sort();
        let count = placed.len();
        placed.dedup();
        prop_assert_eq!(placed.len(), count, "an id is in two places");
        let strangers = joined.strangers.machines as usize;
        for vm in alive {
            let ours = matches!(&vm.identity, Identity::Vcycle(t)
                if t.deployment == deployment() && t.space == space());
            let others = matches!(&vm.identity, Identity::Vcycle(_)) && !ours;
            prop_assert!(!(others && placed.contains(&vm.id)), "others' VMs are only counted");
        }
        let placed_alive = distinct.iter()
            .filter(|vm| vm.state != InstanceState::Gone && placed.contains(&vm.id)).count();
        let alive = distinct.iter().filter(|vm| vm.state != InstanceState::Gone).count();
        prop_assert_eq!(placed_alive + strangers, alive, "a VM is lost or counted twice");
    }
}
