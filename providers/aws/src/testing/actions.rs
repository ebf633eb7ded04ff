//! The actions of EC2 that are here, and the parameters that each takes. What is not in the table is refused, as
//! a double that ignores what it does not know proves nothing.

use super::access::Caller;
use super::ask::Ask;
use super::reply::{Answer, Refusal};
use super::world::World;
use super::{
    account, addresses, describe, disks, images, keypairs, launch, network, spot, spot_prices,
    tags, terminate, types,
};

/// First segments of the parameters of an action; `None`: it is not here.
fn known(action: &str) -> Option<&'static [&'static str]> {
    const PAGED: [&str; 3] = ["Filter", "MaxResults", "NextToken"];
    Some(match action {
        "RunInstances" => &[
            "ImageId",
            "InstanceType",
            "MinCount",
            "MaxCount",
            "KeyName",
            "SecurityGroupId",
            "SecurityGroup",
            "SubnetId",
            "UserData",
            "ClientToken",
            "Placement",
            "TagSpecification",
            "BlockDeviceMapping",
            "InstanceMarketOptions",
            "InstanceInitiatedShutdownBehavior",
            "MetadataOptions",
            "NetworkInterface",
            "IamInstanceProfile",
            "EbsOptimized",
            "Monitoring",
        ],
        "DescribeInstances" => &["InstanceId", "Filter", "MaxResults", "NextToken"],
        "DescribeInstanceStatus" => {
            &["InstanceId", "Filter", "MaxResults", "NextToken", "IncludeAllInstances"]
        }
        "TerminateInstances" => &["InstanceId"],
        "DescribeInstanceTypes" => &["InstanceType", "Filter", "MaxResults", "NextToken"],
        "DescribeInstanceTypeOfferings" => &["LocationType", "Filter", "MaxResults", "NextToken"],
        "DescribeImages" => &[
            "ImageId",
            "Owner",
            "ExecutableBy",
            "Filter",
            "MaxResults",
            "NextToken",
            "IncludeDeprecated",
            "IncludeDisabled",
        ],
        "DescribeSubnets" => &["SubnetId", "Filter", "MaxResults", "NextToken"],
        "DescribeSecurityGroups" => &["GroupId", "GroupName", "Filter", "MaxResults", "NextToken"],
        "DescribeVpcs" => &["VpcId", "Filter", "MaxResults", "NextToken"],
        "DescribeVolumes" => &["VolumeId", "Filter", "MaxResults", "NextToken"],
        "DeleteVolume" => &["VolumeId"],
        "DescribeNetworkInterfaces" => &["NetworkInterfaceId", "Filter", "MaxResults", "NextToken"],
        "DeleteNetworkInterface" => &["NetworkInterfaceId"],
        "DescribeAddresses" => &["AllocationId", "PublicIp", "Filter"],
        "ReleaseAddress" => &["AllocationId", "NetworkBorderGroup"],
        "DescribeKeyPairs" => &["KeyName", "KeyPairId", "Filter", "IncludePublicKey"],
        "ImportKeyPair" => &["KeyName", "PublicKeyMaterial", "TagSpecification"],
        "DeleteKeyPair" => &["KeyName", "KeyPairId"],
        "DescribeSpotInstanceRequests" => {
            &["SpotInstanceRequestId", "Filter", "MaxResults", "NextToken"]
        }
        "CancelSpotInstanceRequests" => &["SpotInstanceRequestId"],
        "DescribeSpotPriceHistory" => &spot_prices::WORDS,
        "DescribeAvailabilityZones" => &["ZoneName", "ZoneId", "Filter", "AllAvailabilityZones"],
        "DescribeRegions" => &["RegionName", "Filter", "AllRegions"],
        "DescribeAccountAttributes" => &["AttributeName"],
        "CreateTags" | "DeleteTags" => &["ResourceId", "Tag"],
        "DescribeTags" => &PAGED,
        _ => return None,
    })
}

/// Answers a call of EC2.
pub(crate) fn answer(world: &mut World, ask: &Ask, caller: &Caller) -> Answer {
    let params = &ask.params;
    let action = ask.action.as_str();
    let Some(known) = known(action) else {
        let message = format!("The action {action} is not valid for this web service.");
        return Err(Refusal::new(400, "InvalidAction", message));
    };
    let common = ["Action", "Version", "DryRun"];
    let mut words = params.words();
    if let Some(word) = words.find(|word| !known.contains(word) && !common.contains(word)) {
        let message = format!("The parameter {word} is not recognized");
        return Err(Refusal::new(400, "UnknownParameter", message));
    }
    // RunInstances looks at its parameters first: so a dry run finds a missing image.
    if params.is_set("DryRun") && action != "RunInstances" {
        return Err(Refusal::dry_run());
    }
    match action {
        "RunInstances" => launch::run(world, params, &caller.key),
        "DescribeInstances" => describe::instances(world, params),
        "DescribeInstanceStatus" => describe::statuses(world, params),
        "TerminateInstances" => terminate::terminate(world, params),
        "DescribeInstanceTypes" => types::describe(world, params),
        "DescribeInstanceTypeOfferings" => types::offerings(world, params),
        "DescribeImages" => images::describe(world, params),
        "DescribeSubnets" => network::subnets(world, params),
        "DescribeSecurityGroups" => network::groups(world, params),
        "DescribeVpcs" => network::vpcs(world, params),
        "DescribeVolumes" => disks::describe(world, params),
        "DeleteVolume" => disks::delete(world, params),
        "DescribeNetworkInterfaces" => network::interfaces(world, params),
        "DeleteNetworkInterface" => network::delete_interface(world, params),
        "DescribeAddresses" => addresses::describe(world, params),
        "ReleaseAddress" => addresses::release(world, params),
        "DescribeKeyPairs" => keypairs::describe(world, params),
        "ImportKeyPair" => keypairs::import(world, params),
        "DeleteKeyPair" => keypairs::delete(world, params),
        "DescribeSpotInstanceRequests" => spot::describe(world, params),
        "CancelSpotInstanceRequests" => spot::cancel(world, params),
        "DescribeSpotPriceHistory" => spot_prices::describe(world, params),
        "DescribeAvailabilityZones" => account::zones(world, params),
        "DescribeRegions" => account::regions(world, params),
        "DescribeAccountAttributes" => Ok(account::attributes(world, params)),
        "CreateTags" => tags::create(world, params),
        "DeleteTags" => tags::delete(world, params),
        "DescribeTags" => tags::describe(world, params),
        other => unreachable!("{other} has parameters, but does nothing"),
    }
}
