//! What all calls of one provider share: the session, and what is remembered between calls.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;
use vcycle_api::{Cache, Clock, DeploymentId, Intents};

use crate::image::Images;
use crate::interruptions::Notices;
use crate::keypair::KeyPairs;
use crate::network::Network;
use crate::pacing::Pace;
use crate::quota::Limits;
use crate::session::Session;
use crate::tenancy::TenancySlot;
use crate::types::TypeTable;
use crate::usage::UsageSlot;
use crate::watch::Watch;
use crate::{OpenError, Settings};

/// One region of one account, and what is remembered of it. Nothing here proves anything.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) settings: Arc<Settings>,
    pub(crate) session: Session,
    pub(crate) tenancy: TenancySlot,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whose machines are ours: as it was told, or that of the first machine made here.
    pub(crate) deployment: OnceLock<DeploymentId>,
    pub(crate) pace: Pace,
    pub(crate) intents: Intents,
    pub(crate) watch: Watch,
    pub(crate) types: TypeTable,
    pub(crate) network: Cache<Network>,
    pub(crate) images: Images,
    pub(crate) keys: KeyPairs,
    pub(crate) limits: Cache<Limits>,
    pub(crate) usage: UsageSlot,
    pub(crate) notices: Mutex<Notices>,
}

impl Account {
    pub(crate) fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let settings = Arc::new(settings);
        Ok(Self {
            session: Session::open(Arc::clone(&settings))?,
            tenancy: TenancySlot::new(),
            pace: Pace::new(&settings, Arc::clone(&clock)),
            intents: Intents::new(Arc::clone(&clock), settings.settle),
            watch: Watch::new(Arc::clone(&clock), settings.settle, settings.deployment.clone()),
            types: TypeTable::default(),
            network: Cache::new(Arc::clone(&clock)),
            images: Images::new(Arc::clone(&clock)),
            keys: KeyPairs::default(),
            limits: Cache::new(Arc::clone(&clock)),
            usage: UsageSlot::default(),
            notices: Mutex::new(HashMap::new()),
            deployment: settings.deployment.clone().map_or_else(OnceLock::new, OnceLock::from),
            settings,
            clock,
        })
    }
}
