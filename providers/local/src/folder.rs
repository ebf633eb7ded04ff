//! One machine's folder: the only code of this crate that knows a file name inside it.
//!
//! ```text
//! DIR/admission.lock         one create at a time adds up the use and makes a folder
//! DIR/tmp/                   folders being made, and being removed
//! DIR/machines/local-INTENT/
//!   spec.json                what was asked for; written once, durable before the folder appears
//!   environment.json         variables for the script; may hold secrets; removed with the machine
//!   user_data                the script; may hold secrets; removed with the machine
//!   work/                    working directory and HOME of the script; removed with the machine
//!   console.log[.1]          standard output and error, bounded; kept for people for a while
//!   supervisor.lock          who is alive (see `lock`)
//!   supervisor.log           what the supervisor had to say
//!   started.json             written once by the supervisor, just before the script starts
//!   ended.json               written once, by whoever proves that the machine has ended
//!   wanted -> unwanted -> gone   one file, renamed: the machine's life
//! ```
//!
//! The name of the folder is made from the intent, and a folder appears by renaming a complete one
//! to that name, which fails when there is one already: so an intent has at most one folder, whoever
//! calls and wherever they crash. A removed machine leaves its folder as a tombstone (`gone`), so
//! that a create call that was delayed on its way cannot make the machine a second time.
//! The life is a rename because a rename needs no space: a full disk must not stop a delete.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::records::{Ended, FORMAT, Spec, Started};

/// Where a machine is in its life. Only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Wanted,
    /// Somebody asked for its end.
    Unwanted,
    /// Nothing of it runs and nothing of it is left but this tombstone.
    Gone,
}

impl Life {
    fn file(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Unwanted => "unwanted",
            Self::Gone => "gone",
        }
    }
}

/// Why a specification could not be had.
#[derive(Debug)]
pub(crate) enum NoSpec {
    /// The file system failed: proves nothing.
    Unreadable(io::Error),
    /// It is not one of ours, or of a newer version.
    NotOurs(String),
}

/// A machine's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(crate) fn user_data(&self) -> PathBuf {
        self.path.join("user_data")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("supervisor.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.path.join("console.log")
    }

    pub(crate) fn older_console(&self) -> PathBuf {
        self.path.join("console.log.1")
    }

    fn spec_file(&self) -> PathBuf {
        self.path.join("spec.json")
    }

    fn environment_file(&self) -> PathBuf {
        self.path.join("environment.json")
    }

    /// Whether there is anything of this name. An error proves nothing.
    pub(crate) fn exists(&self) -> io::Result<bool> {
        present(&self.path)
    }

    pub(crate) fn spec(&self) -> Result<Spec, NoSpec> {
        let text = match fs::read(self.spec_file()) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => {
                return Err(NoSpec::NotOurs("it has no spec.json".to_owned()));
            }
            Err(error) => return Err(NoSpec::Unreadable(error)),
        };
        let spec: Spec = serde_json::from_slice(&text)
            .map_err(|error| NoSpec::NotOurs(format!("its spec.json cannot be read: {error}")))?;
        if spec.format == FORMAT {
            Ok(spec)
        } else {
            Err(NoSpec::NotOurs(format!("its spec.json has format {}", spec.format)))
        }
    }

    pub(crate) fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(serde_json::from_slice(&fs::read(self.environment_file())?)?)
    }

    pub(crate) fn started(&self) -> io::Result<Option<Started>> {
        read_if_present(&self.path.join("started.json"))
    }

    pub(crate) fn ended(&self) -> io::Result<Option<Ended>> {
        read_if_present(&self.path.join("ended.json"))
    }

    pub(crate) fn write_started(&self, started: &Started) -> io::Result<()> {
        self.write_once("started.json", started)
    }

    /// The first to write wins: its proof was the earlier one.
    pub(crate) fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        self.write_once("ended.json", ended)
    }

    /// `None`: the folder has no life, so it is not a machine.
    pub(crate) fn life(&self) -> io::Result<Option<Life>> {
        // In the order in which life goes, so that a step between two looks cannot hide it.
        for life in [Life::Wanted, Life::Unwanted, Life::Gone] {
            if present(&self.path.join(life.file()))? {
                return Ok(Some(life));
            }
        }
        Ok(None)
    }

    /// Asks for the machine's end. May be repeated.
    pub(crate) fn unwant(&self) -> io::Result<()> {
        self.step(Life::Wanted, Life::Unwanted)
    }

    /// Removes what may hold secrets or space, then makes the folder a tombstone. Only for whoever holds
    /// the lock and has proven that nothing of the machine runs.
    pub(crate) fn bury(&self) -> io::Result<()> {
        for file in [self.user_data(), self.environment_file()] {
            if let Err(error) = fs::remove_file(&file)
                && !is_absent(&error)
            {
                return Err(error);
            }
        }
        // Files that cannot be removed are a nuisance, a machine that cannot be removed holds its
        // place for ever: the tombstone's own removal is the next try.
        if let Err(error) = remove_tree(&self.work()) {
            tracing::warn!(folder = %self.path.display(), %error, "cannot remove a machine's files");
        }
        self.step(Life::Unwanted, Life::Gone)
    }

    fn step(&self, from: Life, to: Life) -> io::Result<()> {
        match fs::rename(self.path.join(from.file()), self.path.join(to.file())) {
            Err(error) if is_absent(&error) => match self.life()? {
                Some(Life::Wanted) | None => Err(error),
                Some(Life::Unwanted | Life::Gone) => Ok(()),
            },
            other => other,
        }
    }

    fn write_once(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(&serde_json::to_vec_pretty(content)?)?;
        match file.persist_noclobber(self.path.join(name)) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }
}

