//! A machine as `instances.get` and the lists show it.

use serde_json::{Map, Value, json};
use vcycle_api::Market;

use super::{Machine, Place, Then};
use crate::testing::words::{self, last};
use crate::testing::world::World;

/// Parts of the request that come back as they were given.
const ECHOED: [&str; 6] = [
    "description",
    "serviceAccounts",
    "minCpuPlatform",
    "shieldedInstanceConfig",
    "resourcePolicies",
    "guestAccelerators",
];

impl Machine {
    /// The resource.
    pub(crate) fn show(&self, world: &World, place: &Place) -> Value {
        let zone = world.url(&format!("projects/{}/zones/{}", world.site.project, place.zone));
        let mut all = json!({
            "kind": "compute#instance",
            "id": self.id.to_string(),
            "creationTimestamp": words::written(self.accepted),
            "name": place.name,
            "zone": zone,
            "selfLink": format!("{zone}/instances/{}", place.name),
            "machineType": format!("{zone}/machineTypes/{}", self.machine_type),
            "status": self.word(),
            "cpuPlatform": if self.running.is_some() { "Intel Cascade Lake" } else { "Unknown CPU Platform" },
            "canIpForward": false,
            "startRestricted": false,
            "deletionProtection": self.protected,
            "fingerprint": words::fingerprint(self.id, u64::from(self.run) + 1),
            "labelFingerprint": words::fingerprint(self.id, self.labels_version),
            "tags": self.tags(),
            "metadata": self.metadata_shown(),
            "disks": self.disks_shown(world, place, &zone),
            "networkInterfaces": self.interfaces(world),
            "scheduling": self.scheduling(),
        });
        for key in ECHOED {
            if !self.spec[key].is_null() {
                all[key] = self.spec[key].clone();
            }
        }
        if !self.labels.is_empty() {
            all["labels"] = json!(self.labels);
        }
        if let Some(at) = self.last_start {
            all["lastStartTimestamp"] = json!(words::written(at));
        }
        if let Some(at) = self.last_stop {
            all["lastStopTimestamp"] = json!(words::written(at));
        }
        if let (Some(since), Some(limit)) = (self.running, self.limit) {
            let at = words::written(since + limit);
            all["resourceStatus"] = json!({ "scheduling": { "terminationTimestamp": at } });
        }
        all
    }

    /// Always with a fingerprint, which libcloud takes for granted.
    fn tags(&self) -> Value {
        let mut tags = json!({ "fingerprint": words::fingerprint(self.id, 0) });
        if self.spec["tags"]["items"].as_array().is_some_and(|items| !items.is_empty()) {
            tags["items"] = self.spec["tags"]["items"].clone();
        }
        tags
    }

    fn metadata_shown(&self) -> Value {
        let fingerprint = words::fingerprint(!self.id, self.metadata_version);
        let mut metadata = json!({ "kind": "compute#metadata", "fingerprint": fingerprint });
        if !self.metadata.is_empty() {
            let items = self.metadata.iter();
            metadata["items"] =
                items.map(|(key, value)| json!({ "key": key, "value": value })).collect();
        }
        metadata
    }

    fn disks_shown(&self, world: &World, place: &Place, zone: &str) -> Value {
        let disks = self.disks.iter().enumerate();
        disks
            .map(|(index, attached)| {
                let disk = world.compute.disks.get(&Place::new(&place.zone, &attached.disk));
                json!({
                    "kind": "compute#attachedDisk",
                    "type": "PERSISTENT",
                    "mode": "READ_WRITE",
                    "source": format!("{zone}/disks/{}", attached.disk),
                    "deviceName": attached.device,
                    "index": index,
                    "boot": attached.boot,
                    "autoDelete": attached.auto_delete,
                    "interface": "SCSI",
                    "diskSizeGb": disk.map_or(10, |disk| disk.gb).to_string(),
                })
            })
            .collect()
    }

    fn interfaces(&self, world: &World) -> Value {
        let project = &world.site.project;
        let asked = self.spec["networkInterfaces"].as_array().cloned().unwrap_or_default();
        let interfaces = asked.iter().enumerate().map(|(index, asked)| {
            let named = asked["subnetwork"].as_str().map(last);
            let network = asked["network"].as_str().map(last);
            let mut subnetworks = world.site.subnetworks.iter();
            let subnetwork = subnetworks.find(|one| match (named, network) {
                (Some(named), _) => one.name == named,
                (None, Some(network)) => one.network == network,
                (None, None) => true,
            });
            let network = subnetwork.map_or("default", |subnetwork| &subnetwork.network);
            let region = &world.site.region;
            let mut shown = json!({
                "kind": "compute#networkInterface",
                "name": format!("nic{index}"),
                "network": world.url(&format!("projects/{project}/global/networks/{network}")),
                "networkIP": self.internal.to_string(),
                "stackType": "IPV4_ONLY",
                "fingerprint": words::fingerprint(self.id, 7),
            });
            if let Some(subnetwork) = subnetwork {
                let path =
                    format!("projects/{project}/regions/{region}/subnetworks/{}", subnetwork.name);
                shown["subnetwork"] = json!(world.url(&path));
            }
            if asked["accessConfigs"].as_array().is_some_and(|all| !all.is_empty()) {
                let mut access = json!({
                    "kind": "compute#accessConfig", "type": "ONE_TO_ONE_NAT",
                    "name": "External NAT", "networkTier": "PREMIUM",
                });
                if let Some(external) = self.external {
                    access["natIP"] = json!(external.to_string());
                }
                shown["accessConfigs"] = json!([access]);
            }
            shown
        });
        interfaces.collect()
    }

    fn scheduling(&self) -> Value {
        let spot = self.market == Market::Preemptible;
        let mut all: Map<String, Value> =
            self.spec["scheduling"].as_object().cloned().unwrap_or_default();
        all.insert("preemptible".into(), json!(spot));
        let model = if spot { "SPOT" } else { "STANDARD" };
        all.entry("provisioningModel").or_insert(json!(model));
        all.entry("automaticRestart").or_insert(json!(!spot));
        let maintenance = if spot { "TERMINATE" } else { "MIGRATE" };
        all.entry("onHostMaintenance").or_insert(json!(maintenance));
        if spot || self.limit.is_some() {
            let action = match self.action {
                Then::Goes => "DELETE",
                Then::Rests => "STOP",
            };
            all.insert("instanceTerminationAction".into(), json!(action));
        }
        Value::Object(all)
    }
}
