//! The metrics that are derived from the [`Board`] at each scrape: nothing is counted twice and
//! nothing can go stale, since a space or machinetype that is not on the board has no metric.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::metrics_spending;
use crate::model::{Board, MachinetypeRow, PhaseCounts, SpaceName, SpaceSnapshot, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Space {
    space: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Machinetype {
    space: String,
    machinetype: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachinetypePhase {
    space: String,
    machinetype: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachinetypeReason {
    space: String,
    machinetype: String,
    reason: String,
}

type Float = Gauge<f64, AtomicU64>;

/// One gauge a line: what is true now.
#[derive(Default)]
struct Derived {
    machines: Family<MachinetypePhase, Gauge>,
    processors: Family<Machinetype, Gauge>,
    target: Family<Machinetype, Float>,
    share: Family<Machinetype, Float>,
    reason: Family<MachinetypeReason, Gauge>,
    last_abort: Family<Machinetype, Gauge>,
    space_processors: Family<Space, Gauge>,
    space_limit: Family<Space, Gauge>,
    foreign_machines: Family<Space, Gauge>,
    foreign_processors: Family<Space, Gauge>,
    credential_expires: Family<Space, Gauge>,
    side_resources: Family<Space, Gauge>,
    alarms: Family<Space, Gauge>,
    cycle_age: Family<Space, Float>,
    delete_age: Family<Space, Float>,
    generation: Family<Space, Gauge>,
    owned: Family<Space, Gauge>,
    abandoned: Family<Space, Gauge>,
    config_refused: Gauge,
    config_loaded: Gauge,
    store_problem: Gauge,
    started: Gauge,
}

/// A registry filled from the board.
pub(super) fn registry(board: &Board, now: Timestamp) -> Registry {
    let Board {
        manager,
        version,
        started,
        config,
        store_problem,
        spaces,
        idle_spaces,
        idle_since: _,
        abandoned,
        spending,
    } = board;
    let derived = Derived::default();
    derived.started.set(started.as_secs());
    derived.config_loaded.set(config.loaded.as_secs());
    derived.config_refused.set(i64::from(config.refused.is_some()));
    derived.store_problem.set(i64::from(store_problem.is_some()));
    for name in idle_spaces.keys() {
        derived.owned.get_or_create(&labels_of(name)).set(0);
    }
    for (name, machines) in abandoned {
        derived.abandoned.get_or_create(&labels_of(name)).set(i64::from(*machines));
    }
    for snapshot in spaces.values() {
        derived.add_space(snapshot, now);
    }
    let build = Info::new(vec![
        ("version".to_owned(), version.clone()),
        ("manager".to_owned(), manager.to_string()),
        ("config".to_owned(), config.digest.clone()),
    ]);
    let mut registry = derived.into_registry(build);
    if let Some(spending) = spending {
        metrics_spending::register(&mut registry, spending);
    }
    registry
}

fn labels_of(space: &SpaceName) -> Space {
    Space { space: space.to_string() }
}

impl Derived {
    fn add_space(&self, snapshot: &SpaceSnapshot, now: Timestamp) {
        let labels = labels_of(&snapshot.space);
        let set = |family: &Family<Space, Gauge>, value: i64| {
            family.get_or_create(&labels).set(value);
        };
        set(&self.owned, 1);
        set(&self.space_processors, i64::from(snapshot.processors.0));
        if let Some(limit) = snapshot.processors_limit {
            set(&self.space_limit, i64::from(limit.0));
        }
        set(&self.foreign_machines, i64::from(snapshot.foreign_machines));
        set(&self.foreign_processors, i64::from(snapshot.foreign_processors.0));
        if let Some(expires) = snapshot.credential_expires {
            set(&self.credential_expires, expires.as_secs());
        }
        set(&self.side_resources, i64::from(snapshot.side_resources_left));
        set(&self.alarms, i64::try_from(snapshot.alarms.len()).unwrap_or(i64::MAX));
        set(&self.generation, i64::try_from(snapshot.generation.0).unwrap_or(i64::MAX));
        self.cycle_age.get_or_create(&labels).set(now.since(snapshot.at).as_secs_f64());
        let oldest_delete = snapshot
            .machines
            .iter()
            .filter(|row| row.phase == "deleting")
            .map(|row| now.since(row.since).as_secs_f64())
            .fold(0.0, f64::max);
        self.delete_age.get_or_create(&labels).set(oldest_delete);
        for row in &snapshot.machinetypes {
            self.add_machinetype(&snapshot.space, row);
        }
    }

    fn add_machinetype(&self, space: &SpaceName, row: &MachinetypeRow) {
        let labels = Machinetype { space: space.to_string(), machinetype: row.name.to_string() };
        let PhaseCounts { intended, starting, running, ended, deleting } = row.phases;
        for (phase, machines) in [
            ("intended", intended),
            ("starting", starting),
            ("running", running),
            ("ended", ended),
            ("deleting", deleting),
        ] {
            let labels = MachinetypePhase {
                space: labels.space.clone(),
                machinetype: labels.machinetype.clone(),
                phase,
            };
            self.machines.get_or_create(&labels).set(i64::from(machines));
        }
        self.processors.get_or_create(&labels).set(i64::from(row.processors.0));
        self.target.get_or_create(&labels).set(row.target);
        self.share.get_or_create(&labels).set(row.share);
        if let Some(at) = row.last_abort {
            self.last_abort.get_or_create(&labels).set(at.as_secs());
        }
        let Machinetype { space, machinetype } = labels;
        let reason = MachinetypeReason { space, machinetype, reason: row.reason.clone() };
        self.reason.get_or_create(&reason).set(1);
    }

    fn into_registry(self, build: Info<Vec<(String, String)>>) -> Registry {
        let mut registry = Registry::default();
        let r = &mut registry;
        r.register("vcycle_build", "This manager and the configuration in use", build);
        self.register_machinetypes(r);
        self.register_spaces(r);
        r.register(
            "vcycle_config_refused",
            "1 while newer configuration files are refused and the last good ones are in use",
            self.config_refused,
        );
        r.register(
            "vcycle_config_loaded_seconds",
            "Unix time at which the configuration in use was loaded",
            self.config_loaded,
        );
        r.register(
            "vcycle_store_problem",
            "1 while the state directory cannot be used",
            self.store_problem,
        );
        r.register(
            "vcycle_start_time_seconds",
            "Unix time at which this manager started",
            self.started,
        );
        registry
    }

    fn register_machinetypes(&self, r: &mut Registry) {
        r.register(
            "vcycle_machines",
            "Machines of a machinetype in each phase",
            self.machines.clone(),
        );
        r.register(
            "vcycle_machinetype_processors",
            "Processors of a machinetype that hold a place",
            self.processors.clone(),
        );
        r.register(
            "vcycle_machinetype_target",
            "Target share as a fraction of all targets, 0 to 1",
            self.target.clone(),
        );
        r.register(
            "vcycle_machinetype_share",
            "Share of the weight of all machines, 0 to 1",
            self.share.clone(),
        );
        r.register(
            "vcycle_machinetype_reason",
            "1 for the one reason of the last cycle: what was done, or what bound",
            self.reason.clone(),
        );
        r.register(
            "vcycle_machinetype_last_abort_seconds",
            "Unix time of the last abort that is remembered",
            self.last_abort.clone(),
        );
    }

    fn register_spaces(&self, r: &mut Registry) {
        r.register(
            "vcycle_space_owned",
            "1 if this manager works on the space now, 0 if it does not",
            self.owned.clone(),
        );
        r.register(
            "vcycle_space_abandoned_machines",
            "Machines that may exist in a space that no configuration names any more",
            self.abandoned.clone(),
        );
        r.register(
            "vcycle_space_generation",
            "Generation of the ownership of the space",
            self.generation.clone(),
        );
        r.register(
            "vcycle_space_processors",
            "Processors of ours that hold a place",
            self.space_processors.clone(),
        );
        r.register(
            "vcycle_space_processors_limit",
            "The limit on processors that binds",
            self.space_limit.clone(),
        );
        r.register(
            "vcycle_space_foreign_machines",
            "Machines of others in the tenancy",
            self.foreign_machines.clone(),
        );
        r.register(
            "vcycle_space_foreign_processors",
            "Processors of others in the tenancy",
            self.foreign_processors.clone(),
        );
        r.register(
            "vcycle_credential_expires_timestamp_seconds",
            "Unix time until which the credentials of the cloud are good, if it tells",
            self.credential_expires.clone(),
        );
        r.register(
            "vcycle_space_side_resources_left",
            "Volumes and ports of ours that nothing uses any more",
            self.side_resources.clone(),
        );
        r.register("vcycle_space_alarms", "Things that need a human", self.alarms.clone());
        r.register(
            "vcycle_space_cycle_age_seconds",
            "Time since the last cycle, and so its listing, began",
            self.cycle_age.clone(),
        );
        r.register(
            "vcycle_space_delete_pending_seconds",
            "Age of the oldest delete that is not proven yet; 0: none",
            self.delete_age.clone(),
        );
    }
}
