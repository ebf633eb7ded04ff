//! Every state of EC2 with every way to come to it.

use vcycle_api::{
    DeploymentId, Generation, IntentToken, MachineName, MachinetypeName, SpaceName, Tags,
};

use super::*;

pub(crate) fn tags(deployment: &DeploymentId) -> Tags {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    Tags {
        deployment: deployment.clone(),
        space: SpaceName::parse("a.example").unwrap(),
        machine: MachineName::compose(&machinetype, 3),
        machinetype,
        intent: IntentToken::compose(1),
        generation: Generation(4),
        deadline: Timestamp::from_secs(1_767_200_000),
    }
}

pub(crate) fn seen(id: &str, state: &str) -> Seen {
    seen_of(id, state, Some(&DeploymentId::compose(1)))
}

pub(crate) fn seen_of(id: &str, state: &str, deployment: Option<&DeploymentId>) -> Seen {
    Seen {
        id: InstanceId::parse(id).unwrap(),
        identity: deployment.map_or(Identity::Foreign, |it| Identity::Vcycle(tags(it))),
        name: "x".to_owned(),
        state: state.to_owned(),
        reason: None,
        transition: None,
        flavour: Some("m5.large".to_owned()),
        zone: Some("eu-west-2a".to_owned()),
        market: Market::OnDemand,
        launched: Some(Timestamp::from_secs(1_000)),
        processors: Some(Processors(2)),
        addresses: Vec::new(),
        client_token: None,
    }
}

fn because(state: &str, code: &str) -> Seen {
    let reason = Reason { code: code.to_owned(), message: "words".to_owned() };
    Seen { reason: Some(reason), ..seen("i-1", state) }
}

const ALIVE_BEFORE: Option<Known> = Some(known(false));

const fn known(asked: bool) -> Known {
    Known { made: None, ended: Some(Timestamp::from_secs(5_000)), asked }
}

fn failed(refusal: Option<LateRefusal>, fault: &str) -> InstanceState {
    InstanceState::Failed { refusal, fault: fault.to_owned() }
}

#[test]
fn how_an_instance_ended_is_told_of_one_that_was_seen_alive() {
    let capacity = "Server.InsufficientInstanceCapacity";
    for (state, code, wanted) in [
        ("shutting-down", "Client.UserInitiatedShutdown", InstanceState::Deleting),
        ("terminated", "Client.UserInitiatedShutdown", InstanceState::Gone),
        ("shutting-down", "Client.InstanceInitiatedShutdown", InstanceState::Stopped),
        ("terminated", "Client.InstanceInitiatedShutdown", InstanceState::Stopped),
        ("shutting-down", "Server.SpotInstanceTermination", InstanceState::Preempted),
        ("terminated", "Server.SpotInstanceTermination", InstanceState::Preempted),
        ("stopped", "Server.SpotInstanceShutdown", InstanceState::Preempted),
        ("stopped", "Client.UserInitiatedShutdown", InstanceState::Stopped),
        ("stopping", "Server.ScheduledStop", InstanceState::Stopped),
        (
            "terminated",
            capacity,
            failed(
                Some(LateRefusal::InsufficientCapacity),
                "Server.InsufficientInstanceCapacity: words",
            ),
        ),
        (
            "terminated",
            "Client.VolumeLimitExceeded",
            failed(Some(LateRefusal::QuotaExceeded), "Client.VolumeLimitExceeded: words"),
        ),
        ("terminated", "Server.InternalError", failed(None, "Server.InternalError: words")),
        ("terminated", "Client.InternalError", failed(None, "Client.InternalError: words")),
        ("terminated", "Server.NeverHeardOf", failed(None, "Server.NeverHeardOf: words")),
    ] {
        let told = because(state, code).tell(ALIVE_BEFORE, None);
        assert_eq!(told.state, wanted, "{state} by {code}");
        let is_ending = told.state == InstanceState::Deleting;
        assert_eq!(told.ended.is_none(), is_ending, "{state} by {code}");
    }
}

