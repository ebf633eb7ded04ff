//! The blocking side of [`super::RealFs`]: each operation in the one way that every supported
//! filesystem gives, with the errors of file servers that are none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::mounts::missing_mount;
use super::{Mode, NewFile, PutOutcome, TEMPORARY, Vanished};
use crate::store::{StatePath, layout};

/// A file in the making that is older than this has no living writer: a write that hangs longer
/// fails when it comes to the rename, and nothing was promised.
const ABANDONED: Duration = Duration::from_secs(6 * 3600);

/// How many times a file that is just being replaced is read before its error is believed.
const READS: u32 = 4;

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) root: PathBuf,
    /// Makes our temporary names differ from everybody's.
    writer: String,
    counter: AtomicU64,
    /// `deployment.json` as it was when it was first seen. From then on it must be there.
    marker: Mutex<Option<Marker>>,
}

#[derive(Debug, Clone)]
struct Marker {
    inode: u64,
    content: Vec<u8>,
}

/// Runs an operation again, once, when the file server forgot the handle (ESTALE): opening by name
/// anew is the cure, and every operation here begins with a name.
pub(super) fn past_stale_handles<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match operation() {
        Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => operation(),
        result => result,
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn or_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file that others may be replacing. Where names are cached (FUSE), opening by name again may lead to the same
/// old file; a listing makes the names anew. What had a stale handle was there, so that then its absence is not
/// believed at once either.
fn read_by_name(file: &Path, dir: &Path) -> io::Result<Vec<u8>> {
    let mut was_stale = false;
    for _ in 0..READS {
        match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => {
                was_stale = true;
                let _ = fs::read_dir(dir).map(Iterator::count);
            }
            Err(error) if was_stale && absent(&error) => {}
            result => return result,
        }
    }
    fs::read(file)
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    past_stale_handles(|| File::open(dir)?.sync_all())
}

