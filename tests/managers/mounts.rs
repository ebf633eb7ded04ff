//! Mounts for one test, in a mount namespace of its own: however the test ends, the host never sees them.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Runs a test where it may mount; says so and skips it where that is not allowed. What it starts is there too.
pub(crate) fn with_mounts_of_our_own(test: impl FnOnce() + Send) {
    let result = std::thread::scope(|scope| {
        let own = || {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
                eprintln!("skipped: needs root, to mount a small filesystem: {error}");
                return;
            }
            mount(&["--make-rprivate", "/"]);
            test();
        };
        scope.spawn(own).join()
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

fn mount(args: &[&str]) {
    run("mount", args);
}

/// A small filesystem in memory.
pub(crate) struct Mount {
    top: tempfile::TempDir,
}

/// As long as it lives, the mount takes no writes.
pub(crate) struct ReadOnly<'a>(&'a Mount);

impl Mount {
    pub(crate) fn tmpfs(size: &str) -> Self {
        let top = tempfile::tempdir().unwrap();
        let mounted = Self { top };
        for dir in [mounted.dir(), mounted.read_only_view()] {
            fs::create_dir(dir).unwrap();
        }
        let (dir, view) = (mounted.dir(), mounted.read_only_view());
        mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "tmpfs", text(&dir)]);
        mount(&["--bind", text(&dir), text(&view)]);
        mount(&["-o", "remount,bind,ro", text(&view)]);
        mounted
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.top.path().join("state")
    }

    fn read_only_view(&self) -> PathBuf {
        self.top.path().join("view")
    }

    /// Whatever is opened from now on cannot be written. A view that takes no writes is mounted over the
    /// directory: a remount would be refused, as a manager keeps its lock file open for writing.
    pub(crate) fn read_only(&self) -> ReadOnly<'_> {
        mount(&["--bind", text(&self.read_only_view()), text(&self.dir())]);
        ReadOnly(self)
    }

    fn filler(&self) -> PathBuf {
        self.dir().join("filler")
    }

    /// Leaves no room for a single byte.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        for length in [1 << 16, 1] {
            let error = loop {
                if let Err(error) = filler.write_all(&vec![b'x'; length]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        run("umount", &["-l", text(&self.0.dir())]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for dir in [self.read_only_view(), self.dir()] {
            let _ = Command::new("umount").args(["-l", text(&dir)]).status();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
