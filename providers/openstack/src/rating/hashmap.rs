//! From rules to what a flavour costs. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::rules::{Field, Rule, Rules};
use super::{FlavorRate, GroupRate};
use crate::compute::Flavor;
use crate::session::parse_time;

/// What flavours cost, and which have no certain cost.
type Rated = (Vec<FlavorRate>, Vec<(String, String)>);

pub(super) fn rate(flavors: &[Flavor], rules: &Rules) -> Rated {
    let doubt = doubt(rules);
    let (mut rated, mut left_out) = (Vec::new(), Vec::new());
    for flavor in flavors {
        let groups = match &doubt {
            Some(why) => Err(why.clone()),
            None => groups(flavor, rules),
        };
        match groups {
            Ok(groups) => rated.push(FlavorRate { flavor: flavor.name.clone(), groups }),
            Err(why) => left_out.push((flavor.name.clone(), why)),
        }
    }
    (rated, left_out)
}

/// Why the cost of no server is certain.
fn doubt(rules: &Rules) -> Option<String> {
    if rules.thresholds > 0 {
        return Some("the site has rules by amounts (thresholds) for servers".to_owned());
    }
    let other = |field: &&Field| {
        let is_known = value_of(&field.name, None).is_some();
        !is_known && field.rules.iter().any(|rule| holds(rule, rules) != Ok(false))
    };
    let other = rules.fields.iter().find(other)?;
    Some(format!("the cost depends on `{}` of a server as well", other.name))
}

/// What a field has for a flavour; `None`: that is not known. With no flavour: whether it is known at all.
fn value_of(field: &str, flavor: Option<&Flavor>) -> Option<[String; 2]> {
    let (name, id) = flavor.map(|it| (it.name.clone(), it.id.clone())).unwrap_or_default();
    match field {
        // Ceilometer's word, for names and for ids.
        "flavor" => Some([name, id]),
        "flavor_name" => Some([name.clone(), name]),
        "flavor_id" => Some([id.clone(), id]),
        _ => None,
    }
}

/// The groups of rules that fit, by the ids of groups. A rule of the project is before one for everybody.
fn groups(flavor: &Flavor, rules: &Rules) -> Result<Vec<GroupRate>, String> {
    let mut fitting: BTreeMap<(Option<&str>, &str, &str), &Rule> = BTreeMap::new();
    let of_fields = rules.fields.iter().flat_map(|field| {
        let values = value_of(&field.name, Some(flavor)).unwrap_or_default();
        let fits = move |rule: &&Rule| rule.value.as_ref().is_some_and(|it| values.contains(it));
        field.rules.iter().filter(fits).map(|rule| (field.name.as_str(), rule))
    });
    for (place, rule) in rules.of_all.iter().map(|rule| ("", rule)).chain(of_fields) {
        if !holds(rule, rules)? {
            continue;
        }
        let value = rule.value.as_deref().unwrap_or_default();
        let best = fitting.entry((rule.group_id.as_deref(), place, value)).or_insert(rule);
        if rule.tenant_id.is_some() {
            *best = rule;
        }
    }
    let mut groups: BTreeMap<Option<&str>, GroupRate> = BTreeMap::new();
    for ((group, ..), rule) in fitting {
        let cost = text(&rule.cost).ok_or("a rule for it has a cost that is no number")?;
        let group = groups.entry(group).or_default();
        match rule.kind.as_str() {
            "flat" => group.flats.push(cost),
            "rate" => group.factors.push(cost),
            other => return Err(format!("a rule for it is of a kind that is not known: {other}")),
        }
    }
    // A factor of nothing is nothing.
    match groups.values().any(|group| !group.flats.is_empty()) {
        true => Ok(groups.into_values().collect()),
        false => Err("no rule of the site is for it".to_owned()),
    }
}

/// Whether a rule counts for us now.
fn holds(rule: &Rule, rules: &Rules) -> Result<bool, String> {
    let time = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match parse_time(text) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("a rule for it has a time that is none: {text}")),
        },
    };
    let (start, end) = (time(&rule.start)?, time(&rule.end)?);
    let is_ours = rule.tenant_id.as_ref().is_none_or(|project| *project == rules.project);
    let is_there = rule.deleted.as_ref().is_none_or(serde_json::Value::is_null);
    let in_time =
        start.is_none_or(|start| start <= rules.now) && end.is_none_or(|end| rules.now < end);
    Ok(is_ours && is_there && in_time)
}

/// The text of a number, which may be a string.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    let as_it_stands = raw.get();
    match as_it_stands.as_bytes().first()? {
        b'"' => serde_json::from_str(as_it_stands).ok(),
        b'-' | b'0'..=b'9' => Some(as_it_stands.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
