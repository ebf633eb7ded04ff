//! `spaces/SPACE/tenancy.json`: which tenancy the machines of a space are in. Made once, never replaced by us;
//! a person removes it, which says that the space is to go on in another.

use std::io;

use super::error::at;
use super::{Mode, Proof, Store, StoreError, codec, layout};
use crate::model::{SpaceName, SpaceTenancy};

/// The format of `tenancy.json`.
const FORMAT: u32 = 1;

impl Store {
    /// The tenancy of a space, if it is known.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], or what the filesystem said: then nothing may be done
    /// in any tenancy.
    pub async fn tenancy(&self, space: &SpaceName) -> Result<Option<SpaceTenancy>, StoreError> {
        let path = layout::tenancy(space);
        let Some(content) = self.read_optional(&path).await? else { return Ok(None) };
        codec::decode(&content, FORMAT).map(Some).map_err(|unreadable| unreadable.at(&path))
    }

    /// Keeps the tenancy of a space. The same may be kept again.
    ///
    /// # Errors
    /// [`StoreError::Io`] when another is kept already; [`StoreError::Fenced`], or as [`Store::tenancy`].
    pub async fn keep_tenancy(
        &self,
        proof: &Proof<'_>,
        tenancy: &SpaceTenancy,
    ) -> Result<(), StoreError> {
        proof.allow().await?;
        let path = layout::tenancy(proof.space());
        let put = self.fs().put_if_absent(&path, &codec::encode(tenancy), Mode::Public).await;
        // Whoever won, and whatever was answered: what stands there now is the tenancy.
        match (self.tenancy(proof.space()).await?, put) {
            (Some(there), _) if there.is_same(tenancy) => Ok(()),
            (Some(_), _) => Err(at("make", &path)(io::ErrorKind::AlreadyExists.into())),
            (None, Err(error)) => Err(at("make", &path)(error)),
            (None, Ok(_)) => Err(at("read", &path)(io::ErrorKind::NotFound.into())),
        }
    }
}
