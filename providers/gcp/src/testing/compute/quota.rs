//! Quotas of the region, and what is used of them.

use vcycle_api::Market;

use super::wanted::Wanted;
use super::{Compute, Machine};
use crate::testing::site::{Site, SiteQuota};
use crate::testing::world::World;

/// The quota of a machine type's family: `N2_CPUS` of `n2-standard-4`.
fn family(machine_type: &str) -> String {
    let family = machine_type.split('-').next().unwrap_or_default();
    format!("{}_CPUS", family.to_uppercase())
}

fn has_preemptible(site: &Site) -> bool {
    let quota = site.quotas.iter().find(|quota| quota.metric == "PREEMPTIBLE_CPUS");
    quota.is_some_and(|quota| quota.limit > 0.0)
}

/// Processors of this market count against this metric. Without a quota of their own, those of spot machines
/// count as all others do (cloud.google.com/compute/docs/instances/create-use-preemptible).
fn processors(site: &Site, metric: &str, machine_type: &str, market: Market) -> bool {
    if market == Market::Preemptible && has_preemptible(site) {
        return metric == "PREEMPTIBLE_CPUS";
    }
    // A family with a quota of its own does not count in the common one (cloud.google.com/compute/resource-usage).
    let family = family(machine_type);
    match site.quotas.iter().any(|quota| quota.metric == family) {
        true => metric == family,
        false => metric == "CPUS",
    }
}

fn of_machine(site: &Site, metric: &str, machine: &Machine) -> f64 {
    match metric {
        "INSTANCES" => 1.0,
        "IN_USE_ADDRESSES" => f64::from(u8::from(machine.external.is_some())),
        _ if !machine.has_power() => 0.0,
        _ if processors(site, metric, &machine.machine_type, machine.market) => {
            f64::from(machine.cpus)
        }
        _ => 0.0,
    }
}

/// What is used of a metric.
pub(crate) fn used(site: &Site, compute: &Compute, metric: &str) -> f64 {
    if metric == "DISKS_TOTAL_GB" {
        return compute.disks.values().map(|disk| f64::from(disk.gb)).sum();
    }
    compute.machines.values().map(|machine| of_machine(site, metric, machine)).sum()
}

/// The first quota that this machine would pass.
pub(crate) fn passed(world: &World, wanted: &Wanted) -> Option<SiteQuota> {
    let site = &world.site;
    let more = |metric: &str| match metric {
        "INSTANCES" => 1.0,
        "IN_USE_ADDRESSES" => f64::from(u8::from(wanted.wants_external)),
        "DISKS_TOTAL_GB" => wanted.disks.iter().map(|disk| f64::from(disk.gb)).sum(),
        _ if processors(site, metric, &wanted.machine_type.name, wanted.market) => {
            f64::from(wanted.machine_type.cpus)
        }
        _ => 0.0,
    };
    let over = |quota: &&SiteQuota| {
        let more = more(&quota.metric);
        more > 0.0 && used(site, &world.compute, &quota.metric) + more > quota.limit
    };
    site.quotas.iter().find(over).cloned()
}
