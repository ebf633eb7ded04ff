//! Volumes, network interfaces and addresses that carry our tags. The create call tags the first two, and all end with
//! their instance; what is left over all the same is an orphan, and costs.

use std::time::Duration;

use aws_sdk_ec2::types::{
    Address, Filter, NetworkInterface, NetworkInterfaceStatus, Tag, Volume, VolumeState,
};
use vcycle_api::{
    Deletion, DeploymentId, ErrorKind, Identity, InstanceId, ProviderError, SideResource, Timestamp,
};

use crate::account::Account;
use crate::errors::Failure;
use crate::instance::{tags_of, time};

const LIST: &str = "list side resources";
const REMOVE: &str = "remove side resource";

/// Things asked for in one page.
const PAGE: i32 = 500;

/// What a side resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Volume,
    NetworkInterface,
    Address,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Volume, Self::NetworkInterface, Self::Address];

    fn word(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::NetworkInterface => "network-interface",
            Self::Address => "address",
        }
    }

    /// The name of the filter by which one is asked for.
    fn by_id(self) -> &'static str {
        match self {
            Self::Volume => "volume-id",
            Self::NetworkInterface => "network-interface-id",
            Self::Address => "allocation-id",
        }
    }
}

/// All of our deployment; none where it is not known which that is.
pub(crate) async fn list(account: &Account) -> Result<Vec<SideResource>, ProviderError> {
    let Some(deployment) = account.deployment.get() else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let by = Filter::builder().name("tag:vcycle_deployment").values(deployment.to_string());
        let found = ask(account, kind, by.build()).await.map_err(Failure::of_read)?;
        all.extend(found.into_iter().filter(|it| it.tags.deployment == *deployment));
    }
    Ok(all)
}

/// Removes one that is still an orphan of ours. EC2 itself refuses what is in use.
pub(crate) async fn delete(
    account: &Account,
    resource: &SideResource,
) -> Result<Deletion, ProviderError> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == resource.kind);
    let kind = kind.ok_or_else(|| refused(format!("{} is no kind of EC2", resource.kind)))?;
    let by = Filter::builder().name(kind.by_id()).values(&resource.id).build();
    let found = ask(account, kind, by).await.map_err(Failure::of_read)?;
    let Some(now) = found.into_iter().find(|it| it.id == resource.id) else {
        return gone_or_strange(account, kind, resource).await;
    };
    check(&now, resource, account.deployment.get())?;
    match remove(account, kind, &now.id).await {
        Ok(()) => Ok(Deletion::Accepted),
        Err(failure) => {
            let error = failure.of_delete();
            if error.kind == ErrorKind::NotFound { Ok(Deletion::AlreadyGone) } else { Err(error) }
        }
    }
}

fn refused(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, REMOVE, message)
}

fn check(
    now: &SideResource,
    asked: &SideResource,
    ours: Option<&DeploymentId>,
) -> Result<(), ProviderError> {
    let id = &now.id;
    if ours.is_some_and(|ours| now.tags.deployment != *ours) || now.tags.intent != asked.tags.intent
    {
        return Err(refused(format!("{id} does not carry the tags any more by which it was ours")));
    }
    match &now.attached_to {
        Some(instance) => Err(refused(format!("{id} is used by {instance} now"))),
        None => Ok(()),
    }
}

/// It was not found by a look for ours of that id: it is gone, unless it is there with other tags or just being used.
async fn gone_or_strange(
    account: &Account,
    kind: Kind,
    resource: &SideResource,
) -> Result<Deletion, ProviderError> {
    let by = Filter::builder().name(kind.by_id()).values(&resource.id).build();
    match exists(account, kind, by).await.map_err(Failure::of_read)? {
        Presence::Gone => Ok(Deletion::AlreadyGone),
        Presence::There => {
            Err(refused(format!("{} is not an orphan of ours any more", resource.id)))
        }
    }
}

enum Presence {
    Gone,
    There,
}

async fn exists(account: &Account, kind: Kind, by: Filter) -> Result<Presence, Failure> {
    let count = match kind {
        Kind::Volume => volumes(account, by).await?.len(),
        Kind::NetworkInterface => interfaces(account, by).await?.len(),
        Kind::Address => addresses(account, by).await?.len(),
    };
    Ok(if count == 0 { Presence::Gone } else { Presence::There })
}

