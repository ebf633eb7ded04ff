//! The provider against recorded answers of real services, and against nothing else: what it asks
//! for that was not recorded fails the test. So the provider can be changed safely without any OpenStack at
//! hand.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "replay/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use common::{Capture, captures};
use server::Replay;
use vcycle_api::{
    Act, CreateRequest, Created, Deletion, DeploymentId, ErrorKind, Generation, Identity, Instance,
    InstanceId, InstanceState, IntentToken, Listing, MachineName, MachinetypeName, ManualClock,
    Market, Observe, Offering, OfferingId, Price, Processors, ProviderError, SpaceName, Tags,
    Timestamp, UserData,
};
use vcycle_openstack::{CloudRef, Credential, Networks, OpenStack, Settings};

/// When the recording was made: its tokens are good for an hour from here.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_890);

/// The server that the recording follows through its life.
const LIFE: &str = "aba07ad8-9080-4ca8-b8f1-f9d0b40ea332";

/// Login and versions, which come before everything else.
const LOGIN: [u16; 2] = [4, 28];

/// A provider on a replay of these exchanges.
struct Played {
    replay: Replay,
    provider: OpenStack,
    _folder: tempfile::TempDir,
}

impl Played {
    /// Exchanges of the big recording by number, after the login.
    async fn new(numbers: &[u16]) -> Self {
        Self::of("2026.2", &LOGIN, numbers).await
    }

    async fn of(recording: &str, login: &[u16], numbers: &[u16]) -> Self {
        let (all, main) = (captures(recording), captures("2026.2"));
        let pick = |all: &[Capture], numbers: &[u16]| -> Vec<Capture> {
            let find =
                |number: &u16| all.iter().find(|one| one.number() == *number).unwrap().clone();
            numbers.iter().map(find).collect()
        };
        let mut chosen = pick(&main, login);
        chosen.extend(pick(&all, numbers));
        Self::on(chosen).await
    }

    async fn on(chosen: Vec<Capture>) -> Self {
        let replay = Replay::start(chosen).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clouds.yaml");
        let yaml = format!(
            "clouds:\n  lab:\n    auth_type: v3applicationcredential\n    auth:\n      auth_url: {}\n      \
             application_credential_id: 26c7c394d6344bb2b98720c0bf2899e0\n      \
             application_credential_secret: anything\n",
            replay.auth_url()
        );
        std::fs::write(&file, yaml).unwrap();
        let cloud = CloudRef::Named { cloud: "lab".to_owned(), file: Some(file) };
        let mut settings = Settings::new(Credential { cloud, region: None, interface: None });
        settings.networks = Networks::None;
        settings.settle = Duration::from_secs(30);
        let clock = Arc::new(ManualClock::at(BEGIN));
        let provider = OpenStack::open(settings, clock).unwrap();
        Self { replay, provider, _folder: folder }
    }

    /// Nothing was asked for that was not recorded, and everything recorded was asked for.
    fn all_known(&self) {
        assert_eq!(self.replay.unknown(), [""; 0], "asked for, but not recorded");
        assert_eq!(self.replay.unplayed(), [""; 0], "recorded, but not asked for");
    }
}

async fn shown(number: u16, id: &str) -> Instance {
    shown_with(&[number], id).await
}

/// Recorded at 2.1, where a server only names its flavour: the flavours are asked for, too.
async fn shown_old(number: u16, id: &str) -> Instance {
    shown_with(&[number, 33], id).await
}

async fn shown_with(numbers: &[u16], id: &str) -> Instance {
    let played = Played::new(numbers).await;
    let instance = played.provider.get(&InstanceId::parse(id).unwrap()).await.unwrap();
    played.all_known();
    instance
}

