//! What holds for every request of a listener, whatever its handler does: it ends in time, it is
//! counted, and to a VM no error has a body.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::context::Context;
use super::peer::Peer;
use crate::telemetry::metrics::Answered;

/// Ends a request that takes longer than `request_time`: a slow upload is cut off with 408, and the
/// connection is closed, as the rest of the upload is not wanted.
pub(super) async fn in_time(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(context.limits().request_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let mut response = StatusCode::REQUEST_TIMEOUT.into_response();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// Counts the request under the pattern of its path, never under the path itself: the number of
/// metrics must not depend on what clients ask for.
pub(super) async fn counted(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        _ => "other",
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let peer = request.extensions().get::<Peer>().cloned();
    let response = next.run(request).await;
    if let Some(Peer { address, listener, chain: _ }) = peer {
        let status = response.status().as_u16();
        context.metrics.answered(Answered { listener, method, route: &route, status });
        tracing::debug!(%listener, %address, method, route, status, "request answered");
    }
    response
}

/// Takes the body from every error. A naive client (`curl` without `--fail`) would otherwise take
/// an error page for the value of a key (FIELD.md 1.4).
pub(super) async fn errors_are_empty(response: Response) -> Response {
    if !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let (mut head, _) = response.into_parts();
    head.headers.remove(CONTENT_TYPE);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Response::from_parts(head, Body::empty())
}
