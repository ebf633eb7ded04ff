//! Instructions for tests, read from real files, so that they are as valid as in production.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use vcycle::library::{Setup, SpaceSetup, load_setup};
use vcycle::model::SpaceName;

/// The space of all tests.
pub fn space() -> SpaceName {
    SpaceName::parse("a.example").unwrap()
}

/// A site with one space.
#[derive(Debug, Clone)]
pub struct Site {
    /// `processors_limit`.
    pub limit: u32,
    /// More lines of the space.
    pub space: String,
    /// Machinetypes: name, target share, more lines.
    pub machinetypes: Vec<(&'static str, u32, String)>,
}

impl Site {
    /// One machinetype, `batch`, of one processor, that works for long.
    pub fn new(limit: u32) -> Self {
        Self { limit, space: String::new(), machinetypes: vec![("batch", 1, String::new())] }
    }

    /// With these machinetypes and their shares.
    #[must_use]
    pub fn machinetypes(mut self, shares: &[(&'static str, u32)]) -> Self {
        self.machinetypes =
            shares.iter().map(|(name, share)| (*name, *share, String::new())).collect();
        self
    }

    /// With this line in the space.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        writeln!(self.space, "{line}").unwrap();
        self
    }

    /// With this line in all machinetypes.
    #[must_use]
    pub fn each(mut self, line: &str) -> Self {
        for (_, _, lines) in &mut self.machinetypes {
            writeln!(lines, "{line}").unwrap();
        }
        self
    }

    /// The whole of it.
    pub fn setup(&self) -> Arc<Setup> {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        match load_setup(&folder.path().join("vcycle.toml")) {
            Ok(setup) => Arc::new(setup),
            Err(problems) => panic!("the site of the test is wrong: {problems:?}"),
        }
    }

    /// As files.
    pub fn write(&self, folder: &Path) {
        let mut text = String::from(
            "[site]\nname = \"TEST\"\nstate_dir = \"state\"\nmanager = \"one\"\n\
             [library]\npaths = [\"library\"]\n[server]\nhttps_host = \"localhost\"\n",
        );
        let Self { limit, space: lines, machinetypes } = self;
        let space = space();
        write!(text, "[space.\"{space}\"]\nprocessors_limit = {limit}\n{lines}").unwrap();
        write!(text, "[space.\"{space}\".sim]\nprocessors = 1000000\n").unwrap();
        for (name, share, lines) in machinetypes {
            write!(
                text,
                "[space.\"{space}\".machinetype.{name}]\nentry = \"plain\"\ntarget_share = {share}\n{lines}"
            )
            .unwrap();
        }
        std::fs::write(folder.join("vcycle.toml"), text).unwrap();
        let entry = folder.join("library/plain");
        std::fs::create_dir_all(&entry).unwrap();
        std::fs::write(entry.join("entry.toml"), ENTRY).unwrap();
        std::fs::write(entry.join("user_data"), USER_DATA).unwrap();
    }
}

/// The same instructions, with another space that is like the first in everything but its name.
pub fn with_twin(setup: &Setup, name: &SpaceName) -> Setup {
    let mut setup = setup.clone();
    let mut config = (*setup.config).clone();
    let mut twin = (*setup.spaces[&space()]).clone();
    twin.policy.space = name.clone();
    setup.spaces.insert(name.clone(), Arc::new(twin));
    let mut twin = config.spaces[&space()].clone();
    twin.name = name.clone();
    config.spaces.insert(name.clone(), twin);
    setup.config = Arc::new(config);
    setup
}

/// The rules of the test's space.
pub fn space_of(setup: &Setup) -> Arc<SpaceSetup> {
    Arc::clone(&setup.spaces[&space()])
}

const ENTRY: &str = r#"
name = "plain"
version = "1.0"
description = "for tests"
contact = "nobody@example.org"

[defaults]
backoff = "10m"
fizzle = "5m"
start_timeout = "10m"
max_wallclock = "300h"
heartbeat_file = "heartbeat"
heartbeat = "10m"
"#;

const USER_DATA: &str = "#!/bin/sh\necho ##user_data_space## ##user_data_machine_name##\n";
