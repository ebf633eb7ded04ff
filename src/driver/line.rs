//! The line to the cloud of a space: its provider, under one request budget.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;
use vcycle_api::{Act, BudgetSettings, Budgeted};

use super::Shared;
use crate::library::Setup;
use crate::model::SpaceName;

/// The part of the TTL that a call to the cloud may wait for its turn in the request budget: less than
/// the fifth that an ownership keeps back, for the proof is checked before the wait.
const PATIENCE_PER_TTL: u32 = 10;

/// The provider with what it was made from, once it was made.
#[derive(Default)]
pub(super) struct Line(Option<(String, Arc<dyn Act>)>);

impl Line {
    /// The provider, made anew when its table or the TTL of the ownership has changed.
    pub(super) fn get(
        &mut self,
        shared: &Shared,
        (space, setup): (&SpaceName, &Setup),
        ttl: Duration,
    ) -> Result<Arc<dyn Act>, String> {
        let Some(config) = setup.config.spaces.get(space) else {
            return Err("the space has rules, but no provider: internal error".to_owned());
        };
        let budget = BudgetSettings::DEFAULT;
        let patience = budget.patience.min(ttl / PATIENCE_PER_TTL);
        let table = format!("{:?}, {patience:?}", config.provider);
        if let Some((made_from, provider)) = &self.0
            && *made_from == table
        {
            return Ok(Arc::clone(provider));
        }
        match (shared.providers)(config) {
            Ok(provider) => {
                // One budget for everything that this manager asks of the tenancy.
                let paced = Budgeted::new(provider, BudgetSettings { patience, ..budget });
                let provider: Arc<dyn Act> = Arc::new(paced);
                self.0 = Some((table, Arc::clone(&provider)));
                Ok(provider)
            }
            Err(problem) => {
                self.0 = None;
                let why = format!("its provider cannot be used: {problem:#}");
                error!(%space, %why, "nothing is done");
                Err(why)
            }
        }
    }
}
