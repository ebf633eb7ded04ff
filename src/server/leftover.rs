//! What is done with the rest of a body that nobody read: read on for a while and forget it.
//!
//! A client that sends its whole upload before it looks for the answer would otherwise meet a
//! broken connection (HTTP/1.1) or a reset stream (HTTP/2) instead of the 403 or 413 that tells it why.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::context::Context;

/// The most that is read and forgotten of one body.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Reads on after an early answer, for at most `header_time`. Not after a time-out, since the client is
/// too slow; and not when the client waits to be told to go on, since it never will be.
pub(super) async fn read_on(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    let waits = request.headers().contains_key(EXPECT);
    let rest: Rest = Arc::default();
    let request =
        request.map(|body| Body::new(Returning { body: Some(body), rest: Arc::clone(&rest) }));
    let response = next.run(request).await;
    let unread = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(body) = unread
        && response.status() != StatusCode::REQUEST_TIMEOUT
        && !waits
    {
        tokio::spawn(tokio::time::timeout(context.limits().header_time, forget(body)));
    }
    response
}

async fn forget(mut body: Body) {
    let mut read = 0;
    while read < MOST_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

type Rest = Arc<Mutex<Option<Body>>>;

/// A body that, when it is dropped before its end, is put where it can be found.
struct Returning {
    body: Option<Body>,
    rest: Rest,
}

impl HttpBody for Returning {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(task);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
