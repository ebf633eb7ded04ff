//! PUT into `$JOBOUTPUTS` (FIELD.md 1.4, 1.5): the only thing that a VM can write.
//!
//! The order of the checks: unknown machine (404), no credentials (401), wrong ones (403), bad
//! name (400), too large (413); only then is anything of the body read. It is written whole, or
//! not at all.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::auth::{Verdict, bearer, may_write};
use super::super::peer::Peer;
use super::path::{LastPart, MachinePath};
use super::receive::{Refused, declared_too_large, receive};
use super::{Context, store_failed};
use crate::model::MachineRecord;
use crate::store::{OutputName, PutError};

/// Uploads of one machine that may be under way at once.
const UPLOADS_PER_MACHINE: u32 = 8;
/// The file with a machine's last words: the next cycle should not wait for its turn.
const SHUTDOWN_MESSAGE: &str = "shutdown_message";
/// When a client that found no room should come again, in seconds.
const COME_AGAIN: &str = "10";

/// Why an upload is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    UnknownMachine,
    NoCredentials,
    Forbidden,
    BadRequest,
    TooLarge,
    Busy,
    Failed,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::UnknownMachine => StatusCode::NOT_FOUND.into_response(),
            Self::NoCredentials => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response()
            }
            Self::Forbidden => StatusCode::FORBIDDEN.into_response(),
            Self::BadRequest => StatusCode::BAD_REQUEST.into_response(),
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, COME_AGAIN)]).into_response()
            }
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

pub(super) async fn put_output(
    State(context): State<Arc<Context>>,
    path: MachinePath,
    LastPart(file): LastPart,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let Some(peer) = head.extensions.get::<Peer>() else {
        unreachable!("the accept loop gives every request its peer")
    };
    let result =
        take(&context, Upload { path, file, peer, headers: &head.headers }, &mut body).await;
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            tracing::debug!(address = %peer.address, ?refusal, "upload refused");
            refusal.into_response()
        }
    }
}

struct Upload<'a> {
    path: MachinePath,
    file: String,
    peer: &'a Peer,
    headers: &'a HeaderMap,
}

async fn take(context: &Context, upload: Upload<'_>, body: &mut Body) -> Result<(), Refusal> {
    let Upload { path: MachinePath { space, machine }, file, peer, headers } = upload;
    let record = context
        .store
        .record(&space, &machine)
        .await
        .map_err(|error| {
            store_failed(&error);
            Refusal::Failed
        })?
        .filter(may_still_write)
        .ok_or(Refusal::UnknownMachine)?;
    let admitted = context.admitted_dns(&space, record.machinetype());
    let certificate = peer.certificate();
    match may_write(bearer(headers), &certificate, &record.outputs_token_sha256, &admitted) {
        Verdict::Allowed => {}
        Verdict::NoCredentials => return Err(Refusal::NoCredentials),
        Verdict::Refused => return Err(Refusal::Forbidden),
    }
    let name = OutputName::parse(&file).ok_or(Refusal::BadRequest)?;
    if headers.contains_key(CONTENT_RANGE) {
        // A part of a file must not replace the whole (RFC 9110 section 14.5).
        return Err(Refusal::BadRequest);
    }
    let limits = context.limits();
    if declared_too_large(body, limits.file_bytes.min(limits.machine_bytes)) {
        return Err(Refusal::TooLarge);
    }
    let _turn = context
        .uploads
        .enter((space.clone(), machine.clone()), UPLOADS_PER_MACHINE)
        .map_err(|_| Refusal::Busy)?;
    let received =
        receive(body, limits.file_bytes, &context.upload_memory).await.map_err(|refused| {
            match refused {
                Refused::TooLarge => Refusal::TooLarge,
                Refused::Busy => Refusal::Busy,
                Refused::Broken => Refusal::BadRequest,
            }
        })?;
    context
        .store
        .put_output(&space, &machine, &name, &received.content, limits.machine_bytes)
        .await
        .map_err(|error| refusal_of(&error))?;
    context.metrics.uploaded(&space, u64::try_from(received.content.len()).unwrap_or(u64::MAX));
    if name.as_str() == SHUTDOWN_MESSAGE {
        (context.wake)(&space);
    }
    Ok(())
}

/// A machine that is proven not to exist has no say any more, even while its folder is still there.
fn may_still_write(record: &MachineRecord) -> bool {
    record.gone.is_none() && record.rejected.is_none()
}

fn refusal_of(error: &PutError) -> Refusal {
    match error {
        PutError::UnknownMachine => Refusal::UnknownMachine,
        PutError::MachineLimit { .. } | PutError::TooManyFiles => Refusal::TooLarge,
        PutError::Store(error) => {
            store_failed(error);
            Refusal::Failed
        }
    }
}
