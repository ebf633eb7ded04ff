//! The deployment's own certificate authority, for sites without a certificate: one for all its
//! managers, kept for ever, so that running machines trust whoever answers them after a restart.
//! The content is the server's affair (`server::tls`); here it is only kept, private.

use std::io;

use super::error::at;
use super::{Mode, Store, StoreError, layout};

impl Store {
    /// The authority of this deployment: key and certificate in PEM. Stores `fresh` when there is
    /// none; whoever was first, all managers get the same.
    ///
    /// # Errors
    /// What the filesystem said; [`StoreError::Corrupt`] when the file is not text.
    pub async fn open_authority(&self, fresh: &str) -> Result<String, StoreError> {
        if let Some(there) = self.authority().await? {
            return Ok(there);
        }
        let path = layout::authority();
        let put = self.fs().put_if_absent(&path, fresh.as_bytes(), Mode::Private).await;
        // Whoever won: what stands there now is the authority.
        match (self.authority().await?, put) {
            (Some(there), _) => Ok(there),
            (None, Err(error)) => Err(at("make", &path)(error)),
            (None, Ok(_)) => Err(at("read", &path)(io::ErrorKind::NotFound.into())),
        }
    }

    async fn authority(&self) -> Result<Option<String>, StoreError> {
        let path = layout::authority();
        match self.read_optional(&path).await? {
            None => Ok(None),
            Some(content) => String::from_utf8(content).map(Some).map_err(|error| {
                StoreError::Corrupt { path: path.to_string(), why: error.to_string() }
            }),
        }
    }
}
