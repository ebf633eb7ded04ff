//! Which permissions a call needs (cloud.google.com/compute/docs/reference, "IAM permissions" of each method).

use serde_json::{Value, json};

use super::Call;
use crate::testing::reply::{self, Answer, Reply};
use crate::testing::words::after;
use crate::testing::world::World;

/// The permissions that a call needs.
pub(crate) fn needed(call: &Call, project: &str) -> Vec<&'static str> {
    let method = call.method.id.strip_prefix("compute.").unwrap_or_default();
    let one = match method {
        "instances.insert" => return for_insert(&call.body, project),
        "instances.delete" => "compute.instances.delete",
        "instances.get" => "compute.instances.get",
        "instances.list" | "instances.aggregatedList" => "compute.instances.list",
        "instances.stop" => "compute.instances.stop",
        "instances.start" => "compute.instances.start",
        "instances.setLabels" => "compute.instances.setLabels",
        "instances.setMetadata" => "compute.instances.setMetadata",
        "instances.setDiskAutoDelete" => "compute.instances.setDiskAutoDelete",
        "instances.setScheduling" => "compute.instances.setScheduling",
        "instances.getSerialPortOutput" => "compute.instances.getSerialPortOutput",
        "instances.simulateMaintenanceEvent" => "compute.instances.simulateMaintenanceEvent",
        "disks.get" => "compute.disks.get",
        "disks.list" | "disks.aggregatedList" => "compute.disks.list",
        "disks.insert" => "compute.disks.create",
        "disks.delete" => "compute.disks.delete",
        "disks.setLabels" => "compute.disks.setLabels",
        "zoneOperations.get" | "zoneOperations.wait" => "compute.zoneOperations.get",
        "zoneOperations.list" => "compute.zoneOperations.list",
        "globalOperations.get" | "globalOperations.wait" => "compute.globalOperations.get",
        "globalOperations.list" | "globalOperations.aggregatedList" => {
            "compute.globalOperations.list"
        }
        "machineTypes.get" => "compute.machineTypes.get",
        "machineTypes.list" | "machineTypes.aggregatedList" => "compute.machineTypes.list",
        "diskTypes.get" => "compute.diskTypes.get",
        "diskTypes.list" | "diskTypes.aggregatedList" => "compute.diskTypes.list",
        // Images of other projects are public.
        "images.get" | "images.getFromFamily" | "images.list"
            if call.name("project") != project =>
        {
            return Vec::new();
        }
        "images.get" => "compute.images.get",
        "images.getFromFamily" => "compute.images.getFromFamily",
        "images.list" => "compute.images.list",
        "networks.get" => "compute.networks.get",
        "networks.list" => "compute.networks.list",
        "subnetworks.get" => "compute.subnetworks.get",
        "subnetworks.list" | "subnetworks.aggregatedList" => "compute.subnetworks.list",
        "projects.get" => "compute.projects.get",
        "regions.get" => "compute.regions.get",
        "regions.list" => "compute.regions.list",
        "zones.get" => "compute.zones.get",
        "zones.list" => "compute.zones.list",
        // `testIamPermissions` needs none.
        _ => return Vec::new(),
    };
    vec![one]
}

fn for_insert(body: &Value, project: &str) -> Vec<&'static str> {
    let some = |value: &Value| match value {
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let mut all = vec!["compute.instances.create"];
    let mut add = |when: bool, permission| all.extend(when.then_some(permission));
    add(some(&body["labels"]), "compute.instances.setLabels");
    add(some(&body["metadata"]["items"]), "compute.instances.setMetadata");
    add(some(&body["tags"]["items"]), "compute.instances.setTags");
    add(some(&body["serviceAccounts"]), "compute.instances.setServiceAccount");
    add(some(&body["serviceAccounts"]), "iam.serviceAccounts.actAs");
    for disk in body["disks"].as_array().into_iter().flatten() {
        let parameters = &disk["initializeParams"];
        add(some(parameters), "compute.disks.create");
        add(some(&parameters["labels"]), "compute.disks.setLabels");
        let image = parameters["sourceImage"].as_str();
        let own = |url: &str| after(url, "projects").is_none_or(|other| other == project);
        add(image.is_some_and(own), "compute.images.useReadOnly");
    }
    for interface in body["networkInterfaces"].as_array().into_iter().flatten() {
        // The subnetwork is used, whether it is named or found by the network.
        add(true, "compute.subnetworks.use");
        add(some(&interface["accessConfigs"]), "compute.subnetworks.useExternalIp");
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Refuses what the caller's roles do not allow, and remembers what they would have to.
pub(crate) fn permit(world: &mut World, call: &Call) -> Result<(), Reply> {
    let path = call.ask.path.join("/");
    for permission in needed(call, &world.site.project) {
        let compute = &mut world.compute;
        compute.needed.insert(permission.to_owned());
        if compute.permitted.as_ref().is_some_and(|permitted| !permitted.contains(permission)) {
            return Err(reply::forbidden(permission, &path));
        }
    }
    Ok(())
}

/// `testIamPermissions` of a resource: those of the given ones that the caller has.
pub(crate) fn test(world: &World, call: &Call) -> Answer {
    let asked = call.body["permissions"].as_array().cloned().unwrap_or_default();
    let has = |permission: &&Value| {
        let permitted = world.compute.permitted.as_ref();
        let name = permission.as_str().unwrap_or_default();
        permitted.is_none_or(|permitted| permitted.contains(name))
    };
    let granted: Vec<&Value> = asked.iter().filter(has).collect();
    match granted.is_empty() {
        true => Ok(json!({})),
        false => Ok(json!({ "permissions": granted })),
    }
}
