//! Findings of networks, security groups and ports (Neutron).

use serde::Deserialize;
use vcycle_api::Finding;

use super::View;
use super::words::{nearest, some, unanswered};
use crate::Networks;
use crate::session::{Call, Failure, Microversion, Service, segment};

/// The first Nova that knows the words `auto` and `none`.
const NETWORK_WORDS: Microversion = Microversion(2, 37);

#[derive(Debug, Clone, Deserialize)]
struct Network {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    shared: bool,
    #[serde(default, rename = "router:external")]
    external: bool,
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    tenant_id: Option<String>,
    #[serde(default)]
    subnets: Vec<String>,
}

impl Network {
    /// Whether Nova takes it into account when it has to choose: those of the project and those that
    /// the site shares; not those that only lead outside.
    fn can_be_chosen(&self, project: &str) -> bool {
        let own = [&self.project_id, &self.tenant_id].into_iter().flatten().any(|id| id == project);
        !self.external && (own || self.shared)
    }
}

/// Networks; nothing where no machine gets one.
pub(super) async fn networks(view: View<'_>) -> Option<Finding> {
    const SUBJECT: &str = "networks";
    match &view.settings.networks {
        Networks::None => Some(match view.session.microversions(Service::Compute).await {
            Ok(range) if range.has(NETWORK_WORDS) => {
                Finding::works(SUBJECT, "machines get none (networks = \"none\")")
            }
            Ok(range) => {
                let max = range.max;
                let detail = format!(
                    "networks = \"none\" needs Nova {NETWORK_WORDS}, this is {max}: name a network"
                );
                Finding::fails(SUBJECT, detail)
            }
            Err(failure) => unanswered(SUBJECT, &failure),
        }),
        wanted @ (Networks::Auto | Networks::These(_)) => Some(match list(view).await {
            Ok(networks) => judge(wanted, &networks, &view.who.project_id),
            Err(failure) => unanswered(SUBJECT, &failure),
        }),
    }
}

async fn list(view: View<'_>) -> Result<Vec<Network>, Failure> {
    let call = Call::get(Service::Network, "/networks", "list networks");
    view.session.pages(call, "networks").await
}

fn judge(wanted: &Networks, networks: &[Network], project: &str) -> Finding {
    const SUBJECT: &str = "networks";
    let usable: Vec<&Network> =
        networks.iter().filter(|network| network.can_be_chosen(project)).collect();
    let these = match wanted {
        Networks::These(these) => these,
        Networks::Auto | Networks::None => {
            return match usable.as_slice() {
                [one] if one.subnets.is_empty() => {
                    let detail =
                        format!("'{}' has no subnet: add one on the site's web page", one.name);
                    Finding::fails(SUBJECT, detail)
                }
                [one] => Finding::works(SUBJECT, format!("'{}', the only one", one.name)),
                [] => Finding::unknown(
                    SUBJECT,
                    "the project has none; unless the site makes one by itself, make one with a subnet on its \
                     web page, or write networks = \"none\"",
                ),
                several => Finding::fails(SUBJECT, which_of(several)),
            };
        }
    };
    let wrong: Vec<String> =
        these.iter().filter_map(|name| wrong_with(name, networks, &usable)).collect();
    if wrong.is_empty() {
        Finding::works(SUBJECT, these.join(", "))
    } else {
        Finding::fails(SUBJECT, wrong.join("; "))
    }
}

fn which_of(several: &[&Network]) -> String {
    let names: Vec<String> = several.iter().map(|network| network.name.clone()).collect();
    let first = &several[0];
    let is_unique = names.iter().filter(|name| **name == first.name).count() == 1;
    let write = if is_unique { &first.name } else { &first.id };
    format!(
        "there are {}, and the cloud chooses none: write networks = [{write:?}] or another",
        some(&names)
    )
}

/// What is wrong with a network that is named; `None`: nothing.
fn wrong_with(wanted: &str, networks: &[Network], usable: &[&Network]) -> Option<String> {
    let found: Vec<&Network> = match networks.iter().find(|network| network.id == wanted) {
        Some(by_id) => vec![by_id],
        None => networks.iter().filter(|network| network.name == wanted).collect(),
    };
    match found.as_slice() {
        [] => {
            let names: Vec<String> = usable.iter().map(|network| network.name.clone()).collect();
            Some(format!("there is no '{wanted}' ({})", nearest(wanted, &names)))
        }
        [one] if one.external => {
            Some(format!("'{wanted}' is an external network: machines may not be put there"))
        }
        [one] if one.subnets.is_empty() => Some(format!("'{wanted}' has no subnet")),
        [_] => None,
        several => {
            let ids: Vec<&str> = several.iter().map(|network| network.id.as_str()).collect();
            Some(format!("several are called '{wanted}': write the id of one ({})", ids.join(", ")))
        }
    }
}