#[tokio::test]
async fn a_server_is_told_in_each_state_of_its_life() {
    assert_eq!(shown(58, LIFE).await.state, InstanceState::Pending);
    let active = shown(61, LIFE).await;
    assert_eq!(active.state, InstanceState::Running);
    assert_eq!((active.name.as_str(), active.processors), ("life-slow", Some(Processors(1))));
    assert_eq!(active.identity, Identity::Foreign, "it carries none of our metadata");
    assert!(active.started > active.created && active.ended.is_none(), "{active:?}");
    let off = shown(71, LIFE).await;
    assert_eq!(off.state, InstanceState::Stopped);
    assert!(off.ended > off.started, "{off:?}");
    assert_eq!(shown_old(76, LIFE).await.state, InstanceState::Deleting);
}

#[tokio::test]
async fn faults_are_told_in_the_words_of_nova() {
    let fault = |instance: Instance| match instance.state {
        InstanceState::Failed { refusal: _, fault } => fault,
        other => panic!("{other:?}"),
    };
    let no_host = fault(shown(91, "1a75d20b-c0fe-469f-8e9f-53c181a73508").await);
    assert!(no_host.contains("No valid host was found"), "{no_host}");
    let spawn = fault(shown_old(94, "7ad2f416-eef7-4571-a607-2a9722cc132b").await);
    assert!(spawn.contains("Exceeded maximum number of retries"), "{spawn}");
    let quota = fault(shown(121, "7b641488-1579-44db-9e49-6bc9ff5ab94e").await);
    assert!(quota.contains("Quota exceeded for cores"), "{quota}");
}

#[tokio::test]
async fn addresses_and_servers_without_image_are_told() {
    let connected = shown(141, "8bccfab8-81c3-4f17-a138-a702300330bb").await;
    let address: std::net::IpAddr = "10.101.0.132".parse().unwrap();
    assert_eq!(connected.addresses, [address]);
    let from_volume = shown(154, "92cb08cf-8788-4c54-b7b0-cec8586ba94b").await;
    assert_eq!(from_volume.state, InstanceState::Running);
}

#[tokio::test]
async fn a_server_that_is_gone_is_not_found_and_so_is_one_of_another_project() {
    for number in [63, 77] {
        let played = Played::new(&[number]).await;
        let id = InstanceId::parse(LIFE).unwrap();
        let error = played.provider.get(&id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.request_id.is_some(), "{error}");
        played.all_known();
    }
}

fn complete(listing: Listing) -> Vec<Instance> {
    match listing {
        Listing::Complete(all) => all,
        Listing::Partial { seen: _, why } => panic!("partial: {why}"),
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let played = Played::new(&[127, 128, 129]).await;
    let all = complete(played.provider.list().await.unwrap());
    let mut names: Vec<&str> = all.iter().map(|instance| instance.name.as_str()).collect();
    names.sort_unstable();
    let wanted = ["page-00", "page-01", "page-02", "page-03", "page-04", "page-05", "page-06"];
    assert_eq!(names, wanted);
    played.all_known();
}

#[tokio::test]
async fn pages_that_the_site_cuts_shorter_than_asked_for_are_followed_to_the_last() {
    let played = Played::of("2026.2-limits", &LOGIN, &[6, 7]).await;
    assert_eq!(complete(played.provider.list().await.unwrap()).len(), 105);
    played.all_known();
}

#[tokio::test]
async fn an_empty_project_is_a_complete_listing() {
    let played = Played::new(&[155]).await;
    assert_eq!(complete(played.provider.list().await.unwrap()), []);
    played.all_known();
}

#[tokio::test]
async fn limits_and_flavours_are_told() {
    let played = Played::new(&[33, 119]).await;
    let quota = played.provider.quota().await.unwrap();
    assert_eq!((quota.machines, quota.machines_used), (Some(10), Some(2)));
    assert_eq!(quota.processors_used, Some(Processors(16)));
    let offerings = played.provider.offerings().await.unwrap();
    let mut sizes: Vec<(&str, u32)> =
        offerings.iter().map(|one| (one.id.flavour.as_str(), one.processors.0)).collect();
    sizes.sort_unstable();
    let wanted = [("lab.c1", 1), ("lab.c2", 2), ("lab.c4", 4), ("lab.c8", 8), ("lab.nohost", 1)];
    assert_eq!(sizes, wanted);
    played.all_known();
}

#[tokio::test]
async fn a_delete_is_accepted_and_then_there_is_nothing() {
    let id = InstanceId::parse(LIFE).unwrap();
    for (number, wanted) in [(75, Deletion::Accepted), (78, Deletion::AlreadyGone)] {
        let played = Played::new(&[number]).await;
        assert_eq!(played.provider.delete(&id).await.unwrap(), wanted);
        played.all_known();
    }
}

fn request() -> CreateRequest {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let machine = MachineName::compose(&machinetype, 1);
    let id =
        OfferingId { flavour: "lab.c1".to_owned(), zone: String::new(), market: Market::OnDemand };
    CreateRequest {
        machine: machine.clone(),
        offering: Offering {
            id,
            processors: Processors(1),
            memory: vcycle_api::Megabytes(2048),
            attached: vcycle_api::Attached::default(),
            price: Price::Unknown,
            availability: vcycle_api::Availability::Available,
        },
        tags: Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("a.example").unwrap(),
            machinetype,
            machine,
            intent: IntentToken::compose(1),
            generation: Generation(1),
            deadline: Timestamp::from_secs(BEGIN.as_secs() + 86_400),
        },
        image: Some("e78c8710-260e-4fa2-ae53-be00db79ec58".to_owned()),
        user_data: UserData::new("#!/bin/sh\n"),
        environment: Vec::new(),
        public_key: None,
    }
}

