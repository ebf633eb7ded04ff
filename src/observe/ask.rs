//! What a cycle asks of the cloud at once, and what is believed of the answers.

use std::time::Duration;

use tracing::warn;
use vcycle_api::{Listing, Observe, ProviderError};

use super::settling::Began;
use super::{SpaceMemory, side, told};
use crate::model::{
    Instance, Interruption, ListingState, MachineRecord, Market, Offering, Quota, Terms, Timestamp,
};
use crate::plan::LeftBehind;

/// Cycles for which offerings are kept: what a cloud sells changes seldom.
const OFFERINGS_KEPT_CYCLES: u32 = 10;

/// What the cloud was asked, as it answered.
pub(super) struct Asked {
    listing: Result<Listing, ProviderError>,
    interruptions: Vec<Interruption>,
    quota: Result<Quota, ProviderError>,
    offered: Option<Result<Vec<Offering>, ProviderError>>,
    side: side::Answer,
    terms: Option<Result<Terms, ProviderError>>,
}

impl Asked {
    pub(super) async fn ask(provider: &dyn Observe, memory: &SpaceMemory, began: Began) -> Self {
        let ((listing, interruptions), quota, offered, side, terms) = futures::join!(
            list(provider, memory),
            provider.quota(),
            ask_for_offerings(provider, memory),
            memory.side.ask(provider),
            memory.terms.ask(provider, (began.wall, began.monotonic)),
        );
        Self { listing, interruptions, quota, offered, side, terms }
    }

    /// Takes it into memory.
    pub(super) fn learned(
        self,
        memory: &mut SpaceMemory,
        (began, settle): (Began, Duration),
        problems: &mut Vec<String>,
    ) -> Told {
        let Self { listing, interruptions, quota, offered, side, terms } = self;
        remember_offerings(memory, offered, problems);
        Told {
            side: memory.side.learn(side, began.monotonic, settle),
            terms: memory.terms.learn(terms, began.monotonic),
            answer: Answer::of(listing, began.wall),
            interruptions,
            quota,
        }
    }
}

/// What is believed of it.
pub(super) struct Told {
    pub(super) answer: Answer,
    pub(super) interruptions: Vec<Interruption>,
    pub(super) quota: Result<Quota, ProviderError>,
    pub(super) terms: Result<Terms, ProviderError>,
    pub(super) side: LeftBehind,
}

impl Told {
    /// Nothing, and nothing of it is remembered.
    pub(super) fn nothing(state: ListingState) -> Self {
        let answer = Answer { listed: Vec::new(), state };
        let (quota, terms) = (Ok(Quota::default()), Ok(Terms::default()));
        let (interruptions, side) = (Vec::new(), LeftBehind::default());
        Self { answer, interruptions, quota, terms, side }
    }
}

/// The listing, then the notices: a provider may tell of machines that the listing shows as gone. They are few and
/// short-lived, so what cannot be learned of them now stops nothing.
async fn list(
    provider: &dyn Observe,
    memory: &SpaceMemory,
) -> (Result<Listing, ProviderError>, Vec<Interruption>) {
    let listing = provider.list().await;
    let can_be_taken_back = |record: &MachineRecord| {
        record.gone.is_none()
            && record.rejected.is_none()
            && record.offering.market == Market::Preemptible
    };
    if listing.is_err() || !memory.records.values().any(can_be_taken_back) {
        return (listing, Vec::new());
    }
    let notices = provider.interruptions().await.unwrap_or_else(|error| {
        warn!(%error, "the cloud did not tell which machines it will take back");
        Vec::new()
    });
    (listing, notices)
}

/// The listing as it came.
pub(super) struct Answer {
    pub(super) listed: Vec<Instance>,
    pub(super) state: ListingState,
}

impl Answer {
    fn of(listing: Result<Listing, ProviderError>, started: Timestamp) -> Self {
        match listing {
            Ok(Listing::Complete(listed)) => {
                Self { listed, state: ListingState::Complete { started } }
            }
            Ok(Listing::Partial { seen, why }) => {
                Self { listed: seen, state: ListingState::Partial { why } }
            }
            Err(error) => {
                warn!(%error, "the cloud could not be listed");
                let kind = error.kind.word().to_owned();
                let state = ListingState::Failed { kind, message: error.to_string() };
                Self { listed: Vec::new(), state }
            }
        }
    }
}

/// Asks only when what is remembered is old.
async fn ask_for_offerings(
    provider: &dyn Observe,
    memory: &SpaceMemory,
) -> Option<Result<Vec<Offering>, ProviderError>> {
    match &memory.offerings {
        Some((cycles_left, _)) if *cycles_left > 0 => None,
        Some(_) | None => Some(provider.offerings().await),
    }
}

fn remember_offerings(
    memory: &mut SpaceMemory,
    offered: Option<Result<Vec<Offering>, ProviderError>>,
    problems: &mut Vec<String>,
) {
    match offered {
        None => {
            if let Some((cycles_left, _)) = &mut memory.offerings {
                *cycles_left -= 1;
            }
        }
        Some(answer) => {
            memory.offerings =
                told("offerings", answer, problems).map(|new| (OFFERINGS_KEPT_CYCLES, new));
        }
    }
}
