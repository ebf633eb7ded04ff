//! `[site]` and `[library]`.

use std::path::PathBuf;

use super::load::Host;
use super::problem::{Problem, Wrong};
use super::reader::Reader;
use super::source::Placed;
use super::types::{LibraryConfig, Site};
use super::{defaults, values};
use crate::model::ManagerName;

/// Reads `[site]`. `None` when something without a default is missing or wrong.
pub(super) fn read_site(root: &Reader<'_>, host: &Host) -> Option<Site> {
    let Some(site) = root.table("site") else {
        if root.has("site").is_none() {
            root.absence(Wrong::new("`[site]` is missing", "[site] with `name` and `state_dir`"));
        }
        return None;
    };
    let name = site.required("name", values::line, "the name of the site in the GOCDB");
    let state_dir = site.required(
        "state_dir",
        values::path,
        "the directory that all managers of this deployment share",
    );
    let manager = read_manager(&site, host);
    let cycle = site.get_or("cycle", values::duration, defaults::CYCLE);
    if !(defaults::CYCLE_MIN..=defaults::CYCLE_MAX).contains(&cycle.value) {
        let right = "from \"100ms\" to \"1h\"; usually \"60s\"";
        site.problems()
            .add(Problem::at_value(&cycle, Wrong::new("a cycle of impossible length", right)));
    }
    let ttl = site.get_or("ownership_ttl", values::duration, defaults::OWNERSHIP_TTL);
    if ttl.value < defaults::OWNERSHIP_TTL_MIN {
        let wrong = Wrong::new("too short to be renewed in time", "3s or longer; usually \"15s\"");
        site.problems().add(Problem::at_value(&ttl, wrong));
    } else if ttl.value > defaults::OWNERSHIP_TTL_MAX {
        let wrong = Wrong::new(
            "longer than other managers wait for a silent owner",
            "2m or shorter; usually \"15s\"",
        );
        site.problems().add(Problem::at_value(&ttl, wrong));
    } else if ttl.value > defaults::OWNERSHIP_TTL_LONG {
        let wrong = Wrong::new(
            "after a crash nobody manages a space for this long",
            "2m or shorter; usually \"15s\"",
        );
        site.problems().add(Problem::at_value(&ttl, wrong).as_warning());
    }
    site.finish();
    Some(Site {
        name: name?.value,
        state_dir: resolved(&state_dir?),
        manager: manager?,
        cycle: cycle.value,
        ownership_ttl: ttl.value,
    })
}

fn resolved(path: &Placed<PathBuf>) -> PathBuf {
    path.place.source.absolute(&path.value)
}

fn read_manager(site: &Reader<'_>, host: &Host) -> Option<ManagerName> {
    if site.has("manager").is_some() {
        return site.get("manager", values::name).map(|name| name.value);
    }
    let short = host.name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    match ManagerName::parse(&short) {
        Ok(name) => Some(name),
        Err(error) => {
            site.absence(Wrong::new(
                format!("`manager` is missing, and this host's name {short:?} cannot stand for it"),
                format!("`manager`: {}", error.rule),
            ));
            None
        }
    }
}

/// Reads `[library]`.
pub(super) fn read_library(root: &Reader<'_>) -> LibraryConfig {
    let standard = || defaults::LIBRARY_PATHS.iter().map(PathBuf::from).collect();
    let Some(library) = root.table("library") else { return LibraryConfig { paths: standard() } };
    let paths = library.get("paths", |v| values::list(v, values::path));
    library.finish();
    let Some(paths) = paths else { return LibraryConfig { paths: standard() } };
    if paths.value.is_empty() {
        let wrong = Wrong::new("empty, so there is no entry at all", "at least one folder");
        root.problems().add(Problem::at_value(&paths, wrong));
    }
    let source = &paths.place.source;
    LibraryConfig { paths: paths.value.iter().map(|path| source.absolute(path)).collect() }
}
