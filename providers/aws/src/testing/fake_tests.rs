//! The fake's own tests, without a connection: what the tests of the provider rely on. `tests/aws/boto.py` has the
//! foreign client's view of the same.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::{Value, json};
use vcycle_api::{Clock, ManualClock, Timestamp};

use super::access::Caller;
use super::ask::{Ask, Service};
use super::ledger::End;
use super::machine::{Reason, State};
use super::params::Params;
use super::reply::{Refusal, Said};
use super::short::Pool;
use super::site::{Guest, Site};
use super::world::World;
use super::{Rates, actions, life, queue};

/// A cloud without a connection.
struct Bench {
    world: World,
    clock: Arc<ManualClock>,
}

fn ask(service: Service, action: &str, params: &[(&str, &str)], json: Value) -> Ask {
    Ask {
        service,
        action: action.to_owned(),
        params: Params::of(params),
        json,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

const LAUNCH: [(&str, &str); 4] = [
    ("ImageId", "ami-0aaaaaaaaaaaaaaa2"),
    ("InstanceType", "m5.large"),
    ("MinCount", "1"),
    ("MaxCount", "1"),
];

impl Bench {
    fn new(change: impl FnOnce(&mut Site)) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_224_884)));
        let mut site = Site::small();
        change(&mut site);
        Self { world: World::new(site, clock.clone(), String::new()), clock }
    }

    fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, Refusal> {
        life::catch_up(&mut self.world);
        let nobody = Caller { key: "k".into(), arn: String::new(), user_id: String::new() };
        let ask = ask(Service::Ec2, action, params, Value::Null);
        match actions::answer(&mut self.world, &ask, &nobody)? {
            Said::Xml(xml) => Ok(String::from_utf8(xml.document("r", "")).unwrap()),
            Said::Json(_) => panic!("EC2 speaks XML"),
        }
    }

    /// A launch with these parameters in place of the usual; the id of its first machine.
    fn launch(&mut self, more: &[(&str, &str)]) -> Result<String, Refusal> {
        let mut params: Vec<(&str, &str)> = LAUNCH.to_vec();
        params.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
        params.extend(more);
        self.call("RunInstances", &params).map(|xml| first(&xml, "instanceId"))
    }

    fn code(&mut self, more: &[(&str, &str)]) -> String {
        self.launch(more).unwrap_err().code
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        life::catch_up(&mut self.world);
    }

    fn state(&self, id: &str) -> Option<State> {
        self.world.machine(id).map(super::machine::Machine::state)
    }

    fn listed(&mut self) -> usize {
        let xml = self.call("DescribeInstances", &[]).unwrap();
        xml.matches("<instanceState>").count()
    }
}

fn first(xml: &str, tag: &str) -> String {
    let rest = xml.split_once(&format!("<{tag}>")).expect("it is there").1;
    rest.split_once('<').expect("it ends").0.to_owned()
}

#[test]
fn a_machine_boots_ends_loses_its_tags_and_is_forgotten() {
    let mut bench = Bench::new(|_| {});
    let tags = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "b"),
    ];
    let id = bench.launch(&tags).unwrap();
    assert_eq!(bench.state(&id), Some(State::Pending));
    bench.pass(15);
    assert_eq!(bench.state(&id), Some(State::Running));
    bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap();
    assert_eq!(bench.state(&id), Some(State::ShuttingDown));
    bench.pass(20);
    assert_eq!(bench.state(&id), Some(State::Terminated));
    assert!(bench.world.volumes.is_empty() && bench.world.interfaces.is_empty());
    bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap();
    bench.pass(1200);
    assert!(bench.world.machine(&id).unwrap().tags.is_empty());
    bench.pass(3600);
    let gone = bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap_err();
    assert_eq!(gone.code, "InvalidInstanceID.NotFound");
    let record = &bench.world.ledger.machines[0];
    assert_eq!(record.ended.unwrap().1, End::Asked);
    assert_eq!(record.billed(bench.clock.now()), Duration::from_secs(60), "the least is a minute");
}

