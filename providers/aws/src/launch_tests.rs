//! The request of each kind of machine, and that it is the same each time.

use aws_sdk_ec2::operation::run_instances::RunInstancesInput;
use vcycle_api::{Availability, DeploymentId, Megabytes, Offering, OfferingId, Price, UserData};

use super::*;
use crate::instance::tags_of;
use crate::instance::tests::tags as tags_for;

fn request(market: Market) -> CreateRequest {
    let tags = tags_for(&DeploymentId::compose(7));
    let id = OfferingId { flavour: "m5.xlarge".into(), zone: "eu-west-2a".into(), market };
    CreateRequest {
        machine: tags.machine.clone(),
        offering: Offering {
            id,
            processors: Processors(4),
            memory: Megabytes(16_384),
            attached: vcycle_api::Attached::default(),
            price: Price::Unknown,
            availability: Availability::Available,
        },
        tags,
        image: Some("ami-1".to_owned()),
        public_key: None,
        user_data: UserData::new("#!/bin/sh\nsecret\n"),
        environment: Vec::new(),
    }
}

fn settings() -> Settings {
    Settings::new("eu-west-2", vec!["m5.xlarge".to_owned()])
}

fn image() -> Image {
    Image {
        reference: "ami-1".to_owned(),
        root_device: Some("/dev/xvda".to_owned()),
        lasting: vec!["/dev/sdb".to_owned()],
        architecture: None,
        name: None,
        created: None,
    }
}

fn built(
    settings: &Settings,
    image: &Image,
    market: Market,
) -> Result<RunInstancesInput, ProviderError> {
    let request = request(market);
    let groups = ["sg-1".to_owned()];
    let key = Some("vcycle-0123");
    let parts =
        Parts { request: &request, settings, image, subnet: "subnet-1", groups: &groups, key };
    Ok(input(&parts)?.build().unwrap())
}

#[test]
fn one_machine_ends_when_it_shuts_down_and_shows_its_secrets_only_by_version_two() {
    let input = built(&settings(), &image(), Market::OnDemand).unwrap();
    assert_eq!((input.min_count(), input.max_count()), (Some(1), Some(1)));
    let behaviour = input.instance_initiated_shutdown_behavior();
    assert_eq!(behaviour, Some(&ShutdownBehavior::Terminate));
    let metadata = input.metadata_options().unwrap();
    assert_eq!(metadata.http_tokens(), Some(&HttpTokensState::Required));
    assert_eq!(metadata.http_put_response_hop_limit(), Some(2));
    assert_eq!(input.instance_market_options(), None);
    let zone = input.placement().and_then(Placement::availability_zone);
    assert_eq!((input.subnet_id(), zone), (Some("subnet-1"), Some("eu-west-2a")));
    assert_eq!(input.security_group_ids(), ["sg-1"]);
    assert_eq!(input.key_name(), Some("vcycle-0123"));
    assert_eq!(input.user_data(), Some("IyEvYmluL3NoCnNlY3JldAo="));
}

#[test]
fn the_token_is_the_intent_and_the_same_parts_give_the_same_request() {
    let input = built(&settings(), &image(), Market::Preemptible).unwrap();
    let intent = request(Market::Preemptible).tags.intent.to_string();
    assert_eq!(input.client_token(), Some(intent.as_str()));
    assert!(intent.len() <= 64 && intent.is_ascii());
    assert_eq!(input, built(&settings(), &image(), Market::Preemptible).unwrap());
}

