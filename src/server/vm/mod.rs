//! What VMs are offered (FIELD.md 1.1 to 1.5): Machine/Job Features, outputs, heartbeat lists.
//!
//! A machine can read any machine's features, as their names are random, and write only into its
//! own outputs. Nothing here changes anything else. Every error has an empty body.

mod features;
mod heartbeats;
mod outputs;
mod path;
mod receive;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, put};

use super::context::Context;
use super::{layers, leftover};
use crate::store::StoreError;

const MACHINE_FEATURES: &str = "/machines/{space}/{machine}/machinefeatures";
const JOB_FEATURES: &str = "/machines/{space}/{machine}/jobfeatures";
const OUTPUT: &str = "/machines/{space}/{machine}/joboutputs/{file}";
const HEARTBEAT_LIST: &str = "/heartbeatlists/{space}/{machinetype}";

/// Everything: for the HTTPS listener.
pub(super) fn https_routes(context: &Arc<Context>) -> Router {
    finish(reads().route(OUTPUT, put(outputs::put_output)), context)
}

/// Reads only: for the plain HTTP listener, where a token would be sent in the clear.
pub(super) fn http_routes(context: &Arc<Context>) -> Router {
    finish(reads().route(OUTPUT, put(refuse_in_the_clear)), context)
}

fn reads() -> Router<Arc<Context>> {
    Router::new()
        .route(MACHINE_FEATURES, get(features::machine_folder))
        .route(&format!("{MACHINE_FEATURES}/"), get(features::machine_keys))
        .route(&format!("{MACHINE_FEATURES}/{{key}}"), get(features::machine_value))
        .route(JOB_FEATURES, get(features::job_folder))
        .route(&format!("{JOB_FEATURES}/"), get(features::job_keys))
        .route(&format!("{JOB_FEATURES}/{{key}}"), get(features::job_value))
        .route(HEARTBEAT_LIST, get(heartbeats::heartbeat_list))
}

fn finish(routes: Router<Arc<Context>>, context: &Arc<Context>) -> Router {
    routes
        .layer(from_fn_with_state(Arc::clone(context), layers::in_time))
        .layer(from_fn_with_state(Arc::clone(context), leftover::read_on))
        .layer(map_response(layers::errors_are_empty))
        .layer(from_fn_with_state(Arc::clone(context), layers::counted))
        .with_state(Arc::clone(context))
}

async fn refuse_in_the_clear() -> StatusCode {
    StatusCode::FORBIDDEN
}

/// An answer for a VM when the state directory fails. Whoever reads the log learns why.
fn store_failed(error: &StoreError) -> StatusCode {
    tracing::warn!(%error, "a request of a vm failed");
    StatusCode::INTERNAL_SERVER_ERROR
}
