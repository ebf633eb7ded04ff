//! Why a credential cannot be used, said so that its owner knows which file, entry and key to change.
//!
//! No variant holds a value of a file: a password may stand at the place of any key.

use std::io;
use std::path::PathBuf;

/// The credentials of a tenancy cannot be used as they are written.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No credential was given.
    #[error("no credential is given")]
    NoCredential,
    /// A file that was named, or that was found, cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}:{line}:{column}: {why}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// Line, from 1; 0 when not known.
        line: u64,
        /// Column, from 1; 0 when not known.
        column: u64,
        /// What is wrong; never what stands there.
        why: String,
    },
    /// There is no `clouds.yaml` in any of the places.
    #[error("no clouds.yaml with cloud '{cloud}': looked for {}", list(searched))]
    NoFile {
        /// The cloud that was asked for.
        cloud: String,
        /// Where one would have been read.
        searched: Vec<PathBuf>,
    },
    /// The file has no such entry.
    #[error("{}: no cloud '{cloud}' (there are: {})", file.display(), known.join(", "))]
    NoCloud {
        /// The file.
        file: PathBuf,
        /// The cloud that was asked for.
        cloud: String,
        /// Entries of the file.
        known: Vec<String>,
    },
    /// The entry builds on a profile that no file has.
    #[error("{origin}: profile '{profile}' is in none of {}", list(searched))]
    NoProfile {
        /// The entry.
        origin: String,
        /// The profile that it names.
        profile: String,
        /// Where profiles were looked for.
        searched: Vec<PathBuf>,
    },
    /// A key is missing.
    #[error("{origin}: {key} is missing")]
    Missing {
        /// The entry.
        origin: String,
        /// The key, or the keys of which one is needed.
        key: String,
    },
    /// A key has a value that cannot be used.
    #[error("{origin}: {key} {why}")]
    Bad {
        /// The entry.
        origin: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The way to log in is not one of ours.
    #[error("{origin}: auth_type '{given}' is not known (known: {known})")]
    AuthType {
        /// The entry.
        origin: String,
        /// What it says.
        given: String,
        /// What can be used.
        known: &'static str,
    },
    /// Several regions, and none is chosen.
    #[error("{origin}: several regions ({}), choose one with region", regions.join(", "))]
    Regions {
        /// The entry.
        origin: String,
        /// Those that it lists.
        regions: Vec<String>,
    },
    /// A file that the entry names cannot be read.
    #[error("{origin}: {key}: cannot read {}", file.display())]
    KeyFile {
        /// The entry.
        origin: String,
        /// The key that names the file.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn list(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(", ")
}