#[test]
fn all_that_the_call_makes_carries_the_whole_identity() {
    let kinds = |market| {
        let input = built(&settings(), &image(), market).unwrap();
        let mut wanted = request(market).tags.to_map();
        wanted.insert("Name".to_owned(), request(market).machine.to_string());
        let all = input.tag_specifications().to_vec();
        assert!(all.iter().all(|it| tags_of(it.tags()) == wanted));
        let kinds = all.iter().map(|it| it.resource_type().unwrap().as_str().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(Market::OnDemand), ["instance", "volume", "network-interface"]);
    assert_eq!(
        kinds(Market::Preemptible),
        ["instance", "volume", "network-interface", "spot-instances-request"]
    );
}

#[test]
fn a_spot_machine_is_asked_for_once_and_ends_when_it_is_taken_back() {
    let input = built(&settings(), &image(), Market::Preemptible).unwrap();
    let market = input.instance_market_options().unwrap();
    assert_eq!(market.market_type(), Some(&MarketType::Spot));
    let spot = market.spot_options().unwrap();
    assert_eq!(spot.spot_instance_type(), Some(&SpotInstanceType::OneTime));
    let behaviour = spot.instance_interruption_behavior();
    assert_eq!(behaviour, Some(&InstanceInterruptionBehavior::Terminate));
    assert_eq!(spot.max_price(), None);
}

#[test]
fn what_is_said_of_the_address_is_said_of_an_interface_that_ends_with_its_machine() {
    for (wanted, public) in [(PublicAddress::Yes, true), (PublicAddress::No, false)] {
        let settings = Settings { public_address: wanted, ..settings() };
        let input = built(&settings, &image(), Market::OnDemand).unwrap();
        assert_eq!((input.subnet_id(), input.security_group_ids()), (None, &[][..]));
        let [interface] = input.network_interfaces() else { panic!("one interface") };
        assert_eq!(interface.associate_public_ip_address(), Some(public));
        assert_eq!(interface.delete_on_termination(), Some(true));
        assert_eq!(
            (interface.subnet_id(), interface.groups()),
            (Some("subnet-1"), &["sg-1".to_owned()][..])
        );
    }
}

fn volume(gb: Option<u32>, gb_per_processor: Option<u32>) -> RootVolume {
    RootVolume {
        gb,
        gb_per_processor,
        volume_type: Some("gp3".to_owned()),
        encrypted: Encryption::Yes,
        device: None,
    }
}

#[test]
fn no_volume_outlives_its_machine() {
    let input = built(&settings(), &image(), Market::OnDemand).unwrap();
    let [other] = input.block_device_mappings() else { panic!("the one that would last") };
    assert_eq!(other.device_name(), Some("/dev/sdb"));
    let settings = Settings { root_volume: Some(volume(Some(10), Some(5))), ..settings() };
    let mut image = image();
    image.lasting.push("/dev/xvda".to_owned());
    let input = built(&settings, &image, Market::OnDemand).unwrap();
    let all = input.block_device_mappings();
    let devices: Vec<_> = all.iter().filter_map(BlockDeviceMapping::device_name).collect();
    assert_eq!(devices, ["/dev/xvda", "/dev/sdb"]);
    assert!(all.iter().all(|it| it.ebs().unwrap().delete_on_termination() == Some(true)));
}

#[test]
fn the_root_volume_grows_with_the_processors() {
    for (gb, each, wanted) in [
        (None, None, None),
        (Some(10), None, Some(10)),
        (None, Some(5), Some(20)),
        (Some(10), Some(5), Some(30)),
    ] {
        let volume = root_volume(&volume(gb, each), Processors(4)).unwrap();
        assert_eq!(volume.volume_size(), wanted, "{gb:?} and {each:?} for each");
        assert_eq!(volume.volume_type(), Some(&VolumeType::Gp3));
        assert_eq!(volume.encrypted(), Some(true));
    }
    assert!(root_volume(&volume(None, Some(u32::MAX)), Processors(4)).is_err());
}

#[test]
fn the_root_device_of_a_parameter_must_be_told() {
    let settings = Settings { root_volume: Some(volume(Some(10), None)), ..settings() };
    let parameter = Image {
        reference: "resolve:ssm:/aws/service/x".to_owned(),
        root_device: None,
        lasting: Vec::new(),
        ..image()
    };
    let error = built(&settings, &parameter, Market::OnDemand).unwrap_err();
    assert!(error.message.contains("set root_device"), "{}", error.message);
    let told = RootVolume { device: Some("/dev/sda1".to_owned()), ..volume(Some(10), None) };
    let settings = Settings { root_volume: Some(told), ..settings };
    let input = built(&settings, &parameter, Market::OnDemand).unwrap();
    assert_eq!(input.block_device_mappings()[0].device_name(), Some("/dev/sda1"));
}

#[test]
fn a_profile_is_named_or_meant_by_its_arn() {
    let settings =
        |profile: &str| Settings { instance_profile: Some(profile.to_owned()), ..settings() };
    let of = |profile: &str| {
        let input = built(&settings(profile), &image(), Market::OnDemand).unwrap();
        let given = input.iam_instance_profile().unwrap();
        (given.name().map(str::to_owned), given.arn().map(str::to_owned))
    };
    let arn = "arn:aws:iam::123456789012:instance-profile/worker";
    assert_eq!(of("worker"), (Some("worker".to_owned()), None));
    assert_eq!(of(arn), (None, Some(arn.to_owned())));
}

#[test]
fn user_data_that_is_too_long_is_refused_before_anything_is_sent() {
    let mut request = request(Market::OnDemand);
    let noise: String =
        (0..40_000_u32).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect();
    request.user_data = UserData::new(noise);
    let (settings, image) = (settings(), image());
    let parts = Parts {
        request: &request,
        settings: &settings,
        image: &image,
        subnet: "s",
        groups: &[],
        key: None,
    };
    assert_eq!(input(&parts).unwrap_err().kind, ErrorKind::InvalidSpec);
}
