//! The filesystem behind a trait: the real one, and in tests one that fails, forgets and crashes.
//!
//! The contract is only what NFSv3/v4, CephFS, GlusterFS and local disks all give (DESIGN section 6):
//! exclusive creation by `link(2)`, atomic `rename(2)`, open-to-close consistency. Any call may fail
//! and yet have taken effect; listings and negative look-ups may be a minute old.

mod disk;
mod faulty;
mod lock;
mod memory;
mod mounts;
mod real;
#[cfg(test)]
mod suite;

use std::io;

use async_trait::async_trait;

pub use faulty::{Effect, FaultyFs, Rates, Rule, When};
pub use lock::ManagerLock;
pub use memory::{MemoryFs, Vanishing};
pub use real::RealFs;

use super::StatePath;
use crate::model::Timestamp;

/// Names that begin so are files in the making; no listing shows them.
const TEMPORARY: &str = ".vcycle-tmp-";

/// The state directory itself is not there any more (unmounted, removed, replaced): nothing that
/// it seems to hold or to lack means anything. Comes inside an [`io::Error`], so that it can never
/// be mistaken for a file that is absent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state directory vanished: {why}")]
pub struct Vanished {
    /// What was looked for and not found.
    pub why: String,
}

impl Vanished {
    /// As the error of an operation.
    fn error(why: String) -> io::Error {
        io::Error::other(Self { why })
    }

    /// Whether an error of [`SharedFs`] says so.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// One file of a batch.
#[derive(Clone)]
pub struct NewFile {
    /// Where.
    pub path: StatePath,
    /// The whole content.
    pub content: Vec<u8>,
    /// Who may read it.
    pub mode: Mode,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0644: no secrets.
    Public,
    /// 0600: secrets.
    Private,
}

/// The answer of [`SharedFs::put_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// Our content stands there: we made it, or a lost reply had made it.
    Ours,
    /// Somebody else's content stands there.
    Theirs,
}

/// The few operations on which the state directory stands.
#[async_trait]
pub trait SharedFs: Send + Sync {
    /// Whether this may be taken for a new, empty state directory.
    ///
    /// # Errors
    /// [`Vanished`] when something should be mounted here and is not.
    async fn must_be_mounted(&self) -> io::Result<()> {
        Ok(())
    }

    /// The whole content.
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>>;

    /// Replaces the content durably and atomically: exclusive temporary file, write, fsync, rename,
    /// fsync of the directory. Readers see the old content or the new, never a part. The
    /// directory must exist.
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()>;

    /// As [`SharedFs::write`] for many files at once, each atomic and all durable when it returns,
    /// with fewer waits for the disk. On an error any of them may have been written.
    async fn write_many(&self, files: &[NewFile]) -> io::Result<()> {
        for file in files {
            self.write(&file.path, &file.content, file.mode).await?;
        }
        Ok(())
    }

    /// Makes the file with this content if there is none, durably (temporary file, fsync, `link`,
    /// fsync of the directory). On any error the name is read back and compared, so a lost reply
    /// is `Ours`. Content must be unique to the caller.
    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome>;

    /// Names in a directory, in any order; temporary files are left out. An absent directory is empty.
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>>;

    /// Modification times by the file server's clock, in the order asked; `None` where there is no file.
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>>;

    /// The numbers of the users that own files, in the order asked; `None`: there is no such file, or nobody can tell.
    async fn owners(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u32>>> {
        Ok(vec![None; paths.len()])
    }

    /// Sizes in bytes, in the order asked; `None` where there is no file.
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>>;

    /// Makes a directory and its parents, durably. No error when it exists.
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()>;

    /// Moves a file or directory, durably. The target must not exist.
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()>;

    /// Removes a file or a whole directory. No error when there is none.
    async fn remove(&self, path: &StatePath) -> io::Result<()>;

    /// Removes files in the making that crashed writers left in a directory, once they are so old
    /// by the file server's clock that their writers cannot live. Says how many.
    async fn sweep(&self, _dir: &StatePath) -> io::Result<usize> {
        Ok(0)
    }
}
