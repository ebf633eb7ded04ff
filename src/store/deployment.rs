//! `deployment.json`: the identity of all managers that share this state directory, and the sign
//! that the directory is there at all.

use std::io;

use serde::{Deserialize, Serialize};

use super::error::at;
use super::{Mode, Store, StoreError, codec, layout};
use crate::model::DeploymentId;

/// The format of `deployment.json`. A newer one means that no file here may be touched by us.
const FORMAT: u32 = 1;

/// The deployment that a state directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Version of this format: 1.
    pub format: u32,
    /// Its id, the tag on all its VMs.
    pub id: DeploymentId,
}

impl Store {
    /// Opens the state directory: reads `deployment.json`, or makes it with the `fresh` id when the
    /// directory holds nothing. From then on a directory without it has vanished.
    ///
    /// # Errors
    /// [`StoreError::NoDeployment`] when it is missing from a directory that holds spaces;
    /// [`StoreError::Newer`] when a newer version owns the directory.
    pub async fn open_deployment(&self, fresh: DeploymentId) -> Result<Deployment, StoreError> {
        if let Some(there) = self.deployment().await? {
            return Ok(there);
        }
        let spaces = layout::spaces();
        if !self.fs().list(&spaces).await.map_err(at("list", &spaces))?.is_empty() {
            return Err(StoreError::NoDeployment);
        }
        let path = layout::deployment();
        self.fs().must_be_mounted().await.map_err(at("make", &path))?;
        let ours = Deployment { format: FORMAT, id: fresh };
        let put = self.fs().put_if_absent(&path, &codec::encode(&ours), Mode::Public).await;
        // Whoever won: what stands there now is the deployment.
        match (self.deployment().await?, put) {
            (Some(there), _) => Ok(there),
            (None, Err(error)) => Err(at("make", &path)(error)),
            (None, Ok(_)) => Err(at("read", &path)(io::ErrorKind::NotFound.into())),
        }
    }

    /// The deployment, if the state directory has one; makes nothing.
    ///
    /// # Errors
    /// As [`Store::open_deployment`].
    pub async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        let path = layout::deployment();
        match self.fs().read(&path).await {
            Ok(content) => {
                codec::decode(&content, FORMAT).map(Some).map_err(|unreadable| unreadable.at(&path))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", &path)(error)),
        }
    }
}