async fn ask(account: &Account, kind: Kind, by: Filter) -> Result<Vec<SideResource>, Failure> {
    let now = account.clock.now();
    Ok(match kind {
        Kind::Volume => {
            let settle = account.settings.settle;
            let all = volumes(account, by).await?;
            all.iter().filter_map(|it| of_volume(it, (now, settle))).collect()
        }
        Kind::NetworkInterface => {
            interfaces(account, by).await?.iter().filter_map(of_interface).collect()
        }
        Kind::Address => addresses(account, by).await?.iter().filter_map(of_address).collect(),
    })
}

fn resource(
    kind: Kind,
    id: Option<&str>,
    tags: &[Tag],
    attached_to: Option<&str>,
) -> Option<SideResource> {
    let Identity::Vcycle(tags) = Identity::from_map(&tags_of(tags)) else { return None };
    let attached_to = attached_to.map(InstanceId::parse).transpose().ok()?;
    Some(SideResource { kind: kind.word().to_owned(), id: id?.to_owned(), tags, attached_to })
}

/// One that is being made, or was just made, may still be waiting for its instance.
fn of_volume(volume: &Volume, (now, settle): (Timestamp, Duration)) -> Option<SideResource> {
    let instance = volume.attachments().iter().find_map(|it| it.instance_id());
    let is_waiting = match volume.state() {
        Some(VolumeState::Available | VolumeState::Error) => {
            volume.create_time().and_then(time).is_some_and(|made| now.since(made) < settle)
        }
        Some(VolumeState::InUse) if instance.is_some() => false,
        _ => true,
    };
    if is_waiting {
        return None;
    }
    resource(Kind::Volume, volume.volume_id(), volume.tags(), instance)
}

/// One that is neither used nor free is on its way to one of the two.
fn of_interface(interface: &NetworkInterface) -> Option<SideResource> {
    let instance = interface.attachment().and_then(|it| it.instance_id());
    match (interface.status(), instance) {
        (Some(NetworkInterfaceStatus::Available), None) | (_, Some(_)) => {}
        _ => return None,
    }
    resource(
        Kind::NetworkInterface,
        interface.network_interface_id(),
        interface.tag_set(),
        instance,
    )
}

/// One on an interface that is of no instance is used all the same.
fn of_address(address: &Address) -> Option<SideResource> {
    let instance = address.instance_id().filter(|id| !id.is_empty());
    if instance.is_none() && address.association_id().is_some() {
        return None;
    }
    resource(Kind::Address, address.allocation_id(), address.tags(), instance)
}

async fn volumes(account: &Account, by: Filter) -> Result<Vec<Volume>, Failure> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = account.session.call(LIST, |clients| {
            let request = clients.ec2.describe_volumes().filters(by.clone());
            request.max_results(PAGE).set_next_token(token.clone()).send()
        });
        let answer = asked.await?;
        found.extend_from_slice(answer.volumes());
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

async fn interfaces(account: &Account, by: Filter) -> Result<Vec<NetworkInterface>, Failure> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = account.session.call(LIST, |clients| {
            let request = clients.ec2.describe_network_interfaces().filters(by.clone());
            request.max_results(PAGE).set_next_token(token.clone()).send()
        });
        let answer = asked.await?;
        found.extend_from_slice(answer.network_interfaces());
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// They come without pages.
async fn addresses(account: &Account, by: Filter) -> Result<Vec<Address>, Failure> {
    let asked =
        account.session.call(LIST, |clients| clients.ec2.describe_addresses().filters(by).send());
    Ok(asked.await?.addresses().to_vec())
}

