//! Subnets, zones and security groups: where an instance of ours is put. Asked for once in ten minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{self, Filter};
use vcycle_api::{ErrorKind, IntentToken, ProviderError};

use crate::Settings;
use crate::account::Account;
use crate::errors::Failure;
use crate::instance::tags_of;

const FIND_SUBNETS: &str = "find subnets";
const FIND_GROUPS: &str = "find security groups";

/// How long subnets and groups are remembered.
const LIFETIME: Duration = Duration::from_secs(600);

/// Where instances are put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) vpc: String,
    /// Ids of subnets by zone, in the order of the configuration.
    pub(crate) subnets: BTreeMap<String, Vec<String>>,
    /// Zones in the order in which they are offered.
    pub(crate) zones: Vec<String>,
    /// Ids of security groups.
    pub(crate) groups: Vec<String>,
}

impl Network {
    /// The subnet of an intent in a zone: always the same one, so that a repeated request is the same request.
    pub(crate) fn subnet(&self, zone: &str, intent: &IntentToken) -> Option<&str> {
        let subnets = self.subnets.get(zone)?;
        let sum: usize = intent.to_string().bytes().map(usize::from).sum();
        subnets.get(sum % subnets.len().max(1)).map(String::as_str)
    }
}

/// The network, remembered.
pub(crate) async fn network(account: &Account) -> Result<Arc<Network>, ProviderError> {
    // The futures of the SDK are too large for the stack of every caller.
    account.network.younger_than(LIFETIME, Box::pin(find(account))).await
}

/// Zones to offer, in their order.
pub(crate) async fn zones(account: &Account) -> Result<Vec<String>, ProviderError> {
    Ok(network(account).await?.zones.clone())
}

async fn find(account: &Account) -> Result<Network, ProviderError> {
    let settings = &account.settings;
    let found = subnets(account).await.map_err(Failure::of_read)?;
    let mut network = network_of(settings, &found)?;
    network.groups = groups(account, &network.vpc).await?;
    Ok(network)
}

fn wrong(operation: &'static str, message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, operation, message)
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

async fn subnets(account: &Account) -> Result<Vec<types::Subnet>, Failure> {
    let names = &account.settings.subnets;
    if names.is_empty() {
        return ask_subnets(account, filter("default-for-az", vec!["true".to_owned()])).await;
    }
    let (ids, tags): (Vec<String>, Vec<String>) =
        names.iter().cloned().partition(|name| name.starts_with("subnet-"));
    let mut found = Vec::new();
    for (key, values) in [("subnet-id", ids), ("tag:Name", tags)] {
        if !values.is_empty() {
            found.extend(ask_subnets(account, filter(key, values)).await?);
        }
    }
    Ok(found)
}

async fn ask_subnets(account: &Account, by: Filter) -> Result<Vec<types::Subnet>, Failure> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = account.session.call(FIND_SUBNETS, |clients| {
            let request = clients.ec2.describe_subnets().filters(by.clone());
            request.set_next_token(token.clone()).send()
        });
        let answer = asked.await?;
        found.extend_from_slice(answer.subnets());
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// Which of the subnets are meant, and the zones that follow. Pure.
fn network_of(settings: &Settings, found: &[types::Subnet]) -> Result<Network, ProviderError> {
    let chosen = choose(&settings.subnets, found)?;
    let mut subnets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut zones, mut vpcs) = (Vec::new(), Vec::new());
    for subnet in chosen {
        let (Some(id), Some(zone)) = (subnet.subnet_id(), subnet.availability_zone()) else {
            continue;
        };
        subnets.entry(zone.to_owned()).or_default().push(id.to_owned());
        zones.push(zone.to_owned());
        vpcs.extend(subnet.vpc_id().map(str::to_owned));
    }
    vpcs.sort();
    vpcs.dedup();
    let vpc = match vpcs.as_slice() {
        [vpc] => vpc.clone(),
        [] => String::new(),
        several => {
            let message = format!("the subnets are of several VPCs: {}", several.join(", "));
            return Err(wrong(FIND_SUBNETS, message));
        }
    };
    let zones = match settings.zones.as_slice() {
        [] if settings.subnets.is_empty() => {
            zones.sort();
            zones
        }
        [] => zones,
        wanted => wanted.to_vec(),
    };
    let mut once = Vec::new();
    for zone in zones {
        if subnets.contains_key(&zone) && !once.contains(&zone) {
            once.push(zone);
        }
    }
    if once.is_empty() {
        let message = format!("no subnet in the zones {}", settings.zones.join(", "));
        return Err(wrong(FIND_SUBNETS, message));
    }
    Ok(Network { vpc, subnets, zones: once, groups: Vec::new() })
}

