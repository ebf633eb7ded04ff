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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vcycle_api::SystemClock;

    use super::*;
    use crate::store::testing::MemoryFs;

    fn store() -> (Arc<MemoryFs>, Store) {
        let clock = Arc::new(SystemClock::new());
        let fs = Arc::new(MemoryFs::new(clock.clone()));
        (Arc::clone(&fs), Store::new(fs, clock))
    }

    #[tokio::test]
    async fn all_managers_of_a_deployment_get_the_authority_that_was_first() {
        let (fs, store) = store();
        let (a, b) = tokio::join!(store.open_authority("a"), store.open_authority("b"));
        let first = a.unwrap();
        assert_eq!(b.unwrap(), first);
        assert_eq!(store.open_authority("c").await.unwrap(), first);
        assert_eq!(fs.mode("authority.pem"), Some(Mode::Private));
    }

    #[tokio::test]
    async fn an_authority_that_is_not_text_is_said_to_be_corrupt_and_left_alone() {
        let (fs, store) = store();
        fs.plant("authority.pem", [0xff, 0xfe]);
        let error = store.open_authority("fresh").await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(fs.files()[std::path::Path::new("authority.pem")], [0xff, 0xfe]);
    }
}
