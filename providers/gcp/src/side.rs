//! Disks that carry our labels. The boot disk goes with its machine; what is left all the same is swept by the core.
//! Addresses are never reserved, so none can be left.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_compute_v1::model::{Disk, disk};
use vcycle_api::{
    Deletion, DeploymentId, ErrorKind, Identity, ProviderError, SideResource, Timestamp,
};

use crate::call::Call;
use crate::instance::time;
use crate::list::parse_text;
use crate::meaning::{Attempt, error};
use crate::place::{Place, last};
use crate::session::Clients;
use crate::site::Site;
use vcycle_api::labels;

/// Kind of the resources, for people.
const DISK: &str = "disk";
/// How long a disk that never belonged to a machine may still be waiting for it: an insert makes the disk first. Longer
/// than clocks are wrong.
const YOUTH: Duration = Duration::from_secs(15 * 60);

/// All disks of our deployment in the region.
pub(crate) async fn list(site: &Site) -> Result<Vec<SideResource>, ProviderError> {
    let Some(deployment) = site.settings().deployment.clone() else { return Ok(Vec::new()) };
    let value = labels::searchable(deployment.as_str()).expect("a deployment id fits into a label");
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let (project, page) = (site.session.project(), token.clone());
        let filter = format!("labels.vcycle_deployment = \"{value}\"");
        let ask = |clients: Arc<Clients>| async move {
            let request = clients.disks().await?.aggregated_list().set_project(project);
            let request = request.set_filter(filter).set_max_results(500_u32);
            Ok(request.set_or_clear_page_token(page).send().await?)
        };
        let answer = site.session.call(Call::ListDisks, ask).await;
        let answer = answer.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
        let disks = answer.items.values().flat_map(|scope| &scope.disks);
        found.extend(disks.filter_map(|disk| side_resource(site, &deployment, disk)));
        let next = answer.next_page_token.filter(|next| !next.is_empty());
        if next.is_none() || next == token {
            return Ok(found);
        }
        token = next;
    }
}

fn side_resource(site: &Site, deployment: &DeploymentId, disk: &Disk) -> Option<SideResource> {
    // Regional disks have no zone, and are none of ours.
    let zone = disk.zone.as_deref().map(last)?;
    let Identity::Vcycle(tags) = Identity::from_map(&labels::decode(&disk.labels)) else {
        return None;
    };
    if tags.deployment != *deployment || !site.is_of_region(zone) {
        return None;
    }
    let place = site.place(zone, disk.name.as_deref()?);
    let owner = site.place(zone, tags.machine.as_str());
    let attached_to = user(site, disk)
        .or_else(|| may_be_awaited(disk, site.clock().now()).then_some(owner))
        .map(|place| place.id());
    Some(SideResource { kind: DISK.to_owned(), id: place.to_string(), tags, attached_to })
}

/// The machine that uses a disk.
fn user(site: &Site, disk: &Disk) -> Option<Place> {
    let url = disk.users.first()?;
    // One that cannot be read is still in use.
    Some(Place::of_url(url).unwrap_or_else(|| site.place("unknown", last(url))))
}

/// Whether a disk that nothing uses may belong to a machine that is just being made.
fn may_be_awaited(disk: &Disk, now: Timestamp) -> bool {
    if matches!(disk.status, Some(disk::Status::Creating | disk::Status::Restoring)) {
        return true;
    }
    let was_used = disk.last_attach_timestamp.is_some() || disk.last_detach_timestamp.is_some();
    let created = time(disk.creation_timestamp.as_deref());
    !was_used && created.is_none_or(|created| now.since(created) < YOUTH)
}

/// Removes a disk.
pub(crate) async fn delete(
    site: &Site,
    resource: &SideResource,
) -> Result<Deletion, ProviderError> {
    let operation = Call::DeleteDisk.words();
    if resource.kind != DISK {
        let why = format!("there are no side resources of kind {} here", resource.kind);
        return Err(ProviderError::new(ErrorKind::InvalidSpec, operation, why));
    }
    let place = parse_text(site, &resource.id, operation)?;
    let Place { project, zone, name } = place.clone();
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.disks().await?.delete().set_project(project).set_zone(zone);
        Ok(request.set_disk(name).send().await?)
    };
    match site.session.call(Call::DeleteDisk, ask).await {
        Ok(_) => Ok(Deletion::Accepted),
        Err(failure) => {
            let resource = format!("disks/{}", place.name);
            let error = error(&failure, Attempt::One(&resource), site.clock());
            match error.kind {
                ErrorKind::NotFound => Ok(Deletion::AlreadyGone),
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn disk(age: i64) -> Disk {
        let created = Timestamp::from_secs(NOW.as_secs() - age).to_string();
        Disk::new().set_status(disk::Status::Ready).set_creation_timestamp(created)
    }

    #[test]
    fn a_young_disk_that_was_never_used_waits_for_its_machine() {
        assert!(may_be_awaited(&disk(10), NOW));
        assert!(!may_be_awaited(&disk(3600), NOW));
        let used = disk(10).set_last_detach_timestamp("2027-01-15T08:00:00Z");
        assert!(!may_be_awaited(&used, NOW), "it had its machine");
    }

    #[test]
    fn a_disk_that_is_being_made_waits_however_long_it_takes() {
        assert!(may_be_awaited(&disk(7200).set_status(disk::Status::Creating), NOW));
    }
}
