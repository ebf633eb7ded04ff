//! Machines that Google takes back, or took back lately: it says so by an operation when it begins, thirty seconds
//! before the end.

use std::time::Duration;

use vcycle_api::{Interruption, Market, ProviderError};

use crate::meaning::{Attempt, error};
use crate::operations;
use crate::site::Site;

/// Longest age of what the listing just before has learned: it is one look.
const SAME_LOOK: Duration = Duration::from_secs(2);

/// Notices that machines are taken back.
pub(crate) async fn interruptions(site: &Site) -> Result<Vec<Interruption>, ProviderError> {
    if !site.settings().markets.contains(&Market::Preemptible) {
        return Ok(Vec::new());
    }
    let now = site.clock().monotonic();
    let known = site.memory().taken.clone();
    let known = known.filter(|taken| now.saturating_sub(taken.asked) < SAME_LOOK);
    let taken = match known {
        Some(taken) => taken,
        None => {
            let zones = site.zones().await?;
            let taken = operations::taken(site, &zones).await;
            let taken = taken.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
            site.memory().taken = Some(taken.clone());
            taken
        }
    };
    let notices = taken.machines.iter();
    Ok(notices.map(|(place, at)| Interruption { instance: place.id(), at: Some(*at) }).collect())
}
