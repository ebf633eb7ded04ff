//! Machine/Job Features (HSF-TN-2016-02; FIELD.md 1.2, 1.3): what a VM is told about itself. Pure.
//!
//! "Job" is the VM and "machine" a hypervisor that holds just this VM. All keys are complete before
//! the create call is made, so that a VM that boots at once finds them.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::UserData;

use crate::model::{Hs06, MachineRecord, MachinetypePolicy, SpacePolicy, Timestamp};

/// A megabyte of [`crate::model::Megabytes`].
const MEGABYTE: u64 = 1024 * 1024;

/// The files that a machine is given before it is created.
#[derive(Debug, Clone)]
pub struct MachineFiles {
    /// Keys of `$MACHINEFEATURES`.
    pub machinefeatures: BTreeMap<String, String>,
    /// Keys of `$JOBFEATURES`.
    pub jobfeatures: BTreeMap<String, String>,
    /// The rendered contextualisation, kept 0600.
    pub user_data: UserData,
}

/// The parts of the policies that a machine is told.
#[derive(Debug, Clone, PartialEq)]
pub struct FeaturePolicy {
    /// Power of a processor, if known.
    pub hs06_per_processor: Option<Hs06>,
    /// How long it may run.
    pub max_wallclock: Duration,
    /// A shutdown time that is set later is never nearer than this when it is set.
    pub grace: Duration,
    /// The end of the space, if it is set.
    pub shutdown_time: Option<Timestamp>,
    /// Scratch disk in bytes, if known.
    pub scratch_bytes: Option<u64>,
    /// Swap in bytes, if known.
    pub swap_bytes: Option<u64>,
}

impl FeaturePolicy {
    /// From the rules of the space and the machinetype.
    pub fn of(space: &SpacePolicy, machinetype: &MachinetypePolicy) -> Self {
        Self {
            hs06_per_processor: machinetype.hs06_per_processor,
            max_wallclock: machinetype.max_wallclock,
            grace: machinetype.grace,
            shutdown_time: space.shutdown_time,
            scratch_bytes: None,
            swap_bytes: None,
        }
    }
}

/// All keys of both directories: `(machinefeatures, jobfeatures)`.
///
/// `job_id` is the machine's name: unique within the site, without blanks, known before the create
/// call, and the same for ever, as the note wants a static key to be (the cloud's id is not).
pub fn features(
    record: &MachineRecord,
    policy: &FeaturePolicy,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    (machine_features(record, policy), job_features(record, policy))
}

fn machine_features(record: &MachineRecord, policy: &FeaturePolicy) -> BTreeMap<String, String> {
    let mut keys = Keys::default();
    let processors = record.processors;
    keys.set("total_cpu", &processors);
    keys.set("grace_secs", &policy.grace.as_secs());
    keys.set_if("hs06", policy.hs06_per_processor.map(|each| decimal(each, processors.0)));
    keys.set_if("shutdowntime", policy.shutdown_time.map(Timestamp::as_secs));
    // Deprecated, and still read by something.
    keys.set("jobslots", &1);
    keys.set("phys_cores", &processors);
    keys.set("log_cores", &processors);
    keys.0
}

fn job_features(record: &MachineRecord, policy: &FeaturePolicy) -> BTreeMap<String, String> {
    let mut keys = Keys::default();
    let processors = record.processors;
    let wall = policy.max_wallclock.as_secs();
    // The limit is on the wall clock alone, so all processors may use all of it (trap 7.2).
    let cpu = wall.saturating_mul(u64::from(processors.0));
    let memory = record.memory.0.saturating_mul(MEGABYTE);
    keys.set("allocated_cpu", &processors);
    keys.set_if("hs06_job", policy.hs06_per_processor.map(|each| decimal(each, processors.0)));
    keys.set("grace_secs_job", &policy.grace.as_secs());
    keys.set("jobstart_secs", &record.intended.as_secs());
    keys.set("job_id", record.machine());
    keys.set("wall_limit_secs", &wall);
    keys.set("cpu_limit_secs", &cpu);
    // Zero: the cloud did not tell, which is not a limit of zero.
    keys.set_if("max_rss_bytes", (memory > 0).then_some(memory));
    keys.set_if("max_swap_bytes", policy.swap_bytes);
    keys.set_if("scratch_limit_bytes", policy.scratch_bytes);
    // Deprecated, and still read by something. The megabyte of the old note has 1000 * 1000 bytes.
    keys.set("allocated_CPU", &processors);
    keys.set("cpufactor_lrms", &"1.0");
    keys.set("wall_limit_secs_lrms", &wall);
    keys.set("cpu_limit_secs_lrms", &cpu);
    keys.set_if("mem_limit_MB", (memory > 0).then_some(memory / 1_000_000));
    keys.0
}

