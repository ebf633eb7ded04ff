//! The provider of a space: the one sub-table that it has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::problem::{Problem, Wrong};
use super::reader::Reader;
use super::source::Placed;
use super::types::{LocalConfig, ProviderConfig, SimConfig};
use super::{aws, gcp, openstack};
use super::{defaults, values};
use crate::model::{Megabytes, Processors};

/// Folders of local providers that were seen, by path: two spaces may not share one.
pub(super) type LocalDirs = BTreeMap<PathBuf, Placed<PathBuf>>;

/// A provider's table, by name, and how it is read in this build (`None`: it is not in it).
type ProviderReader = fn(&Reader<'_>, &mut LocalDirs) -> Option<ProviderConfig>;

const PROVIDERS: [(&str, Option<ProviderReader>); 5] = [
    ("local", if cfg!(feature = "local") { Some(read_local) } else { None }),
    ("sim", if cfg!(feature = "sim") { Some(read_sim) } else { None }),
    ("openstack", if cfg!(feature = "openstack") { Some(read_openstack) } else { None }),
    ("aws", if cfg!(feature = "aws") { Some(read_aws) } else { None }),
    ("gcp", if cfg!(feature = "gcp") { Some(read_gcp) } else { None }),
];

/// Reads the provider of a space: exactly one, with its section.
pub(super) fn read_provider(
    space: &Reader<'_>,
    seen: &mut LocalDirs,
) -> Option<(ProviderConfig, Placed<()>)> {
    let present: Vec<_> = PROVIDERS
        .iter()
        .filter_map(|(name, read)| Some((*name, space.has(name)?, *read)))
        .collect();
    match present.as_slice() {
        [] => {
            let path = space.path();
            let tables: Vec<_> = usable().map(|name| format!("[{path}.{name}]")).collect();
            let right = format!("exactly one of {}", tables.join(", "));
            space.absence(Wrong::new("the provider's table is missing", right));
            None
        }
        [(name, place, read)] => {
            let Some(read) = read else {
                let built: Vec<_> = usable().collect();
                let wrong = Wrong::new(
                    format!("the provider `{name}` is not in this build"),
                    format!("one of: {}", built.join(", ")),
                );
                let key = super::tree::join(space.path(), name);
                space.problems().add(Problem::at_place(place, key, wrong));
                return None;
            };
            let section = space.table(name)?;
            let provider = read(&section, seen);
            let (place, key) = (section.place().clone(), section.path().to_owned());
            section.finish();
            Some((provider?, Placed { value: (), place, key }))
        }
        [(first, first_at, _), (second, second_at, _), ..] => {
            let wrong = Wrong::new(
                format!("two providers, `{first}` and `{second}`"),
                "exactly one: a space is one tenancy",
            );
            let problem = Problem::at_place(second_at, space.path(), wrong);
            space.problems().add(problem.and_at(first_at, "the other provider"));
            None
        }
    }
}

fn usable() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().filter(|(_, read)| read.is_some()).map(|(name, _)| *name)
}

fn read_local(local: &Reader<'_>, seen: &mut LocalDirs) -> Option<ProviderConfig> {
    let processors = local.get("processors", |v| values::positive(v).map(Processors));
    let memory = local.get("memory", |v| {
        let bytes = values::size(v)?;
        if bytes < 1 << 20 {
            return Err(Wrong::new("less than 1 MiB", "memory for machines, such as \"4GiB\""));
        }
        Ok(Megabytes(bytes >> 20))
    });
    let right = "a folder on a local disk for the machines";
    let written = local.required("dir", values::path, right)?;
    let dir = written.with(written.place.source.absolute(&written.value));
    if let Some(first) = seen.get(&dir.value) {
        let wrong = Wrong::new("the folder of another space", "a folder for this space alone");
        local
            .problems()
            .add(Problem::at_value(&dir, wrong).and_at(&first.place, "the other space"));
    }
    seen.insert(dir.value.clone(), dir.clone());
    Some(ProviderConfig::Local(LocalConfig {
        dir: dir.value,
        processors: processors.map(|p| p.value),
        memory: memory.map(|m| m.value),
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "one type for all providers")]
fn read_sim(sim: &Reader<'_>, _: &mut LocalDirs) -> Option<ProviderConfig> {
    let processors = |v: &_| values::positive(v).map(Processors);
    Some(ProviderConfig::Sim(SimConfig {
        seed: sim.get_or("seed", values::seed, defaults::SIM_SEED).value,
        processors: sim.get_or("processors", processors, defaults::SIM_PROCESSORS).value,
        boot: sim.get_or("boot", values::duration, defaults::SIM_BOOT).value,
        life: sim.get_or("life", values::duration_above_zero, defaults::SIM_LIFE).value,
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "one type for all providers")]
fn read_openstack(section: &Reader<'_>, _: &mut LocalDirs) -> Option<ProviderConfig> {
    Some(ProviderConfig::OpenStack(Box::new(openstack::read_openstack(section))))
}

fn read_aws(section: &Reader<'_>, _: &mut LocalDirs) -> Option<ProviderConfig> {
    aws::read_aws(section).map(|config| ProviderConfig::Aws(Box::new(config)))
}

fn read_gcp(section: &Reader<'_>, _: &mut LocalDirs) -> Option<ProviderConfig> {
    gcp::read_gcp(section).map(|config| ProviderConfig::Gcp(Box::new(config)))
}

/// Local machines live on a local disk: never in the shared directory, nor around it.
pub(super) fn refuse_shared_dirs(seen: &LocalDirs, state_dir: &std::path::Path, root: &Reader<'_>) {
    for dir in seen.values() {
        if dir.value.starts_with(state_dir) || state_dir.starts_with(&dir.value) {
            let wrong = Wrong::new(
                "inside the state directory, or around it",
                "a folder of its own on a local disk",
            );
            root.problems().add(Problem::at_value(dir, wrong));
        }
    }
}
