//! The demo's temporary site: a folder with library, spool, state directory and configuration. The
//! library is the shipped one, built into the program, so that the demo works wherever it is.

use std::io;
use std::path::{Path, PathBuf};

use super::spool::Spool;

/// The shipped entries that the demo uses: folder, file, content.
const LIBRARY: [(&str, &str, &str); 6] = [
    ("batch", "entry.toml", include_str!("../../../vm-library/batch/entry.toml")),
    ("batch", "user_data", include_str!("../../../vm-library/batch/user_data")),
    ("batch", "README.md", include_str!("../../../vm-library/batch/README.md")),
    ("example", "entry.toml", include_str!("../../../vm-library/example/entry.toml")),
    ("example", "user_data", include_str!("../../../vm-library/example/user_data")),
    ("example", "README.md", include_str!("../../../vm-library/example/README.md")),
];

/// The space of the demo.
pub(super) const SPACE: &str = "demo.vcycle.example";
/// Processors of the space; they are shared by the machines, so the host may have fewer.
pub(super) const PROCESSORS: u32 = 8;

/// Settings of all three machinetypes: times are short, so that a minute shows what takes days
/// elsewhere.
const PACE: &str = "backoff = \"5s\"
fizzle = \"2s\"
start_timeout = \"20s\"
min_wallclock = \"1s\"
heartbeat = \"30s\"
grace = \"3s\"
";

/// The folder, and what is where in it.
pub(super) struct TemporarySite {
    folder: tempfile::TempDir,
    /// The jobs.
    pub(super) spool: Spool,
}

impl TemporarySite {
    /// Makes everything. Nothing is outside of the one folder.
    pub(super) fn create(jobs: u32) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("vcycle-demo-").tempdir()?;
        let root = folder.path().canonicalize()?;
        for (entry, file, content) in LIBRARY {
            let entry = root.join("vm-library").join(entry);
            std::fs::create_dir_all(&entry)?;
            std::fs::write(entry.join(file), content)?;
        }
        std::fs::create_dir(root.join("shared"))?;
        std::fs::create_dir_all(root.join("empty-spool/new"))?;
        let spool = Spool::create(&root.join("spool"), jobs)?;
        let site = Self { folder, spool };
        std::fs::write(site.config(), site.config_text(&root))?;
        Ok(site)
    }

    /// The folder.
    pub(super) fn root(&self) -> PathBuf {
        // As canonical as when it was made, for comparing with what processes show.
        self.folder.path().canonicalize().unwrap_or_else(|_| self.folder.path().to_owned())
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("vcycle.toml")
    }

    /// Where the log goes.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("vcycle.log")
    }

    /// Leaves the folder where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Removes the folder.
    pub(super) fn remove(self) -> io::Result<()> {
        self.folder.close()
    }

    /// But for the times, all is as in a real site.
    fn config_text(&self, root: &Path) -> String {
        let spool = self.spool.root().display();
        let root = root.display();
        format!(
            r#"# The temporary site of `vcycle demo`.
[site]
name = "DEMO"
state_dir = "{root}/shared"
manager = "demo"
cycle = "1s"

[library]
paths = ["{root}/vm-library"]

[server]
https_host = "127.0.0.1"
admin_listen = "127.0.0.1:0"
[server.https]
listen = "127.0.0.1:0"

[space."{SPACE}"]
processors_limit = {PROCESSORS}
creations_per_cycle = 2
delete_pause = "5s"
[space."{SPACE}".local]
dir = "{root}/machines"
processors = {PROCESSORS}
memory = "8GiB"

# Takes jobs from the spool; a machine does four, ends, and is replaced.
[space."{SPACE}".machinetype.batch]
entry = "batch"
target_share = 50
{PACE}max_wallclock = "60s"
[space."{SPACE}".machinetype.batch.options]
spool = "{spool}"
max_jobs = 4
idle_seconds = 10
lease_seconds = 20
heartbeat_every = 3

# Works until its wall-clock limit is near, and is replaced.
[space."{SPACE}".machinetype.example]
entry = "example"
target_share = 30
{PACE}max_wallclock = "12s"
[space."{SPACE}".machinetype.example.options]
example_run_seconds = 60
heartbeat_every = 3

# Finds an empty spool, says so, and is backed off from.
[space."{SPACE}".machinetype.idle]
entry = "batch"
target_share = 20
{PACE}max_wallclock = "60s"
[space."{SPACE}".machinetype.idle.options]
spool = "{root}/empty-spool"
idle_seconds = 0
heartbeat_every = 3
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_site_is_a_valid_one_and_leaves_nothing_behind() {
        let site = TemporarySite::create(3).unwrap();
        let setup = crate::library::load_setup(&site.config()).unwrap();
        let space = &setup.spaces[&SPACE.parse().unwrap()];
        let names: Vec<_> = space.machinetypes.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["batch", "example", "idle"]);
        let root = site.root();
        site.remove().unwrap();
        assert!(!root.exists());
    }
}
