//! Tests of the body of an insert: what goes over the wire, as JSON.

use serde_json::{Value, json};
use vcycle_api::{
    Availability, DeploymentId, Generation, Identity, MachineName, MachinetypeName, Megabytes,
    Offering, OfferingId, Price, SpaceName, Tags, UserData,
};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn request(flavour: &str, market: Market) -> CreateRequest {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let machine = MachineName::compose(&machinetype, 3);
    let zone = "europe-west2-a".to_owned();
    CreateRequest {
        machine: machine.clone(),
        offering: Offering {
            id: OfferingId { flavour: flavour.to_owned(), zone, market },
            processors: Processors(4),
            memory: Megabytes(16_384),
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
            deadline: Timestamp::from_secs(1_800_086_400),
        },
        image: Some("family/cernvm".to_owned()),
        public_key: None,
        user_data: UserData::new("#cloud-config"),
        environment: Vec::new(),
    }
}

fn settings() -> Settings {
    Settings::new("a-project", "europe-west2", &["n2-standard-4"])
}

fn image() -> Concrete {
    Concrete { link: "projects/a-project/global/images/cernvm-5".to_owned(), gb: 20 }
}

fn json(request: &CreateRequest, settings: &Settings) -> Value {
    serde_json::to_value(body(request, settings, &image(), NOW)).unwrap()
}

#[test]
fn every_machine_has_an_end_of_googles_own() {
    for market in [Market::OnDemand, Market::Preemptible] {
        let scheduling = &json(&request("n2-standard-4", market), &settings())["scheduling"];
        assert_eq!(scheduling["maxRunDuration"], json!({"seconds": "86400"}), "{scheduling}");
        assert_eq!(scheduling["instanceTerminationAction"], "DELETE");
        assert_eq!(scheduling["automaticRestart"], false);
    }
}

#[test]
fn only_spot_machines_and_immovable_ones_end_for_maintenance() {
    let of = |flavour, market| json(&request(flavour, market), &settings())["scheduling"].clone();
    let spot = of("n2-standard-4", Market::Preemptible);
    assert_eq!(
        (&spot["provisioningModel"], &spot["onHostMaintenance"]),
        (&json!("SPOT"), &json!("TERMINATE"))
    );
    let plain = of("n2-standard-4", Market::OnDemand);
    assert_eq!(
        (&plain["provisioningModel"], &plain["onHostMaintenance"]),
        (&json!("STANDARD"), &Value::Null)
    );
    assert_eq!(of("a2-highgpu-1g", Market::OnDemand)["onHostMaintenance"], "TERMINATE");
}

#[test]
fn a_deadline_that_is_too_near_or_too_far_is_as_near_and_far_as_google_allows() {
    let mut request = request("n2-standard-4", Market::OnDemand);
    for (seconds, wanted) in [(1, 30), (31, 31), (200 * 86_400, 120 * 86_400)] {
        request.tags.deadline = Timestamp::from_secs(NOW.as_secs() + seconds);
        let seconds =
            json(&request, &settings())["scheduling"]["maxRunDuration"]["seconds"].clone();
        assert_eq!(seconds, wanted.to_string());
    }
}

#[test]
fn the_identity_stands_on_machine_and_disk() {
    let request = request("n2-standard-4", Market::OnDemand);
    let body = json(&request, &settings());
    for labels in [&body["labels"], &body["disks"][0]["initializeParams"]["labels"]] {
        let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
        let identity = Identity::from_map(&labels::decode(&labels));
        assert_eq!(identity, Identity::Vcycle(request.tags.clone()));
    }
    assert_eq!(body["name"], request.machine.as_str());
}

#[test]
fn the_disk_goes_with_its_machine_and_is_never_smaller_than_the_image() {
    let mut settings = settings();
    let size = |settings: &Settings| {
        let body = json(&request("n2-standard-4", Market::OnDemand), settings);
        let disk = &body["disks"][0];
        assert_eq!((&disk["autoDelete"], &disk["boot"]), (&json!(true), &json!(true)));
        disk["initializeParams"]["diskSizeGb"].clone()
    };
    assert_eq!(size(&settings), Value::Null);
    settings.boot_disk.gb_per_processor = Some(20);
    assert_eq!(size(&settings), "80");
    settings.boot_disk.gb = Some(100);
    assert_eq!(size(&settings), "100");
    settings.boot_disk = BootDisk { gb: Some(10), ..BootDisk::default() };
    assert_eq!(size(&settings), "20");
}

