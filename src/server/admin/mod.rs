//! What people and their monitoring are offered, on a listener of its own (loopback by default):
//! metrics, health, and the published snapshots as JSON. Read-only: nothing here changes anything.
//! `docs/HTTP.md` describes every field.

mod answers;
mod health;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

pub use answers::{
    ExplainAnswer, MachineAnswer, MachinesAnswer, SpaceSummary, SpacesAnswer, StatusAnswer,
};

use super::context::Context;
use super::layers;
use crate::model::{Board, SpaceSnapshot, SpendingBoard};

/// Everything for people.
pub(super) fn routes(context: &Arc<Context>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/spaces", get(spaces))
        .route("/api/v1/spaces/{space}", get(space))
        .route("/api/v1/machines", get(machines))
        .route("/api/v1/spending", get(spending))
        .route("/api/v1/explain/{space}", get(explain_space))
        .route("/api/v1/explain/{space}/{machinetype}", get(explain_machinetype))
        .fallback(no_such_path)
        .layer(from_fn_with_state(Arc::clone(context), layers::in_time))
        .layer(from_fn_with_state(Arc::clone(context), layers::counted))
        .with_state(Arc::clone(context))
}

/// What is not there, and why.
#[derive(Debug, Serialize)]
struct NotFound {
    error: String,
}

impl IntoResponse for NotFound {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, Json(self)).into_response()
    }
}

/// Which machines are wanted; all of them without any.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    space: Option<String>,
    machinetype: Option<String>,
    phase: Option<String>,
}

/// Any other path. It is not repeated: who asks knows it.
async fn no_such_path() -> NotFound {
    NotFound {
        error: "there is no such path; there are: /metrics, /healthz, /api/v1/status, \
                /api/v1/spaces, /api/v1/spaces/SPACE, /api/v1/machines, /api/v1/spending, \
                /api/v1/explain/SPACE, \
                /api/v1/explain/SPACE/MACHINETYPE"
            .to_owned(),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let (expires, refused) = context.tls.status();
    context.metrics.certificate(expires, refused.as_deref());
    let text = context.metrics.render(&context.board(), context.clock.now());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

async fn healthz(State(context): State<Arc<Context>>) -> Response {
    let cycle = context.setup.borrow().config.site.cycle;
    let problems = health::problems(&context.board(), cycle, context.clock.now());
    if problems.is_empty() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
    }
}

async fn status(State(context): State<Arc<Context>>) -> Json<StatusAnswer> {
    let (expires, refused) = context.tls.status();
    let tls = answers::Certificate { expires, refused };
    Json(StatusAnswer::new(&context.board(), tls, context.clock.now()))
}

async fn spaces(State(context): State<Arc<Context>>) -> Json<SpacesAnswer> {
    Json(SpacesAnswer::new(&context.board()))
}

async fn space(
    State(context): State<Arc<Context>>,
    Path(space): Path<String>,
) -> Result<Json<Arc<SpaceSnapshot>>, NotFound> {
    find(&context.board(), &space).map(Json)
}

async fn machines(
    State(context): State<Arc<Context>>,
    Query(wanted): Query<Wanted>,
) -> Json<MachinesAnswer> {
    Json(MachinesAnswer::new(&context.board(), &wanted))
}

/// The caps of the deployment and how fast it spends.
async fn spending(
    State(context): State<Arc<Context>>,
) -> Result<Json<Arc<SpendingBoard>>, NotFound> {
    let why = "this manager watches no spending: its configuration has no [spending], or it has just started";
    let spending = context.board().spending.clone();
    spending.map(Json).ok_or_else(|| NotFound { error: why.to_owned() })
}

async fn explain_space(
    State(context): State<Arc<Context>>,
    Path(space): Path<String>,
) -> Result<Json<ExplainAnswer>, NotFound> {
    Ok(Json(ExplainAnswer::of_space(&*find(&context.board(), &space)?)))
}

async fn explain_machinetype(
    State(context): State<Arc<Context>>,
    Path((space, machinetype)): Path<(String, String)>,
) -> Result<Json<ExplainAnswer>, NotFound> {
    let snapshot = find(&context.board(), &space)?;
    ExplainAnswer::of_machinetype(&snapshot, &machinetype).map(Json).ok_or_else(|| {
        let known: Vec<&str> = snapshot.machinetypes.iter().map(|row| row.name.as_str()).collect();
        NotFound {
            error: format!(
                "space {space} has no machinetype {machinetype:?}; it has: {}",
                known.join(", ")
            ),
        }
    })
}

/// A space that this manager works on, or why there is nothing to show.
fn find(board: &Board, wanted: &str) -> Result<Arc<SpaceSnapshot>, NotFound> {
    if let Some((_, snapshot)) = board.spaces.iter().find(|(name, _)| name.as_str() == wanted) {
        return Ok(Arc::clone(snapshot));
    }
    let idle = board.idle_spaces.iter().find(|(name, _)| name.as_str() == wanted);
    let error = match idle {
        Some((name, why)) => {
            format!("manager {} does not work on space {name} now: {why}", board.manager)
        }
        None => {
            let known: Vec<&str> =
                board.spaces.keys().chain(board.idle_spaces.keys()).map(|n| n.as_str()).collect();
            format!("there is no space {wanted:?}; there are: {}", known.join(", "))
        }
    };
    Err(NotFound { error })
}
