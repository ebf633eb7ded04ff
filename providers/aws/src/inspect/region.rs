//! Findings about the account and the region: who we are, limits, where instances are put, what we may do.

use aws_sdk_sqs::types::QueueAttributeName;
use vcycle_api::{ErrorKind, Finding, ProviderError, findings};

use super::permission;
use crate::account::Account;
use crate::codes::Meaning;
use crate::errors::Failure;
use crate::{list, network, quota, types};

const WHO: &str = "ask who we are";
const DRY: &str = "dry run";

/// The id of no instance, for a dry run where we have none.
const NO_INSTANCE: &str = "i-00000000000000000";

/// Who we are, and whether we may look at instances: without that nothing works.
pub(super) async fn login(account: &Account) -> Finding {
    let region = &account.settings.region;
    let who = account.session.call(WHO, |clients| clients.sts.get_caller_identity().send()).await;
    let who = match who {
        Ok(who) => {
            let (number, arn) = (who.account().unwrap_or("?"), who.arn().unwrap_or("?"));
            format!("account {number}, {arn}, region {region}")
        }
        Err(failure) if failure.meaning() == Meaning::Credentials => {
            return Finding::fails("login", failure.of_read().to_string());
        }
        // A network without a way to STS is no mistake.
        Err(failure) => format!("region {region}; {}", failure.of_read()),
    };
    let looked = account
        .session
        .call("list instances", |clients| clients.ec2.describe_instances().max_results(5).send());
    match looked.await {
        Ok(_) => Finding::works("login", who),
        Err(failure) => Finding::fails("login", format!("{who}; {}", failure.of_read())),
    }
}

/// Use and limits, and which limits cannot be read.
pub(super) async fn quota(account: &Account) -> Vec<Finding> {
    let mut all = vec![match quota::quota(account).await {
        Ok(quota) => Finding::works("quota", findings::quota_words(&quota)),
        Err(error) => Finding::unknown("quota", error.to_string()),
    }];
    for (market, code) in quota::codes(&account.settings) {
        if let Err(failure) = quota::read(account, code).await {
            let detail =
                format!("the limit {code} ({market}) cannot be read: {}", failure.of_read());
            all.push(Finding::unknown("quota", detail));
        }
    }
    all
}

/// Subnets, groups, and zones in which something is sold.
pub(super) async fn network(account: &Account) -> Vec<Finding> {
    let network = match network::network(account).await {
        Ok(network) => network,
        Err(error) => return vec![judged("network", &error)],
    };
    let count: usize = network.subnets.values().map(Vec::len).sum();
    let groups = match network.groups.as_slice() {
        [] => "the default security group".to_owned(),
        groups => format!("security groups {}", groups.join(", ")),
    };
    let detail = format!("{}, {count} subnets, {groups}", network.vpc);
    let mut all = vec![Finding::works("network", detail), zones(account, &network.zones).await];
    let wanted = &account.settings.zones;
    let without: Vec<&str> =
        wanted.iter().filter(|it| !network.zones.contains(it)).map(String::as_str).collect();
    if !without.is_empty() {
        all.push(Finding::fails("zones", format!("no subnet in {}", without.join(", "))));
    }
    all
}

async fn zones(account: &Account, zones: &[String]) -> Finding {
    match types::sold(account).await {
        Ok(sold) => {
            let is_empty = |zone: &&String| sold.iter().all(|(_, where_sold)| where_sold != *zone);
            let empty: Vec<&str> = zones.iter().filter(is_empty).map(String::as_str).collect();
            match empty.as_slice() {
                [] => Finding::works("zones", zones.join(", ")),
                empty if empty.len() < zones.len() => {
                    let detail = format!(
                        "{}; nothing of ours is sold in {}",
                        zones.join(", "),
                        empty.join(", ")
                    );
                    Finding::works("zones", detail)
                }
                _ => Finding::fails("zones", "none of the instance types is sold in any of them"),
            }
        }
        Err(failure) => Finding::unknown("zones", failure.of_read().to_string()),
    }
}

/// Fails what somebody must change; else it could not be told.
pub(super) fn judged(subject: &str, error: &ProviderError) -> Finding {
    match error.kind {
        ErrorKind::NotFound | ErrorKind::AuthFailed | ErrorKind::InvalidSpec => {
            Finding::fails(subject, error.to_string())
        }
        ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::Unavailable => Finding::unknown(subject, error.to_string()),
    }
}

/// Whether what may be left over can be seen.
pub(super) async fn side_resources(account: &Account) -> Finding {
    let session = &account.session;
    let (volumes, interfaces, addresses) = tokio::join!(
        session.call(DRY, |it| it.ec2.describe_volumes().dry_run(true).send()),
        session.call(DRY, |it| it.ec2.describe_network_interfaces().dry_run(true).send()),
        session.call(DRY, |it| it.ec2.describe_addresses().dry_run(true).send()),
    );
    let findings = [
        permission("orphans", "looking for volumes", volumes),
        permission("orphans", "looking for network interfaces", interfaces),
        permission("orphans", "looking for addresses", addresses),
    ];
    let bad = findings.into_iter().find(|it| it.verdict != vcycle_api::Verdict::Works);
    bad.unwrap_or_else(|| {
        Finding::works("orphans", "volumes, network interfaces and addresses can be looked for")
    })
}

/// Whether the queue of notices is there.
pub(super) async fn queue(account: &Account) -> Option<Finding> {
    let queue = account.settings.interruption_queue.as_deref()?;
    let asked = account.session.call("ask for the queue", |clients| {
        let request = clients.sqs.get_queue_attributes().queue_url(queue);
        request.attribute_names(QueueAttributeName::ApproximateNumberOfMessages).send()
    });
    Some(match asked.await {
        Ok(answer) => {
            let count = answer
                .attributes()
                .and_then(|all| all.get(&QueueAttributeName::ApproximateNumberOfMessages).cloned());
            let count = count.unwrap_or_else(|| "?".to_owned());
            Finding::works("interruption queue", format!("{queue}, about {count} messages"))
        }
        Err(failure) => judged("interruption queue", &failure.of_read()),
    })
}

/// Whether we may end instances, tried on one of ours if there is one.
pub(super) async fn end(account: &Account) -> Finding {
    let subject = "delete";
    let id = match one_of_ours(account).await {
        Ok(id) => id,
        Err(failure) => return Finding::unknown(subject, failure.of_read().to_string()),
    };
    let asked = account.session.call(DRY, |clients| {
        let id = id.as_deref().unwrap_or(NO_INSTANCE);
        clients.ec2.terminate_instances().instance_ids(id).dry_run(true).send()
    });
    match asked.await {
        Err(failure) if id.is_none() && failure.meaning() == Meaning::NoSuchInstance => {
            let detail = "there is no machine of ours to try a dry run on";
            Finding::unknown(subject, detail)
        }
        answer => permission(subject, "TerminateInstances", answer),
    }
}

async fn one_of_ours(account: &Account) -> Result<Option<String>, Failure> {
    let Some(deployment) = account.deployment.get() else { return Ok(None) };
    let by = aws_sdk_ec2::types::Filter::builder()
        .name("tag:vcycle_deployment")
        .values(deployment.to_string());
    let scan = list::scan(account, &[by.build()]).await?;
    let alive = scan.seen.into_iter().find(|it| !it.is_terminated());
    Ok(alive.map(|it| it.id.as_str().to_owned()))
}
