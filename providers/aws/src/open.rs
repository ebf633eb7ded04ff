//! What is checked when a provider is opened: files only, no network.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Settings;

/// Why a provider cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file of credentials that was named cannot be read.
    #[error("read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A setting that nothing can be done with.
    #[error("{setting} is empty")]
    Empty {
        /// Its name.
        setting: &'static str,
    },
}

/// Checks what can be checked without asking anybody.
pub(crate) fn check(settings: &Settings) -> Result<(), OpenError> {
    let empty = |setting| Err(OpenError::Empty { setting });
    if settings.region.trim().is_empty() {
        return empty("region");
    }
    if settings.instance_types.is_empty() {
        return empty("instance_types");
    }
    if settings.markets.is_empty() {
        return empty("markets");
    }
    let files = &settings.credentials.files;
    if let Some(path) = &files.credentials {
        readable(path)?;
        warn_if_others_can_read(path);
    }
    files.config.as_deref().map_or(Ok(()), readable)
}

fn readable(path: &Path) -> Result<(), OpenError> {
    let opened = std::fs::File::open(path);
    opened.map(drop).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

/// As other tools of Amazon's do not refuse such a file, it is used, and said.
fn warn_if_others_can_read(path: &Path) {
    let mode = std::fs::metadata(path).map(|about| about.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others can read this file of secrets: chmod 600");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_told_by_its_path() {
        let mut settings = Settings::new("eu-west-2", vec!["m5.large".to_owned()]);
        assert!(check(&settings).is_ok());
        settings.credentials.files.credentials = Some(PathBuf::from("/nowhere/credentials"));
        let error = check(&settings).unwrap_err().to_string();
        assert!(error.starts_with("read /nowhere/credentials: "), "{error}");
    }

    #[test]
    fn what_nothing_can_be_made_of_is_refused() {
        let mut settings = Settings::new(" ", vec!["m5.large".to_owned()]);
        assert_eq!(check(&settings).unwrap_err().to_string(), "region is empty");
        settings.region = "eu-west-2".to_owned();
        settings.instance_types.clear();
        assert_eq!(check(&settings).unwrap_err().to_string(), "instance_types is empty");
    }
}
