//! Reads the rules of the module `hashmap`, as far as they are about machines.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use vcycle_api::{ErrorKind, ProviderError, Timestamp};

use super::{READ, get};
use crate::session::Failure;
use crate::site::Site;

/// What servers are called among the things that are rated: since CloudKitty 8 (2018), and before.
const SERVICES: [&str; 2] = ["instance", "compute"];

/// Modules that charge nothing, and the one whose rules we know.
const KNOWN: [&str; 2] = ["hashmap", "noop"];

/// The rules about servers.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Of all servers.
    pub(super) of_all: Vec<Rule>,
    /// By what a server is.
    pub(super) fields: Vec<Field>,
    /// Rules that depend on amounts; only their number.
    pub(super) thresholds: usize,
    /// Whose rules count, besides those of everybody.
    pub(super) project: String,
    /// When.
    pub(super) now: Timestamp,
}

/// Rules by a property of a server.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

/// A rule ("mapping").
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) value: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// A number or its text.
    pub(super) cost: Box<RawValue>,
    pub(super) group_id: Option<String>,
    pub(super) tenant_id: Option<String>,
    /// Since CloudKitty 19 (2023): when it holds.
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
    pub(super) deleted: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Modules {
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Module {
    module_id: String,
    enabled: bool,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Named>,
}

#[derive(Deserialize)]
struct Fields {
    fields: Vec<NamedField>,
}

#[derive(Deserialize)]
struct Named {
    service_id: String,
    name: String,
}

#[derive(Deserialize)]
struct NamedField {
    field_id: String,
    name: String,
}

#[derive(Deserialize)]
struct Mappings {
    mappings: Vec<Rule>,
}

#[derive(Deserialize)]
struct Thresholds {
    thresholds: Vec<serde::de::IgnoredAny>,
}

/// Reads them. The outer error: they cannot be read; the inner: they are not such that prices follow from them.
pub(super) async fn read(
    site: &Site,
    now: Timestamp,
) -> Result<Result<Rules, ProviderError>, Failure> {
    let Modules { modules } = ask(site, "/v1/rating/modules", &[]).await?;
    if let Err(why) = known(&modules) {
        return Ok(Err(unusable(&why)));
    }
    let Services { services } = ask(site, &hashmap("services"), &[]).await?;
    let of_servers: Vec<&Named> =
        services.iter().filter(|service| SERVICES.contains(&service.name.as_str())).collect();
    let [service] = of_servers[..] else {
        let all: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let why = format!(
            "not one of instance and compute is a service of its rules ({})",
            all.join(", ")
        );
        return Ok(Err(unusable(&why)));
    };
    let project = site.session.whoami().await?.project_id;
    let by_service = [("service_id", service.service_id.as_str())];
    let Mappings { mappings: of_all } = ask(site, &hashmap("mappings"), &by_service).await?;
    let Thresholds { thresholds } = ask(site, &hashmap("thresholds"), &by_service).await?;
    let mut rules =
        Rules { of_all, fields: Vec::new(), thresholds: thresholds.len(), project, now };
    let Fields { fields } = ask(site, &hashmap("fields"), &by_service).await?;
    for NamedField { field_id, name } in fields {
        let by_field = [("field_id", field_id.as_str())];
        let Mappings { mappings } = ask(site, &hashmap("mappings"), &by_field).await?;
        let Thresholds { thresholds } = ask(site, &hashmap("thresholds"), &by_field).await?;
        rules.thresholds += thresholds.len();
        rules.fields.push(Field { name, rules: mappings });
    }
    Ok(Ok(rules))
}

async fn ask<T: DeserializeOwned>(
    site: &Site,
    path: &str,
    query: &[(&'static str, &str)],
) -> Result<T, Failure> {
    let call = query.iter().fold(get(path), |call, (key, value)| call.with_query(key, *value));
    Ok(site.session.call::<T>(call).await?.body)
}

fn hashmap(what: &str) -> String {
    format!("/v1/rating/module_config/hashmap/{what}")
}

/// Whether only rules that we know make prices.
fn known(modules: &[Module]) -> Result<(), String> {
    let enabled = || modules.iter().filter(|module| module.enabled).map(|it| it.module_id.as_str());
    let others: Vec<&str> = enabled().filter(|name| !KNOWN.contains(name)).collect();
    if !others.is_empty() {
        return Err(format!("prices are made by {} as well", others.join(", ")));
    }
    match enabled().any(|name| name == "hashmap") {
        true => Ok(()),
        false => Err("its module hashmap is not enabled".to_owned()),
    }
}

fn unusable(why: &str) -> ProviderError {
    let message = format!(
        "no price follows from the rules of the rating service alone, because {why}: write the site's list by hand"
    );
    ProviderError::new(ErrorKind::InvalidSpec, READ, message)
}
