//! Reservations of hosts for a time: leases of Blazar.
//!
//! Source: Reservation API v1, "Leases". At the end of a lease Blazar itself deletes the servers in it
//! (CLOUDS.md, "Blazar"), so its end is a hard end, and whoever wants to finish work drains before.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use vcycle_api::{ErrorKind, ProviderError, Timestamp};

use crate::session::{Call, Service, parse_time};
use crate::site::Site;

const READ: &str = "read lease";

/// A lease is prolonged and shortened by people: an answer older than this is asked for again.
const AGE: Duration = Duration::from_secs(60);

/// What a lease promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Its begin.
    pub(crate) opens: Timestamp,
    /// Its end.
    pub(crate) closes: Timestamp,
    /// The reservation of hosts that a server must name to be put on them.
    pub(crate) hosts: Option<String>,
    /// What its owner should know.
    pub(crate) notices: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Leases {
    leases: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    name: String,
    start_date: String,
    end_date: String,
    /// Old versions leave it empty.
    status: Option<String>,
    #[serde(default)]
    degraded: bool,
    #[serde(default)]
    reservations: Vec<Reservation>,
}

#[derive(Debug, Deserialize)]
struct Reservation {
    id: String,
    #[serde(default)]
    resource_type: String,
    #[serde(default)]
    missing_resources: bool,
}

/// The lease of the settings, if they name one.
pub(crate) async fn of(site: &Site) -> Result<Option<Lease>, ProviderError> {
    let Some(wanted) = &site.settings.lease else { return Ok(None) };
    let lease = site.lease.younger_than(AGE, read(site, wanted)).await?;
    Ok(Some(Lease::clone(&lease)))
}

async fn read(site: &Site, wanted: &str) -> Result<Lease, ProviderError> {
    let call = Call::get(Service::Reservation, "/leases", READ);
    let reply = site.session.call::<Leases>(call).await.map_err(|failure| failure.of_read())?;
    let found = choose(&reply.body.leases, wanted).and_then(promise);
    found.map_err(|message| ProviderError::new(ErrorKind::InvalidSpec, READ, message))
}

/// A server of a lease of hosts must say so, or it is put elsewhere, or nowhere.
pub(crate) async fn add_hint(site: &Site, body: &mut Value) -> Result<(), ProviderError> {
    const KEY: &str = "reservation";
    if site.settings.hints.contains_key(KEY) {
        return Ok(());
    }
    if let Some(hosts) = of(site).await?.and_then(|lease| lease.hosts) {
        body["os:scheduler_hints"][KEY] = Value::String(hosts);
    }
    Ok(())
}

/// By id, else by name. Leases that have ended keep their name, and often leave it to the next one.
fn choose<'a>(leases: &'a [Listed], wanted: &str) -> Result<&'a Listed, String> {
    if let Some(lease) = leases.iter().find(|lease| lease.id == wanted) {
        return Ok(lease);
    }
    let mut named: Vec<&Listed> = leases.iter().filter(|lease| lease.name == wanted).collect();
    if named.iter().any(|lease| !lease.is_over()) {
        named.retain(|lease| !lease.is_over());
        if let [first, second, ..] = named[..] {
            let ids = format!("{}, {}", first.id, second.id);
            return Err(format!("several leases have the name '{wanted}' ({ids}): name one by id"));
        }
    }
    named.into_iter().max_by(|a, b| a.end_date.cmp(&b.end_date)).ok_or_else(|| {
        let names: Vec<&str> = leases.iter().map(|lease| lease.name.as_str()).collect();
        format!("no lease '{wanted}' (there are: {})", names.join(", "))
    })
}

