//! Bodies as they go over the wire.

use std::time::Duration;

use vcycle_api::{
    Availability, DeploymentId, ErrorKind, Generation, MachineName, MachinetypeName, Market,
    Megabytes, Offering, OfferingId, Price, Processors, SpaceName, Timestamp,
};

use super::*;
use crate::{CloudRef, Credential, Preemptible};

const DEADLINE: Timestamp = Timestamp::from_secs(1_767_200_000);

fn settings() -> Settings {
    Settings::new(Credential { cloud: CloudRef::Environment, region: None, interface: None })
}

fn request() -> CreateRequest {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let machine = MachineName::compose(&machinetype, 3);
    let id =
        OfferingId { flavour: "lab.c4".to_owned(), zone: String::new(), market: Market::OnDemand };
    CreateRequest {
        machine: machine.clone(),
        offering: Offering {
            id,
            processors: Processors(4),
            memory: Megabytes(8192),
            attached: vcycle_api::Attached::default(),
            price: Price::Unknown,
            availability: Availability::Available,
        },
        tags: Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("a.example").unwrap(),
            machinetype,
            machine,
            intent: IntentToken::compose(9),
            generation: Generation(4),
            deadline: DEADLINE,
        },
        image: Some("alma".to_owned()),
        public_key: None,
        user_data: UserData::new("#cloud-config\n"),
        environment: Vec::new(),
    }
}

struct Case {
    request: CreateRequest,
    settings: Settings,
    minor: u16,
    networks: Vec<String>,
    key: Option<&'static str>,
}

impl Case {
    fn new(minor: u16) -> Self {
        let (request, settings) = (request(), settings());
        Self { request, settings, minor, networks: Vec::new(), key: None }
    }

    fn body(&self) -> Result<Value, ProviderError> {
        let flavor = json!({ "id": "c4", "name": "lab.c4", "vcpus": 4, "ram": 8192, "disk": 80 });
        body(&Parts {
            request: &self.request,
            settings: &self.settings,
            dialect: Dialect::of(self.minor),
            flavor: &serde_json::from_value(flavor).unwrap(),
            image: &ImageId { id: "image-1".to_owned(), min_disk_gb: 9, min_ram: 0 },
            networks: &self.networks,
            key: self.key,
        })
    }
}

fn metadata() -> Value {
    json!({
        "vcycle_deployment": DeploymentId::compose(7),
        "vcycle_space": "a.example",
        "vcycle_machinetype": "dune",
        "vcycle_machine": "vcycle-dune-daaaaaaaaa",
        "vcycle_intent": IntentToken::compose(9),
        "vcycle_generation": "4",
        "vcycle_deadline": "1767200000",
    })
}

#[test]
fn the_plainest_body_in_the_newest_version() {
    let wanted = json!({ "server": {
        "name": "vcycle-dune-daaaaaaaaa",
        "flavorRef": "c4",
        "imageRef": "image-1",
        "metadata": metadata(),
        "tags": [
            format!("vcycle-{}", DeploymentId::compose(7)),
            format!("vcycle-intent-{}", IntentToken::compose(9)),
        ],
        "description": "vcycle: dune of a.example",
        "user_data": "I2Nsb3VkLWNvbmZpZwo=",
        "networks": "auto",
    } });
    assert_eq!(Case::new(90).body().unwrap(), wanted);
}

#[test]
fn the_plainest_body_in_the_oldest_version() {
    let wanted = json!({ "server": {
        "name": "vcycle-dune-daaaaaaaaa",
        "flavorRef": "c4",
        "imageRef": "image-1",
        "metadata": metadata(),
        "user_data": "I2Nsb3VkLWNvbmZpZwo=",
    } });
    assert_eq!(Case::new(1).body().unwrap(), wanted);
}

