//! The names in a path, parsed once. What is not a name (`..`, an encoded slash, capitals, too
//! long, not UTF-8) can name nothing that exists, so the answer is 404, as for an unknown name.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::model::{MachineName, MachinetypeName, SpaceName};

/// `/machines/SPACE/MACHINE/...`
pub(super) struct MachinePath {
    pub(super) space: SpaceName,
    pub(super) machine: MachineName,
}

/// The last part of a path, percent-decoded, as it came: a key, or the name of a file.
pub(super) struct LastPart(pub(super) String);

/// `/heartbeatlists/SPACE/MACHINETYPE`
pub(super) struct MachinetypePath {
    pub(super) space: SpaceName,
    pub(super) machinetype: MachinetypeName,
}

impl<S: Send + Sync> FromRequestParts<S> for MachinePath {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let names = Names::of(parts, state).await?;
        Ok(Self { space: names.parse("space")?, machine: names.parse("machine")? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MachinetypePath {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let names = Names::of(parts, state).await?;
        Ok(Self { space: names.parse("space")?, machinetype: names.parse("machinetype")? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LastPart {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let Names(mut names) = Names::of(parts, state).await?;
        names.pop().map(|(_, text)| Self(text)).ok_or(StatusCode::NOT_FOUND)
    }
}

/// The parts of the path that the route left open, percent-decoded, in order.
struct Names(Vec<(String, String)>);

impl Names {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let raw = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| StatusCode::NOT_FOUND)?;
        Ok(Self(raw.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()))
    }

    fn parse<N: FromStr>(&self, wanted: &str) -> Result<N, StatusCode> {
        self.0
            .iter()
            .find(|(name, _)| name == wanted)
            .and_then(|(_, text)| text.parse().ok())
            .ok_or(StatusCode::NOT_FOUND)
    }
}