fn promise(lease: &Listed) -> Result<Lease, String> {
    let Listed { name, start_date, end_date, degraded, reservations, .. } = lease;
    let time = |text: &str| {
        parse_time(text).ok_or_else(|| format!("lease '{name}' has a date that is none: '{text}'"))
    };
    let (opens, closes) = (time(start_date)?, time(end_date)?);
    let hosts: Vec<&Reservation> =
        reservations.iter().filter(|r| r.resource_type == "physical:host").collect();
    let mut notices = Vec::new();
    if *degraded || reservations.iter().any(|r| r.missing_resources) {
        notices.push(format!("lease '{name}' is degraded: some of its hosts have failed"));
    }
    if lease.is("ERROR") {
        notices.push(format!("lease '{name}' is in state ERROR: ask the site"));
    }
    if hosts.len() > 1 {
        notices.push(format!(
            "lease '{name}' has {} reservations of hosts: choose one with the hint 'reservation'",
            hosts.len()
        ));
    }
    let hosts = match hosts[..] {
        [only] => Some(only.id.clone()),
        _ => None,
    };
    // A lease that was ended early keeps the end that it was to have. It is over all the same.
    let closes = if lease.is_over() { opens } else { closes };
    Ok(Lease { opens, closes, hosts, notices })
}

impl Listed {
    fn is(&self, status: &str) -> bool {
        self.status.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(status))
    }

    fn is_over(&self) -> bool {
        self.is("TERMINATED") || self.is("TERMINATING") || self.is("DELETING")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(id: &str, name: &str, status: Option<&str>) -> Listed {
        let listed = json!({
            "id": id, "name": name, "status": status,
            "start_date": "2026-11-20T08:00:00.000000", "end_date": "2026-11-27T08:00:00.000000",
            "reservations": [{"id": "r-1", "resource_type": "physical:host", "status": "active"}],
        });
        serde_json::from_value(listed).unwrap()
    }

    #[test]
    fn a_lease_gives_a_begin_an_end_and_its_hosts() {
        let promised = promise(&lease("l1", "autumn", Some("ACTIVE"))).unwrap();
        let day = |text| parse_time(text).unwrap();
        assert_eq!(promised.opens, day("2026-11-20T08:00:00Z"));
        assert_eq!(promised.closes, day("2026-11-27T08:00:00Z"));
        assert_eq!(promised.hosts.as_deref(), Some("r-1"));
        assert_eq!(promised.notices, Vec::<String>::new());
    }

    #[test]
    fn a_lease_that_was_ended_early_is_over() {
        let promised = promise(&lease("l1", "autumn", Some("TERMINATED"))).unwrap();
        assert_eq!(promised.closes, promised.opens);
    }

    #[test]
    fn a_name_means_the_lease_that_is_not_over() {
        let over = || lease("l1", "autumn", Some("TERMINATED"));
        let live = || lease("l2", "autumn", Some("PENDING"));
        let chosen = |leases: &[Listed], wanted| choose(leases, wanted).map(|l| l.id.clone());
        assert_eq!(chosen(&[over(), live()], "autumn").unwrap(), "l2");
        assert_eq!(chosen(&[over(), live()], "l1").unwrap(), "l1");
        assert_eq!(chosen(&[over()], "autumn").unwrap(), "l1");
        let two = chosen(&[live(), lease("l3", "autumn", None)], "autumn").unwrap_err();
        assert_eq!(two, "several leases have the name 'autumn' (l2, l3): name one by id");
        let none = chosen(&[live()], "spring").unwrap_err();
        assert_eq!(none, "no lease 'spring' (there are: autumn)");
    }

    #[test]
    fn what_is_wrong_with_a_lease_is_told() {
        let mut broken = lease("l1", "autumn", Some("error"));
        broken.degraded = true;
        broken.reservations.push(Reservation {
            id: "r-2".to_owned(),
            resource_type: "physical:host".to_owned(),
            missing_resources: true,
        });
        let promised = promise(&broken).unwrap();
        assert_eq!(promised.hosts, None);
        assert_eq!(promised.notices.len(), 3, "{:?}", promised.notices);
        broken.end_date = "never".to_owned();
        assert!(promise(&broken).is_err());
    }
}
