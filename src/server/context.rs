//! What every handler may use: reads of the store, the published board and setup, limits, metrics.
//! There is nothing here with which a handler could plan or act.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use vcycle_api::Clock;

use super::Wake;
use super::gate::Gate;
use super::tls::Tls;
use crate::config::ServerLimits;
use crate::library::Setup;
use crate::model::{Board, MachineName, MachinetypeName, SpaceName};
use crate::store::Store;
use crate::telemetry::Metrics;

/// Memory for uploads that are being received, in kibibytes: whatever VMs do, the manager's memory
/// stays bounded. An upload that finds none left is told to come again (503).
pub(super) const UPLOAD_MEMORY_KIB: usize = 256 * 1024;
/// Uploads of all machines that may be under way at once.
const MOST_UPLOADS: usize = 2000;

/// Shared by all handlers.
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) setup: watch::Receiver<Arc<Setup>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wake: Wake,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: Arc<Tls>,
    pub(super) upload_memory: Arc<Semaphore>,
    pub(super) uploads: Arc<Gate<(SpaceName, MachineName)>>,
}

impl Context {
    /// A gate for the uploads of machines.
    pub(super) fn upload_gate() -> Arc<Gate<(SpaceName, MachineName)>> {
        Gate::new(MOST_UPLOADS)
    }

    /// The limits of the configuration in use now.
    pub(super) fn limits(&self) -> ServerLimits {
        self.setup.borrow().config.server.limits
    }

    /// The DNs whose certificates may write for a machinetype now; none when it is not configured.
    pub(super) fn admitted_dns(
        &self,
        space: &SpaceName,
        machinetype: &MachinetypeName,
    ) -> Vec<String> {
        let setup = self.setup.borrow();
        setup
            .spaces
            .get(space)
            .and_then(|space| space.machinetypes.get(machinetype))
            .map(|definition| definition.https_x509dn.clone())
            .unwrap_or_default()
    }

    /// What the manager shows now.
    pub(super) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board.borrow())
    }
}