async fn created(number: u16) -> Result<Created, ProviderError> {
    // Flavours, and the image by its id.
    let played = Played::new(&[33, 40, number]).await;
    let answer = played.provider.create(&request()).await;
    assert_eq!(played.replay.unknown(), [""; 0], "asked for, but not recorded");
    answer
}

#[tokio::test]
async fn an_accepted_create_gives_its_id_and_shows_no_password() {
    let answer = created(55).await.unwrap();
    assert_eq!(answer, Created::New(InstanceId::parse(LIFE).unwrap()));
    assert!(!format!("{answer:?}").contains("4GWMQLSpZsu9"), "the password of the answer");
}

#[tokio::test]
async fn each_recorded_refusal_of_a_create_made_nothing_and_says_why() {
    for number in [101, 102, 103, 104, 105, 107, 109, 110, 111, 112, 113, 114, 115, 116, 117] {
        let error = created(number).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSpec, "{number}: {error}");
        assert!(error.message.len() < 1000, "{number}: {} bytes", error.message.len());
        assert!(!error.message.contains("I2Nsb3VkLWNvbmZpZwp3cml0"), "{number}: {error}");
        assert!(error.request_id.is_some(), "{number}: {error}");
    }
    for number in [118, 123] {
        let error = created(number).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::QuotaExceeded, "{number}: {error}");
        assert!(error.message.contains("Quota exceeded"), "{number}: {error}");
    }
    let metadata = created(108).await.unwrap_err();
    assert!(metadata.kind.create_made_nothing(), "{metadata}");
}

#[tokio::test]
async fn refused_credentials_are_told_whatever_status_keystone_uses() {
    for number in [6, 10, 11, 12, 22] {
        let played = Played::of("2026.2", &[], &[number]).await;
        let error = played.provider.list().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AuthFailed, "{number}: {error}");
        assert_eq!(played.replay.unknown(), [""; 0]);
    }
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_once_and_the_call_made_again() {
    // 401, a new login, then the answer.
    let main = captures("2026.2");
    let mut refused = main.iter().find(|one| one.number() == 25).unwrap().clone();
    refused.request.url = "http://127.0.0.1:18774/v2.1/limits".to_owned();
    let pick = |number: u16| main.iter().find(|one| one.number() == number).unwrap().clone();
    let played = Played::on(vec![pick(4), pick(28), refused, pick(4), pick(36)]).await;
    let quota = played.provider.quota().await.unwrap();
    assert_eq!(quota.machines, Some(2000));
    played.all_known();
}
