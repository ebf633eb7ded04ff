//! One tenancy with what every call of it needs: the session, the settings, and what is remembered.

use std::sync::Arc;

use vcycle_api::{Cache, Clock, Intents, ProviderError};

use crate::compute::{Dialect, FlavorTable};
use crate::image::Images;
use crate::keypair::KeyPairs;
use crate::lease::Lease;
use crate::memory::Memory;
use crate::session::{Service, Session, Whoami};
use crate::{OpenError, Settings};

/// The tenancy.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) session: Session,
    pub(crate) settings: Settings,
    pub(crate) intents: Intents,
    pub(crate) memory: Memory,
    pub(crate) flavors: Cache<FlavorTable>,
    /// Ids of the networks that the settings name.
    pub(crate) networks: Cache<Vec<String>>,
    /// The lease that the settings name.
    pub(crate) lease: Cache<Lease>,
    pub(crate) whoami: Cache<Whoami>,
    pub(crate) keys: KeyPairs,
    pub(crate) images: Images,
}

impl Site {
    /// Reads the credentials. Does not speak to the cloud.
    pub(crate) fn open(settings: Settings, clock: &Arc<dyn Clock>) -> Result<Self, OpenError> {
        let session = Session::open(&settings, Arc::clone(clock))?;
        Ok(Self {
            images: Images::new(session.clone(), &settings, Arc::clone(clock)),
            session,
            intents: Intents::new(Arc::clone(clock), settings.settle),
            memory: Memory::new(settings.deployment.clone()),
            flavors: Cache::new(Arc::clone(clock)),
            networks: Cache::new(Arc::clone(clock)),
            lease: Cache::new(Arc::clone(clock)),
            whoami: Cache::new(Arc::clone(clock)),
            keys: KeyPairs::default(),
            settings,
        })
    }

    /// Whether the catalogue has this service.
    pub(crate) async fn has(&self, service: Service) -> Result<bool, ProviderError> {
        self.session.offers(service).await.map_err(|failure| failure.of_read())
    }

    /// How we speak with this site's Nova. The session asks the site once.
    pub(crate) async fn dialect(&self) -> Result<Dialect, ProviderError> {
        let range = self.session.microversions(Service::Compute).await;
        range.map(Dialect::choose).map_err(|failure| failure.of_read())
    }
}
