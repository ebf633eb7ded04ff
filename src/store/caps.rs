//! `caps.d/*.toml`: the files of the spend manager, as texts. What they mean is for `config` to tell.

use super::error::at;
use super::{Store, StoreError, layout};
use crate::model::Timestamp;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapsFile {
    /// Its name in the folder.
    pub name: String,
    /// Its text.
    pub text: String,
    /// When it was last changed, by the file server's clock.
    pub modified: Option<Timestamp>,
    /// The number of the user that owns it, where the filesystem tells.
    pub owner: Option<u32>,
}

impl Store {
    /// All files of the spend manager, by name. None: the folder is empty, or not there.
    ///
    /// # Errors
    /// What the filesystem said of any of them: files that cannot be read are not the same as none.
    pub async fn caps_files(&self) -> Result<Vec<CapsFile>, StoreError> {
        let folder = layout::caps();
        let mut names = self.fs().list(&folder).await.map_err(at("list", &folder))?;
        names.retain(|name| name.ends_with(".toml") && !name.starts_with('.'));
        names.sort_unstable();
        let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        let times = self.fs().modified(&paths).await.map_err(at("look at", &folder))?;
        let owners = self.fs().owners(&paths).await.map_err(at("look at", &folder))?;
        let mut files = Vec::with_capacity(names.len());
        for (((name, path), modified), owner) in
            names.into_iter().zip(&paths).zip(times).zip(owners)
        {
            let content = self.fs().read(path).await.map_err(at("read", path))?;
            let text = String::from_utf8_lossy(&content).into_owned();
            files.push(CapsFile { name, text, modified, owner });
        }
        Ok(files)
    }
}
