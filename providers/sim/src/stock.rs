//! What a simulated cloud has to give: quota, stock, and what is used of both.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::{ErrorKind, Instance, Offering, OfferingId, Processors, Quota};

use crate::{Settings, SimOffering};

/// Quota and stock.
#[derive(Debug)]
pub(crate) struct Stock {
    offerings: BTreeMap<OfferingId, SimOffering>,
    sold_out: BTreeSet<OfferingId>,
    withdrawn: BTreeSet<OfferingId>,
    sold: BTreeMap<OfferingId, u32>,
    limits: Quota,
    used: Quota,
    full: Full,
}

/// Whether a test has shrunk the quotas to what is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    No,
    Yes,
}

impl Stock {
    pub(crate) fn new(settings: &Settings) -> Self {
        let offerings = &settings.offerings;
        Self {
            offerings: offerings.iter().map(|o| (o.offering.id.clone(), o.clone())).collect(),
            sold_out: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            sold: BTreeMap::new(),
            limits: Quota {
                machines: settings.machines,
                processors: settings.processors,
                memory: settings.memory,
                ..Quota::default()
            },
            used: Quota {
                machines_used: Some(0),
                processors_used: Some(Processors(0)),
                memory_used: Some(vcycle_api::Megabytes(0)),
                ..Quota::default()
            },
            full: Full::No,
        }
    }

    pub(crate) fn offerings(&self) -> Vec<Offering> {
        let listed =
            self.offerings.values().filter(|sold| !self.withdrawn.contains(&sold.offering.id));
        listed.map(|sold| sold.offering.clone()).collect()
    }

    /// The offering as the cloud has it: its price counts, not the one in a request.
    pub(crate) fn find(&self, id: &OfferingId) -> Option<&Offering> {
        self.offerings.get(id).map(|sold| &sold.offering)
    }

    pub(crate) fn quota(&self) -> Quota {
        let used = self.used;
        match self.full {
            Full::No => Quota {
                machines: self.limits.machines,
                processors: self.limits.processors,
                memory: self.limits.memory,
                ..used
            },
            Full::Yes => Quota {
                machines: used.machines_used,
                processors: used.processors_used,
                memory: used.memory_used,
                ..used
            },
        }
    }

    pub(crate) fn set_full(&mut self, full: Full) {
        self.full = full;
    }

    pub(crate) fn set_sold_out(&mut self, id: OfferingId) {
        self.sold_out.insert(id);
    }

    pub(crate) fn withdraw(&mut self, id: OfferingId) {
        self.sold_out.insert(id.clone());
        self.withdrawn.insert(id);
    }

    pub(crate) fn restock(&mut self, id: &OfferingId) {
        self.sold_out.remove(id);
    }

    /// Whether one more can be made of this.
    pub(crate) fn admit(&self, wanted: &Offering) -> Result<(), (ErrorKind, String)> {
        let quota = self.quota();
        let over =
            |limit: Option<u64>, used: u64, more: u64| limit.is_some_and(|l| used + more > l);
        let used = |count: Option<u32>| u64::from(count.unwrap_or(0));
        let (cpus, cpus_used) = (quota.processors, quota.processors_used);
        let (memory, memory_used) = (quota.memory, quota.memory_used);
        let refused = over(quota.machines.map(u64::from), used(quota.machines_used), 1)
            || over(
                cpus.map(|p| u64::from(p.0)),
                used(cpus_used.map(|p| p.0)),
                u64::from(wanted.processors.0),
            )
            || over(memory.map(|m| m.0), memory_used.map_or(0, |m| m.0), wanted.memory.0);
        if refused {
            return Err((ErrorKind::QuotaExceeded, "the quota would be passed".to_owned()));
        }
        let id = &wanted.id;
        let sold = self.sold.get(id).copied().unwrap_or(0);
        let stock = self.offerings.get(id).and_then(|offered| offered.stock);
        if self.sold_out.contains(id) || stock.is_some_and(|stock| sold >= stock) {
            return Err(Self::out_of_stock(id));
        }
        Ok(())
    }

    pub(crate) fn out_of_stock(id: &OfferingId) -> (ErrorKind, String) {
        let kind = ErrorKind::InsufficientCapacity { offering: id.clone() };
        (kind, format!("{id} is out of stock"))
    }

    /// A machine begins to hold quota and stock.
    pub(crate) fn take(&mut self, machine: &Instance) {
        let used = &mut self.used;
        used.machines_used = used.machines_used.map(|count| count + 1);
        used.processors_used = plus(used.processors_used, machine.processors, Processors::plus);
        used.memory_used = plus(used.memory_used, machine.memory, vcycle_api::Megabytes::plus);
        if let Some(offering) = &machine.offering {
            *self.sold.entry(offering.clone()).or_default() += 1;
        }
    }

    /// A machine holds quota and stock no longer.
    pub(crate) fn give_back(&mut self, machine: &Instance) {
        let used = &mut self.used;
        used.machines_used = used.machines_used.map(|count| count.saturating_sub(1));
        used.processors_used = plus(used.processors_used, machine.processors, Processors::minus);
        used.memory_used = plus(used.memory_used, machine.memory, vcycle_api::Megabytes::minus);
        if let Some(sold) = machine.offering.as_ref().and_then(|id| self.sold.get_mut(id)) {
            *sold = sold.saturating_sub(1);
        }
    }
}

fn plus<T: Copy>(used: Option<T>, size: Option<T>, sum: fn(T, T) -> T) -> Option<T> {
    match (used, size) {
        (Some(used), Some(size)) => Some(sum(used, size)),
        (used, None) | (used @ None, Some(_)) => used,
    }
}
