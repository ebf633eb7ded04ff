//! What works with this tenancy and what does not, for `vcycle check --online`. Everything that needs no account of
//! another person is really asked; what only a create could show is said to be unknown.

use std::sync::Arc;

use google_cloud_compute_v1::model::{
    Network, Project, Region, Subnetwork, TestPermissionsRequest, Zone, zone,
};
use vcycle_api::{ErrorKind, Finding, Need, ProviderError, findings};

use crate::call::Call;
use crate::failure::Failure;
use crate::image::{NoImage, Reference, concrete};
use crate::meaning::{Attempt, error};
use crate::place::last;
use crate::session::Clients;
use crate::settings::ExternalAddress;
use crate::site::Site;
use crate::{credentials, offerings, quota};

/// Looks at everything.
pub(crate) async fn inspect(site: &Site, needs: &[Need]) -> Vec<Finding> {
    // That a login was good before tells nobody what works now.
    site.session.log_out().await;
    let who = credentials::who(&site.settings().credentials);
    let project = match ask_project(site).await {
        Ok(project) => project,
        Err(failure) => return vec![no_login(site, &who, &failure)],
    };
    let mut all = vec![login(site, &who, &project)];
    match site.region().await {
        Ok(region) => all.extend([quotas(site, &region, &project), zones_of(site, &region)]),
        Err(error) => all.push(Finding::fails("quota", error.to_string())),
    }
    all.extend(zones(site).await);
    all.push(flavours_of_space(site).await);
    all.extend(flavours(site, needs).await);
    all.push(network(site).await);
    all.push(subnetwork(site).await);
    for need in needs {
        all.push(image(site, need).await);
    }
    all.push(Finding::unknown(
        "permission to create",
        "Google has no rehearsal of an insert: the first machine will show it. The role is etc/gcp-role.yaml",
    ));
    all
}

fn no_login(site: &Site, who: &str, failure: &Failure) -> Finding {
    let error = error(failure, Attempt::Read, site.clock());
    let text = format!("{who}: {error}");
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Throttled { .. } if failure.status.is_none() => {
            Finding::fails("login", text)
        }
        ErrorKind::Throttled { .. } => Finding::unknown("login", text),
        _ => Finding::fails("login", text),
    }
}

fn login(site: &Site, who: &str, project: &Project) -> Finding {
    let number = project.id.map(|id| format!(" (number {id})")).unwrap_or_default();
    Finding::works("login", format!("{who}, in project {}{number}", site.settings().project))
}

async fn ask_project(site: &Site) -> Result<Project, Failure> {
    let project = site.session.project();
    let ask = |clients: Arc<Clients>| async move {
        Ok(clients.projects().await?.get().set_project(project).send().await?)
    };
    site.session.call(Call::GetProject, ask).await
}

/// What is left, and which limits are near. New projects also have a small limit on processors in all regions.
fn quotas(site: &Site, region: &Region, project: &Project) -> Finding {
    let mut words = vec![findings::quota_words(&quota::read(region, site.settings()))];
    let everywhere = Region::new().set_quotas(project.quotas.clone());
    if let Some(book) = quota::book(&everywhere, "CPUS_ALL_REGIONS") {
        words.push(format!("in all regions {} of {} processors", book.used, book.limit));
    }
    let tight = quota::tight(region);
    if !tight.is_empty() {
        words.push(format!("nearly full: {}", tight.join(", ")));
    }
    Finding::works("quota", words.join("; "))
}

fn zones_of(site: &Site, region: &Region) -> Finding {
    let there: Vec<&str> = region.zones.iter().map(|url| last(url)).collect();
    let named = &site.settings().zones;
    let missing: Vec<&str> =
        named.iter().map(String::as_str).filter(|zone| !there.contains(zone)).collect();
    if missing.is_empty() {
        Finding::works("zones", if named.is_empty() { there.join(", ") } else { named.join(", ") })
    } else {
        let (missing, there) = (missing.join(", "), there.join(", "));
        Finding::fails("zones", format!("no zone {missing}; the region has {there}"))
    }
}