/// Security groups that the settings name.
pub(super) async fn security_groups(view: View<'_>) -> Option<Finding> {
    #[derive(Deserialize)]
    struct Group {
        id: String,
        #[serde(default)]
        name: String,
    }
    const SUBJECT: &str = "security groups";
    let wanted = &view.settings.security_groups;
    if wanted.is_empty() || view.settings.networks == Networks::None {
        return None;
    }
    let call = Call::get(Service::Network, "/security-groups", "list security groups")
        .with_query("fields", "id")
        .with_query("fields", "name");
    let groups: Vec<Group> = match view.session.pages(call, "security_groups").await {
        Ok(groups) => groups,
        Err(failure) => return Some(unanswered(SUBJECT, &failure)),
    };
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let wrong = wanted.iter().filter_map(|name| {
        let is_id = groups.iter().any(|group| group.id == *name);
        match names.iter().filter(|other| *other == name).count() {
            _ if is_id => None,
            0 => Some(format!("there is no '{name}' ({})", nearest(name, &names))),
            1 => None,
            _ => Some(format!("several are called '{name}': write the id of one")),
        }
    });
    let wrong: Vec<String> = wrong.collect();
    Some(if wrong.is_empty() {
        Finding::works(SUBJECT, wanted.join(", "))
    } else {
        Finding::fails(SUBJECT, wrong.join("; "))
    })
}

/// Ports of the project: each network of a machine takes one, and a machine without a port fails late.
pub(super) async fn ports(view: View<'_>) -> Option<Finding> {
    #[derive(Deserialize)]
    struct Answer {
        quota: Quota,
    }
    #[derive(Deserialize)]
    struct Quota {
        port: Option<Use>,
    }
    #[derive(Deserialize)]
    struct Use {
        limit: i64,
        used: i64,
    }
    if view.settings.networks == Networks::None {
        return None;
    }
    let path = format!("/quotas/{}/details.json", segment(&view.who.project_id));
    let call = Call::get(Service::Network, path, "read quota of ports");
    // Not every Neutron tells; then nothing is said, as the machines' own limits are known.
    let answer = view.session.call::<Answer>(call).await.ok()?;
    let Use { limit, used } = answer.body.quota.port?;
    let left = limit.saturating_sub(used);
    match limit {
        ..0 => None,
        _ if left <= 0 => {
            let detail =
                format!("{used} of {limit} in use: no machine can be made; ask the site for more");
            Some(Finding::fails("ports", detail))
        }
        _ => Some(Finding::works("ports", format!("{used} of {limit} in use"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vcycle_api::Verdict;

    fn network(id: &str, name: &str, more: &serde_json::Value) -> Network {
        let mut value = json!({ "id": id, "name": name, "project_id": "ours", "subnets": ["s"] });
        for (key, field) in more.as_object().unwrap() {
            value[key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn own(id: &str, name: &str) -> Network {
        network(id, name, &json!({}))
    }

    fn of_others() -> [Network; 2] {
        [
            network("x", "internet", &json!({ "router:external": true, "shared": true })),
            network("y", "theirs", &json!({ "project_id": "others" })),
        ]
    }

    #[test]
    fn the_only_network_that_machines_can_be_put_on_needs_no_setting() {
        let [outside, theirs] = of_others();
        let finding = judge(&Networks::Auto, &[outside, own("a", "lan"), theirs], "ours");
        assert_eq!(finding, Finding::works("networks", "'lan', the only one"));
        let none = judge(&Networks::Auto, &of_others(), "ours");
        assert_eq!(none.verdict, Verdict::Unknown);
    }

    #[test]
    fn with_several_networks_the_line_to_write_is_told() {
        let finding = judge(&Networks::Auto, &[own("a", "lan"), own("b", "Büro 2")], "ours");
        assert_eq!(finding.verdict, Verdict::Fails);
        assert!(finding.detail.contains("networks = [\"lan\"]"), "{}", finding.detail);
        let alike = judge(&Networks::Auto, &[own("a", "lan"), own("b", "lan")], "ours");
        assert!(alike.detail.contains("networks = [\"a\"]"), "{}", alike.detail);
    }

    #[test]
    fn a_named_network_must_be_there_once_and_fit_for_machines() {
        let [outside, _] = of_others();
        let bare = network("c", "bare", &json!({ "subnets": [] }));
        let networks = [own("a", "lan"), own("b", "twice"), own("d", "twice"), bare, outside];
        let judged = |name: &str| judge(&Networks::These(vec![name.to_owned()]), &networks, "ours");
        assert_eq!(judged("lan"), Finding::works("networks", "lan"));
        assert_eq!(judged("d"), Finding::works("networks", "d"));
        assert!(judged("twice").detail.contains("the id of one (b, d)"));
        assert!(judged("lam").detail.contains("near: lan"));
        assert!(judged("internet").detail.contains("external"));
        assert!(judged("bare").detail.contains("no subnet"));
    }
}
