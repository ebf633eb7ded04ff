//! `etc/aws-policy.json` is enough for everything that the provider does, and holds nothing that it does not need.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{Place, request_of};
use serde_json::Value;
use vcycle_api::{Act, ErrorKind, MachinetypeName, Market, Need, Observe, Readiness, Resolution};
use vcycle_aws::testing::{FakeCloud, On, Pool, Site, Trouble};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a";

fn policy() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../etc/aws-policy.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn allowed() -> BTreeSet<String> {
    let policy = policy();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let allows = statements.filter(|statement| statement["Effect"] == "Allow");
    let actions = allows.flat_map(|statement| match &statement["Action"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    });
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn need(image: &str) -> Need {
    Need {
        machinetype: MachinetypeName::parse("dune").unwrap(),
        image: Some(image.to_owned()),
        public_key: Some(KEY.to_owned()),
        flavors: Vec::new(),
    }
}

/// Everything that a manager does with a space in its life.
async fn live(place: &Place) {
    let provider = &place.provider;
    let images = [
        "worker-*",
        "ami-0aaaaaaaaaaaaaaa1",
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    ];
    for (number, image) in (1_u64..).zip(images) {
        let needs = [need(image)];
        assert_eq!(provider.prepare(&needs).await.unwrap(), [Readiness::Ready]);
        provider.inspect(&needs).await;
        let market = if number == 1 { Market::Preemptible } else { Market::OnDemand };
        let offering = place.offering("m5.large", "eu-west-2a", market).await;
        let mut request = request_of(number, offering);
        request.image = Some(image.to_owned());
        request.public_key = Some(KEY.to_owned());
        if number == 2 {
            place.fake.leaves_side_resources();
            place.fake.add_address(&place.map(number), None);
        }
        let id = place.running(&request).await;
        provider.list().await.unwrap();
        provider.get(&id).await.unwrap();
        provider.quota().await.unwrap();
        provider.terms().await.unwrap();
        // `vcycle prices refresh`.
        assert!(!provider.spot_prices().await.unwrap().is_empty());
        if market == Market::Preemptible {
            place.fake.interrupt(id.as_str());
        }
        provider.interruptions().await.unwrap();
        let found = provider.resolve(&request.tags.intent, place.now()).await.unwrap();
        assert_eq!(found, Resolution::Found(id.clone()));
        provider.delete(&id).await.unwrap();
        place.pass(1000);
        for resource in provider.side_resources().await.unwrap() {
            provider.delete_side_resource(&resource).await.unwrap();
        }
        provider.list().await.unwrap();
    }
}

async fn place() -> Place {
    Place::with(Site::small(), |settings| {
        settings.subnets = vec!["default-eu-west-2a".to_owned()];
        settings.security_groups = vec!["workers".to_owned()];
        settings.instance_profile = Some("vcycle-worker".to_owned());
    })
    .await
}

fn used(fake: &FakeCloud) -> BTreeSet<String> {
    let calls = fake.ledger().calls;
    assert!(calls.iter().all(|call| call.code.as_deref() != Some("InvalidAction")));
    calls.into_iter().flat_map(|call| call.permissions).collect()
}

#[tokio::test]
async fn the_policy_is_enough_and_nothing_in_it_is_idle() {
    let place = place().await;
    place.fake.allow_only(&policy());
    live(&place).await;
    let refused = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"];
    for call in place.fake.ledger().calls {
        let code = call.code.as_deref().unwrap_or_default();
        assert!(!refused.contains(&code), "{}: {code}", call.action);
    }
    // A simpler account, and faults, which may make the provider ask something else.
    let plain = Place::new(Site::small()).await;
    plain.fake.allow_only(&policy());
    let request = plain.request(1).await;
    plain.fake.runs_short(Pool::all());
    plain.provider.create(&request).await.unwrap_err();
    plain.fake.restock_all();
    plain.fake.befall(On::Action("RunInstances"), 1, Trouble::LoseReply);
    plain.provider.create(&request).await.unwrap_err();
    plain.provider.create(&request).await.unwrap();
    plain.fake.befall(On::Action("DescribeInstances"), 1, Trouble::LoseRequest);
    plain.provider.list().await.unwrap_err();
    plain.fake.zone_fails("eu-west-2c");
    plain.provider.list().await.ok();
    let used: BTreeSet<String> = used(&place.fake).union(&used(&plain.fake)).cloned().collect();
    let allowed = allowed();
    let beyond: Vec<&String> = used.difference(&allowed).collect();
    assert!(beyond.is_empty(), "called, and not in etc/aws-policy.json: {beyond:?}");
    // EC2 asks for it in our name when it makes the first spot machine of an account; the fake does not.
    let idle: Vec<&String> = allowed.difference(&used).collect();
    let silent = ["iam:CreateServiceLinkedRole"];
    assert!(idle.iter().all(|one| silent.contains(&one.as_str())), "never called: {idle:?}");
}

#[tokio::test]
async fn without_a_permission_the_refusal_says_which() {
    let place = place().await;
    let request = place.request(1).await;
    let mut policy = policy();
    policy["Statement"] = serde_json::json!([
        { "Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*" }
    ]);
    place.fake.allow_only(&policy);
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
    assert!(error.to_string().contains("ec2:RunInstances"), "{error}");
}
