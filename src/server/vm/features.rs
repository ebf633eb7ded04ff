//! `$MACHINEFEATURES` and `$JOBFEATURES`: folders of keys (HSF-TN-2016-02; FIELD.md 1.1 to 1.4).

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::response::{Html, IntoResponse, Response};

use super::path::{LastPart, MachinePath};
use super::{Context, store_failed};
use crate::store::FeatureKind;

/// Some keys change while the machine runs (`shutdowntime_job`), so nothing may be kept.
const NOT_KEPT: (axum::http::HeaderName, &str) = (CACHE_CONTROL, "no-cache");

pub(super) async fn machine_folder(
    State(context): State<Arc<Context>>,
    path: MachinePath,
) -> Result<Response, StatusCode> {
    folder(&context, &path, FeatureKind::Machine).await
}

pub(super) async fn job_folder(
    State(context): State<Arc<Context>>,
    path: MachinePath,
) -> Result<Response, StatusCode> {
    folder(&context, &path, FeatureKind::Job).await
}

pub(super) async fn machine_keys(
    State(context): State<Arc<Context>>,
    path: MachinePath,
) -> Result<Response, StatusCode> {
    keys(&context, &path, FeatureKind::Machine).await
}

pub(super) async fn job_keys(
    State(context): State<Arc<Context>>,
    path: MachinePath,
) -> Result<Response, StatusCode> {
    keys(&context, &path, FeatureKind::Job).await
}

pub(super) async fn machine_value(
    State(context): State<Arc<Context>>,
    path: MachinePath,
    LastPart(key): LastPart,
) -> Result<Response, StatusCode> {
    value(&context, &path, (FeatureKind::Machine, &key)).await
}

pub(super) async fn job_value(
    State(context): State<Arc<Context>>,
    path: MachinePath,
    LastPart(key): LastPart,
) -> Result<Response, StatusCode> {
    value(&context, &path, (FeatureKind::Job, &key)).await
}

/// Without the slash at the end: where the folder really is.
async fn folder(
    context: &Context,
    path: &MachinePath,
    kind: FeatureKind,
) -> Result<Response, StatusCode> {
    known_keys(context, path, kind).await?;
    let MachinePath { space, machine } = path;
    let location = format!("/machines/{space}/{machine}/{}/", kind.as_str());
    Ok((StatusCode::FOUND, [(LOCATION, location)]).into_response())
}

/// With the slash: a page whose links are the keys.
async fn keys(
    context: &Context,
    path: &MachinePath,
    kind: FeatureKind,
) -> Result<Response, StatusCode> {
    let keys = known_keys(context, path, kind).await?;
    let mut page = "<!DOCTYPE html>\n<html><body><ul>\n".to_owned();
    for key in keys {
        // Keys hold only letters, digits and `_`: nothing to escape.
        writeln!(page, "<li><a href=\"{key}\">{key}</a></li>")
            .expect("writing into a String cannot fail");
    }
    page.push_str("</ul></body></html>\n");
    Ok(([NOT_KEPT], Html(page)).into_response())
}

/// The value of a key, just as it was written.
async fn value(
    context: &Context,
    path: &MachinePath,
    (kind, key): (FeatureKind, &str),
) -> Result<Response, StatusCode> {
    let value = context
        .store
        .feature(&path.space, &path.machine, kind, key)
        .await
        .map_err(|error| store_failed(&error))?
        .ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), NOT_KEPT], value).into_response())
}

async fn known_keys(
    context: &Context,
    path: &MachinePath,
    kind: FeatureKind,
) -> Result<Vec<String>, StatusCode> {
    context
        .store
        .feature_keys(&path.space, &path.machine, kind)
        .await
        .map_err(|error| store_failed(&error))?
        .ok_or(StatusCode::NOT_FOUND)
}