/// What a new folder holds.
pub(crate) struct Draft<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) user_data: &'a str,
}

/// Makes a complete folder under a temporary name in `tmp`. Nothing has happened until it is [`install`]ed.
pub(crate) fn draft(tmp: &Path, draft: &Draft<'_>) -> io::Result<tempfile::TempDir> {
    let dir = private_temporary(tmp)?;
    let folder = Folder::at(dir.path());
    fs::DirBuilder::new().mode(0o700).create(folder.work())?;
    write_private(&folder.user_data(), draft.user_data.as_bytes())?;
    write_private(&folder.environment_file(), &serde_json::to_vec(draft.environment)?)?;
    write_private(&folder.lock(), b"")?;
    write_private(&folder.path.join(Life::Wanted.file()), b"")?;
    write_private(&folder.spec_file(), &serde_json::to_vec_pretty(draft.spec)?)?;
    // An empty spec after a power failure would be a stranger that nobody may remove. All else
    // may be lost then: no process of the machine lives either.
    fs::File::open(folder.spec_file())?.sync_all()?;
    fs::File::open(dir.path())?.sync_all()?;
    Ok(dir)
}

fn private_temporary(tmp: &Path) -> io::Result<tempfile::TempDir> {
    let private = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("new-").permissions(private).tempdir_in(tmp)
}

/// Makes a tombstone without a machine: the intent will never become one.
pub(crate) fn draft_fence(tmp: &Path) -> io::Result<tempfile::TempDir> {
    let dir = private_temporary(tmp)?;
    write_private(&dir.path().join(Life::Gone.file()), b"")?;
    Ok(dir)
}

/// Whether a folder was put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    Now,
    /// There was one already; ours is thrown away.
    ThereWasOne,
}

/// Puts a folder in its place if there is none, by a rename: `rename(2)` never replaces a
/// directory that has something in it, and ours always have. An error proves nothing.
pub(crate) fn install(dir: tempfile::TempDir, place: &Folder) -> io::Result<Installed> {
    match fs::rename(dir.path(), &place.path) {
        Ok(()) => {
            let _moved_away = dir.keep();
            if let Some(parent) = place.path.parent() {
                fs::File::open(parent)?.sync_all()?;
            }
            Ok(Installed::Now)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory => Ok(Installed::ThereWasOne),
            _ => Err(error),
        },
    }
}

/// Removes a tree of a machine. Jobs leave directories that cannot be written (caches of package managers do);
/// they are opened first.
pub(crate) fn remove_tree(tree: &Path) -> io::Result<()> {
    match fs::remove_dir_all(tree) {
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_directories(tree)?;
            fs::remove_dir_all(tree)
        }
        other => other,
    }
}

fn open_directories(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // Not following symbolic links: what they point at is not the machine's.
        if entry.file_type()?.is_dir() {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a directory for us alone, with its parents.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Device and inode: the same only for the same directory.
pub(crate) fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(dir)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn present(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

fn read_if_present<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
