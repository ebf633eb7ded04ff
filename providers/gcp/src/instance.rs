//! A machine as Google shows it, in our words. Pure.

use std::net::IpAddr;

use google_cloud_compute_v1::model::{Instance as Google, instance::Status, scheduling};
use vcycle_api::{
    Identity, Instance, InstanceState, Market, Megabytes, OfferingId, Processors, Timestamp,
};

use crate::memory::Size;
use crate::place::{Place, last};
use vcycle_api::labels;

/// What is known of a machine beside what Google shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Google took it back at this time.
    Taken(Timestamp),
    /// It did not.
    NotTaken,
    /// That could not be told.
    Untold,
}

/// Whether a machine's end may have been Google's doing, so that [`Evidence`] matters.
pub(crate) fn is_ended_spot(google: &Google) -> bool {
    let is_ended = matches!(google.status, Some(Status::Terminated | Status::Stopped));
    is_ended && is_spot(google)
}

/// Whether Google may take it back.
pub(crate) fn is_spot(google: &Google) -> bool {
    market(google) == Market::Preemptible
}

/// Whether it has no power yet.
pub(crate) fn is_being_made(google: &Google) -> bool {
    matches!(google.status, Some(Status::Pending | Status::Provisioning | Status::Staging))
}

/// A machine in our words.
pub(crate) fn read(
    google: &Google,
    place: &Place,
    size: Option<Size>,
    evidence: Evidence,
) -> Instance {
    let flavour = google.machine_type.as_deref().map(last).unwrap_or_default();
    let offering = OfferingId {
        flavour: flavour.to_owned(),
        zone: place.zone.clone(),
        market: market(google),
    };
    let (state, ended) = state(google, evidence);
    let has_started = match &state {
        InstanceState::Pending => false,
        InstanceState::Running
        | InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Failed { refusal: _, fault: _ }
        | InstanceState::Deleting
        | InstanceState::Gone
        | InstanceState::Unknown { word: _ } => true,
    };
    let size = size.or_else(|| size_by_name(flavour));
    Instance {
        id: place.id(),
        name: place.name.clone(),
        identity: Identity::from_map(&labels::decode(&google.labels)),
        state,
        offering: (!flavour.is_empty()).then_some(offering),
        processors: size.map(|size| size.processors),
        memory: size.map(|size| size.memory),
        created: time(google.creation_timestamp.as_deref()),
        started: time(google.last_start_timestamp.as_deref()).filter(|_| has_started),
        ended,
        addresses: addresses(google),
    }
}

fn market(google: &Google) -> Market {
    use scheduling::ProvisioningModel::{Spot, Standard};
    let scheduling = google.scheduling.as_ref();
    match scheduling.and_then(|it| it.provisioning_model.as_ref()) {
        Some(Spot) => Market::Preemptible,
        Some(Standard) => Market::OnDemand,
        // The older way to ask for the same.
        Some(_) | None if scheduling.and_then(|it| it.preemptible) == Some(true) => {
            Market::Preemptible
        }
        Some(_) | None => Market::OnDemand,
    }
}

/// <https://cloud.google.com/compute/docs/instances/instance-lifecycle>. A word that we do not know means that the
/// machine exists and costs.
fn state(google: &Google, evidence: Evidence) -> (InstanceState, Option<Timestamp>) {
    let stopped = time(google.last_stop_timestamp.as_deref());
    let unknown = |word: &str| (InstanceState::Unknown { word: word.to_owned() }, None);
    match &google.status {
        Some(_) if is_being_made(google) => (InstanceState::Pending, None),
        Some(Status::Running) => (InstanceState::Running, None),
        // Its guest is given time to end; it is paid until TERMINATED, or goes.
        Some(Status::PendingStop | Status::Stopping | Status::Deprovisioning) => {
            (InstanceState::Deleting, None)
        }
        Some(Status::Terminated | Status::Stopped) => match evidence {
            Evidence::Taken(at) => (InstanceState::Preempted, Some(stopped.unwrap_or(at))),
            _ if says_preempted(google) => (InstanceState::Preempted, stopped),
            Evidence::Untold if is_ended_spot(google) => unknown("TERMINATED"),
            Evidence::NotTaken | Evidence::Untold => (InstanceState::Stopped, stopped),
        },
        // What people did to it: reported, not fought. It costs, and ends at its hard end.
        Some(Status::Suspending) => unknown("SUSPENDING"),
        Some(Status::Suspended) => unknown("SUSPENDED"),
        Some(Status::Repairing) => unknown("REPAIRING"),
        Some(other) => unknown(other.name().unwrap_or("a number")),
        None => unknown("(none)"),
    }
}

fn says_preempted(google: &Google) -> bool {
    market(google) == Market::Preemptible
        && google
            .status_message
            .as_deref()
            .is_some_and(|text| text.to_ascii_lowercase().contains("preempted"))
}

/// RFC 3339, with the offset of Google's own time zone.
pub(crate) fn time(text: Option<&str>) -> Option<Timestamp> {
    let time: jiff::Timestamp = text?.parse().ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// The address inside the network first: others of ours should use that.
fn addresses(google: &Google) -> Vec<IpAddr> {
    let interfaces = &google.network_interfaces;
    let inside = interfaces.iter().flat_map(|it| [&it.network_ip, &it.ipv_6_address]);
    let outside = interfaces.iter().flat_map(|it| {
        it.access_configs
            .iter()
            .map(|access| &access.nat_ip)
            .chain(it.ipv_6_access_configs.iter().map(|access| &access.external_ipv_6))
    });
    inside.chain(outside).filter_map(|text| text.as_deref()?.parse().ok()).collect()
}

/// The size of a machine type whose name tells it: custom ones have no other description, and those of strangers
/// are not looked up. `n2-custom-8-16384-ext`: 8 processors, 16,384 MB.
pub(crate) fn size_by_name(machine_type: &str) -> Option<Size> {
    let (_, numbers) = machine_type.split_once("custom-")?;
    let mut numbers = numbers.split('-');
    let processors = numbers.next().and_then(|text| text.parse().ok());
    // Shared-core custom types are named by their kind: two processors each.
    let processors = processors.or(Some(2).filter(|_| machine_type.starts_with("e2-custom-")))?;
    let memory = numbers.next()?.parse().ok()?;
    Some(Size { processors: Processors(processors), memory: Megabytes(memory) })
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
