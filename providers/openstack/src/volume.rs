//! Volumes of ours: marked while their server lives, listed and removed when it is gone (Cinder).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vcycle_api::{Deletion, DeploymentId, ErrorKind, Identity, ProviderError, Tags};

use crate::session::{Call, Service, segment};
use crate::side::{Found, Kind, Marked, server_of};
use crate::site::Site;

const LIST: &str = "list volumes";
const MARK: &str = "mark volume";
const GET: &str = "get volume";
const DELETE: &str = "delete volume";

/// Volumes asked for in one page: Cinder's own limit where nobody changed it (`osapi_max_limit`).
const PAGE: u32 = 1000;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Volume {
    id: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Attachment {
    server_id: Option<String>,
}

impl Volume {
    fn tags(&self) -> Option<Tags> {
        match Identity::from_map(&self.metadata) {
            Identity::Vcycle(tags) => Some(tags),
            Identity::Foreign => None,
        }
    }

    fn server(&self) -> Option<vcycle_api::InstanceId> {
        self.attachments.iter().find_map(|attachment| server_of(attachment.server_id.as_deref()?))
    }
}

/// Gives a volume our marks; again is harmless. Keys of others stay.
pub(crate) async fn mark(site: &Site, id: &str, tags: &Tags) -> Result<(), ProviderError> {
    if !site.has(Service::Volume).await? {
        return Ok(());
    }
    let path = format!("/volumes/{}/metadata", segment(id));
    let call = Call::post(Service::Volume, path, json!({ "metadata": tags.to_map() }), MARK);
    match site.session.send(call).await {
        Ok(_) => Ok(()),
        // It went meanwhile.
        Err(failure) if failure.status == Some(404) => Ok(()),
        Err(failure) => Err(failure.of_read()),
    }
}

/// The volumes that carry our deployment's marks; none where there is no Cinder.
pub(crate) async fn marked(
    site: &Site,
    deployment: &DeploymentId,
) -> Result<Vec<Marked>, ProviderError> {
    if !site.has(Service::Volume).await? {
        return Ok(Vec::new());
    }
    // A filter by metadata exists, but sites may forbid it to members (`query_volume_filters`).
    let call = Call::get(Service::Volume, "/volumes/detail", LIST);
    let call = call.with_query("limit", PAGE.to_string());
    let volumes = site.session.pages::<Volume>(call, "volumes").await;
    let volumes = volumes.map_err(|failure| failure.of_read())?;
    let marked = volumes.into_iter().filter_map(|volume| {
        let tags = volume.tags().filter(|tags| tags.deployment == *deployment)?;
        let server = volume.server();
        Some(Marked { kind: Kind::Volume, id: volume.id, tags, server })
    });
    Ok(marked.collect())
}

#[derive(Deserialize)]
struct One {
    volume: Volume,
}

/// A volume as it is now; `None`: there is none.
pub(crate) async fn get(site: &Site, id: &str) -> Result<Option<Found>, ProviderError> {
    let call = Call::get(Service::Volume, format!("/volumes/{}", segment(id)), GET);
    let volume = match site.session.call::<One>(call).await {
        Ok(reply) => reply.body.volume,
        Err(failure) => {
            let error = failure.of_read();
            return if error.kind == ErrorKind::NotFound { Ok(None) } else { Err(error) };
        }
    };
    let (tags, server) = (volume.tags(), volume.server());
    Ok(Some(Found { kind: Kind::Volume, id: volume.id, tags, server }))
}

/// Removes a volume. One that is attached is refused by Cinder itself (recorded: 400).
pub(crate) async fn delete(site: &Site, id: &str) -> Result<Deletion, ProviderError> {
    let call = Call::delete(Service::Volume, format!("/volumes/{}", segment(id)), DELETE);
    match site.session.send(call).await {
        Ok(_) => Ok(Deletion::Accepted),
        Err(failure) => {
            let error = failure.of_delete();
            match error.kind == ErrorKind::NotFound {
                true => Ok(Deletion::AlreadyGone),
                false => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::captured;

    #[test]
    fn a_recorded_volume_tells_its_server() {
        let One { volume } = serde_json::from_value(captured::body("148-volume-in-use")).unwrap();
        let server = volume.server().unwrap();
        assert_eq!(server.as_str(), "636a2ba6-9aee-45ef-976a-07a934e68d7f");
        assert_eq!(volume.tags(), None);
        let One { volume } =
            serde_json::from_value(captured::body("146-volume-available")).unwrap();
        assert_eq!(volume.server(), None);
    }
}
