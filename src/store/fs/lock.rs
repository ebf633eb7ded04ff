//! The courtesy lock of a manager's name: two managers with one name on one state directory are a
//! mistake that is better told at once. Correctness never rests on it (NFS may lose such locks).

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};

use fs2::FileExt;

use super::RealFs;
use crate::model::ManagerName;
use crate::store::error::at;
use crate::store::{StoreError, layout};

/// Held while a manager of this name runs. The file stays for ever: a lock file that is removed
/// can be locked twice.
#[derive(Debug)]
pub struct ManagerLock {
    /// `None`: this filesystem knows no locks.
    _file: Option<File>,
}

impl ManagerLock {
    /// Takes the lock, or says who is in the way. Blocks only for the filesystem.
    ///
    /// # Errors
    /// [`StoreError::SameName`] when another process holds it; else what the filesystem said.
    pub fn take(fs: &RealFs, name: &ManagerName) -> Result<Self, StoreError> {
        let path = layout::manager_lock(name);
        let full = fs.root().join(path.relative());
        let failed = at("lock", &path);
        if let Some(dir) = full.parent() {
            // One level only: the root is never made by us.
            match std::fs::create_dir(dir) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&full)
            .map_err(&failed)?;
        match file.try_lock_exclusive() {
            Ok(()) => {
                // For people who look into it; nothing reads it.
                let told = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| {
                    writeln!(file, "held by process {} of manager {name}", std::process::id())
                });
                if let Err(error) = told {
                    tracing::debug!(%name, %error, "could not write into the lock file");
                }
                Ok(Self { _file: Some(file) })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(StoreError::SameName {
                name: name.to_string(),
                file: full.display().to_string(),
            }),
            Err(error) => {
                tracing::warn!(
                    %name, %error, file = %full.display(),
                    "cannot lock on this filesystem: a second manager of this name would not be noticed"
                );
                Ok(Self { _file: None })
            }
        }
    }
}
