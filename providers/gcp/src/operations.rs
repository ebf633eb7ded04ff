//! Operations: Google says yes first, and whether it could only later, inside an operation. Here they are read:
//! why an insert failed, and which machines were taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_compute_v1::model::{Operation, operation};
use vcycle_api::Timestamp;

use crate::call::Call;
use crate::failure::{Arrived, Failure, shortened};
use crate::instance::time;
use crate::memory::Taken;
use crate::place::Place;
use crate::session::Clients;
use crate::site::Site;

/// Most operations on one page (the API's own limit).
const PAGE: u32 = 500;
/// How far back preempted machines are looked for: longer than a change of managers takes, and than their clocks differ.
const TAKEN_WITHIN: Duration = Duration::from_secs(30 * 60);
/// The type of the operation by which Google takes a machine back
/// (<https://cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption>).
const PREEMPTED: &str = "compute.instances.preempted";

/// Whether an operation has come to its end.
pub(crate) fn is_done(operation: &Operation) -> bool {
    operation.status == Some(operation::Status::Done)
}

/// Why an operation failed, if it did.
pub(crate) fn failure_of(call: Call, operation: &Operation) -> Option<Failure> {
    let errors = operation.error.as_ref().map(|error| error.errors.as_slice()).unwrap_or_default();
    if errors.is_empty()
        && operation.http_error_status_code.is_none()
        && operation.http_error_message.is_none()
    {
        return None;
    }
    let reasons = errors.iter().filter_map(|error| error.code.clone());
    let messages: Vec<&str> = errors.iter().filter_map(|error| error.message.as_deref()).collect();
    let message = match (messages.as_slice(), operation.http_error_message.as_deref()) {
        ([], said) => said.unwrap_or_default().to_owned(),
        (messages, _) => messages.join("; "),
    };
    Some(Failure {
        call,
        status: operation.http_error_status_code.and_then(|code| u16::try_from(code).ok()),
        reasons: reasons.collect(),
        message: shortened(&message),
        // What Google's support finds it by.
        request_id: operation.name.clone(),
        retry_after: None,
        arrived: Arrived::Yes,
    })
}

/// One operation.
pub(crate) async fn get(site: &Site, zone: &str, name: &str) -> Result<Operation, Failure> {
    let (project, zone, name) = (site.session.project(), zone.to_owned(), name.to_owned());
    let ask = |clients: Arc<Clients>| async move {
        let operations = clients.zone_operations().await?;
        let request = operations.get().set_project(project).set_zone(zone).set_operation(name);
        Ok(request.send().await?)
    };
    site.session.call(Call::GetOperation, ask).await
}

/// Waits for an operation as long as the settings allow, and not longer than Google likes: it may answer at once
/// though nothing has happened, so there are pauses, and only so many looks.
pub(crate) async fn wait(site: &Site, zone: &str, first: Operation) -> Operation {
    let Some(name) = first.name.clone() else { return first };
    let limit = site.settings().insert_wait;
    if limit.is_zero() {
        return first;
    }
    let mut latest = first;
    let waiting = async {
        for look in 0..limit.as_secs().max(1) {
            if look > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            match wait_once(site, zone, &name).await {
                Ok(operation) => latest = operation,
                // The machine is accepted, whatever became of our question.
                Err(_) => return,
            }
            if is_done(&latest) {
                return;
            }
        }
    };
    // Late is not wrong: the listing follows the operation from here.
    let _ = tokio::time::timeout(limit, waiting).await;
    latest
}

async fn wait_once(site: &Site, zone: &str, name: &str) -> Result<Operation, Failure> {
    let (project, zone, name) = (site.session.project(), zone.to_owned(), name.to_owned());
    let ask = |clients: Arc<Clients>| async move {
        let operations = clients.zone_operations().await?;
        let request = operations.wait().set_project(project).set_zone(zone).set_operation(name);
        Ok(request.send().await?)
    };
    site.session.call(Call::WaitForOperation, ask).await
}

/// One page of the operations of a zone, the newest first.
async fn page(
    site: &Site,
    zone: &str,
    filter: &str,
    token: Option<String>,
) -> Result<(Vec<Operation>, Option<String>), Failure> {
    let (project, zone, filter) = (site.session.project(), zone.to_owned(), filter.to_owned());
    let ask = |clients: Arc<Clients>| async move {
        let operations = clients.zone_operations().await?;
        let request = operations
            .list()
            .set_project(project)
            .set_zone(zone)
            .set_filter(filter)
            .set_max_results(PAGE)
            .set_order_by("creationTimestamp desc")
            .set_or_clear_page_token(token);
        Ok(request.send().await?)
    };
    let list = site.session.call(Call::ListOperations, ask).await?;
    Ok((list.items, list.next_page_token.filter(|token| !token.is_empty())))
}

