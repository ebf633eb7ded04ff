//! What can go wrong with the state directory: what was attempted, what came back, what to do.

use std::fmt;
use std::io;

use super::ownership::Fenced;
use super::{StatePath, Vanished};

/// The kind of a fault, for reactions and metrics. Whatever the kind: nothing is created, and
/// nothing is deleted because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The whole directory is gone: unmounted, removed, or replaced by another one.
    Vanished,
    /// No space, no inodes, or over quota.
    Full,
    /// Mounted read-only.
    ReadOnly,
    /// Not ours to read or write.
    Permission,
    /// A file cannot be understood.
    Corrupt,
    /// A file was written by a newer version.
    Newer,
    /// The space is not ours (any more).
    Fenced,
    /// Something is in the way that should not be, or is missing that should be there.
    Conflict,
    /// Anything else: the disk, the file server, the network.
    Io,
}

impl Fault {
    /// One word, for metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vanished => "vanished",
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Permission => "permission",
            Self::Corrupt => "corrupt",
            Self::Newer => "newer",
            Self::Fenced => "fenced",
            Self::Conflict => "conflict",
            Self::Io => "io",
        }
    }

    /// What a person should do.
    fn advice(self) -> &'static str {
        match self {
            Self::Vanished => {
                "mount it again, or restore it; until then nothing is created or deleted"
            }
            Self::Full => "free space or inodes there, or raise the quota",
            Self::ReadOnly => "look for disk errors, then mount it read-write",
            Self::Permission => {
                "it is for the user that vcycle runs as; who only looks needs its group (usermod -aG vcycle NAME, then log in anew)"
            }
            Self::Corrupt => "restore it from a backup, or see docs/STATE-DIR.md",
            Self::Newer => "upgrade this vcycle, or stop it and leave the work to the newer one",
            Self::Fenced => {
                "nothing: another manager does the work, or this one will take it again"
            }
            Self::Conflict => "see docs/STATE-DIR.md",
            Self::Io => "look at the disk or file server; it is tried again in the next cycle",
        }
    }

    pub(super) fn of(error: &io::Error) -> Self {
        if Vanished::is_in(error) {
            return Self::Vanished;
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::DirectoryNotEmpty => Self::Conflict,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why the store could not do what it was asked. Its text holds everything, the cause included.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The filesystem said no.
    #[error("cannot {attempted} {path} in the state directory: {cause}; {}", .fault.advice())]
    Io {
        /// What was attempted, as a verb.
        attempted: &'static str,
        /// Where.
        path: String,
        /// What kind of fault it is.
        fault: Fault,
        /// What came back.
        cause: io::Error,
    },
    /// A file cannot be understood. It is left as it is.
    #[error("cannot understand {path} in the state directory: {why}; {}", Fault::Corrupt.advice())]
    Corrupt {
        /// Where.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file was written by a newer version. It is left as it is.
    #[error(
        "{path} in the state directory has format {found}, and this version reads up to {newest}; {}",
        Fault::Newer.advice()
    )]
    Newer {
        /// Where.
        path: String,
        /// Its format.
        found: u64,
        /// The newest that we can read.
        newest: u32,
    },
    /// The space is not ours (any more): nothing was written.
    #[error("did not write: {0}")]
    Fenced(#[from] Fenced),
    /// There is a machine of this name already, or its folder was swept as one that never reached
    /// the cloud: the create call must not be made.
    #[error(
        "cannot record {machine}: there is already a record of this name; it must not be created"
    )]
    Exists {
        /// Its name.
        machine: String,
    },
    /// A record was handed in with the proof of another space: a fault of the program.
    #[error("a record of space {record} was handed in with the proof of space {proof}")]
    WrongSpace {
        /// Of the record.
        record: String,
        /// Of the proof.
        proof: String,
    },
    /// `deployment.json` is missing from a directory that holds spaces.
    #[error(
        "deployment.json is missing from a state directory that holds spaces: restore it from a backup \
         (its id is the tag vcycle_deployment on the VMs); a new one would disown all machines"
    )]
    NoDeployment,
    /// Another process of this name runs on this state directory.
    #[error(
        "another manager named {name} holds {file}; stop it, or give this one another [site] manager"
    )]
    SameName {
        /// The manager's name.
        name: String,
        /// The lock file.
        file: String,
    },
    /// A name from outside is not one.
    #[error("{text:?} is not a valid {kind}")]
    InvalidName {
        /// Of what.
        kind: &'static str,
        /// As it came.
        text: String,
    },
}

impl StoreError {
    /// The kind of the fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Io { fault, .. } => *fault,
            Self::Corrupt { .. } => Fault::Corrupt,
            Self::Newer { .. } => Fault::Newer,
            Self::Fenced(_) => Fault::Fenced,
            Self::Exists { .. }
            | Self::WrongSpace { .. }
            | Self::NoDeployment
            | Self::SameName { .. }
            | Self::InvalidName { .. } => Fault::Conflict,
        }
    }
}

/// Gives an error of the filesystem its place.
pub(super) fn at<'a>(
    attempted: &'static str,
    path: &'a StatePath,
) -> impl Fn(io::Error) -> StoreError + 'a {
    move |cause| StoreError::Io {
        attempted,
        path: path.to_string(),
        fault: Fault::of(&cause),
        cause,
    }
}
