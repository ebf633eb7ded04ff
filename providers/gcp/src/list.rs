//! What there is: all machines of the region, ours and foreign, and those of ours that Google said yes to and then
//! could not make.
//!
//! One call for each page of the whole project. Machines in other regions are passed over: their quotas are others, and
//! they are other spaces' business. A zone that Google could not reach is a warning inside an answer that looks
//! complete otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use google_cloud_compute_v1::model::{
    Instance as Google, InstanceAggregatedList, instance_aggregated_list, instances_scoped_list,
};
use tracing::warn;
use vcycle_api::{
    ErrorKind, Identity, Instance, InstanceId, InstanceState, LateRefusal, Listing, Market,
    OfferingId, ProviderError, Timestamp,
};

use crate::call::Call;
use crate::failure::Failure;
use crate::instance::{Evidence, is_being_made, is_ended_spot, is_spot, read, time};
use crate::meaning::{Attempt, error, kind};
use crate::memory::{Shown, Taken};
use crate::operations;
use crate::place::Place;
use crate::session::Clients;
use crate::site::Site;

/// Most machines on one page (the API's own limit).
const PAGE: u32 = 500;
/// Pages after which something must be wrong: two and a half million machines.
const PAGES: usize = 5000;
/// Operations of accepted inserts that one listing asks for: the rest can wait for the next.
const FOLLOWED: usize = 20;

/// Machines of the pages that were read.
#[derive(Default)]
struct Seen {
    machines: BTreeMap<Place, Google>,
    /// What was missing, for people.
    missing: Vec<String>,
}

/// Everything in the region.
pub(crate) async fn list(site: &Site) -> Result<Listing, ProviderError> {
    let mut seen = Seen::default();
    let mut token = None;
    for page in 0..PAGES {
        match ask_page(site, None, token.clone()).await {
            Ok(answer) => {
                let next = answer.next_page_token.clone().filter(|next| !next.is_empty());
                sort_in(site, answer, &mut seen);
                if next.is_none() {
                    return Ok(finish(site, seen).await);
                }
                if next == token {
                    break;
                }
                token = next;
            }
            Err(failure) => {
                let error = error(&failure, Attempt::Read, site.clock());
                if page == 0 || error.kind != ErrorKind::Unavailable {
                    return Err(error);
                }
                // Complete up to here, and so of some use.
                seen.missing.push(format!("page {}: {}", page + 1, error.message));
                return Ok(finish(site, seen).await);
            }
        }
    }
    seen.missing.push("google gives page after page without end".to_owned());
    Ok(finish(site, seen).await)
}

/// One page of the machines of the project.
pub(crate) async fn ask_page(
    site: &Site,
    filter: Option<String>,
    token: Option<String>,
) -> Result<InstanceAggregatedList, Failure> {
    let project = site.session.project();
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.instances().await?.aggregated_list().set_project(project);
        let request = request.set_max_results(PAGE).set_or_clear_filter(filter);
        Ok(request.set_or_clear_page_token(token).send().await?)
    };
    site.session.call(Call::ListInstances, ask).await
}

fn sort_in(site: &Site, answer: InstanceAggregatedList, seen: &mut Seen) {
    seen.missing.extend(warnings(site, &answer));
    for (_, scope) in answer.items {
        for google in scope.instances {
            let zone = google.zone.as_deref().map(crate::place::last).unwrap_or_default();
            if !site.is_of_region(zone) {
                continue;
            }
            match google.name.as_deref() {
                Some(name) => drop(seen.machines.insert(site.place(zone, name), google)),
                None => seen.missing.push("a machine without a name".to_owned()),
            }
        }
    }
}

/// What an answer says is missing from it, as far as it is of our region.
pub(crate) fn warnings(site: &Site, answer: &InstanceAggregatedList) -> Vec<String> {
    use instance_aggregated_list::warning::Code as Whole;
    use instances_scoped_list::warning::Code as Scoped;
    let mut missing = Vec::new();
    match &answer.warning {
        None => {}
        Some(warning) if warning.code == Some(Whole::NoResultsOnPage) => {}
        Some(warning) => {
            let code = warning.code.as_ref().and_then(|code| code.name()).unwrap_or("a warning");
            let of: Vec<_> = warning.data.iter().filter_map(|it| it.value.as_deref()).collect();
            let is_elsewhere = |text: &&str| is_of_another_region(site, text);
            if of.is_empty() || !of.iter().all(is_elsewhere) {
                let said = warning.message.as_deref().unwrap_or_default();
                missing.push(format!("{code} {} {said}", of.join(" ")));
            }
        }
    }
    let unreachable = answer.unreachables.iter().map(String::as_str);
    let unreachable = unreachable.filter(|scope| !is_of_another_region(site, scope));
    missing.extend(unreachable.map(|scope| format!("{scope} cannot be reached")));
    for (scope, list) in &answer.items {
        let Some(warning) = &list.warning else { continue };
        let is_harmless = warning.code == Some(Scoped::NoResultsOnPage);
        if !is_harmless && !is_of_another_region(site, scope) {
            let code = warning.code.as_ref().and_then(|code| code.name()).unwrap_or("a warning");
            let said = warning.message.as_deref().unwrap_or_default();
            missing.push(format!("{scope}: {code} {said}"));
        }
    }
    missing
}