/// In the order of the configuration; each name must mean something.
fn choose<'a>(
    names: &[String],
    found: &'a [types::Subnet],
) -> Result<Vec<&'a types::Subnet>, ProviderError> {
    if names.is_empty() {
        return match found {
            [] => Err(wrong(FIND_SUBNETS, "there is no default VPC: set subnets")),
            found => Ok(found.iter().collect()),
        };
    }
    let mut chosen: Vec<&types::Subnet> = Vec::new();
    for name in names {
        let is_meant = |it: &&types::Subnet| {
            it.subnet_id() == Some(name.as_str()) || tags_of(it.tags()).get("Name") == Some(name)
        };
        let meant: Vec<&types::Subnet> = found.iter().filter(is_meant).collect();
        if meant.is_empty() {
            return Err(wrong(FIND_SUBNETS, format!("there is no subnet {name} in this region")));
        }
        chosen.extend(
            meant
                .into_iter()
                .filter(|it| chosen.iter().all(|other| other != it))
                .collect::<Vec<_>>(),
        );
    }
    Ok(chosen)
}

async fn groups(account: &Account, vpc: &str) -> Result<Vec<String>, ProviderError> {
    let names = &account.settings.security_groups;
    let by_name: Vec<String> =
        names.iter().filter(|name| !name.starts_with("sg-")).cloned().collect();
    if by_name.is_empty() {
        return Ok(names.clone());
    }
    let asked = account.session.call(FIND_GROUPS, |clients| {
        let request = clients.ec2.describe_security_groups();
        let request = request.filters(filter("group-name", by_name));
        request.filters(filter("vpc-id", vec![vpc.to_owned()])).send()
    });
    let answer = asked.await.map_err(Failure::of_read)?;
    groups_of(names, vpc, answer.security_groups())
}

fn groups_of(
    names: &[String],
    vpc: &str,
    found: &[types::SecurityGroup],
) -> Result<Vec<String>, ProviderError> {
    let id_of = |name: &String| {
        if name.starts_with("sg-") {
            return Ok(name.clone());
        }
        let group = found.iter().find(|group| group.group_name() == Some(name.as_str()));
        let id = group.and_then(types::SecurityGroup::group_id).map(str::to_owned);
        id.ok_or_else(|| wrong(FIND_GROUPS, format!("{vpc} has no security group {name}")))
    };
    names.iter().map(id_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, zone: &str, vpc: &str, name: &str) -> types::Subnet {
        let tag = types::Tag::builder().key("Name").value(name).build();
        let builder = types::Subnet::builder().subnet_id(id).availability_zone(zone);
        builder.vpc_id(vpc).tags(tag).build()
    }

    fn settings(subnets: &[&str], zones: &[&str]) -> Settings {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let settings = Settings::new("eu-west-2", vec!["m5.large".to_owned()]);
        Settings { subnets: own(subnets), zones: own(zones), ..settings }
    }

    fn all() -> Vec<types::Subnet> {
        vec![
            subnet("subnet-1", "b", "vpc-1", "work"),
            subnet("subnet-2", "a", "vpc-1", "work"),
            subnet("subnet-3", "a", "vpc-1", "more"),
        ]
    }

    #[test]
    fn subnets_are_meant_by_id_or_name_and_tell_the_zones() {
        let network = network_of(&settings(&["work", "subnet-3"], &[]), &all()).unwrap();
        assert_eq!(network.zones, ["b", "a"]);
        assert_eq!(network.subnets["a"], ["subnet-2", "subnet-3"]);
        let network = network_of(&settings(&[], &["a", "c"]), &all()).unwrap();
        assert_eq!((network.zones, network.vpc), (vec!["a".to_owned()], "vpc-1".to_owned()));
    }

    #[test]
    fn what_means_nothing_or_too_much_is_told() {
        let error = |settings: Settings, found: &[types::Subnet]| {
            let error = network_of(&settings, found).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSpec);
            error.message
        };
        assert!(error(settings(&["nonsuch"], &[]), &all()).contains("no subnet nonsuch"));
        assert!(error(settings(&[], &[]), &[]).contains("set subnets"));
        assert!(error(settings(&[], &["c"]), &all()).contains("no subnet in the zones c"));
        let two = [subnet("subnet-1", "a", "vpc-1", "x"), subnet("subnet-2", "b", "vpc-2", "x")];
        assert!(error(settings(&["x"], &[]), &two).contains("vpc-1, vpc-2"));
    }

    #[test]
    fn an_intent_is_always_put_on_the_same_subnet_and_all_are_used() {
        let network = network_of(&settings(&["work", "more"], &[]), &all()).unwrap();
        let subnet = |intent| network.subnet("a", &IntentToken::compose(intent)).unwrap();
        assert_eq!(subnet(7), subnet(7));
        let used: std::collections::BTreeSet<&str> = (0..50).map(subnet).collect();
        assert_eq!(used.len(), 2);
        assert_eq!(network.subnet("z", &IntentToken::compose(1)), None);
    }

    #[test]
    fn groups_are_meant_by_id_or_name() {
        let builder = types::SecurityGroup::builder().group_id("sg-2").group_name("work");
        let found = [builder.build()];
        let ids = groups_of(&["sg-1".to_owned(), "work".to_owned()], "vpc-1", &found).unwrap();
        assert_eq!(ids, ["sg-1", "sg-2"]);
        let error = groups_of(&["nonsuch".to_owned()], "vpc-1", &found).unwrap_err();
        assert_eq!(error.message, "vpc-1 has no security group nonsuch");
    }
}
