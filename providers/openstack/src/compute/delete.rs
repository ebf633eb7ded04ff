//! Asking for a server's end. May be repeated at any time: Nova takes a second delete of a server that
//! is being deleted, and answers 404 when it is gone (both recorded).

use serde_json::json;
use vcycle_api::{Deletion, ErrorKind, InstanceId, ProviderError};

use super::faults;
use crate::session::{Call, Failure, Service, segment};
use crate::site::Site;

const DELETE: &str = "delete server";
const FORCE: &str = "force delete server";

/// Asks for the end of one server.
pub(crate) async fn delete(site: &Site, id: &InstanceId) -> Result<Deletion, ProviderError> {
    if site.memory.is_soft_deleted(id) {
        return force(site, id).await;
    }
    let path = format!("/servers/{}", segment(id.as_str()));
    let call = site.dialect().await?.say(Call::delete(Service::Compute, path, DELETE));
    match site.session.send(call).await {
        Ok(_) => {
            site.memory.remember_ending(id);
            Ok(Deletion::Accepted)
        }
        Err(failure) => outcome(id, failure),
    }
}

/// The site keeps deleted servers for a while, in which they can be restored; nobody will restore ours.
async fn force(site: &Site, id: &InstanceId) -> Result<Deletion, ProviderError> {
    let path = format!("/servers/{}/action", segment(id.as_str()));
    let call = Call::post(Service::Compute, path, json!({ "forceDelete": null }), FORCE);
    match site.session.send(site.dialect().await?.say(call)).await {
        Ok(_) => Ok(Deletion::Accepted),
        Err(failure) if faults::is_forbidden(&failure) => {
            tracing::info!(server = %id, "the site removes deleted servers in its own time");
            site.memory.remember_force_refused();
            Ok(Deletion::Accepted)
        }
        Err(failure) => outcome(id, failure),
    }
}

fn outcome(id: &InstanceId, failure: Failure) -> Result<Deletion, ProviderError> {
    if faults::is_locked(&failure) {
        return Err(locked(id, failure));
    }
    let error = failure.of_delete();
    match error.kind {
        ErrorKind::NotFound => Ok(Deletion::AlreadyGone),
        ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => Err(error),
    }
}

/// Only whoever locked it, or an administrator of the site, can unlock it: a person must be told.
fn locked(id: &InstanceId, failure: Failure) -> ProviderError {
    ProviderError {
        kind: ErrorKind::Unavailable,
        operation: failure.operation,
        message: format!(
            "it is locked; whoever locked it, or an administrator of the site, must unlock it \
             (openstack server unlock {id}): {}",
            failure.message
        ),
        request_id: failure.request_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Arrived;

    #[test]
    fn a_locked_server_is_an_error_that_says_who_must_unlock_it() {
        let failure = Failure {
            operation: DELETE,
            arrived: Arrived::Certainly,
            status: Some(409),
            code_text: "conflictingRequest".to_owned(),
            message: "Instance abc is locked".to_owned(),
            request_id: Some("req-1".to_owned()),
            retry_after: None,
        };
        let id = InstanceId::parse("abc").unwrap();
        let error = outcome(&id, failure).unwrap_err();
        assert_eq!((error.kind, error.request_id), (ErrorKind::Unavailable, Some("req-1".into())));
        assert!(error.message.contains("openstack server unlock abc"), "{}", error.message);
    }
}
