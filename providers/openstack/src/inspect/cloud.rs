//! Findings of the services, the quota, the zones, volumes and the lease.

use serde::Deserialize;
use vcycle_api::{Finding, Verdict};

use super::View;
use super::words::{nearest, some, unanswered};
use crate::session::{Call, Failure, Microversion, Service};

/// The first Nova that takes tags in the create call; before, identity is in the metadata alone.
const TAGS: Microversion = Microversion(2, 52);

/// Which services there are, in which versions.
pub(super) async fn services(view: View<'_>) -> Finding {
    const SUBJECT: &str = "services";
    let range = match view.session.microversions(Service::Compute).await {
        Ok(range) => range,
        Err(failure) => return unanswered(SUBJECT, &failure),
    };
    let mut there = vec![format!("compute {} to {}", range.min, range.max)];
    let mut missing = Vec::new();
    let others = [
        (Service::Image, "image"),
        (Service::Network, "network"),
        (Service::Volume, "volumes"),
        (Service::Reservation, "reservations"),
    ];
    for (service, word) in others {
        match view.session.offers(service).await {
            Ok(true) => there.push(word.to_owned()),
            Ok(false) if is_needed(view, service) => missing.push(word),
            Ok(false) => {}
            Err(failure) => return unanswered(SUBJECT, &failure),
        }
    }
    let there = there.join(", ");
    if !missing.is_empty() {
        let detail = format!("{there}; the catalogue has no {}", missing.join(", "));
        return Finding::fails(SUBJECT, detail);
    }
    let old = if range.has(TAGS) { "" } else { "; older than 2018, machines get no tags" };
    Finding::works(SUBJECT, format!("{there}{old}"))
}

fn is_needed(view: View<'_>, service: Service) -> bool {
    match service {
        Service::Identity | Service::Compute | Service::Image => true,
        Service::Network | Service::Rating => false,
        Service::Volume => wants_volumes(view),
        Service::Reservation => view.settings.lease.is_some(),
    }
}

fn wants_volumes(view: View<'_>) -> bool {
    view.settings.boot_volume.is_some() || view.settings.data_volume.is_some()
}

/// Limits and use of the whole project. -1: no limit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Absolute {
    max_total_instances: Option<i64>,
    total_instances_used: Option<i64>,
    max_total_cores: Option<i64>,
    total_cores_used: Option<i64>,
    #[serde(rename = "maxTotalRAMSize")]
    max_total_ram: Option<i64>,
    #[serde(rename = "totalRAMUsed")]
    total_ram_used: Option<i64>,
    max_total_volumes: Option<i64>,
    total_volumes_used: Option<i64>,
    max_total_volume_gigabytes: Option<i64>,
    total_gigabytes_used: Option<i64>,
}

#[derive(Deserialize)]
struct Answer {
    limits: Limits,
}

#[derive(Deserialize)]
struct Limits {
    absolute: Absolute,
}

async fn limits(view: View<'_>, service: Service) -> Result<Absolute, Failure> {
    let call = Call::get(service, "/limits", "read quota");
    Ok(view.session.call::<Answer>(call).await?.body.limits.absolute)
}

/// Limits of machines, processors and memory.
pub(super) async fn quota(view: View<'_>) -> Finding {
    match limits(view, Service::Compute).await {
        Ok(limits) => of_limits(
            "quota",
            &[
                ("machines", limits.total_instances_used, limits.max_total_instances),
                ("processors", limits.total_cores_used, limits.max_total_cores),
                ("MiB of memory", limits.total_ram_used, limits.max_total_ram),
            ],
        ),
        Err(failure) => unanswered("quota", &failure),
    }
}

/// What is in use of each limit, everybody's counted.
fn of_limits(subject: &str, parts: &[(&str, Option<i64>, Option<i64>)]) -> Finding {
    let mut full = Vec::new();
    let words = parts.iter().filter_map(|&(what, used, most)| match (used, most) {
        (Some(used), Some(most @ 0..)) => {
            if used >= most {
                full.push(what);
            }
            Some(format!("{used} of {most} {what}"))
        }
        (Some(used), _) => Some(format!("{used} {what} without a limit")),
        (None, Some(most @ 0..)) => Some(format!("at most {most} {what}")),
        (None, _) => None,
    });
    let words = words.collect::<Vec<String>>().join(", ");
    if full.is_empty() {
        Finding::works(subject, format!("{words} in use"))
    } else {
        let detail = format!("{words} in use: no {} left; ask the site for more", full.join(", "));
        Finding::fails(subject, detail)
    }
}

