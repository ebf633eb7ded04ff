//! One tenancy: the way to it, and what is remembered of it between calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vcycle_api::{Clock, OfferingId, ProviderError, Settling};

use crate::call::Call;
use crate::image::Images;
use crate::meaning::{Attempt, Books, Wanted, error};
use crate::memory::Memory;
use crate::place::{Place, last};
use crate::session::Session;
use crate::{OpenError, Settings};

/// The tenancy. Locks are held for moments only, never over a call.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) session: Session,
    pub(crate) images: Images,
    memory: Mutex<Memory>,
    settling: Mutex<Settling>,
}

impl Site {
    pub(crate) fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self {
            session: Session::open(settings, clock)?,
            images: Images::default(),
            memory: Mutex::default(),
            settling: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.session.settings
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.session.clock.as_ref()
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settling(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine of this project.
    pub(crate) fn place(&self, zone: &str, name: &str) -> Place {
        Place::new(&self.settings().project, zone, name)
    }

    /// A machine of this offering, among all that the space may be made of.
    pub(crate) fn wanted<'a>(&self, offering: &'a OfferingId) -> Wanted<'a> {
        let books = match self.settings().markets.as_slice() {
            [_, _, ..] => Books::Several,
            [] | [_] => Books::One,
        };
        Wanted { offering, books }
    }

    /// Whether a zone belongs to our region: others have quotas of their own, and are other spaces' business.
    pub(crate) fn is_of_region(&self, zone: &str) -> bool {
        crate::place::region_of(zone) == Some(self.settings().region.as_str())
    }

    /// Zones that we make machines in: those of the settings, else all of the region. Asked for once.
    pub(crate) async fn zones(&self) -> Result<Vec<String>, ProviderError> {
        if !self.settings().zones.is_empty() {
            return Ok(self.settings().zones.clone());
        }
        if let Some(zones) = self.memory().zones.clone() {
            return Ok(zones);
        }
        let region = self.region().await?;
        let mut zones: Vec<String> = region.zones.iter().map(|url| last(url).to_owned()).collect();
        zones.sort();
        self.memory().zones = Some(zones.clone());
        Ok(zones)
    }

    /// The region, with its quotas.
    pub(crate) async fn region(
        &self,
    ) -> Result<google_cloud_compute_v1::model::Region, ProviderError> {
        let (project, region) = (self.session.project(), self.settings().region.clone());
        let ask = |clients: Arc<crate::session::Clients>| async move {
            let request = clients.regions().await?.get().set_project(project).set_region(region);
            Ok(request.send().await?)
        };
        let answer = self.session.call(Call::GetRegion, ask).await;
        answer.map_err(|failure| error(&failure, Attempt::Read, self.clock()))
    }
}
