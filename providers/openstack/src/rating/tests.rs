//! Costs of flavours by rules in the form of CloudKitty's data models.

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::*;

fn rule(more: &Value) -> Rule {
    let mut rule = json!({
        "mapping_id": "39dbd39d-f663-4444-a795-fb19d81af136", "value": null, "type": "flat",
        "cost": "0.1000000000000000055511151231", "field_id": null, "service_id": null,
        "group_id": null, "tenant_id": null,
    });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_str(&rule.to_string()).unwrap()
}

fn flavor(name: &str, id: &str) -> Flavor {
    let told = json!({ "id": id, "name": name, "vcpus": 4, "ram": 8192, "disk": 80 });
    serde_json::from_value(told).unwrap()
}

fn rules(fields: Vec<(&str, Vec<Value>)>) -> Rules {
    let fields = fields.into_iter().map(|(name, rules)| Field {
        name: name.to_owned(),
        rules: rules.iter().map(rule).collect(),
    });
    Rules {
        fields: fields.collect(),
        project: "ours".to_owned(),
        now: Timestamp::from_secs(1_795_224_884),
        ..Rules::default()
    }
}

fn groups_of(rules: &Rules) -> Result<Vec<GroupRate>, String> {
    let (mut rated, mut left_out) = rate(&[flavor("m1", "42")], rules);
    rated.pop().map(|rate| rate.groups).ok_or_else(|| left_out.remove(0).1)
}

fn flat(cost: &str) -> GroupRate {
    GroupRate { flats: vec![cost.to_owned()], factors: Vec::new() }
}

#[test]
fn a_flavour_is_rated_by_its_name_and_by_its_id() {
    for (field, value) in
        [("flavor", "m1"), ("flavor", "42"), ("flavor_name", "m1"), ("flavor_id", "42")]
    {
        let rules = rules(vec![(field, vec![json!({ "value": value, "cost": "0.5" })])]);
        assert_eq!(groups_of(&rules), Ok(vec![flat("0.5")]), "{field} {value}");
    }
    for (field, value) in [("flavor_name", "42"), ("flavor_id", "m1"), ("flavor", "m")] {
        let rules = rules(vec![(field, vec![json!({ "value": value })])]);
        assert_eq!(groups_of(&rules).unwrap_err(), "no rule of the site is for it");
    }
}

#[test]
fn a_cost_keeps_its_text_whether_it_is_a_number_or_a_string() {
    for cost in ["\"0.1000000000000000055511151231\"", "0.1000000000000000055511151231"] {
        let text = format!("{{\"type\":\"flat\",\"cost\":{cost}}}");
        let mut rules = rules(Vec::new());
        rules.of_all.push(serde_json::from_str(&text).unwrap());
        assert_eq!(groups_of(&rules), Ok(vec![flat("0.1000000000000000055511151231")]));
    }
}

#[test]
fn groups_are_kept_apart_and_factors_go_with_their_group() {
    let of_name = vec![
        json!({ "value": "m1", "cost": "0.5", "group_id": "uptime" }),
        json!({ "value": "m2", "cost": "7", "group_id": "uptime" }),
    ];
    let of_id = vec![
        json!({ "value": "42", "cost": "0.9", "type": "rate", "group_id": "uptime" }),
        json!({ "value": "42", "cost": "0.01", "group_id": "licence" }),
    ];
    let rules = rules(vec![("flavor_name", of_name), ("flavor_id", of_id)]);
    let uptime = GroupRate { flats: vec!["0.5".to_owned()], factors: vec!["0.9".to_owned()] };
    assert_eq!(groups_of(&rules), Ok(vec![flat("0.01"), uptime]));
}

#[test]
fn a_rule_of_our_project_is_before_the_one_for_everybody_and_others_rules_do_not_count() {
    let all = vec![
        json!({ "value": "m1", "cost": "1", "tenant_id": "ours" }),
        json!({ "value": "m1", "cost": "2" }),
        json!({ "value": "m1", "cost": "3", "tenant_id": "theirs" }),
    ];
    assert_eq!(groups_of(&rules(vec![("flavor", all)])), Ok(vec![flat("1")]));
}

#[test]
fn only_rules_in_force_count() {
    let rule = |cost: &str, start: Value, end: Value, deleted: Value| {
        let times =
            json!({ "value": "m1", "cost": cost, "start": start, "end": end, "deleted": deleted });
        times
    };
    let all = vec![
        rule("1", json!("2026-01-01T00:00:00"), json!("2026-02-01T00:00:00"), Value::Null),
        rule("2", json!("2027-01-01T00:00:00"), Value::Null, Value::Null),
        rule("3", json!("2026-02-01T00:00:00"), Value::Null, json!("2026-03-01T00:00:00")),
    ];
    let none = groups_of(&rules(vec![("flavor", all.clone())]));
    assert_eq!(none.unwrap_err(), "no rule of the site is for it");
    let mut all = all;
    all.push(rule("4", json!("2026-02-01T00:00:00"), Value::Null, Value::Null));
    assert_eq!(groups_of(&rules(vec![("flavor", all)])), Ok(vec![flat("4")]));
    let odd = rules(vec![("flavor", vec![rule("1", json!("soon"), Value::Null, Value::Null)])]);
    assert!(groups_of(&odd).unwrap_err().contains("a time that is none: soon"));
}

#[test]
fn what_is_not_certain_is_left_out() {
    let good = || ("flavor", vec![json!({ "value": "m1" })]);
    let more = rules(vec![good(), ("image_id", vec![json!({ "value": "windows" })])]);
    assert!(groups_of(&more).unwrap_err().contains("depends on `image_id`"));
    // A field without a rule in force changes nothing.
    let ended = json!({ "value": "x", "end": "2020-01-01T00:00:00" });
    assert!(groups_of(&rules(vec![good(), ("image_id", vec![ended])])).is_ok());
    let by_amount = Rules { thresholds: 1, ..rules(vec![good()]) };
    assert!(groups_of(&by_amount).unwrap_err().contains("thresholds"));
    let factor = json!({ "value": "m1", "type": "rate" });
    assert!(groups_of(&rules(vec![("flavor", vec![factor])])).is_err());
    let kind = json!({ "value": "m1", "type": "cubic" });
    assert!(groups_of(&rules(vec![("flavor", vec![kind])])).unwrap_err().contains("cubic"));
    let cost = json!({ "value": "m1", "cost": null });
    assert!(groups_of(&rules(vec![("flavor", vec![cost])])).unwrap_err().contains("no number"));
}
