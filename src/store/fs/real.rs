//! The real filesystem: local disk, NFS, CephFS or GlusterFS, used only in the ways that all of
//! them give. All waiting happens on blocking threads.
//!
//! Modes are set explicitly, whatever the umask: files 0644 or 0600, directories 0755, machine
//! folders 0750 (`StatePath::directory_mode`).

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::disk::{Disk, past_stale_handles};
use super::{Mode, NewFile, PutOutcome, SharedFs};
use crate::model::Timestamp;
use crate::store::{StatePath, layout};

/// The state directory on a real filesystem.
#[derive(Debug, Clone)]
pub struct RealFs(Arc<Disk>);

impl RealFs {
    /// The directory at `root`, which must exist when it is first used: it is never made here,
    /// since an absent mount must not look like an empty state directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Disk::new(root.into())))
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Where the configuration that all managers share lies.
    pub fn shared_config(&self) -> PathBuf {
        self.0.full(&layout::shared_config())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let disk = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            disk.must_be_there()?;
            let result = work(&disk);
            // What failed or was absent says nothing if the directory went away meanwhile.
            if result.is_err() {
                disk.must_be_there()?;
            }
            result
        })
        .await
        .map_err(io::Error::other)?
    }
}

#[async_trait]
impl SharedFs for RealFs {
    async fn must_be_mounted(&self) -> io::Result<()> {
        self.blocking(Disk::must_be_mounted).await
    }

    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        let path = path.clone();
        self.blocking(move |disk| disk.read(&path)).await
    }

    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        let (path, content) = (path.clone(), content.to_vec());
        self.blocking(move |disk| disk.write(&path, &content, mode)).await
    }

    async fn write_many(&self, files: &[NewFile]) -> io::Result<()> {
        let files = files.to_vec();
        self.blocking(move |disk| disk.write_many(&files)).await
    }

    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        let (path, content) = (path.clone(), content.to_vec());
        self.blocking(move |disk| disk.put_if_absent(&path, &content, mode)).await
    }

    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        let dir = dir.clone();
        self.blocking(move |disk| disk.list(&dir)).await
    }

    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        let paths = paths.to_vec();
        self.blocking(move |disk| {
            let found = disk.metadata(&paths)?.into_iter();
            found
                .map(|meta| {
                    meta.map(|meta| meta.modified().map(Timestamp::from_system)).transpose()
                })
                .collect()
        })
        .await
    }

    async fn owners(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u32>>> {
        let paths = paths.to_vec();
        self.blocking(move |disk| {
            let found = disk.metadata(&paths)?.into_iter();
            Ok(found.map(|meta| meta.map(|meta| meta.uid())).collect())
        })
        .await
    }

    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        let paths = paths.to_vec();
        self.blocking(move |disk| {
            Ok(disk.metadata(&paths)?.into_iter().map(|meta| meta.map(|meta| meta.len())).collect())
        })
        .await
    }

    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        let dir = dir.clone();
        self.blocking(move |disk| past_stale_handles(|| disk.make_dir(&dir))).await
    }

    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.blocking(move |disk| past_stale_handles(|| disk.rename(&from, &to))).await
    }

    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        let path = path.clone();
        self.blocking(move |disk| disk.remove(&path)).await
    }

    async fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        let dir = dir.clone();
        self.blocking(move |disk| disk.sweep(&dir)).await
    }
}
