//! Limits that the kernel keeps: set on the supervisor itself, inherited by the script.
//!
//! Memory is limited twice: each process by the kernel (its private writable memory, so that one
//! that grows between two looks is stopped), and all together by the supervisor's watch. The address
//! space is not limited: runtimes of many languages reserve far more of it than they use.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::{Failure, system};
use crate::folder::{Folder, Life};
use crate::records::{Pinning, Spec};

/// Sets all limits; gives the processors that the script is bound to.
pub(super) fn apply(folder: &Folder, spec: &Spec) -> Result<Vec<usize>, Failure> {
    let bytes = spec.memory.0.saturating_mul(1 << 20);
    lower(Resource::RLIMIT_DATA, bytes)?;
    lower(Resource::RLIMIT_CORE, 0)?;
    match spec.pinning {
        Pinning::Free => Ok(Vec::new()),
        // A host that does not allow it (a hardened unit, a container) lets machines share.
        Pinning::Pinned => Ok(bind(folder, spec.processors.0 as usize).unwrap_or_else(|failure| {
            eprintln!("the script is not bound to processors: {failure}");
            Vec::new()
        })),
    }
}

/// Never raises: an administrator's lower limit stays.
fn lower(resource: Resource, to: u64) -> Result<(), Failure> {
    let (_, hard) = getrlimit(resource).map_err(system("reading a limit"))?;
    let limit = to.min(hard);
    setrlimit(resource, limit, limit).map_err(system("setting a limit"))
}

/// Binds to the processors that the fewest other machines are bound to. Two supervisors that start at
/// once may choose the same ones: this spreads load, it promises nothing.
fn bind(folder: &Folder, wanted: usize) -> Result<Vec<usize>, Failure> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).map_err(system("reading the processors"))?;
    let usable: Vec<usize> =
        (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    if wanted >= usable.len() {
        return Ok(Vec::new());
    }
    let taken = taken_by_others(folder);
    let mut ranked = usable;
    ranked.sort_by_key(|cpu| taken.iter().filter(|other| *other == cpu).count());
    ranked.truncate(wanted);
    ranked.sort_unstable();
    let mut set = CpuSet::new();
    for cpu in &ranked {
        set.set(*cpu).map_err(system("choosing processors"))?;
    }
    sched_setaffinity(this, &set).map_err(system("binding to processors"))?;
    Ok(ranked)
}

fn taken_by_others(folder: &Folder) -> Vec<usize> {
    let Some(Ok(entries)) = folder.path().parent().map(fs::read_dir) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(Folder::at(entry.ok()?.path())))
        .filter(|other| matches!(other.life(), Ok(Some(Life::Wanted | Life::Unwanted))))
        .filter(|other| matches!(other.ended(), Ok(None)))
        .filter_map(|other| other.started().ok()?)
        .flat_map(|started| started.bound_to)
        .collect()
}