#[test]
fn a_token_is_one_launch_until_a_day_after_its_end() {
    let mut bench = Bench::new(|_| {});
    let token = ("ClientToken", "t");
    let id = bench.launch(&[token]).unwrap();
    assert_eq!(bench.launch(&[token]).unwrap(), id);
    assert_eq!(bench.code(&[token, ("InstanceType", "m5.xlarge")]), "IdempotentParameterMismatch");
    bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap();
    assert_eq!(bench.code(&[token]), "IdempotentInstanceTerminated");
    bench.pass(4 * 3600);
    assert_eq!(bench.code(&[token]), "IdempotentInstanceTerminated", "longer than the record");
    bench.pass(24 * 3600);
    assert_ne!(bench.launch(&[token]).unwrap(), id);
    assert_eq!(bench.world.ledger.made_twice(), ["t"]);
}

#[test]
fn the_same_token_for_another_zone_is_another_launch() {
    let mut bench = Bench::new(|_| {});
    let (a, b) = ("eu-west-2a", "eu-west-2b");
    let one = bench.launch(&[("ClientToken", "t"), ("Placement.AvailabilityZone", a)]).unwrap();
    let two = bench.launch(&[("ClientToken", "t"), ("Placement.AvailabilityZone", b)]).unwrap();
    assert_ne!(one, two);
}

#[test]
fn a_refused_launch_leaves_its_token_free() {
    let mut bench = Bench::new(|_| {});
    bench.world.short.order(Pool::all(), 0, None);
    assert_eq!(bench.code(&[("ClientToken", "t")]), "InsufficientInstanceCapacity");
    bench.world.short.restock_all();
    bench.launch(&[("ClientToken", "t")]).unwrap();
    assert_eq!(bench.world.ledger.machines.len(), 1);
}

#[test]
fn stock_outs_are_of_a_type_a_zone_and_a_market() {
    let mut bench = Bench::new(|_| {});
    bench.world.short.order(Pool::new("m5.*", "eu-west-2a", "spot"), 0, None);
    let spot = ("InstanceMarketOptions.MarketType", "spot");
    let refused = bench.launch(&[spot]).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (500, "InsufficientInstanceCapacity"));
    bench.launch(&[]).unwrap();
    bench.launch(&[spot, ("InstanceType", "c5.large")]).unwrap();
    bench.launch(&[spot, ("Placement.AvailabilityZone", "eu-west-2b")]).unwrap();
}

#[test]
fn a_guest_obeys_the_timer_that_its_tags_tell_or_does_not() {
    let mut bench = Bench::new(|_| {});
    let machine = |bench: &mut Bench, guest: Guest| {
        bench.world.short.guests.push_back(guest);
        let ends = ("InstanceInitiatedShutdownBehavior", "terminate");
        let id = bench.launch(&[ends]).unwrap();
        let deadline = bench.clock.now() + Duration::from_secs(100);
        let number = bench.world.numbers[&id];
        let tags = crate_tags(deadline);
        bench.world.machines.get_mut(&number).unwrap().tags = tags;
        id
    };
    let obeys = machine(&mut bench, Guest::ObeysItsTimer);
    let ignores = machine(&mut bench, Guest::IgnoresItsTimer);
    let works = machine(&mut bench, Guest::Ends(Duration::from_secs(30)));
    bench.pass(60);
    let states = [&obeys, &ignores, &works].map(|id| bench.state(id).unwrap());
    assert_eq!(states, [State::Running, State::Running, State::ShuttingDown]);
    bench.pass(60);
    let states = [&obeys, &ignores, &works].map(|id| bench.state(id).unwrap());
    assert_eq!(states, [State::Terminated, State::Running, State::Terminated]);
    let ends = bench.world.ledger.machines.iter().map(|machine| machine.ended.map(|(_, end)| end));
    assert_eq!(ends.collect::<Vec<_>>(), [Some(End::Guest), None, Some(End::Guest)]);
}

fn crate_tags(deadline: Timestamp) -> std::collections::BTreeMap<String, String> {
    use vcycle_api::{
        DeploymentId, Generation, IntentToken, MachineName, MachinetypeName, SpaceName, Tags,
    };
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let tags = Tags {
        deployment: DeploymentId::compose(7),
        space: SpaceName::parse("a.example").unwrap(),
        machine: MachineName::compose(&machinetype, 1),
        machinetype,
        intent: IntentToken::compose(1),
        generation: Generation(1),
        deadline,
    };
    tags.to_map()
}