/// Whether a scope is certainly not of our region: `zones/europe-west1-b`.
fn is_of_another_region(site: &Site, scope: &str) -> bool {
    let Some(at) = scope.find("zones/") else { return false };
    let zone: &str = &scope[at + "zones/".len()..];
    let zone = zone.split(['/', ' ', '\'']).next().unwrap_or_default();
    crate::place::is_name(zone) && !site.is_of_region(zone)
}

async fn finish(site: &Site, seen: Seen) -> Listing {
    let Seen { machines, missing } = seen;
    let taken = taken(site, &machines).await;
    let mut all: Vec<Instance> = machines
        .iter()
        .map(|(place, google)| read(google, place, size(site, google), evidence(&taken, place)))
        .collect();
    if let Some(taken) = &taken {
        all.extend(tombstones(taken, &machines));
    }
    // Only a whole listing says that an accepted machine is not there.
    if missing.is_empty() {
        follow(site, &machines).await;
    }
    let failed = site.memory().all_failed(site.clock().monotonic());
    let is_there: BTreeSet<InstanceId> = all.iter().map(|instance| instance.id.clone()).collect();
    all.extend(
        failed.into_iter().map(|(_, instance)| instance).filter(|it| !is_there.contains(&it.id)),
    );
    if missing.is_empty() {
        Listing::Complete(all)
    } else {
        Listing::Partial { seen: all, why: missing.join("; ") }
    }
}

fn size(site: &Site, google: &Google) -> Option<crate::memory::Size> {
    let machine_type = crate::place::last(google.machine_type.as_deref()?);
    site.memory().sizes.get(machine_type).copied()
}

fn evidence(taken: &Option<Taken>, place: &Place) -> Evidence {
    match taken {
        None => Evidence::Untold,
        Some(taken) => match taken.machines.get(place) {
            Some(at) => Evidence::Taken(*at),
            None => Evidence::NotTaken,
        },
    }
}

/// What Google took back lately; `None`: it could not be told. Asked only where there can be such machines: there
/// are spot machines now, there were some at the last look, or nobody has looked yet.
async fn taken(site: &Site, machines: &BTreeMap<Place, Google>) -> Option<Taken> {
    let there_are = machines.values().any(is_spot);
    let there_were = site.memory().there_was_spot;
    let is_sold = site.settings().markets.contains(&Market::Preemptible);
    let may_be = there_are || (is_sold && there_were.unwrap_or(true));
    if !may_be {
        site.memory().there_was_spot = Some(false);
        return Some(Taken { asked: site.clock().monotonic(), machines: BTreeMap::new() });
    }
    let zones = match site.zones().await {
        Ok(zones) => zones,
        Err(error) => {
            warn!(%error, "the zones of the region are not known");
            return None;
        }
    };
    match operations::taken(site, &zones).await {
        Ok(taken) => {
            let mut memory = site.memory();
            memory.taken = Some(taken.clone());
            memory.there_was_spot = Some(there_are);
            Some(taken)
        }
        Err(failure) => {
            warn!(why = failure.words(), "google did not tell which machines it took back");
            None
        }
    }
}

/// Machines that Google took back and removed: they exist no more. They are shown so that a wave of preemptions is
/// told from a broken listing; who they were is told by their ids.
fn tombstones(taken: &Taken, there: &BTreeMap<Place, Google>) -> Vec<Instance> {
    let gone = taken.machines.iter().filter(|(place, _)| !there.contains_key(place));
    gone.map(|(place, at)| tombstone(place, *at)).collect()
}

fn tombstone(place: &Place, at: Timestamp) -> Instance {
    Instance {
        id: place.id(),
        name: place.name.clone(),
        identity: Identity::Foreign,
        state: InstanceState::Gone,
        offering: None,
        processors: None,
        memory: None,
        created: None,
        started: None,
        ended: Some(at),
        addresses: Vec::new(),
    }
}

