//! Who is alive, told by the kernel: locks on open files.
//!
//! A supervisor and its guard each hold one byte of `supervisor.lock` for as long as they live. The
//! kernel lets go of a lock when its holder dies, however it dies, and a lock cannot be mistaken
//! for another process as a pid can. These are open-file-description locks (`F_OFD_SETLK`) rather
//! than `flock`, for two reasons: whether one is held can be asked (`F_OFD_GETLK`) without taking
//! it, so a listing never disturbs a supervisor that is just starting; and a byte range gives two
//! roles in one file, which a deleter can take both at once. They work on every local Linux file
//! system; the provider refuses to run on a network one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// What a lock says of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the machine's script.
    Supervisor,
    /// Cleans up after a supervisor that died.
    Guard,
    /// Both at once: that neither lives, nor can begin to.
    Remover,
}

/// A lock that is held until this is dropped, or its process dies.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
}

impl Held {
    /// Whether somebody has removed the locked file, and so the folder that it was in. Exact, unlike
    /// looking for the path: a disk that is away or a folder that was moved has removed nothing.
    pub(crate) fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

fn request(role: Role) -> libc::flock {
    let (start, length) = match role {
        Role::Supervisor => (0, 1),
        Role::Guard => (1, 1),
        Role::Remover => (0, 2),
    };
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

/// Takes the lock of a role if nobody has it. The file must exist, except for `create_and_try`.
pub(crate) fn try_take(path: &Path, role: Role) -> io::Result<Option<Held>> {
    take(OpenOptions::new().read(true).write(true).open(path)?, role)
}

/// As [`try_take`], making the file if there is none. It is never removed: a lock file that can be
/// replaced protects nothing.
pub(crate) fn create_and_try(path: &Path, role: Role) -> io::Result<Option<Held>> {
    take(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?, role)
}

fn take(file: File, role: Role) -> io::Result<Option<Held>> {
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&request(role))) {
        Ok(_) => Ok(Some(Held { file })),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether somebody has the lock of a role now. Takes nothing.
pub(crate) fn is_held(path: &Path, role: Role) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut answer = request(role);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut answer))?;
    Ok(answer.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remover_is_kept_out_by_either_role_and_asking_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(try_take(&path, Role::Guard).is_err(), "the file must exist");
        let guard = create_and_try(&path, Role::Guard).unwrap().unwrap();
        assert!(is_held(&path, Role::Guard).unwrap());
        assert!(!is_held(&path, Role::Supervisor).unwrap());
        assert!(is_held(&path, Role::Remover).unwrap());
        assert!(try_take(&path, Role::Remover).unwrap().is_none());
        let supervisor = try_take(&path, Role::Supervisor).unwrap().unwrap();
        drop(guard);
        assert!(try_take(&path, Role::Remover).unwrap().is_none());
        drop(supervisor);
        assert!(!is_held(&path, Role::Remover).unwrap());
        let _remover = try_take(&path, Role::Remover).unwrap().unwrap();
        assert!(try_take(&path, Role::Supervisor).unwrap().is_none());
    }

    #[test]
    fn a_moved_lock_is_not_a_removed_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("lock"), dir.path().join("moved"));
        let held = create_and_try(&path, Role::Guard).unwrap().unwrap();
        std::fs::rename(&path, &moved).unwrap();
        assert!(!held.is_removed());
        std::fs::remove_file(&moved).unwrap();
        assert!(held.is_removed());
    }
}
