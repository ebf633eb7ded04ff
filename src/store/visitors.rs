//! What is read and withdrawn by those who own nothing: the command line on any host.

use super::error::at;
use super::people::request_path;
use super::{Store, StoreError, layout};
use crate::model::{MachineRecord, RequestId, SpaceName, Timestamp};

impl Store {
    /// The spaces that the state directory knows, by name. An entry that is not a space name is
    /// left out.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn spaces(&self) -> Result<Vec<SpaceName>, StoreError> {
        let dir = layout::spaces();
        let names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        let mut spaces: Vec<_> =
            names.iter().filter_map(|name| SpaceName::parse(name).ok()).collect();
        spaces.sort();
        Ok(spaces)
    }

    /// When the last owner of a space showed life, by the file server's clock: it made its
    /// generation, or renewed it. `None`: the space never had an owner. For people only: an
    /// ownership is judged otherwise.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn heard_of_owner(&self, space: &SpaceName) -> Result<Option<Timestamp>, StoreError> {
        let dir = layout::owner(space);
        let names = self.fs().list(&dir).await.map_err(at("list", &dir))?;
        let number = |name: &String| name.get(..8)?.parse::<u64>().ok();
        let Some(last) = names.iter().filter_map(number).max() else { return Ok(None) };
        let files: Vec<_> = names
            .iter()
            .filter(|name| number(name) == Some(last))
            .map(|name| dir.join(name))
            .collect();
        let times = self.fs().modified(&files).await.map_err(at("look at", &dir))?;
        Ok(times.into_iter().flatten().max())
    }

    /// Machines of a space that may still exist: their records do not say that they are gone, or
    /// cannot be read. For people only.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn machines_left(&self, space: &SpaceName) -> Result<u32, StoreError> {
        let loaded = self.load_space(space).await?;
        let held = |record: &&MachineRecord| record.gone.is_none() && record.rejected.is_none();
        let left = loaded.records.iter().filter(held).count() + loaded.corrupt.len();
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Takes back a request that nobody wants any more. Whoever may leave a request may take it
    /// back; what was done because of it stays done. No error when it is not there.
    ///
    /// # Errors
    /// What the filesystem said.
    pub async fn withdraw_request(
        &self,
        space: &SpaceName,
        id: &RequestId,
    ) -> Result<(), StoreError> {
        let path = request_path(space, id)?;
        self.fs().remove(&path).await.map_err(at("remove", &path))
    }
}