/// Availability zones.
pub(super) async fn zones(view: View<'_>) -> Finding {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "availabilityZoneInfo")]
        zones: Vec<Zone>,
    }
    #[derive(Deserialize)]
    struct Zone {
        #[serde(rename = "zoneName")]
        name: String,
        #[serde(rename = "zoneState")]
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        available: bool,
    }
    let call = Call::get(Service::Compute, "/os-availability-zone", "list zones");
    let zones = match view.session.call::<Answer>(call).await {
        Ok(reply) => reply.body.zones,
        Err(failure) => return unanswered("zones", &failure),
    };
    let open = zones.into_iter().filter(|zone| zone.state.available).map(|zone| zone.name);
    let open: Vec<String> = open.collect();
    let wanted = &view.settings.zones;
    let missing: Vec<&String> = wanted.iter().filter(|zone| !open.contains(zone)).collect();
    match (wanted.as_slice(), missing.as_slice()) {
        ([], _) => Finding::works("zones", format!("the site chooses one of: {}", some(&open))),
        (_, []) => Finding::works("zones", wanted.join(", ")),
        (_, [first, ..]) => {
            let detail = format!("no open zone '{first}' ({})", nearest(first, &open));
            Finding::fails("zones", detail)
        }
    }
}

/// Volumes, where machines get some.
pub(super) async fn volumes(view: View<'_>) -> Option<Finding> {
    #[derive(Deserialize)]
    struct Type {
        name: String,
    }
    const SUBJECT: &str = "volumes";
    if !wants_volumes(view) {
        return None;
    }
    let limits = match limits(view, Service::Volume).await {
        Ok(limits) => limits,
        Err(failure) => return Some(unanswered(SUBJECT, &failure)),
    };
    let quota = of_limits(
        SUBJECT,
        &[
            ("volumes", limits.total_volumes_used, limits.max_total_volumes),
            ("GB", limits.total_gigabytes_used, limits.max_total_volume_gigabytes),
        ],
    );
    let boot = view.settings.boot_volume.as_ref().and_then(|volume| volume.volume_type.as_ref());
    let data = view.settings.data_volume.as_ref().and_then(|volume| volume.volume_type.as_ref());
    let Some(wanted) = boot.or(data).filter(|_| quota.verdict == Verdict::Works) else {
        return Some(quota);
    };
    let call = Call::get(Service::Volume, "/types", "list types of volumes");
    Some(match view.session.pages::<Type>(call, "volume_types").await {
        Ok(types) => {
            let names: Vec<String> = types.into_iter().map(|kind| kind.name).collect();
            if names.contains(wanted) {
                Finding::works(SUBJECT, format!("type {wanted}; {}", quota.detail))
            } else {
                let near = nearest(wanted, &names);
                Finding::fails(SUBJECT, format!("there is no type '{wanted}' ({near})"))
            }
        }
        Err(failure) => unanswered(SUBJECT, &failure),
    })
}

/// The lease, where one is named. Dates as Blazar writes them, which are UTC.
pub(super) async fn lease(view: View<'_>) -> Option<Finding> {
    #[derive(Deserialize)]
    struct Lease {
        id: String,
        name: String,
        start_date: String,
        end_date: String,
        #[serde(default)]
        status: Option<String>,
        #[serde(default)]
        degraded: bool,
    }
    let wanted = view.settings.lease.as_ref()?;
    let call = Call::get(Service::Reservation, "/leases", "list leases");
    let leases: Vec<Lease> = match view.session.pages(call, "leases").await {
        Ok(leases) => leases,
        Err(failure) => return Some(unanswered("lease", &failure)),
    };
    let found = leases.iter().find(|lease| lease.id == *wanted || lease.name == *wanted);
    Some(match found {
        Some(lease) => {
            let Lease { name, start_date, end_date, status, degraded, .. } = lease;
            let status = status.as_deref().unwrap_or("status not told");
            let detail = format!("'{name}' from {start_date} to {end_date} UTC, {status}");
            if *degraded {
                Finding::fails("lease", format!("{detail}; hosts of it are out of order"))
            } else {
                Finding::works("lease", detail)
            }
        }
        None => {
            let names: Vec<String> = leases.into_iter().map(|lease| lease.name).collect();
            let near = nearest(wanted, &names);
            Finding::fails("lease", format!("there is no '{wanted}' ({near})"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_quota_fails_and_names_what_is_full() {
        let parts = [("machines", Some(2), Some(10)), ("processors", Some(16), Some(16))];
        let finding = of_limits("quota", &parts);
        assert_eq!(finding.verdict, Verdict::Fails);
        assert!(finding.detail.contains("no processors left"), "{}", finding.detail);
        let parts = [("machines", Some(2), Some(-1)), ("processors", None, Some(16))];
        let words = "2 machines without a limit, at most 16 processors in use";
        assert_eq!(of_limits("quota", &parts), Finding::works("quota", words));
    }
}
