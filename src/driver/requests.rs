//! Requests of people wake their space. They come as files, perhaps from another host, so they are looked for, as
//! often as the ownership is renewed.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use crate::model::{OperatorRequest, RequestId, SpaceName};
use crate::store::Store;

/// The standing requests of a space that a cycle has read, or was woken for.
#[derive(Debug, Default)]
pub(super) struct Noticed(BTreeSet<RequestId>);

impl Noticed {
    /// A cycle has read these.
    pub(super) fn read(&mut self, requests: &[OperatorRequest]) {
        self.0.extend(requests.iter().map(|request| request.id.clone()));
    }

    /// Until there is another one. Of one that cannot be read this is told once only.
    pub(super) async fn another(&mut self, store: &Store, space: &SpaceName, every: Duration) {
        loop {
            sleep(every).await;
            // A state directory that does not answer is noticed by the renewals; the next cycle reads them anyway.
            let Ok(standing) = store.request_ids(space).await else { continue };
            let is_news = standing.iter().any(|id| !self.0.contains(id));
            self.0 = standing;
            if is_news {
                return;
            }
        }
    }
}
