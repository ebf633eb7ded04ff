//! What of a tenancy works and what does not, for `vcycle check --online`. Only looks.
//!
//! Every finding that is not good says what to do. Questions are asked side by side: a slow service
//! delays only what it is asked.

mod cloud;
mod login;
mod machinetypes;
mod network;
mod words;

use vcycle_api::{Finding, Need, Timestamp};

use crate::Settings;
use crate::session::{Session, Whoami};

/// What all questions need.
#[derive(Clone, Copy)]
struct View<'a> {
    session: &'a Session,
    settings: &'a Settings,
    who: &'a Whoami,
    now: Timestamp,
}

/// Looks at everything that machines with these needs depend on.
pub(crate) async fn inspect(
    session: &Session,
    settings: &Settings,
    now: Timestamp,
    needs: &[Need],
) -> Vec<Finding> {
    let who = match session.whoami().await {
        Ok(who) => who,
        Err(failure) => return vec![login::refused(&failure)],
    };
    let view = View { session, settings, who: &who, now };
    let mut findings = login::accepted(&who, now);
    let (services, quota, networks, groups, zones, volumes, lease, machinetypes) = tokio::join!(
        cloud::services(view),
        cloud::quota(view),
        network::networks(view),
        network::security_groups(view),
        cloud::zones(view),
        cloud::volumes(view),
        cloud::lease(view),
        machinetypes::all(view, needs),
    );
    let ports = network::ports(view).await;
    findings.push(services);
    findings.push(quota);
    findings.extend(networks);
    findings.extend(ports);
    findings.extend(groups);
    findings.push(zones);
    findings.extend(volumes);
    findings.extend(lease);
    findings.extend(machinetypes);
    findings
}
