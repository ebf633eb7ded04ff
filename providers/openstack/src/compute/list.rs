//! Every server of the project, page by page to the end.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use vcycle_api::{DeploymentId, ErrorKind, Instance, InstanceId, Listing, ProviderError};

use super::faults;
use super::flavors::{self, FlavorTable};
use super::instance::{Lens, Told, told};
use super::server::Server;
use crate::session::{Call, Service, segment};
use crate::site::Site;

const LIST: &str = "list servers";
const GET: &str = "get server";

/// How often a scan begins again because the server after which it was to go on is deleted.
const RESTARTS: u32 = 3;

/// Vanished servers that are asked for in one listing, whichever they are of more. When a cell is down they are
/// mostly its own; when somebody has removed everything, asking for thousands would only delay saying so.
const ASKED: usize = 50;

/// No project has as many pages: a cloud that goes in circles must not keep us for ever.
const PAGES: u32 = 10_000;

/// What a scan saw.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Each server once.
    pub(crate) servers: Vec<Server>,
    /// Why something may be missing; `None`: nothing is.
    pub(crate) missing: Option<String>,
}

enum Walk {
    ToTheEnd(Vec<Server>),
    MarkerGone(Vec<Server>),
}

/// Everything, from the first page to the last. Absence from it proves something only if nothing is
/// `missing` from it and it began after what is looked for had settled.
pub(crate) async fn scan(site: &Site) -> Result<Scan, ProviderError> {
    let hidden = match site.settings.page {
        Some(_) => hidden_cells(site).await?,
        None => None,
    };
    let mut seen = Vec::new();
    for _ in 0..=RESTARTS {
        match walk(site).await? {
            Walk::ToTheEnd(servers) => {
                let missing = match dark_cells(&servers).or(hidden) {
                    Some(why) => Some(why),
                    None => vanished(site, &servers).await,
                };
                return Ok(Scan { servers, missing });
            }
            Walk::MarkerGone(servers) => seen = servers,
        }
    }
    let why = "servers at which pages begin were deleted again and again while it was read";
    Ok(Scan { servers: seen, missing: Some(why.to_owned()) })
}

/// The first page is asked for without a length, unless one is configured: Nova leaves the servers of a
/// cell that is down out without a word as soon as a filter, an order or a page is asked for
/// (`_is_cell_down_supported` in its `servers.py`). Its own length is 1000 where nobody changed it.
async fn walk(site: &Site) -> Result<Walk, ProviderError> {
    let mut call = Call::get(Service::Compute, "/servers/detail", LIST);
    if let Some(page) = site.settings.page {
        call = call.with_query("limit", page.to_string());
    }
    let call = site.dialect().await?.say(call);
    let (mut servers, mut once) = (Vec::new(), HashSet::new());
    let mut next = None;
    for _ in 0..PAGES {
        let call = match &next {
            None => call.clone(),
            Some(marker) => call.clone().after(String::clone(marker)),
        };
        let page = match site.session.page::<Server>(call, "servers").await {
            Ok(page) => page,
            Err(failure) if next.is_some() && faults::is_marker_gone(&failure) => {
                return Ok(Walk::MarkerGone(servers));
            }
            Err(failure) => return Err(failure.of_read()),
        };
        // A server that moved between two pages stands in both.
        servers.extend(page.items.into_iter().filter(|server| once.insert(server.id.clone())));
        if page.next.is_none() {
            return Ok(Walk::ToTheEnd(servers));
        }
        if page.next == next {
            let message = "the cloud gives the same page again and again";
            return Err(ProviderError::new(ErrorKind::Unavailable, LIST, message));
        }
        next = page.next;
    }
    let message = format!("no end after {PAGES} pages");
    Err(ProviderError::new(ErrorKind::Unavailable, LIST, message))
}

/// Servers of a cell that is down have no more than an id and the status UNKNOWN (from 2.69; before, they
/// are simply not listed, which nobody can see; nor can it be seen where others fill the first page).
fn dark_cells(servers: &[Server]) -> Option<String> {
    let dark = |server: &&Server| !server.is_told() || matches!(server.status(), "UNKNOWN" | "");
    missing(servers.iter().filter(dark).map(|server| server.id.as_str()))
}

#[derive(serde::Deserialize)]
struct Brief {
    id: String,
    /// Only servers of a cell that is down have one here.
    status: Option<String>,
}

/// What pages of a configured length hide: one question without details and without a length.
async fn hidden_cells(site: &Site) -> Result<Option<String>, ProviderError> {
    let call = site.dialect().await?.say(Call::get(Service::Compute, "/servers", LIST));
    let page = site.session.page::<Brief>(call, "servers").await;
    let page = page.map_err(|failure| failure.of_read())?;
    let dark = page.items.iter().filter(|server| server.status.as_deref() == Some("UNKNOWN"));
    Ok(missing(dark.map(|server| server.id.as_str())))
}