/// Zones that are down, one finding each.
async fn zones(site: &Site) -> Vec<Finding> {
    let mut all = Vec::new();
    for name in site.zones().await.unwrap_or_default() {
        let (project, asked) = (site.session.project(), name.clone());
        let ask = |clients: Arc<Clients>| async move {
            let request = clients.zones().await?.get().set_project(project).set_zone(asked);
            Ok(request.send().await?)
        };
        let answer: Result<Zone, Failure> = site.session.call(Call::GetZone, ask).await;
        match answer {
            Ok(zone) if zone.status == Some(zone::Status::Down) => {
                all.push(Finding::fails(format!("zone {name}"), "Google says that it is down"));
            }
            Ok(_) => {}
            Err(failure) => all.push(Finding::unknown(format!("zone {name}"), failure.words())),
        }
    }
    all
}

/// Machine types of the settings that no zone has.
async fn flavours_of_space(site: &Site) -> Finding {
    let subject = "machine types";
    let wanted = &site.settings().machine_types;
    match offerings::offerings(site).await {
        Err(error) => Finding::unknown(subject, error.to_string()),
        Ok(sold) => {
            let is_missing = |name: &&String| !sold.iter().any(|it| it.id.flavour == **name);
            let missing: Vec<&str> = wanted.iter().filter(is_missing).map(String::as_str).collect();
            match missing.as_slice() {
                [] => Finding::works(subject, format!("{} offerings", sold.len())),
                _ => Finding::fails(subject, format!("in no zone: {}", missing.join(", "))),
            }
        }
    }
}

async fn flavours(site: &Site, needs: &[Need]) -> Vec<Finding> {
    let offered = offerings::offerings(site).await;
    needs.iter().map(|need| flavours_of(need, &offered)).collect()
}

fn flavours_of(need: &Need, offered: &Result<Vec<vcycle_api::Offering>, ProviderError>) -> Finding {
    let subject = format!("flavours of {}", need.machinetype);
    let offered = match offered {
        Ok(offered) => offered,
        Err(error) => return Finding::unknown(subject, error.to_string()),
    };
    let is_missing = |name: &&String| !offered.iter().any(|it| it.id.flavour == **name);
    let missing: Vec<&str> = need.flavors.iter().filter(is_missing).map(String::as_str).collect();
    match (offered.as_slice(), need.flavors.as_slice(), missing.as_slice()) {
        ([], _, _) => Finding::fails(subject, "the space offers none"),
        (_, [], _) => Finding::works(subject, "any that fits"),
        (_, named, []) => Finding::works(subject, named.join(", ")),
        (_, named, missing) if missing.len() < named.len() => {
            let why = format!("some are not machine_types of the space: {}", missing.join(", "));
            Finding::works(subject, why)
        }
        (_, _, missing) => {
            let why = format!("not among the machine_types of the space: {}", missing.join(", "));
            Finding::fails(subject, why)
        }
    }
}

/// A network or subnetwork as settings name it: in our project unless a path says otherwise.
fn split(named: &str, ours: &str) -> (String, String) {
    let parts: Vec<&str> = named.split('/').collect();
    let project = match parts.iter().position(|part| *part == "projects") {
        Some(at) => parts.get(at + 1).copied().unwrap_or(ours),
        None => ours,
    };
    (project.to_owned(), last(named).to_owned())
}

async fn network(site: &Site) -> Finding {
    let settings = site.settings();
    let named = match (&settings.network, &settings.subnetwork) {
        (Some(network), _) => network.clone(),
        (None, None) => "default".to_owned(),
        (None, Some(_)) => return Finding::works("network", "that of the subnetwork"),
    };
    let (project, name) = split(&named, &settings.project);
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.networks().await?.get().set_project(project).set_network(name);
        Ok(request.send().await?)
    };
    let answer: Result<Network, Failure> = site.session.call(Call::GetNetwork, ask).await;
    match answer {
        Err(failure) => Finding::fails("network", format!("{named}: {}", failure.words())),
        Ok(found) => {
            let in_region = |url: &&String| url.contains(&format!("/regions/{}/", settings.region));
            let here = found.subnetworks.iter().filter(in_region).count();
            if here == 0 && settings.subnetwork.is_none() && !found.subnetworks.is_empty() {
                let why = format!("{named} has no subnetwork in {}", settings.region);
                return Finding::fails("network", why);
            }
            Finding::works("network", named)
        }
    }
}

