//! Limits of the account: enforced at a launch, and told by Service Quotas.

use serde_json::{Value, json};

use super::ask::Ask;
use super::machine::State;
use super::reply::{Answer, Refusal, Said};
use super::wanted::Wanted;
use super::world::World;

/// Processors of machines that count: those that are not `terminated` and have power, or are about to.
fn used(world: &World, spot: bool) -> u32 {
    let counts = |state: State| {
        matches!(state, State::Pending | State::Running | State::ShuttingDown | State::Stopping)
    };
    let own = world.machines.values().filter(|machine| machine.made.spot.is_some() == spot);
    own.filter(|machine| counts(machine.state())).map(|machine| machine.made.vcpus).sum()
}

/// How many of these machines the limits leave room for, and what is said to more.
pub(crate) fn room(world: &World, wanted: &Wanted) -> (u32, Refusal) {
    let limits = &world.site.limits;
    let (limit, refusal) = match wanted.spot {
        true => (limits.spot, Refusal::spot_limit()),
        false => (limits.on_demand, Refusal::vcpu_limit(limits.on_demand)),
    };
    let left = limit.saturating_sub(used(world, wanted.spot));
    (left / wanted.kind.vcpus.max(1), refusal)
}

/// What is used now: on demand, and spot.
pub(crate) fn in_use(world: &World) -> (u32, u32) {
    (used(world, false), used(world, true))
}

/// Code and name of the quotas that are here (Service Quotas, `ec2`).
const ON_DEMAND: (&str, &str) =
    ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances");
const SPOT: (&str, &str) =
    ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests");

fn quota(world: &World, (code, name): (&str, &str), value: u32) -> Value {
    let (region, account) = (&world.site.region, &world.site.account);
    json!({
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": format!("arn:aws:servicequotas:{region}:{account}:ec2/{code}"),
        "QuotaCode": code,
        "QuotaName": name,
        "Value": f64::from(value),
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
    })
}

/// Answers a call of Service Quotas.
pub(crate) fn answer(world: &World, ask: &Ask) -> Answer {
    let limits = &world.site.limits;
    let all = [quota(world, ON_DEMAND, limits.on_demand), quota(world, SPOT, limits.spot)];
    let none = || {
        let message = "The request failed because the specified resource does not exist.";
        Refusal::new(400, "NoSuchResourceException", message)
    };
    match ask.action.as_str() {
        _ if ask.json["ServiceCode"] != "ec2" => Err(none()),
        "GetServiceQuota" | "GetAWSDefaultServiceQuota" => {
            let wanted = &ask.json["QuotaCode"];
            let found = all.into_iter().find(|quota| quota["QuotaCode"] == *wanted);
            found.map(|quota| Said::Json(json!({ "Quota": quota }))).ok_or_else(none)
        }
        "ListServiceQuotas" => Ok(Said::Json(json!({ "Quotas": all }))),
        other => {
            let message = format!("Unknown operation {other}");
            Err(Refusal::new(400, "UnknownOperationException", message))
        }
    }
}