impl Disk {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            writer: uuid::Uuid::new_v4().simple().to_string(),
            counter: AtomicU64::new(0),
            marker: Mutex::new(None),
        }
    }

    pub(super) fn must_be_mounted(&self) -> io::Result<()> {
        // Where these files cannot be had, there is nothing to tell.
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (fstab, mountinfo) = (read("/etc/fstab"), read("/proc/self/mountinfo"));
        let root = fs::canonicalize(&self.root)?;
        match missing_mount(&fstab, &mountinfo, &root) {
            None => Ok(()),
            Some(point) => Err(Vanished::error(format!(
                "{} is in /etc/fstab and is not mounted",
                point.display()
            ))),
        }
    }

    pub(super) fn full(&self, path: &StatePath) -> PathBuf {
        self.root.join(path.relative())
    }

    fn parent(&self, path: &StatePath) -> PathBuf {
        path.parent().map_or_else(|| self.root.clone(), |parent| self.full(&parent))
    }

    /// Fails with [`Vanished`] unless the root is there and is still the one that was opened.
    pub(super) fn must_be_there(&self) -> io::Result<()> {
        let known = self.marker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known else {
            return match past_stale_handles(|| fs::metadata(&self.root)) {
                Ok(meta) if meta.is_dir() => Ok(()),
                Ok(_) => Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    format!("{} is not a directory", self.root.display()),
                )),
                Err(error) if absent(&error) => {
                    Err(Vanished::error(format!("there is no {}", self.root.display())))
                }
                Err(error) => Err(error),
            };
        };
        let file = self.full(&layout::deployment());
        let Some(meta) = or_absent(past_stale_handles(|| fs::metadata(&file)))? else {
            return Err(Vanished::error(format!("{} is not there any more", file.display())));
        };
        if meta.ino() == known.inode {
            return Ok(());
        }
        match or_absent(past_stale_handles(|| fs::read(&file)))? {
            Some(content) if content == known.content => {
                self.remember_marker(&content);
                Ok(())
            }
            Some(_) => {
                Err(Vanished::error(format!("{} is another deployment's now", file.display())))
            }
            None => Err(Vanished::error(format!("{} is not there any more", file.display()))),
        }
    }

    fn remember_marker(&self, content: &[u8]) {
        let file = self.full(&layout::deployment());
        if let Ok(meta) = fs::metadata(file) {
            *self.marker.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Marker { inode: meta.ino(), content: content.to_vec() });
        }
    }

    /// Writes and syncs a new file of ours in `dir`. It is removed again if that fails.
    fn temporary(&self, dir: &Path, content: &[u8], mode: Mode) -> io::Result<PathBuf> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{TEMPORARY}{}-{number}", self.writer));
        let bits = match mode {
            Mode::Public => 0o644,
            Mode::Private => 0o600,
        };
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.set_permissions(fs::Permissions::from_mode(bits))?;
            file.sync_all()
        };
        match write() {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Moves a finished temporary file to its name. An error of `rename(2)` does not mean that it
    /// was not done, so it is looked for.
    fn put_in_place(temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
        let Err(error) = fs::rename(temporary, path) else { return Ok(()) };
        let done = !temporary.exists() && fs::read(path).is_ok_and(|there| there == content);
        if done {
            return Ok(());
        }
        let _ = fs::remove_file(temporary);
        Err(error)
    }

    pub(super) fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        let content = read_by_name(&self.full(path), &self.parent(path))?;
        if *path == layout::deployment() {
            self.remember_marker(&content);
        }
        Ok(content)
    }

    pub(super) fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        past_stale_handles(|| {
            let dir = self.parent(path);
            let temporary = self.temporary(&dir, content, mode)?;
            Self::put_in_place(&temporary, &self.full(path), content)?;
            sync_directory(&dir)
        })
    }

    pub(super) fn write_many(&self, files: &[NewFile]) -> io::Result<()> {
        let mut directories: Vec<PathBuf> = Vec::new();
        for file in files {
            let dir = self.parent(&file.path);
            past_stale_handles(|| {
                let temporary = self.temporary(&dir, &file.content, file.mode)?;
                Self::put_in_place(&temporary, &self.full(&file.path), &file.content)
            })?;
            if !directories.contains(&dir) {
                directories.push(dir);
            }
        }
        directories.iter().try_for_each(|dir| sync_directory(dir))
    }

    pub(super) fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        let dir = self.parent(path);
        let full = self.full(path);
        let temporary = past_stale_handles(|| self.temporary(&dir, content, mode))?;
        let linked = fs::hard_link(&temporary, &full);
        let outcome = match linked {
            Ok(()) => Ok(PutOutcome::Ours),
            // EEXIST and EIO alike: a lost reply, repeated by the client, looks like either.
            Err(error) => match past_stale_handles(|| fs::read(&full)) {
                Ok(there) if there == content => Ok(PutOutcome::Ours),
                Ok(_) => Ok(PutOutcome::Theirs),
                Err(_) => Err(error),
            },
        };
        let _ = fs::remove_file(&temporary);
        if let Ok(PutOutcome::Ours) = outcome {
            sync_directory(&dir)?;
        }
        outcome
    }

    pub(super) fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.full(dir))? {
                // A name that is not UTF-8 is not ours, as is one that begins with a dot
                // (temporary files, `.nfsXXXX`, `.snapshot`).
                if let Ok(name) = entry?.file_name().into_string()
                    && !name.starts_with('.')
                {
                    names.push(name);
                }
            }
            Ok(names)
        };
        match or_absent(past_stale_handles(read))? {
            Some(names) => Ok(names),
            None => self.must_be_there().map(|()| Vec::new()),
        }
    }

    pub(super) fn metadata(&self, paths: &[StatePath]) -> io::Result<Vec<Option<fs::Metadata>>> {
        let found = paths
            .iter()
            .map(|path| or_absent(past_stale_handles(|| fs::metadata(self.full(path)))))
            .collect::<io::Result<Vec<_>>>()?;
        if found.iter().any(Option::is_none) {
            self.must_be_there()?;
        }
        Ok(found)
    }

    pub(super) fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        let full = self.full(dir);
        if full.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.make_dir(&parent)?;
        }
        let mode = dir.directory_mode();
        match fs::DirBuilder::new().mode(mode).create(&full) {
            Ok(()) => fs::set_permissions(&full, fs::Permissions::from_mode(mode))?,
            // Another mount is just making it, and it may not be seen yet. If it is no directory, what is put
            // into it will say so.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if full.is_dir() => {}
            Err(error) => return Err(error),
        }
        sync_directory(&self.parent(dir))
    }

    pub(super) fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        let (old, new) = (self.full(from), self.full(to));
        let there = |path: &Path| or_absent(past_stale_handles(|| fs::symlink_metadata(path)));
        if there(&new)?.is_some() {
            // An earlier call of ours, whose reply was lost, is recognised by the missing source.
            return match there(&old)? {
                None => Ok(()),
                Some(_) => Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!("{to} is in the way of {from}"),
                )),
            };
        }
        if let Err(error) = fs::rename(&old, &new) {
            let done = there(&old)?.is_none() && there(&new)?.is_some();
            if !done {
                return Err(error);
            }
        }
        let (source, target) = (self.parent(from), self.parent(to));
        sync_directory(&target)?;
        if source == target { Ok(()) } else { sync_directory(&source) }
    }

    pub(super) fn remove(&self, path: &StatePath) -> io::Result<()> {
        let full = self.full(path);
        let remove = || {
            let Some(meta) = or_absent(fs::symlink_metadata(&full))? else { return Ok(()) };
            let removed =
                if meta.is_dir() { fs::remove_dir_all(&full) } else { fs::remove_file(&full) };
            or_absent(removed).map(|_| ())
        };
        match past_stale_handles(remove) {
            // A file arrived while we removed the others.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => remove()?,
            result => result?,
        }
        let parent = self.parent(path);
        if parent.is_dir() { sync_directory(&parent) } else { Ok(()) }
    }

    pub(super) fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        let full = self.full(dir);
        let Some(entries) = or_absent(fs::read_dir(&full))? else { return Ok(0) };
        let candidates: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY))
            .map(|entry| entry.path())
            .collect();
        if candidates.is_empty() {
            return Ok(0);
        }
        // Two times of one clock: the file server's. A file of ours tells its present.
        let probe = self.temporary(&full, b"", Mode::Private)?;
        let now = fs::metadata(&probe).and_then(|meta| meta.modified());
        let _ = fs::remove_file(&probe);
        let now = now?;
        let mut swept = 0;
        for path in candidates {
            let age = fs::metadata(&path).and_then(|meta| meta.modified());
            let old = age.is_ok_and(|then| now.duration_since(then).is_ok_and(|a| a > ABANDONED));
            if old && fs::remove_file(&path).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_is_tried_once_more_and_nothing_else_is() {
        let count = |kinds: &[io::ErrorKind]| {
            let mut calls = 0;
            let result = past_stale_handles(|| {
                calls += 1;
                kinds.get(calls - 1).map_or(Ok(()), |kind| Err((*kind).into()))
            });
            (calls, result.is_ok())
        };
        const STALE: io::ErrorKind = io::ErrorKind::StaleNetworkFileHandle;
        assert_eq!(count(&[]), (1, true));
        assert_eq!(count(&[STALE]), (2, true));
        assert_eq!(count(&[STALE, STALE]), (2, false));
        assert_eq!(count(&[io::ErrorKind::NotFound]), (1, false));
    }

    #[test]
    fn a_rename_that_failed_but_was_done_is_done() {
        let dir = tempfile::TempDir::new().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::write(&new, "ours").unwrap();
        // The temporary file is gone, as after the lost reply of a rename.
        Disk::put_in_place(&old, &new, b"ours").unwrap();
        Disk::put_in_place(&old, &new, b"other").unwrap_err();
        fs::write(&old, "ours").unwrap();
        Disk::put_in_place(&old, &dir.path().join("no/where"), b"ours").unwrap_err();
        assert!(!old.exists(), "it is not left over");
    }
}