#[test]
fn a_notice_comes_two_minutes_before_the_end_and_hides_when_read() {
    let mut bench = Bench::new(|_| {});
    let id = bench.launch(&[("InstanceMarketOptions.MarketType", "spot")]).unwrap();
    bench.pass(20);
    life::give_notice(&mut bench.world, &id);
    let address = format!("x/{}/{}", bench.world.site.account, bench.world.site.queue);
    let read = |bench: &mut Bench| {
        let body = json!({ "QueueUrl": address });
        let said = queue::answer(&mut bench.world, &ask(Service::Sqs, "ReceiveMessage", &[], body));
        let Ok(Said::Json(body)) = said else { panic!("{said:?}") };
        body["Messages"].as_array().cloned().unwrap_or_default()
    };
    let messages = read(&mut bench);
    let event: Value = serde_json::from_str(messages[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail"]["instance-id"], id.as_str());
    assert!(read(&mut bench).is_empty());
    bench.pass(31);
    assert_eq!(read(&mut bench).len(), 1, "nobody has deleted it");
    bench.pass(88);
    assert_eq!(bench.state(&id), Some(State::Running));
    bench.pass(1);
    assert_eq!(bench.state(&id), Some(State::ShuttingDown));
    let reason = bench.world.machine(&id).unwrap().phase().reason.clone().unwrap();
    assert_eq!(reason.code, "Server.SpotInstanceTermination");
}

#[test]
fn new_ids_and_states_show_late_when_the_cloud_lags() {
    let mut bench = Bench::new(|site| {
        site.times.new_lag = Duration::from_secs(10);
        site.times.state_lag = Duration::from_secs(10);
    });
    let id = bench.launch(&[]).unwrap();
    assert_eq!(bench.listed(), 0);
    let unknown = bench.call("DescribeInstances", &[("InstanceId.1", &id)]).unwrap_err();
    assert_eq!(unknown.code, "InvalidInstanceID.NotFound");
    bench.pass(16);
    assert_eq!(bench.state(&id), Some(State::Running));
    let xml = bench.call("DescribeInstances", &[]).unwrap();
    assert_eq!(first(&xml, "name"), "pending");
    bench.pass(10);
    let xml = bench.call("DescribeInstances", &[]).unwrap();
    assert_eq!(first(&xml, "name"), "running");
}

#[test]
fn a_launch_that_fails_late_ends_with_its_reason_and_costs_nothing() {
    let mut bench = Bench::new(|_| {});
    bench.world.short.failures.push_back(Reason::no_capacity());
    let id = bench.launch(&[]).unwrap();
    assert_eq!(bench.state(&id), Some(State::Pending));
    bench.pass(15);
    assert_eq!(bench.state(&id), Some(State::Terminated));
    let record = &bench.world.ledger.machines[0];
    assert_eq!(record.ended.unwrap().1, End::LaunchFailed);
    assert_eq!(record.billed(bench.clock.now()), Duration::ZERO);
}

#[test]
fn a_zone_that_is_down_fails_all_but_looks_at_machines_elsewhere() {
    let mut bench = Bench::new(|_| {});
    let here = bench.launch(&[("Placement.AvailabilityZone", "eu-west-2a")]).unwrap();
    let there = bench.launch(&[("Placement.AvailabilityZone", "eu-west-2b")]).unwrap();
    bench.world.down.insert("eu-west-2b".to_owned());
    assert_eq!(bench.call("DescribeInstances", &[]).unwrap_err().code, "InternalError");
    bench.call("DescribeInstances", &[("InstanceId.1", &there)]).unwrap_err();
    bench.call("DescribeInstances", &[("InstanceId.1", &here)]).unwrap();
    bench.launch(&[("Placement.AvailabilityZone", "eu-west-2b")]).unwrap_err();
}

#[test]
fn what_outlives_a_machine_is_left_behind() {
    let mut bench = Bench::new(|_| {});
    bench.world.leaves = true;
    let id = bench.launch(&[]).unwrap();
    bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap();
    bench.pass(60);
    let volume = bench.world.volumes.keys().next().unwrap().clone();
    let interface = bench.world.interfaces.keys().next().unwrap().clone();
    bench.call("DeleteVolume", &[("VolumeId", &volume)]).unwrap();
    bench.call("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]).unwrap();
    assert!(bench.world.volumes.is_empty() && bench.world.interfaces.is_empty());
}

#[test]
fn limits_count_machines_that_are_still_shutting_down() {
    let mut bench = Bench::new(|site| site.limits.on_demand = 2);
    let id = bench.launch(&[]).unwrap();
    assert_eq!(bench.code(&[]), "VcpuLimitExceeded");
    bench.call("TerminateInstances", &[("InstanceId.1", &id)]).unwrap();
    assert_eq!(bench.code(&[]), "VcpuLimitExceeded");
    bench.pass(20);
    bench.launch(&[]).unwrap();
}

#[test]
fn the_bucket_of_machines_is_emptied_by_launches() {
    let mut bench = Bench::new(|site| {
        let mut rates = Rates::real();
        rates.machines.burst = 3;
        site.rates = Some(rates);
    });
    bench.launch(&[("MinCount", "3"), ("MaxCount", "3")]).unwrap();
    assert_eq!(bench.code(&[]), "RequestLimitExceeded");
    bench.pass(1);
    bench.launch(&[("MaxCount", "2")]).unwrap();
}

#[test]
fn user_data_of_16_kib_is_taken_and_a_byte_more_refused() {
    use base64::Engine as _;
    let text = |bytes: usize| base64::engine::general_purpose::STANDARD.encode("x".repeat(bytes));
    let mut bench = Bench::new(|_| {});
    bench.launch(&[("UserData", &text(16_384))]).unwrap();
    assert_eq!(bench.code(&[("UserData", &text(16_385))]), "InvalidUserData.Malformed");
}

#[test]
fn every_known_action_answers() {
    // The table of parameters and the dispatch must name the same actions, else the dispatch panics.
    let mut bench = Bench::new(|_| {});
    let bare = [
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeInstanceTypes",
        "DescribeTags",
        "DescribeInstanceTypeOfferings",
        "DescribeImages",
        "DescribeSubnets",
        "DescribeVpcs",
        "DescribeSecurityGroups",
        "DescribeVolumes",
        "DescribeNetworkInterfaces",
        "DescribeRegions",
        "DescribeKeyPairs",
        "DescribeSpotInstanceRequests",
        "DescribeSpotPriceHistory",
        "DescribeAvailabilityZones",
        "DescribeAccountAttributes",
        "CreateTags",
        "DeleteTags",
        "CancelSpotInstanceRequests",
        "DeleteKeyPair",
        "DescribeAddresses",
    ];
    for action in bare {
        bench.call(action, &[]).unwrap_or_else(|refusal| panic!("{action}: {refusal:?}"));
    }
    for action in [
        "RunInstances",
        "TerminateInstances",
        "DeleteVolume",
        "DeleteNetworkInterface",
        "ImportKeyPair",
    ] {
        assert_eq!(bench.call(action, &[]).unwrap_err().code, "MissingParameter", "{action}");
    }
    assert_eq!(bench.call("DescribeFleets", &[]).unwrap_err().code, "InvalidAction");
    let unknown = bench.call("DescribeInstances", &[("Wrong", "x")]).unwrap_err();
    assert_eq!(unknown.code, "UnknownParameter");
}

#[test]
fn a_policy_allows_what_it_says_and_tags_in_a_launch_need_their_own_permission() {
    let mut bench = Bench::new(|_| {});
    let policy = json!({ "Statement": [
        { "Effect": "Allow", "Action": ["ec2:Describe*", "ec2:runinstances"], "Resource": "*" },
        { "Effect": "Deny", "Action": "ec2:DescribeVpcs", "Resource": "*" },
    ]});
    bench.world.access.allow_only(&policy);
    let tagged = [("TagSpecification.1.ResourceType", "instance")];
    let may = |action: &str, params: &[(&str, &str)]| {
        let ask = ask(Service::Ec2, action, params, Value::Null);
        ask.permissions().iter().all(|permission| bench.world.access.allows(permission))
    };
    assert!(may("DescribeInstances", &[]) && may("RunInstances", &[]));
    assert!(!may("TerminateInstances", &[]) && !may("DescribeVpcs", &[]));
    assert!(!may("RunInstances", &tagged), "it needs ec2:CreateTags, too");
}