/// Asks for the operations of accepted machines that are not listed.
async fn follow(site: &Site, machines: &BTreeMap<Place, Google>) {
    let now = site.clock().monotonic();
    let shown = |place: &Place| match machines.get(place) {
        None => Shown::Not,
        Some(google) if is_being_made(google) => Shown::BeingMade,
        Some(_) => Shown::Made,
    };
    let missing = site.memory().missing(shown, now);
    for (place, accepted) in missing.into_iter().take(FOLLOWED) {
        let operation = match operations::get(site, &place.zone, &accepted.operation).await {
            Ok(operation) => operation,
            Err(failure) => {
                warn!(machine = place.name, why = failure.words(), "cannot follow an insert");
                return;
            }
        };
        if !operations::is_done(&operation) {
            continue;
        }
        match operations::failure_of(Call::InsertInstance, &operation) {
            None => site.memory().carried_out(&place),
            Some(failure) => {
                let ended = time(operation.end_time.as_deref());
                let instance = failed(site, accepted.instance, &failure, ended);
                site.memory().failed(&place, instance, now);
            }
        }
    }
}

/// A machine whose insert failed, with what a create would have been refused for.
fn failed(site: &Site, shown: Instance, failure: &Failure, ended: Option<Timestamp>) -> Instance {
    // After a restart nothing tells what it was to be made of; the kind does not depend on it.
    let unknown =
        || OfferingId { flavour: String::new(), zone: String::new(), market: Market::OnDemand };
    let offering = shown.offering.clone().unwrap_or_else(unknown);
    let kind = kind(failure, Attempt::Create(site.wanted(&offering)), site.clock());
    let (refusal, fault) = (LateRefusal::of(&kind), failure.words());
    let state = InstanceState::Failed { refusal, fault };
    Instance { state, ended: Some(ended.unwrap_or(site.clock().now())), ..shown }
}

/// One machine, as Google shows it.
pub(crate) async fn ask(site: &Site, place: &Place) -> Result<Google, Failure> {
    let Place { project, zone, name } = place.clone();
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.instances().await?.get().set_project(project).set_zone(zone);
        Ok(request.set_instance(name).send().await?)
    };
    site.session.call(Call::GetInstance, ask).await
}

/// An id of this project, or why it proves nothing.
pub(crate) fn parse(
    site: &Site,
    id: &InstanceId,
    operation: &'static str,
) -> Result<Place, ProviderError> {
    parse_text(site, id.as_str(), operation)
}

/// As [`parse`], of a disk's id.
pub(crate) fn parse_text(
    site: &Site,
    id: &str,
    operation: &'static str,
) -> Result<Place, ProviderError> {
    let ours = &site.settings().project;
    match Place::parse(id) {
        Some(place) if place.project == *ours => Ok(place),
        // Not `NotFound`: the machine may well exist, in another project or another cloud.
        Some(place) => {
            let why = format!("{id} is in project {}, and this space is in {ours}", place.project);
            Err(ProviderError::new(ErrorKind::Unavailable, operation, why))
        }
        None => {
            let why = format!("{id} is not an id of this cloud (PROJECT/ZONE/NAME)");
            Err(ProviderError::new(ErrorKind::Unavailable, operation, why))
        }
    }
}

/// One machine. One that was accepted and could not be made is shown as failed, also after a restart.
pub(crate) async fn get(site: &Site, id: &InstanceId) -> Result<Instance, ProviderError> {
    let place = parse(site, id, Call::GetInstance.words())?;
    match ask(site, &place).await {
        Ok(google) => {
            let taken = if is_ended_spot(&google) {
                operations::taken(site, std::slice::from_ref(&place.zone)).await.ok()
            } else {
                Some(Taken { asked: site.clock().monotonic(), machines: BTreeMap::new() })
            };
            Ok(read(&google, &place, size(site, &google), evidence(&taken, &place)))
        }
        Err(failure) => {
            let resource = format!("instances/{}", place.name);
            let absent = error(&failure, Attempt::One(&resource), site.clock());
            if absent.kind != ErrorKind::NotFound {
                return Err(absent);
            }
            match why_absent(site, &place).await? {
                Some(failed) => Ok(failed),
                None => Err(absent),
            }
        }
    }
}

/// The machine that could not be made, if that is why there is none.
async fn why_absent(site: &Site, place: &Place) -> Result<Option<Instance>, ProviderError> {
    {
        let memory = site.memory();
        if memory.is_ended(place) {
            return Ok(None);
        }
        if let Some(failed) = memory.failed_at(place) {
            return Ok(Some(failed));
        }
    }
    let found = operations::failed_insert(site, place).await;
    let found = found.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
    let Some((failure, operation)) = found else { return Ok(None) };
    let at = time(operation.insert_time.as_deref()).unwrap_or(site.clock().now());
    let shown = Instance { created: Some(at), ..tombstone(place, at) };
    let ended = time(operation.end_time.as_deref());
    Ok(Some(failed(site, shown, &failure, ended)))
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
