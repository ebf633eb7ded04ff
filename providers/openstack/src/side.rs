//! Side resources of our deployment: ports and volumes together.
//!
//! Nova makes them with a server and removes them with it, without our tags. So they are marked while
//! their server lives; what is left of one that is gone can then be told from everybody else's. What a person
//! has attached to a server of ours is not marked, and so never removed.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;
use vcycle_api::{Deletion, ErrorKind, InstanceId, ProviderError, SideResource, Tags};

use crate::memory::Unmarked;
use crate::port::Port;
use crate::site::Site;
use crate::{compute, port, volume};

/// Servers whose side resources are marked in one go, so that requests for others are not held up long.
const MARKED_AT_ONCE: usize = 100;

/// The longest that marking may take: deletes wait for it. What is left is marked in the next cycle.
const MARKING: Duration = Duration::from_secs(3);

const REMOVE: &str = "remove side resource";

/// Marks what belongs to servers of ours and carries no mark. Where it fails it is tried again in the next
/// cycle: an unmarked port or volume is only one that nobody would sweep.
pub(crate) async fn mark(site: &Site) {
    let unmarked = site.memory.unmarked(MARKED_AT_ONCE);
    if unmarked.is_empty() {
        return;
    }
    match timeout(MARKING, mark_all(site, &unmarked)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not mark ports and volumes of our servers");
        }
        Err(_) => tracing::debug!("not all ports and volumes of our servers are marked yet"),
    }
}

async fn mark_all(site: &Site, unmarked: &[Unmarked]) -> Result<(), ProviderError> {
    let ports = port::of_servers(site, unmarked).await?;
    let at_once = usize::try_from(site.settings.requests_at_once).unwrap_or(1).max(1);
    let servers = stream::iter(unmarked).map(Ok);
    servers.try_for_each_concurrent(at_once, |server| mark_one(site, server, &ports)).await
}

async fn mark_one(site: &Site, server: &Unmarked, ports: &[Port]) -> Result<(), ProviderError> {
    for port in ports.iter().filter(|port| port.device_id == server.server) {
        port::mark(site, port, &server.tags).await?;
    }
    for id in &server.volumes {
        volume::mark(site, id, &server.tags).await?;
    }
    site.memory.remember_marked(&server.server);
    Ok(())
}

/// What carries the marks of our deployment. Nothing before we know which it is.
pub(crate) async fn list(site: &Site) -> Result<Vec<SideResource>, ProviderError> {
    let Some(deployment) = site.memory.deployment() else { return Ok(Vec::new()) };
    let mut found = port::marked(site, &deployment).await?;
    found.extend(volume::marked(site, &deployment).await?);
    let mut resources = Vec::with_capacity(found.len());
    for Marked { kind, id, tags, server } in found {
        let attached_to = match server {
            Some(server) if stands(site, &server).await? => Some(server),
            Some(_) | None => None,
        };
        resources.push(SideResource { kind: kind.word().to_owned(), id, tags, attached_to });
    }
    Ok(resources)
}

/// The kinds that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of Neutron.
    Port,
    /// Of Cinder.
    Volume,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Volume => "volume",
        }
    }
}

/// A side resource that carries our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) tags: Tags,
    /// Whose it is, in the words of the service that has it; the server may be gone.
    pub(crate) server: Option<InstanceId>,
}

/// Whether this server exists, as far as we know: only Nova's own "there is none" says that it does not.
async fn stands(site: &Site, server: &InstanceId) -> Result<bool, ProviderError> {
    if site.memory.stands(server.as_str()) {
        return Ok(true);
    }
    is_there(site, server).await
}

/// The same, asked now. One that the site only keeps after its delete can be restored, so it is there.
async fn is_there(site: &Site, server: &InstanceId) -> Result<bool, ProviderError> {
    match compute::get_server(site, server).await {
        Ok(server) => Ok(server.status() != "DELETED"),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what still carries these tags and belongs to no server that exists; both are asked just before.
pub(crate) async fn delete(
    site: &Site,
    resource: &SideResource,
) -> Result<Deletion, ProviderError> {
    let now = match resource.kind.as_str() {
        "port" => port::get(site, &resource.id).await?,
        "volume" => volume::get(site, &resource.id).await?,
        other => return Err(refused(format!("{other} is no kind of side resource here"))),
    };
    let Some(now) = now else { return Ok(Deletion::AlreadyGone) };
    check_mark(resource, &now)?;
    if let Some(server) = &now.server
        && is_there(site, server).await?
    {
        return Err(refused(format!("it belongs to the server {server}, which exists")));
    }
    match now.kind {
        Kind::Port => port::delete(site, &now.id).await,
        Kind::Volume => volume::delete(site, &now.id).await,
    }
}

/// Nothing without our marks is ever removed, nor with somebody else's: of the deployment and the intent.
fn check_mark(resource: &SideResource, now: &Found) -> Result<(), ProviderError> {
    match &now.tags {
        Some(tags) if *tags == resource.tags => Ok(()),
        Some(_) | None => Err(refused("it does not carry the marks any more by which it was ours")),
    }
}

/// A side resource as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Of the marks, if it carries them all.
    pub(crate) tags: Option<Tags>,
    pub(crate) server: Option<InstanceId>,
}

fn refused(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, REMOVE, message)
}

/// Id of the server that a service names; `None`: none, or nothing that can be one.
pub(crate) fn server_of(text: &str) -> Option<InstanceId> {
    InstanceId::parse(text).ok()
}