#[test]
fn without_a_service_account_none_is_asked_for() {
    let mut settings = settings();
    let accounts = |settings: &Settings| {
        json(&request("n2-standard-4", Market::OnDemand), settings)["serviceAccounts"].clone()
    };
    assert!(accounts(&settings).as_array().is_none_or(Vec::is_empty));
    let email = "vm@a-project.example".to_owned();
    settings.service_account = Some(ServiceAccount { email, scopes: Vec::new() });
    let wanted = json!([{"email": "vm@a-project.example", "scopes": [CLOUD_PLATFORM]}]);
    assert_eq!(accounts(&settings), wanted);
}

#[test]
fn networks_are_named_or_given_by_path() {
    let of = |network: Option<&str>, subnetwork: Option<&str>| {
        let settings = Settings {
            network: network.map(str::to_owned),
            subnetwork: subnetwork.map(str::to_owned),
            ..settings()
        };
        json(&request("n2-standard-4", Market::OnDemand), &settings)["networkInterfaces"][0].clone()
    };
    assert_eq!(of(None, None), json!({"network": "global/networks/default"}));
    assert_eq!(of(Some("lab"), None), json!({"network": "global/networks/lab"}));
    let path = "projects/host/regions/europe-west2/subnetworks/s";
    assert_eq!(of(None, Some(path)), json!({"subnetwork": path}));
    let wanted = json!({"subnetwork": "regions/europe-west2/subnetworks/s"});
    assert_eq!(of(None, Some("s")), wanted);
}

#[test]
fn an_external_address_is_given_only_when_asked_for() {
    let mut settings = settings();
    settings.external_address = ExternalAddress::Yes;
    let body = json(&request("n2-standard-4", Market::OnDemand), &settings);
    let access = &body["networkInterfaces"][0]["accessConfigs"][0];
    assert_eq!(access["type"], "ONE_TO_ONE_NAT");
}

#[test]
fn user_data_and_key_are_metadata() {
    let mut request = request("n2-standard-4", Market::OnDemand);
    request.public_key = Some("ssh-ed25519 AAAA someone\n".to_owned());
    let body = json(&request, &settings());
    let items = body["metadata"]["items"].as_array().unwrap();
    let value = |key: &str| items.iter().find(|item| item["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("user-data"), "#cloud-config");
    assert_eq!(value("ssh-keys"), "root:ssh-ed25519 AAAA someone");
    let identity: BTreeMap<String, String> =
        serde_json::from_str(value("vcycle-identity").as_str().unwrap()).unwrap();
    assert_eq!(Identity::from_map(&identity), Identity::Vcycle(request.tags.clone()));
}

#[test]
fn what_google_cannot_take_is_refused_before_the_call() {
    let good = request("n2-standard-4", Market::OnDemand);
    assert_eq!(refusal(&good, NOW), None);
    let full =
        CreateRequest { user_data: UserData::new("x".repeat(USER_DATA_LIMIT)), ..good.clone() };
    assert_eq!(refusal(&full, NOW), None);
    let over = UserData::new("x".repeat(USER_DATA_LIMIT + 1));
    assert!(refusal(&CreateRequest { user_data: over, ..good.clone() }, NOW).is_some());
    assert!(refusal(&good, good.tags.deadline).is_some());
}

#[test]
fn a_request_id_is_the_intent_until_its_operation_failed() {
    let intent = IntentToken::compose(9);
    assert_eq!(request_id(&intent, 0), intent.to_string());
    let second = request_id(&intent, 1);
    assert_eq!(second, request_id(&intent, 1));
    assert_ne!(second, request_id(&intent, 2));
    // A UUID as Google wants it: the form of an intent.
    assert!(IntentToken::parse(&second).is_ok(), "{second}");
}
