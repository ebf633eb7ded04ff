//! Lists by which the machines of a machinetype find each other (FIELD.md 1.4). The list of one
//! machinetype can be read; which machinetypes there are cannot.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::path::MachinetypePath;
use super::{Context, store_failed};

/// `HEARTBEAT_UNIX_TIME MACHINE_NAME IP_ADDRESS`, a line each, newest first, as the owner of the
/// space last wrote it.
pub(super) async fn heartbeat_list(
    State(context): State<Arc<Context>>,
    MachinetypePath { space, machinetype }: MachinetypePath,
) -> Result<Response, StatusCode> {
    let list = context
        .store
        .heartbeat_list(&space, &machinetype)
        .await
        .map_err(|error| store_failed(&error))?
        .ok_or(StatusCode::NOT_FOUND)?;
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, list).into_response())
}