/// The machines that Google took back lately, in all zones that we make machines in.
pub(crate) async fn taken(site: &Site, zones: &[String]) -> Result<Taken, Failure> {
    let asked = site.clock().monotonic();
    let since = site.clock().now() - TAKEN_WITHIN;
    let mut machines = BTreeMap::new();
    for zone in zones {
        let mut token = None;
        loop {
            let filter = format!("operationType = \"{PREEMPTED}\"");
            let (operations, next) = page(site, zone, &filter, token).await?;
            let mut is_past = false;
            for operation in &operations {
                let Some((place, at)) = preempted(site, operation) else { continue };
                is_past |= at < since;
                if at >= since {
                    machines.insert(place, at);
                }
            }
            token = next;
            if is_past || token.is_none() {
                break;
            }
        }
    }
    Ok(Taken { asked, machines })
}

fn preempted(site: &Site, operation: &Operation) -> Option<(Place, Timestamp)> {
    // A filter that a cloud does not know may be answered with everything.
    if operation.operation_type.as_deref() != Some(PREEMPTED) {
        return None;
    }
    let mut place = Place::of_url(operation.target_link.as_deref()?)?;
    place.project.clone_from(&site.settings().project);
    let at = time(operation.insert_time.as_deref()).or(time(operation.start_time.as_deref()))?;
    Some((place, at))
}

/// Why the insert of a machine failed, if it did: found by its name, which is used once and never again, so that
/// it can be asked after a restart too.
pub(crate) async fn failed_insert(
    site: &Site,
    place: &Place,
) -> Result<Option<(Failure, Operation)>, Failure> {
    // The form with `eq` takes a regular expression that must fit the whole field.
    let filter = format!("targetLink eq \".*/instances/{}\"", place.name);
    let (operations, _) = page(site, &place.zone, &filter, None).await?;
    let is_of_it = |operation: &&Operation| {
        let target = operation.target_link.as_deref().and_then(Place::of_url);
        target.is_some_and(|target| target.zone == place.zone && target.name == place.name)
    };
    let mut inserts = operations
        .iter()
        .filter(is_of_it)
        .filter(|operation| operation.operation_type.as_deref() == Some("insert"));
    // One that went well made the machine: then its end is not the insert's.
    if inserts.clone().any(|it| is_done(it) && failure_of(Call::InsertInstance, it).is_none()) {
        return Ok(None);
    }
    Ok(inserts.find_map(|it| Some((failure_of(Call::InsertInstance, it)?, it.clone()))))
}

#[cfg(test)]
mod tests {
    use google_cloud_compute_v1::model::operation::{Error, error::Errors};
    use vcycle_api::{ErrorKind, ManualClock, Market, OfferingId};

    use super::*;
    use crate::meaning::{Attempt, Books, Wanted, kind};

    fn operation(code: &str, message: &str) -> Operation {
        let error = Errors::new().set_code(code).set_message(message);
        Operation::new()
            .set_name("operation-1")
            .set_status("DONE")
            .set_error(Error::new().set_errors([error]))
    }

    #[test]
    fn a_stock_out_inside_a_done_operation_is_one() {
        let operation =
            operation("ZONE_RESOURCE_POOL_EXHAUSTED", "The zone does not have enough resources.")
                .set_http_error_status_code(503);
        let failure = failure_of(Call::InsertInstance, &operation).unwrap();
        assert_eq!(failure.request_id.as_deref(), Some("operation-1"));
        let offering = OfferingId {
            flavour: "n2-standard-4".into(),
            zone: "europe-west2-a".into(),
            market: Market::OnDemand,
        };
        let clock = ManualClock::at(Timestamp::from_secs(0));
        let wanted = ErrorKind::InsufficientCapacity { offering: offering.clone() };
        let attempt = Attempt::Create(Wanted { offering: &offering, books: Books::One });
        assert_eq!(kind(&failure, attempt, &clock), wanted);
    }

    #[test]
    fn an_operation_without_errors_has_not_failed() {
        let operation = Operation::new().set_status("DONE").set_progress(100);
        assert!(is_done(&operation) && failure_of(Call::InsertInstance, &operation).is_none());
        assert!(!is_done(&Operation::new().set_status("RUNNING")));
    }

    #[test]
    fn an_operation_that_tells_only_a_status_has_failed_too() {
        let operation = Operation::new().set_status("DONE").set_http_error_status_code(409);
        assert_eq!(failure_of(Call::InsertInstance, &operation).unwrap().status, Some(409));
    }
}