#[derive(Default)]
struct Keys(BTreeMap<String, String>);

impl Keys {
    fn set(&mut self, key: &str, value: &dyn ToString) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    /// A missing key says "not known" or "no limit".
    fn set_if(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(key, &value);
        }
    }
}

/// The power of all processors, at most three decimals, always with a point: `80.0`.
fn decimal(each: Hs06, processors: u32) -> String {
    let whole = (each.0 * f64::from(processors) * 1000.0).round() / 1000.0;
    format!("{whole:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::example_record;

    fn policy() -> FeaturePolicy {
        FeaturePolicy {
            hs06_per_processor: Some(Hs06(10.0)),
            max_wallclock: Duration::from_secs(100_000),
            grace: Duration::from_secs(3600),
            shutdown_time: Some(Timestamp::from_secs(1_767_300_000)),
            scratch_bytes: None,
            swap_bytes: None,
        }
    }

    fn example() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        features(&example_record(1), &policy())
    }

    #[test]
    fn the_example_of_the_technical_note_has_all_its_keys() {
        let (machine, job) = example();
        let text = |keys: &BTreeMap<String, String>| {
            keys.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            text(&machine),
            [
                "grace_secs=3600",
                "hs06=80.0",
                "jobslots=1",
                "log_cores=8",
                "phys_cores=8",
                "shutdowntime=1767300000",
                "total_cpu=8",
            ]
        );
        assert_eq!(
            text(&job),
            [
                "allocated_CPU=8",
                "allocated_cpu=8",
                "cpu_limit_secs=800000",
                "cpu_limit_secs_lrms=800000",
                "cpufactor_lrms=1.0",
                "grace_secs_job=3600",
                "hs06_job=80.0",
                &format!("job_id={}", example_record(1).machine()),
                "jobstart_secs=1767200000",
                "max_rss_bytes=17179869184",
                "mem_limit_MB=17179",
                "wall_limit_secs=100000",
                "wall_limit_secs_lrms=100000",
            ]
        );
    }

    #[test]
    fn trap_7_1_job_id_is_written_and_jobstart_is_a_time() {
        let (_, job) = example();
        assert!(job["jobstart_secs"].parse::<i64>().is_ok());
        assert!(!job["job_id"].is_empty() && !job["job_id"].contains(char::is_whitespace));
        let (_, other) = features(&example_record(2), &policy());
        assert_ne!(job["job_id"], other["job_id"]);
    }

    #[test]
    fn trap_7_2_cpu_limit_is_wall_times_processors() {
        let (_, job) = example();
        let number = |key: &str| job[key].parse::<u64>().unwrap();
        assert_eq!(number("cpu_limit_secs"), number("wall_limit_secs") * number("allocated_cpu"));
    }

    #[test]
    fn what_is_not_known_has_no_key() {
        let mut record = example_record(1);
        record.memory.0 = 0;
        let policy = FeaturePolicy { hs06_per_processor: None, shutdown_time: None, ..policy() };
        let (machine, job) = features(&record, &policy);
        for key in ["hs06", "shutdowntime"] {
            assert!(!machine.contains_key(key), "{key}");
        }
        for key in
            ["hs06_job", "max_rss_bytes", "mem_limit_MB", "max_swap_bytes", "scratch_limit_bytes"]
        {
            assert!(!job.contains_key(key), "{key}");
        }
    }

    #[test]
    fn power_has_a_point_and_no_noise() {
        assert_eq!(decimal(Hs06(0.1), 3), "0.3");
        assert_eq!(decimal(Hs06(10.4567), 1), "10.457");
        assert_eq!(decimal(Hs06(12.0), 1), "12.0");
    }
}
