//! Instructions for spaces on doubles, read from real files. Their provider tables name the simulated cloud: the
//! tests put the real providers in its place, on the test's own clock.

use std::fmt::Write as _;
use std::sync::Arc;

use vcycle::library::{Setup, load_setup};
use vcycle::model::SpaceName;

/// A space: its name, its limit, and the image of its machines.
#[derive(Debug, Clone, Copy)]
pub struct SpaceOf {
    pub name: &'static str,
    pub limit: u32,
    pub image: &'static str,
}

/// What all spaces have in common.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub cycle: &'static str,
    pub ttl: &'static str,
    pub max_wallclock: &'static str,
}

const ENTRY: &str = r#"
name = "plain"
version = "1.0"
description = "for tests"
contact = "nobody@example.org"

[defaults]
backoff = "5m"
fizzle = "5m"
start_timeout = "15m"
max_wallclock = "3h"
heartbeat_file = ""
"#;

const USER_DATA: &str = "#!/bin/sh\necho ##user_data_space## ##user_data_machine_name##\n";

pub fn name(text: &str) -> SpaceName {
    SpaceName::parse(text).unwrap()
}

/// The instructions.
pub fn setup(spaces: &[SpaceOf], pace: Pace) -> Arc<Setup> {
    let folder = tempfile::tempdir().unwrap();
    let Pace { cycle, ttl, max_wallclock } = pace;
    let mut text = format!(
        "[site]\nname = \"TEST\"\nstate_dir = \"state\"\nmanager = \"one\"\ncycle = \"{cycle}\"\n\
         ownership_ttl = \"{ttl}\"\n[library]\npaths = [\"library\"]\n[server]\nhttps_host = \"localhost\"\n",
    );
    for SpaceOf { name, limit, image } in spaces {
        write!(
            text,
            "[space.\"{name}\"]\nprocessors_limit = {limit}\ncreations_per_cycle = 8\n\
             delete_pause = \"1m\"\nmarkets = [\"preemptible\", \"on-demand\"]\n\
             [space.\"{name}\".sim]\nprocessors = 1000000\n\
             [space.\"{name}\".machinetype.batch]\nentry = \"plain\"\ntarget_share = 1\n\
             root_image = \"{image}\"\nmin_processors = 2\nmax_processors = 2\n\
             max_wallclock = \"{max_wallclock}\"\n"
        )
        .unwrap();
    }
    std::fs::write(folder.path().join("vcycle.toml"), text).unwrap();
    let entry = folder.path().join("library/plain");
    std::fs::create_dir_all(&entry).unwrap();
    std::fs::write(entry.join("entry.toml"), ENTRY).unwrap();
    std::fs::write(entry.join("user_data"), USER_DATA).unwrap();
    match load_setup(&folder.path().join("vcycle.toml")) {
        Ok(setup) => Arc::new(setup),
        Err(problems) => panic!("the site of the test is wrong: {problems:?}"),
    }
}
