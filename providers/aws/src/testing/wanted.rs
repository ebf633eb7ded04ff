//! What a `RunInstances` asks for, checked in the order in which EC2 complains.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::machine::Imds;
use super::params::Params;
use super::reply::Refusal;
use super::site::{SiteSubnet, SiteType};
use super::world::World;

/// The most bytes of user data, before base64 ("Run commands when you launch an EC2 instance").
const USER_DATA_LIMIT: usize = 16_384;

/// The most tags of a resource.
const TAG_LIMIT: usize = 50;

/// A volume that a launch asks for.
#[derive(Debug, Clone)]
pub(crate) struct WantedVolume {
    pub(crate) device: String,
    pub(crate) gb: u32,
    pub(crate) kind: String,
    pub(crate) encrypted: bool,
    pub(crate) goes: bool,
}

/// A launch, its references found.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) image: String,
    pub(crate) kind: SiteType,
    pub(crate) subnet: SiteSubnet,
    pub(crate) public: bool,
    pub(crate) interface_goes: bool,
    pub(crate) groups: Vec<(String, String)>,
    pub(crate) key: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) user_data: Vec<u8>,
    pub(crate) ends_with_guest: bool,
    pub(crate) imds: Imds,
    pub(crate) spot: bool,
    pub(crate) volumes: Vec<WantedVolume>,
    /// Tags by the type of the resource.
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
}

/// The zone that a launch names; empty: none.
pub(crate) fn zone_of(params: &Params) -> String {
    params.get("Placement.AvailabilityZone").unwrap_or_default().to_owned()
}