async fn subnetwork(site: &Site) -> Finding {
    let settings = site.settings();
    let Some(named) = &settings.subnetwork else {
        return Finding::works("subnetwork", "Google's choice in the network");
    };
    let (project, name) = split(named, &settings.project);
    let (region, asked) = (settings.region.clone(), (project.clone(), name.clone()));
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.subnetworks().await?.get().set_project(asked.0).set_region(region);
        Ok(request.set_subnetwork(asked.1).send().await?)
    };
    let answer: Result<Subnetwork, Failure> = site.session.call(Call::GetSubnetwork, ask).await;
    let found = match answer {
        Err(failure) => {
            return Finding::fails("subnetwork", format!("{named}: {}", failure.words()));
        }
        Ok(found) => found,
    };
    let range = found.ip_cidr_range.unwrap_or_default();
    match missing_permissions(site, &project, &name).await {
        Err(failure) => Finding::unknown("subnetwork", format!("{named}: {}", failure.words())),
        Ok(missing) if missing.is_empty() => {
            Finding::works("subnetwork", format!("{named} {range}"))
        }
        Ok(missing) => {
            let why = format!("{named}: we lack {}", missing.join(", "));
            Finding::fails("subnetwork", why)
        }
    }
}

/// What we may not do with a subnetwork, of what an insert needs.
async fn missing_permissions(
    site: &Site,
    project: &str,
    name: &str,
) -> Result<Vec<String>, Failure> {
    let mut wanted = vec!["compute.subnetworks.use".to_owned()];
    if site.settings().external_address == ExternalAddress::Yes {
        wanted.push("compute.subnetworks.useExternalIp".to_owned());
    }
    let body = TestPermissionsRequest::new().set_permissions(wanted.clone());
    let (project, name) = (project.to_owned(), name.to_owned());
    let region = site.settings().region.clone();
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.subnetworks().await?.test_iam_permissions().set_project(project);
        Ok(request.set_region(region).set_resource(name).set_body(body).send().await?)
    };
    let answer = site.session.call(Call::TestSubnetwork, ask).await?;
    wanted.retain(|permission| !answer.permissions.contains(permission));
    Ok(wanted)
}

async fn image(site: &Site, need: &Need) -> Finding {
    let subject = format!("image of {}", need.machinetype);
    let found = match concrete(site, need.image.as_deref()).await {
        Ok(found) => found,
        Err(NoImage::Never(why)) => return Finding::fails(subject, why),
        Err(NoImage::Failed(failure)) => return Finding::unknown(subject, failure.words()),
    };
    match may_use(site, &found.link).await {
        Ok(true) => Finding::works(subject, format!("{}, {} GB", found.link, found.gb)),
        Ok(false) => {
            let why = format!("{}: we lack compute.images.useReadOnly in its project", found.link);
            Finding::fails(subject, why)
        }
        // Who may read an image may usually not ask what else is allowed.
        Err(failure) => {
            let why =
                format!("{} is there; whether we may use it: {}", found.link, failure.words());
            Finding::unknown(subject, why)
        }
    }
}

async fn may_use(site: &Site, link: &str) -> Result<bool, Failure> {
    let permission = "compute.images.useReadOnly";
    let body = TestPermissionsRequest::new().set_permissions([permission]);
    let Ok(Reference::Image { project, name }) = Reference::parse(link, &site.settings().project)
    else {
        return Ok(true);
    };
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.images().await?.test_iam_permissions().set_project(project);
        Ok(request.set_resource(name).set_body(body).send().await?)
    };
    let answer = site.session.call(Call::TestImage, ask).await?;
    Ok(answer.permissions.iter().any(|it| it == permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_be_in_another_project() {
        let split = |named| split(named, "ours");
        assert_eq!(split("lab"), ("ours".to_owned(), "lab".to_owned()));
        let path = "projects/host/regions/europe-west2/subnetworks/s";
        assert_eq!(split(path), ("host".to_owned(), "s".to_owned()));
    }
}