fn missing<'a>(mut dark: impl Iterator<Item = &'a str>) -> Option<String> {
    let example = dark.next()?;
    let count = 1 + dark.count();
    Some(format!(
        "a part of the cloud is down: it does not know {count} servers, such as {example}"
    ))
}

/// Servers that the last listing showed and this one lacks, though nobody asked for their end, are asked for one
/// by one. Where Nova still knows one of them the listing is not complete: a cell that is down is silent
/// behind a full page, and in all versions before 2.69.
async fn vanished(site: &Site, servers: &[Server]) -> Option<String> {
    let vanished = site.memory.vanished(servers);
    let asked = &vanished[..vanished.len().min(ASKED)];
    let ended = join_all(asked.iter().map(|id| has_ended(site, id))).await;
    let (ended, standing): (Vec<_>, Vec<_>) =
        asked.iter().zip(ended).partition(|(_, has_ended)| *has_ended);
    for (id, _) in ended {
        site.memory.remember_ended(id);
    }
    let (example, _) = standing.first()?;
    let count = standing.len();
    Some(format!(
        "the listing lacks {count} servers that have not ended as far as the cloud tells, such as {example}"
    ))
}

/// Whether Nova itself says that a server is gone, or on its way.
async fn has_ended(site: &Site, id: &str) -> bool {
    let Ok(id) = InstanceId::parse(id) else { return true };
    match get_server(site, &id).await {
        Ok(server) => server.is_ending(),
        Err(error) => error.kind == ErrorKind::NotFound,
    }
}

/// The flavours, where servers only name theirs; nothing is asked where each tells its size.
async fn sizes(site: &Site, servers: &[Server]) -> Result<Arc<FlavorTable>, ProviderError> {
    let named: HashSet<&str> = servers
        .iter()
        .filter_map(|server| server.flavor.as_ref())
        .filter(|flavor| flavor.vcpus.is_none())
        .filter_map(|flavor| flavor.id.as_deref())
        .collect();
    if named.is_empty() {
        return Ok(Arc::default());
    }
    flavors::table_with(site, |table| named.iter().all(|id| table.by_id(id).is_some())).await
}

fn lens<'a>(
    site: &'a Site,
    flavors: &'a FlavorTable,
    deployment: Option<&'a DeploymentId>,
) -> Lens<'a> {
    let (settings, soft_deleted) = (&site.settings, site.memory.soft_deleted());
    Lens { flavors, settings, deployment, soft_deleted }
}

/// Everything in the project, ours and foreign.
pub(crate) async fn list(site: &Site) -> Result<Listing, ProviderError> {
    let Scan { servers, missing } = scan(site).await?;
    let flavors = sizes(site, &servers).await?;
    let deployment = site.memory.deployment();
    let lens = lens(site, &flavors, deployment.as_ref());
    let seen: Vec<Instance> = servers
        .iter()
        .filter_map(|server| match told(server, lens) {
            Told::Whole(instance) | Told::Dim(instance) => Some(instance),
            // Whose it is cannot be told: as a foreign one it would be taken for an impostor of ours.
            Told::Dark => None,
        })
        .collect();
    site.memory.saw(&servers, missing.is_none());
    Ok(match missing {
        None => Listing::Complete(seen),
        Some(why) => Listing::Partial { seen, why },
    })
}

/// One server, directly.
pub(crate) async fn get(site: &Site, id: &InstanceId) -> Result<Instance, ProviderError> {
    let server = get_server(site, id).await?;
    let flavors = sizes(site, std::slice::from_ref(&server)).await?;
    let deployment = site.memory.deployment();
    let lens = lens(site, &flavors, deployment.as_ref());
    site.memory.met(&server);
    match told(&server, lens) {
        Told::Whole(instance) | Told::Dim(instance) => Ok(instance),
        Told::Dark => {
            let message = "the part of the cloud that has this server is down";
            Err(ProviderError::new(ErrorKind::Unavailable, GET, message))
        }
    }
}

#[derive(serde::Deserialize)]
struct One {
    server: Server,
}

/// One server, as Nova shows it.
pub(crate) async fn get_server(site: &Site, id: &InstanceId) -> Result<Server, ProviderError> {
    let path = format!("/servers/{}", segment(id.as_str()));
    let call = site.dialect().await?.say(Call::get(Service::Compute, path, GET));
    let reply = site.session.call::<One>(call).await.map_err(|failure| failure.of_read())?;
    Ok(reply.body.server)
}
