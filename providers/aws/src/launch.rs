//! The request that makes a machine. Pure: the same parts give the same request, which EC2 wants of a repeated
//! client token (developer guide, "Ensuring idempotency in Amazon EC2 API requests").

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesInputBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceMetadataEndpointState,
    InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceType,
    MarketType, Placement, ResourceType, ShutdownBehavior, SpotInstanceType, SpotMarketOptions,
    Tag, TagSpecification, VolumeType,
};
use vcycle_api::{CreateRequest, ErrorKind, Market, Processors, ProviderError};

use crate::image::Image;
use crate::settings::{Encryption, PublicAddress, RootVolume, Settings};
use crate::userdata;

/// What the create call is named in errors.
pub(crate) const CREATE: &str = "run instance";

/// Hops that an answer of the metadata service may take: one more than the least, for containers in the machine.
const HOPS: i32 = 2;

/// What a request is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) request: &'a CreateRequest,
    pub(crate) settings: &'a Settings,
    pub(crate) image: &'a Image,
    pub(crate) subnet: &'a str,
    /// Ids; empty: the default group of the VPC.
    pub(crate) groups: &'a [String],
    /// Name of the key pair.
    pub(crate) key: Option<&'a str>,
}

/// A request that is wrong, found before it was sent.
pub(crate) fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, CREATE, message)
}

/// The request.
pub(crate) fn input(parts: &Parts<'_>) -> Result<RunInstancesInputBuilder, ProviderError> {
    let Parts { request, settings, image, subnet: _, groups: _, key } = *parts;
    let offering = &request.offering.id;
    let profile = settings.instance_profile.as_deref().map(profile);
    let input = RunInstancesInputBuilder::default()
        .min_count(1)
        .max_count(1)
        .client_token(request.tags.intent.to_string())
        .image_id(&image.reference)
        .instance_type(InstanceType::from(offering.flavour.as_str()))
        .placement(Placement::builder().availability_zone(&offering.zone).build())
        .user_data(userdata::encode(CREATE, &request.user_data)?)
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .metadata_options(metadata())
        .set_instance_market_options(market(offering.market))
        .set_key_name(key.map(str::to_owned))
        .set_iam_instance_profile(profile)
        .set_block_device_mappings(volumes(settings, image, request.offering.processors)?)
        .set_tag_specifications(Some(tags(request)));
    Ok(on_network(input, parts))
}

/// Version 2 of the metadata service only: user data holds secrets of the machine.
fn metadata() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(HOPS)
        .build()
}

/// One-time and terminate: a persistent request would launch by itself, and outlive the manager. Without a maximum
/// price, which would only add interruptions.
fn market(market: Market) -> Option<InstanceMarketOptionsRequest> {
    let options = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .build();
    let spot = || {
        InstanceMarketOptionsRequest::builder()
            .market_type(MarketType::Spot)
            .spot_options(options)
            .build()
    };
    match market {
        Market::OnDemand => None,
        Market::Preemptible => Some(spot()),
    }
}

fn profile(name_or_arn: &str) -> IamInstanceProfileSpecification {
    let builder = IamInstanceProfileSpecification::builder();
    match name_or_arn.starts_with("arn:") {
        true => builder.arn(name_or_arn).build(),
        false => builder.name(name_or_arn).build(),
    }
}

/// The whole identity on everything that the call makes, so that none of it can be lost.
fn tags(request: &CreateRequest) -> Vec<TagSpecification> {
    let mut pairs = request.tags.to_map();
    pairs.insert("Name".to_owned(), request.machine.to_string());
    let tags: Vec<Tag> = pairs
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect();
    let spot = match request.offering.id.market {
        Market::OnDemand => None,
        Market::Preemptible => Some(ResourceType::SpotInstancesRequest),
    };
    let kinds = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface];
    let specification =
        |kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tags.clone())).build();
    kinds.into_iter().chain(spot).map(specification).collect()
}

/// What is said of an interface goes before what the subnet says, and then subnet and groups must be said there, too.
fn on_network(input: RunInstancesInputBuilder, parts: &Parts<'_>) -> RunInstancesInputBuilder {
    let groups = (!parts.groups.is_empty()).then(|| parts.groups.to_vec());
    let public = match parts.settings.public_address {
        PublicAddress::BySubnet => {
            return input.subnet_id(parts.subnet).set_security_group_ids(groups);
        }
        PublicAddress::Yes => true,
        PublicAddress::No => false,
    };
    let interface = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(parts.subnet)
        .set_groups(groups)
        .associate_public_ip_address(public)
        .delete_on_termination(true);
    input.network_interfaces(interface.build())
}

/// The root volume as it is configured, and the end of all others with their instance.
fn volumes(
    settings: &Settings,
    image: &Image,
    processors: Processors,
) -> Result<Option<Vec<BlockDeviceMapping>>, ProviderError> {
    let mut mappings = Vec::new();
    let mut root = None;
    if let Some(volume) = &settings.root_volume {
        let device = volume.device.as_deref().or(image.root_device.as_deref());
        let device = device.ok_or_else(|| {
            invalid(format!(
                "EC2 does not tell the root device of {}: set root_device, for example /dev/xvda",
                image.reference
            ))
        })?;
        root = Some(device);
        mappings.push(mapping(device, root_volume(volume, processors)?));
    }
    let lasting = image.lasting.iter().filter(|device| Some(device.as_str()) != root);
    mappings.extend(lasting.map(|device| {
        mapping(device, EbsBlockDevice::builder().delete_on_termination(true).build())
    }));
    Ok((!mappings.is_empty()).then_some(mappings))
}

fn mapping(device: &str, volume: EbsBlockDevice) -> BlockDeviceMapping {
    BlockDeviceMapping::builder().device_name(device).ebs(volume).build()
}

fn root_volume(
    volume: &RootVolume,
    processors: Processors,
) -> Result<EbsBlockDevice, ProviderError> {
    let size = volume.size(processors).map(i32::try_from).transpose();
    let size = size.map_err(|_| invalid("the root volume is too large to be told"))?;
    let encrypted = match volume.encrypted {
        Encryption::ByImage => None,
        Encryption::Yes => Some(true),
    };
    Ok(EbsBlockDevice::builder()
        .delete_on_termination(true)
        .set_volume_size(size)
        .set_volume_type(volume.volume_type.as_deref().map(VolumeType::from))
        .set_encrypted(encrypted)
        .build())
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
