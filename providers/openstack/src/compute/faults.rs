//! Nova's words for what went wrong, where they mean more than their HTTP status.

use vcycle_api::LateRefusal;

use super::server::Server;
use crate::session::Failure;

/// Why a server is in ERROR, for people and for the breaker: `No valid host was found. (500)`.
///
/// A server that has never been on a host holds no processors there, only quota; who reads the fault
/// should know which it is.
pub(crate) fn of_server(server: &Server) -> String {
    let fault = server.fault.as_ref();
    let message = fault.and_then(|fault| fault.message.as_deref()).map(str::trim);
    let message = message.filter(|text| !text.is_empty()).unwrap_or("the cloud gave no fault");
    let code = fault.and_then(|fault| fault.code).map(|code| format!(" ({code})"));
    let nowhere = server.host.as_deref() == Some("");
    let host = if nowhere { ", never on a host" } else { "" };
    format!("{message}{}{host}", code.unwrap_or_default())
}

/// What a server that was accepted could not be made for. The scheduler found no host with room for the flavour, or
/// the quota was found to be full by a second look after the create (recorded: fault 413). One that has been on a host and
/// ran tells nothing of the kind.
pub(crate) fn refusal_of(server: &Server) -> Option<LateRefusal> {
    let fault = server.fault.as_ref().filter(|_| server.launched.is_none())?;
    let message = fault.message.as_deref().unwrap_or_default();
    let says = |words: &str| message.contains(words);
    if fault.code == Some(413) || says("Quota exceeded") {
        Some(LateRefusal::QuotaExceeded)
    } else if says("No valid host was found") || says("Insufficient compute resources") {
        Some(LateRefusal::InsufficientCapacity)
    } else {
        None
    }
}

/// A page was asked for after a server that is deleted by now (recorded: 400 `marker [...] not found`).
pub(crate) fn is_marker_gone(failure: &Failure) -> bool {
    failure.status == Some(400) && failure.message.contains("marker")
}

/// Somebody locked the server against changes (409, `Instance ... is locked`).
pub(crate) fn is_locked(failure: &Failure) -> bool {
    failure.status == Some(409) && failure.message.contains("locked")
}

/// Policy does not let us (403 that is no quota).
pub(crate) fn is_forbidden(failure: &Failure) -> bool {
    failure.status == Some(403)
}

/// The key pair is not there for this user (recorded: 400 `Invalid key_name provided.`).
pub(crate) fn is_unknown_key(failure: &Failure) -> bool {
    failure.status == Some(400) && failure.message.contains("key_name")
}
