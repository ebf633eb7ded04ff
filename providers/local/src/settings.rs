//! What the provider is told, what the host has, and what is offered from it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statfs::{self, FsType};
use vcycle_api::{
    Attached, Availability, Market, Megabytes, Offering, OfferingId, Price, Processors, Quota,
};

use crate::supervisor::THIS_PROGRAM;

/// How the supervisor is started.
#[derive(Debug, Clone)]
pub struct SupervisorCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before the stage and the folder.
    pub arguments: Vec<OsString>,
}

impl SupervisorCommand {
    /// The program that runs now, with a hidden subcommand whose handler calls
    /// [`crate::supervisor::main`]. Also right when the program's file has been replaced by an upgrade.
    pub fn this_program(subcommand: &str) -> Self {
        Self { program: THIS_PROGRAM.into(), arguments: vec![subcommand.into()] }
    }
}

/// Settings of the provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the machines' folders are: on a local disk of this host, for our user alone.
    pub dir: PathBuf,
    /// Processors to give to machines; `None`: the host's. More than the host's is allowed: then
    /// machines share processors and are not bound to any.
    pub processors: Option<Processors>,
    /// Memory to give to machines; `None`: the host's.
    pub memory: Option<Megabytes>,
    /// How the supervisor is started.
    pub supervisor: SupervisorCommand,
    /// Time between asking a machine's processes to end and killing them.
    pub grace: Duration,
    /// Within this time of its creation a machine has a supervisor, or is a failed machine.
    pub start_window: Duration,
    /// How long after a machine's hard end, and its grace, a supervisor that hangs is given up: its
    /// guard then kills it and all that is left.
    pub patience: Duration,
    /// Most bytes of output that are kept of a machine; the newest are.
    pub console_bytes: u64,
}

impl Settings {
    /// The usual settings.
    pub fn new(dir: impl Into<PathBuf>, supervisor: SupervisorCommand) -> Self {
        Self {
            dir: dir.into(),
            processors: None,
            memory: None,
            supervisor,
            grace: Duration::from_secs(5),
            start_window: Duration::from_secs(20),
            patience: Duration::from_secs(30),
            console_bytes: 1 << 20,
        }
    }
}

/// What may be given to machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
    pub(crate) host_processors: Processors,
}

impl Capacity {
    /// As configured, or else what the host has.
    pub(crate) fn of(settings: &Settings) -> io::Result<Self> {
        let cpus = std::thread::available_parallelism()?.get();
        let host_processors = Processors(u32::try_from(cpus).unwrap_or(u32::MAX));
        let memory = settings.memory.map_or_else(host_memory, Ok)?;
        let processors = settings.processors.unwrap_or(host_processors);
        Ok(Self { processors, memory, host_processors })
    }

    /// Whether machines get processors of their own.
    pub(crate) fn is_overcommitted(self) -> bool {
        self.processors > self.host_processors
    }

    /// Machines of 1, 2, 4, ... processors, and of all of them, each with its part of the memory.
    pub(crate) fn offerings(self) -> Vec<Offering> {
        let Processors(all) = self.processors;
        let mut sizes: Vec<u32> = std::iter::successors(Some(1_u32), |n| n.checked_mul(2))
            .take_while(|n| *n < all)
            .collect();
        if all > 0 {
            sizes.push(all);
        }
        sizes.into_iter().map(|processors| self.offering(processors)).collect()
    }

    fn offering(self, processors: u32) -> Offering {
        let memory = self.memory.0.saturating_mul(u64::from(processors))
            / u64::from(self.processors.0.max(1));
        Offering {
            id: OfferingId {
                flavour: format!("local-{processors}"),
                zone: String::new(),
                market: Market::OnDemand,
            },
            processors: Processors(processors),
            memory: Megabytes(memory),
            attached: Attached::default(),
            price: Price::Unmetered,
            availability: Availability::Available,
        }
    }

    /// The limits, with what is in use.
    pub(crate) fn quota(self, machines: u32, processors: Processors, memory: Megabytes) -> Quota {
        Quota {
            machines: None,
            processors: Some(self.processors),
            memory: Some(self.memory),
            machines_used: Some(machines),
            processors_used: Some(processors),
            memory_used: Some(memory),
        }
    }
}

fn host_memory() -> io::Result<Megabytes> {
    // Not from /proc/meminfo, which a hardened unit may hide.
    Ok(Megabytes(nix::sys::sysinfo::sysinfo()?.ram_total() >> 20))
}

/// Which network file system a folder is on. Machines of this host must not be seen by another host,
/// which would find their supervisors dead.
pub(crate) fn network_file_system(dir: &Path) -> io::Result<Option<&'static str>> {
    const CEPH: FsType = FsType(0x00c3_6400);
    const CIFS: FsType = FsType(0xff53_4d42);
    const SMB2: FsType = FsType(0xfe53_4d42);
    let found = statfs::statfs(dir)?.filesystem_type();
    let known = [
        (statfs::NFS_SUPER_MAGIC, "NFS"),
        (statfs::AFS_SUPER_MAGIC, "AFS"),
        (statfs::SMB_SUPER_MAGIC, "SMB"),
        (CEPH, "CephFS"),
        (CIFS, "CIFS"),
        (SMB2, "SMB"),
        (statfs::FUSE_SUPER_MAGIC, "FUSE (as GlusterFS and many others are)"),
    ];
    Ok(known.into_iter().find(|(magic, _)| *magic == found).map(|(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(processors: u32, memory: u64) -> Vec<(u32, u64)> {
        let (processors, memory) = (Processors(processors), Megabytes(memory));
        let capacity = Capacity { processors, memory, host_processors: Processors(2) };
        capacity.offerings().iter().map(|o| (o.processors.0, o.memory.0)).collect()
    }

    #[test]
    fn flavours_are_powers_of_two_and_the_whole_with_memory_in_proportion() {
        assert_eq!(sizes(1, 1000), [(1, 1000)]);
        assert_eq!(sizes(4, 1000), [(1, 250), (2, 500), (4, 1000)]);
        assert_eq!(sizes(6, 6000), [(1, 1000), (2, 2000), (4, 4000), (6, 6000)]);
        assert_eq!(sizes(0, 1000), []);
    }

    #[test]
    fn the_memory_of_the_host_is_that_of_the_kernel_in_megabytes() {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = meminfo.lines().find(|line| line.starts_with("MemTotal:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(host_memory().unwrap(), Megabytes(kilobytes >> 10));
    }
}