/// Reads `Tag.N.Key` and `Tag.N.Value` ("Tag your Amazon EC2 resources", restrictions).
pub(crate) fn tags_of(params: &Params) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in params.groups("Tag") {
        let (key, value) = (tag.need("Key")?, tag.get("Value").unwrap_or_default());
        if key.starts_with("aws:") {
            let message = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(Refusal::bad(message));
        }
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(Refusal::bad(format!("Tag '{key}' is longer than allowed")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Refusal::bad(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    if tags.len() > TAG_LIMIT {
        let message = format!("The maximum number of Tags for a resource is {TAG_LIMIT}.");
        return Err(Refusal::new(400, "TagLimitExceeded", message));
    }
    Ok(tags)
}

impl Wanted {
    /// Reads a launch.
    pub(crate) fn of(world: &World, params: &Params) -> Result<Self, Refusal> {
        let (least, most) = counts(params)?;
        let spot = is_spot(params)?;
        let user_data = user_data(params)?;
        let tags = all_tags(params, spot)?;
        let image = image(world, params.need("ImageId")?)?;
        let kind = kind(world, params.need("InstanceType")?)?;
        let (root, architecture) = {
            let all = &world.images;
            let image = all.iter().find(|one| one.site.id == image).expect("found just now");
            (image.site.clone(), image.site.architecture.clone())
        };
        if architecture != kind.architecture {
            let message = format!(
                "The architecture '{}' of the specified instance type does not match the architecture \
                 '{architecture}' of the specified AMI.",
                kind.architecture
            );
            return Err(Refusal::bad(message));
        }
        let interface = params.groups("NetworkInterface").into_iter().next().unwrap_or_default();
        let subnet = subnet(world, params, &interface, &kind)?;
        let groups = groups(world, params, &interface)?;
        let public = match interface.get("AssociatePublicIpAddress") {
            Some(word) => word == "true",
            None => subnet.public,
        };
        Ok(Self {
            least,
            most,
            interface_goes: interface.get("DeleteOnTermination") != Some("false"),
            key: key(world, params)?,
            profile: profile(world, params)?,
            ends_with_guest: ends_with_guest(params)?,
            imds: imds(params),
            volumes: volumes(params, root.gb, root.deletes_root)?,
            image,
            kind,
            subnet,
            public,
            groups,
            user_data,
            spot,
            tags,
        })
    }
}

fn counts(params: &Params) -> Result<(u32, u32), Refusal> {
    let number = |key: &str| -> Result<u32, Refusal> {
        let number = params.number(key)?.ok_or_else(|| Refusal::missing(key))?;
        u32::try_from(number).map_err(|_| Refusal::bad(format!("{key} is too large")))
    };
    let (least, most) = (number("MinCount")?, number("MaxCount")?);
    if least == 0 || least > most {
        let message = format!("Invalid value '{least}' for MinCount and '{most}' for MaxCount.");
        return Err(Refusal::bad(message));
    }
    Ok((least, most))
}

fn is_spot(params: &Params) -> Result<bool, Refusal> {
    let options = params.under("InstanceMarketOptions");
    match options.get("MarketType") {
        None => Ok(false),
        Some("spot") => {
            // Persistent requests would start anew, and stop and hibernate need them.
            let kind = options.get("SpotOptions.SpotInstanceType").unwrap_or("one-time");
            let then =
                options.get("SpotOptions.InstanceInterruptionBehavior").unwrap_or("terminate");
            if kind == "one-time" && then != "terminate" {
                let message = format!("Interruption behavior '{then}' needs a persistent request");
                return Err(Refusal::combination(message));
            }
            Ok(true)
        }
        Some(other) => Err(Refusal::bad(format!("Invalid value '{other}' for MarketType."))),
    }
}

fn user_data(params: &Params) -> Result<Vec<u8>, Refusal> {
    let Some(text) = params.get("UserData") else { return Ok(Vec::new()) };
    let code = "InvalidUserData.Malformed";
    let bad = |_| Refusal::new(400, code, "Invalid BASE64 encoding of user data.");
    let bytes = BASE64.decode(text).map_err(bad)?;
    if bytes.len() > USER_DATA_LIMIT {
        let message = format!("User data is limited to {USER_DATA_LIMIT} bytes");
        return Err(Refusal::new(400, code, message));
    }
    Ok(bytes)
}

fn all_tags(
    params: &Params,
    spot: bool,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Refusal> {
    let mut all = BTreeMap::new();
    for group in params.groups("TagSpecification") {
        let kind = group.need("ResourceType")?.to_owned();
        let may = match kind.as_str() {
            "instance" | "volume" | "network-interface" => true,
            "spot-instances-request" => spot,
            _ => false,
        };
        if !may {
            let message =
                format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(Refusal::bad(message));
        }
        let tags = tags_of(&group)?;
        if all.insert(kind.clone(), tags).is_some() {
            return Err(Refusal::bad(format!("Duplicate resource type '{kind}'")));
        }
    }
    Ok(all)
}

fn image(world: &World, wanted: &str) -> Result<String, Refusal> {
    let id = match wanted.strip_prefix("resolve:ssm:") {
        Some(name) => world.site.parameters.get(name).cloned().ok_or_else(|| {
            let message = format!("We couldn't find the parameter {name} in Systems Manager");
            Refusal::bad(message)
        })?,
        None => wanted.to_owned(),
    };
    super::images::usable(world, &id)?;
    Ok(id)
}

fn kind(world: &World, wanted: &str) -> Result<SiteType, Refusal> {
    let kind = world.site.types.iter().find(|kind| kind.name == wanted);
    let none = || Refusal::bad(format!("Invalid value '{wanted}' for InstanceType."));
    kind.cloned().ok_or_else(none)
}

fn subnet(
    world: &World,
    params: &Params,
    interface: &Params,
    kind: &SiteType,
) -> Result<SiteSubnet, Refusal> {
    let zone = zone_of(params);
    if !zone.is_empty() && !world.site.zones.contains(&zone) {
        let message = format!("Invalid availability zone: [{zone}]");
        return Err(Refusal::bad(message));
    }
    let all = &world.site.subnets;
    if !interface.is_empty() && params.get("SubnetId").is_some() {
        let message = "Network interfaces and an instance-level subnet ID may not be specified on the \
                       same request";
        return Err(Refusal::combination(message));
    }
    let wanted = interface.get("SubnetId").or(params.get("SubnetId"));
    let found = match wanted {
        Some(id) => all.iter().find(|subnet| subnet.id == id).ok_or_else(|| {
            let message = format!("The subnet ID '{id}' does not exist");
            Refusal::new(400, "InvalidSubnetID.NotFound", message)
        })?,
        None => {
            let fits = |subnet: &&SiteSubnet| {
                let here =
                    if zone.is_empty() { kind.sold_in(&subnet.zone) } else { subnet.zone == zone };
                subnet.default && here
            };
            all.iter().find(fits).ok_or_else(|| {
                let message = "No default subnet for the availability zone";
                Refusal::new(400, "MissingInput", message)
            })?
        }
    };
    if !zone.is_empty() && found.zone != zone {
        let message = format!(
            "The availability zone '{zone}' does not match the zone '{}' of the subnet '{}'",
            found.zone, found.id
        );
        return Err(Refusal::bad(message));
    }
    if !kind.sold_in(&found.zone) {
        let (name, zone) = (&kind.name, &found.zone);
        let message = format!(
            "Your requested instance type ({name}) is not supported in your requested Availability \
             Zone ({zone}). Please retry your request by not specifying an Availability Zone or \
             choosing {}.",
            kind.zones.join(", ")
        );
        return Err(Refusal::new(400, "Unsupported", message));
    }
    Ok(found.clone())
}

fn groups(
    world: &World,
    params: &Params,
    interface: &Params,
) -> Result<Vec<(String, String)>, Refusal> {
    let (ids, names) = (params.list("SecurityGroupId"), params.list("SecurityGroup"));
    if !(interface.is_empty() || ids.is_empty() && names.is_empty()) {
        let message = "Network interfaces and an instance-level security groups may not be specified on \
                       the same request";
        return Err(Refusal::combination(message));
    }
    let ids = if interface.is_empty() { ids } else { interface.list("SecurityGroupId") };
    let mut found = Vec::new();
    for wanted in ids.iter().chain(&names) {
        let group =
            world.site.groups.iter().find(|group| group.id == *wanted || group.name == *wanted);
        let group = group.ok_or_else(|| {
            let message = format!("The security group '{wanted}' does not exist");
            Refusal::new(400, "InvalidGroup.NotFound", message)
        })?;
        found.push((group.id.clone(), group.name.clone()));
    }
    if found.is_empty() {
        let default = world.site.groups.iter().find(|group| group.name == "default");
        found.extend(default.map(|group| (group.id.clone(), group.name.clone())));
    }
    Ok(found)
}

fn key(world: &World, params: &Params) -> Result<Option<String>, Refusal> {
    let Some(name) = params.get("KeyName") else { return Ok(None) };
    if !world.keypairs.contains_key(name) {
        let message = format!("The key pair '{name}' does not exist");
        return Err(Refusal::new(400, "InvalidKeyPair.NotFound", message));
    }
    Ok(Some(name.to_owned()))
}

fn profile(world: &World, params: &Params) -> Result<Option<String>, Refusal> {
    let wanted = params.under("IamInstanceProfile");
    let name =
        wanted.get("Name").or_else(|| wanted.get("Arn").and_then(|arn| arn.rsplit('/').next()));
    let Some(name) = name else { return Ok(None) };
    if !world.site.profiles.iter().any(|profile| profile == name) {
        let message = format!(
            "Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        );
        return Err(Refusal::bad(message));
    }
    Ok(Some(name.to_owned()))
}

fn ends_with_guest(params: &Params) -> Result<bool, Refusal> {
    match params.get("InstanceInitiatedShutdownBehavior") {
        // "Default: stop" (API reference, RunInstances).
        None | Some("stop") => Ok(false),
        Some("terminate") => Ok(true),
        Some(other) => {
            let message = format!("Invalid value '{other}' for InstanceInitiatedShutdownBehavior.");
            Err(Refusal::bad(message))
        }
    }
}

fn imds(params: &Params) -> Imds {
    let options = params.under("MetadataOptions");
    let word = |key: &str, usual: &str| options.get(key).unwrap_or(usual).to_owned();
    Imds {
        tokens: word("HttpTokens", "optional"),
        endpoint: word("HttpEndpoint", "enabled"),
        hops: word("HttpPutResponseHopLimit", "1"),
    }
}

/// Device of the root volume of every image here.
pub(crate) const ROOT_DEVICE: &str = "/dev/xvda";

fn volumes(params: &Params, root_gb: u32, root_goes: bool) -> Result<Vec<WantedVolume>, Refusal> {
    let device = ROOT_DEVICE.to_owned();
    let kind = "gp3".to_owned();
    let mut all =
        vec![WantedVolume { device, gb: root_gb, kind, encrypted: false, goes: root_goes }];
    for group in params.groups("BlockDeviceMapping") {
        let device = group.need("DeviceName")?;
        let ebs = group.under("Ebs");
        let gb = ebs.number("VolumeSize")?.and_then(|gb| u32::try_from(gb).ok());
        let is_root = device == ROOT_DEVICE;
        if is_root && gb.is_some_and(|gb| gb < root_gb) {
            let message = format!(
                "Volume of size {}GB is smaller than snapshot 'snap-0123456789abcdef0', expect size>= \
                 {root_gb}GB",
                gb.unwrap_or_default()
            );
            return Err(Refusal::new(400, "InvalidBlockDeviceMapping", message));
        }
        let goes = ebs.get("DeleteOnTermination").map(|word| word == "true");
        let wanted = WantedVolume {
            device: device.to_owned(),
            gb: gb.unwrap_or(root_gb),
            kind: ebs.get("VolumeType").unwrap_or("gp2").to_owned(),
            encrypted: ebs.is_set("Encrypted"),
            // "Default: true" for a volume of the launch's own (EbsBlockDevice), the image's word for its root.
            goes: goes.unwrap_or(if is_root { root_goes } else { true }),
        };
        match all.iter_mut().find(|volume| volume.device == device) {
            Some(volume) => *volume = wanted,
            None => all.push(wanted),
        }
    }
    Ok(all)
}