#[test]
fn a_body_with_everything() {
    let mut case = Case::new(90);
    case.request.offering.id.zone = "zone b".to_owned();
    case.key = Some("vcycle-e3b0c44298fc1c14");
    case.networks = vec!["net-1".to_owned(), "net-2".to_owned()];
    case.settings.networks = Networks::These(vec!["réseau".to_owned(), "other".to_owned()]);
    case.settings.security_groups = vec!["default".to_owned(), "out only".to_owned()];
    case.settings.config_drive = ConfigDrive::Yes;
    case.settings.hints = [("reservation".to_owned(), "r-1".to_owned())].into();
    let fast = || Some("fast".to_owned());
    case.settings.boot_volume = Some(BootVolume { gb: 20, volume_type: fast() });
    case.settings.data_volume = Some(DataVolume { gb_per_processor: 15, volume_type: None });
    let guaranteed = Duration::from_secs(1);
    case.settings.preemptible = Some(Preemptible { flavors: Vec::new(), guaranteed });
    let body = case.body().unwrap();
    assert_eq!(body["os:scheduler_hints"], json!({ "reservation": "r-1" }));
    let server = &body["server"];
    assert_eq!(server["availability_zone"], "zone b");
    assert_eq!(server["key_name"], "vcycle-e3b0c44298fc1c14");
    assert_eq!(server["networks"], json!([{ "uuid": "net-1" }, { "uuid": "net-2" }]));
    assert_eq!(server["security_groups"], json!([{ "name": "default" }, { "name": "out only" }]));
    assert_eq!(server["config_drive"], true);
    assert_eq!(server.get("imageRef"), None);
    let devices = json!([
        { "boot_index": 0, "source_type": "image", "uuid": "image-1", "destination_type": "volume",
          "volume_size": 20, "delete_on_termination": true, "volume_type": "fast" },
        { "boot_index": -1, "source_type": "blank", "destination_type": "volume",
          "volume_size": 60, "delete_on_termination": true },
    ]);
    assert_eq!(server["block_device_mapping_v2"], devices);
}

#[test]
fn a_boot_volume_is_never_smaller_than_the_image_needs() {
    let mut case = Case::new(90);
    case.settings.boot_volume = Some(BootVolume { gb: 5, volume_type: None });
    let body = case.body().unwrap();
    assert_eq!(body["server"]["block_device_mapping_v2"][0]["volume_size"], 9);
}

#[test]
fn a_data_volume_alone_leaves_the_root_disk_to_the_flavour() {
    let mut case = Case::new(90);
    case.settings.data_volume = Some(DataVolume { gb_per_processor: 10, volume_type: None });
    let body = case.body().unwrap();
    let devices = body["server"]["block_device_mapping_v2"].as_array().unwrap();
    let place = |at: usize| (&devices[at]["boot_index"], &devices[at]["destination_type"]);
    assert_eq!(place(0), (&json!(0), &json!("local")));
    assert_eq!(place(1), (&json!(-1), &json!("volume")));
    assert_eq!(body["server"]["imageRef"], "image-1");
}

#[test]
fn every_volume_goes_with_its_server() {
    let mut case = Case::new(90);
    case.settings.boot_volume = Some(BootVolume { gb: 5, volume_type: None });
    case.settings.data_volume = Some(DataVolume { gb_per_processor: 1, volume_type: None });
    let body = case.body().unwrap();
    let devices = body["server"]["block_device_mapping_v2"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    assert!(devices.iter().all(|device| device["delete_on_termination"] == true));
}

#[test]
fn what_an_old_nova_cannot_do_is_refused_before_anything_is_sent() {
    let refused = |change: fn(&mut Settings), minor| {
        let mut case = Case::new(minor);
        change(&mut case.settings);
        case.body().map_err(|error| error.kind)
    };
    let no_network: fn(&mut Settings) = |settings| settings.networks = Networks::None;
    assert_eq!(refused(no_network, 36), Err(ErrorKind::InvalidSpec));
    assert_eq!(refused(no_network, 37).unwrap()["server"]["networks"], "none");
    let fast: fn(&mut Settings) = |settings| {
        settings.boot_volume = Some(BootVolume { gb: 5, volume_type: Some("fast".to_owned()) });
    };
    assert_eq!(refused(fast, 66), Err(ErrorKind::InvalidSpec));
    assert!(refused(fast, 67).is_ok());
}

#[test]
fn a_server_without_network_has_no_security_groups() {
    let mut case = Case::new(90);
    case.settings.networks = Networks::None;
    case.settings.security_groups = vec!["default".to_owned()];
    assert_eq!(case.body().unwrap()["server"].get("security_groups"), None);
}

#[test]
fn user_data_is_taken_up_to_what_fits_after_base64() {
    assert_eq!(USER_DATA_LIMIT, 49_149);
    let mut case = Case::new(90);
    case.request.user_data = UserData::new("x".repeat(USER_DATA_LIMIT));
    let body = case.body().unwrap();
    assert_eq!(body["server"]["user_data"].as_str().unwrap().len(), 65_532);
    case.request.user_data = UserData::new("x".repeat(USER_DATA_LIMIT + 1));
    let error = case.body().unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec);
    assert!(error.message.contains("49150"), "{}", error.message);
}

#[test]
fn the_longest_tags_fit_what_nova_takes() {
    let tags = Tags { deployment: DeploymentId::parse(&"d".repeat(32)).unwrap(), ..request().tags };
    assert!(deployment_tag(&tags).len() <= 60);
    assert!(intent_tag(&tags.intent).len() <= 60);
}