async fn remove(account: &Account, kind: Kind, id: &str) -> Result<(), Failure> {
    let session = &account.session;
    match kind {
        Kind::Volume => {
            let asked = session.call(REMOVE, |it| it.ec2.delete_volume().volume_id(id).send());
            asked.await.map(drop)
        }
        Kind::NetworkInterface => {
            let asked = session.call(REMOVE, |it| {
                it.ec2.delete_network_interface().network_interface_id(id).send()
            });
            asked.await.map(drop)
        }
        Kind::Address => {
            let asked =
                session.call(REMOVE, |it| it.ec2.release_address().allocation_id(id).send());
            asked.await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::{NetworkInterfaceAttachment, VolumeAttachment};

    use super::*;
    use crate::instance::tests::tags as tags_for;

    const SETTLE: Duration = Duration::from_secs(600);

    fn tags() -> Option<Vec<Tag>> {
        let map = tags_for(&DeploymentId::compose(1)).to_map();
        Some(map.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect())
    }

    fn volume(state: VolumeState, made: i64, instance: Option<&str>) -> Volume {
        let attachment = instance.map(|id| VolumeAttachment::builder().instance_id(id).build());
        Volume::builder()
            .volume_id("vol-1")
            .state(state)
            .create_time(DateTime::from_secs(made))
            .set_attachments(attachment.map(|it| vec![it]))
            .set_tags(tags())
            .build()
    }

    #[test]
    fn a_volume_is_an_orphan_only_when_it_is_free_and_not_young() {
        let now = Timestamp::from_secs(10_000);
        let told = |volume: &Volume| of_volume(volume, (now, SETTLE)).map(|it| it.attached_to);
        assert_eq!(told(&volume(VolumeState::Available, 1_000, None)), Some(None));
        assert_eq!(told(&volume(VolumeState::Available, 9_900, None)), None);
        assert_eq!(told(&volume(VolumeState::Creating, 1_000, None)), None);
        assert_eq!(told(&volume(VolumeState::Deleting, 1_000, None)), None);
        let instance = InstanceId::parse("i-1").ok();
        assert_eq!(told(&volume(VolumeState::InUse, 9_999, Some("i-1"))), Some(instance));
        let mut strange = volume(VolumeState::Available, 1_000, None);
        strange.tags = None;
        assert_eq!(told(&strange), None);
    }

    #[test]
    fn an_interface_is_an_orphan_only_when_ec2_says_that_it_is_free() {
        let interface = |status, instance: Option<&str>| {
            let attachment =
                instance.map(|id| NetworkInterfaceAttachment::builder().instance_id(id).build());
            let builder = NetworkInterface::builder().network_interface_id("eni-1").status(status);
            builder.set_attachment(attachment).set_tag_set(tags()).build()
        };
        let told = |it: &NetworkInterface| of_interface(it).map(|it| it.attached_to);
        let instance = InstanceId::parse("i-1").ok();
        assert_eq!(told(&interface(NetworkInterfaceStatus::Available, None)), Some(None));
        assert_eq!(told(&interface(NetworkInterfaceStatus::Attaching, None)), None);
        assert_eq!(told(&interface(NetworkInterfaceStatus::InUse, Some("i-1"))), Some(instance));
    }

    #[test]
    fn an_address_that_is_used_in_any_way_is_no_orphan() {
        let address = |instance: Option<&str>, association: Option<&str>| {
            let builder = Address::builder().allocation_id("eipalloc-1").set_tags(tags());
            let builder = builder.set_instance_id(instance.map(str::to_owned));
            builder.set_association_id(association.map(str::to_owned)).build()
        };
        let told = |it: &Address| of_address(it).map(|it| it.attached_to);
        assert_eq!(told(&address(None, None)), Some(None));
        assert_eq!(told(&address(Some(""), None)), Some(None));
        assert_eq!(told(&address(None, Some("eipassoc-1"))), None);
        assert_eq!(told(&address(Some("i-1"), Some("x"))), Some(InstanceId::parse("i-1").ok()));
    }

    #[test]
    fn what_changed_hands_since_it_was_listed_is_left_alone() {
        let asked = resource(Kind::Volume, Some("vol-1"), &tags().unwrap(), None).unwrap();
        let ours = DeploymentId::compose(1);
        assert!(check(&asked, &asked, Some(&ours)).is_ok());
        let error = check(&asked, &asked, Some(&DeploymentId::compose(2))).unwrap_err();
        assert!(error.message.contains("does not carry the tags"), "{}", error.message);
        let used = SideResource { attached_to: InstanceId::parse("i-1").ok(), ..asked.clone() };
        assert!(check(&used, &asked, Some(&ours)).unwrap_err().message.contains("used by i-1"));
    }
}