#[test]
fn a_terminated_instance_is_a_tombstone_once_its_end_was_asked_for_or_if_it_was_never_seen_alive() {
    for code in ["Client.InstanceInitiatedShutdown", "Server.SpotInstanceTermination", "Server.X"] {
        let ended = because("terminated", code);
        assert_eq!(ended.tell(Some(known(true)), None).state, InstanceState::Gone);
        assert_eq!(ended.tell(None, None).state, InstanceState::Gone);
        let ending = because("shutting-down", code);
        assert_eq!(ending.tell(Some(known(true)), None).state, InstanceState::Deleting);
        assert_ne!(ending.tell(None, None).state, InstanceState::Deleting);
    }
}

#[test]
fn a_word_that_we_do_not_know_proves_nothing() {
    let word = |word: &str| InstanceState::Unknown { word: word.to_owned() };
    assert_eq!(seen("i-1", "hibernated").tell(ALIVE_BEFORE, None).state, word("hibernated"));
    assert_eq!(seen("i-1", "").tell(None, None).state, word(""));
}

#[test]
fn the_time_of_an_end_is_read_where_it_is_told() {
    assert_eq!(
        time_in("User initiated (2026-11-21 01:35:00 GMT)"),
        Some(Timestamp::from_secs(1_795_224_900))
    );
    assert_eq!(time_in("User initiated"), None);
    assert_eq!(time_in("User initiated (soon)"), None);
    let mut ended = because("terminated", "Client.InstanceInitiatedShutdown");
    assert_eq!(ended.tell(ALIVE_BEFORE, None).ended, Some(Timestamp::from_secs(5_000)));
    ended.transition = Some("x (2026-11-21 01:35:00 GMT)".to_owned());
    assert_eq!(ended.tell(ALIVE_BEFORE, None).ended, Some(Timestamp::from_secs(1_795_224_900)));
}

#[test]
fn an_instance_is_read_as_ec2_tells_it() {
    let ours = tags(&DeploymentId::compose(1));
    let tag = |key: &str, value: &str| types::Tag::builder().key(key).value(value).build();
    let mut all: Vec<_> = ours.to_map().iter().map(|(key, value)| tag(key, value)).collect();
    all.push(tag("Name", ours.machine.as_str()));
    let state = types::InstanceState::builder().name(types::InstanceStateName::Running).build();
    let from = types::Instance::builder()
        .instance_id("i-0123456789abcdef0")
        .set_tags(Some(all))
        .state(state)
        .instance_type(types::InstanceType::from("m5.large"))
        .placement(types::Placement::builder().availability_zone("eu-west-2a").build())
        .instance_lifecycle(types::InstanceLifecycleType::Spot)
        .cpu_options(types::CpuOptions::builder().core_count(1).threads_per_core(2).build())
        .launch_time(aws_sdk_ec2::primitives::DateTime::from_secs(1_000))
        .private_ip_address("10.0.0.4")
        .public_ip_address("192.0.2.4")
        .client_token("6f2c1c0e-1111-4222-8333-0123456789ab")
        .build();
    let seen = Seen::read(&from).unwrap();
    let size = Size { processors: Processors(9), memory: Megabytes(8192) };
    let told = seen.tell(None, Some(size));
    assert_eq!(told.identity, Identity::Vcycle(ours.clone()));
    assert_eq!((told.name.as_str(), told.state), (ours.machine.as_str(), InstanceState::Running));
    let offering = told.offering.unwrap().to_string();
    assert_eq!(offering, "m5.large/eu-west-2a/preemptible");
    assert_eq!((told.processors, told.memory), (Some(Processors(2)), Some(Megabytes(8192))));
    assert_eq!((told.created, told.started), (seen.launched, Some(Timestamp::from_secs(1_000))));
    let addresses: Vec<String> = told.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.4", "192.0.2.4"]);
    assert_eq!(seen.client_token.as_deref(), Some("6f2c1c0e-1111-4222-8333-0123456789ab"));
}
