//! Limits of the account (Service Quotas, where they may be read), and what the instances of the region use of them.
//!
//! EC2 limits processors: one limit for the standard families on demand, one for their spot requests, and more for
//! families of their own. The contract knows one limit, so that of the configured markets together is told.
//! When one market is used up, EC2 says so, and that market's offerings are out of stock for us.

use std::time::Duration;

use vcycle_api::{ErrorKind, Market, Processors, ProviderError, Quota};

use crate::Settings;
use crate::account::Account;
use crate::errors::Failure;
use crate::list;
use crate::usage::{Usage, is_standard};

const READ: &str = "read quota";

/// Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, in processors.
const ON_DEMAND: &str = "L-1216C47A";

/// All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests, in processors.
const SPOT: &str = "L-34B43A08";

/// How long limits are remembered, also that they cannot be read. They change when people ask for more.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The limits as far as they can be read, in processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    on_demand: Option<Processors>,
    spot: Option<Processors>,
}

/// Limits and use of the account in this region.
pub(crate) async fn quota(account: &Account) -> Result<Quota, ProviderError> {
    let Some(usage) = list::count(account).await? else {
        let message = "not all instances could be counted";
        return Err(ProviderError::new(ErrorKind::Unavailable, READ, message));
    };
    let limits = account.limits.younger_than(LIFETIME, Box::pin(limits(account))).await?;
    Ok(quota_of(&account.settings, *limits, usage))
}

async fn limits(account: &Account) -> Result<Limits, ProviderError> {
    let mut limits = Limits::default();
    for market in &account.settings.markets {
        match market {
            Market::OnDemand => limits.on_demand = limit(account, ON_DEMAND).await,
            Market::Preemptible => limits.spot = limit(account, SPOT).await,
        }
    }
    Ok(limits)
}

/// `None` where it cannot be read: then EC2's own refusals tell.
async fn limit(account: &Account, code: &str) -> Option<Processors> {
    match read(account, code).await {
        Ok(limit) => limit,
        Err(failure) => {
            tracing::info!(quota = code, error = %failure.of_read(), "this limit cannot be read");
            None
        }
    }
}

/// A limit, by its code.
pub(crate) async fn read(account: &Account, code: &str) -> Result<Option<Processors>, Failure> {
    let asked = account.session.call(READ, |clients| {
        clients.quotas.get_service_quota().service_code("ec2").quota_code(code).send()
    });
    let answer = asked.await?;
    let value = answer.quota().and_then(|quota| quota.value());
    Ok(value.and_then(whole).map(Processors))
}

/// The service tells numbers with a point.
fn whole(value: f64) -> Option<u32> {
    let is_count = value.is_finite() && (0.0..f64::from(u32::MAX)).contains(&value);
    is_count.then_some(value as u32)
}

/// Codes of the limits that count for these markets, for people.
pub(crate) fn codes(settings: &Settings) -> Vec<(&'static str, &'static str)> {
    let code = |market: &Market| match market {
        Market::OnDemand => ("on demand", ON_DEMAND),
        Market::Preemptible => ("spot", SPOT),
    };
    settings.markets.iter().map(code).collect()
}

/// The limits are told only when they count for all types that may be bought. Pure.
fn quota_of(settings: &Settings, limits: Limits, usage: Usage) -> Quota {
    let all_standard = settings.instance_types.iter().all(|name| is_standard(name));
    let mut limit = Some(Processors(0));
    let mut used = Processors(0);
    for market in [Market::OnDemand, Market::Preemptible] {
        if settings.markets.contains(&market) {
            let (most, now) = match market {
                Market::OnDemand => (limits.on_demand, usage.on_demand),
                Market::Preemptible => (limits.spot, usage.spot),
            };
            limit = limit.zip(most).map(|(sum, most)| sum.plus(most));
            used = used.plus(now);
        }
    }
    let (processors, processors_used) = match all_standard {
        true => (limit, used),
        false => (None, usage.all),
    };
    Quota {
        processors,
        processors_used: Some(processors_used),
        machines_used: Some(usage.machines),
        ..Quota::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage =
        Usage { machines: 5, on_demand: Processors(8), spot: Processors(4), all: Processors(44) };

    fn told(types: &[&str], markets: &[Market], limits: Limits) -> (Option<u32>, u32) {
        let types = types.iter().map(|&name| name.to_owned()).collect();
        let settings = Settings { markets: markets.to_vec(), ..Settings::new("r", types) };
        let quota = quota_of(&settings, limits, USAGE);
        assert_eq!(quota.machines_used, Some(5));
        (quota.processors.map(|it| it.0), quota.processors_used.unwrap().0)
    }

    #[test]
    fn the_limits_of_the_configured_markets_are_told_together() {
        let both = Limits { on_demand: Some(Processors(64)), spot: Some(Processors(32)) };
        let (on_demand, spot) = (Market::OnDemand, Market::Preemptible);
        assert_eq!(told(&["m5.large"], &[on_demand], both), (Some(64), 8));
        assert_eq!(told(&["m5.large"], &[spot], both), (Some(32), 4));
        assert_eq!(told(&["m5.large"], &[spot, on_demand], both), (Some(96), 12));
    }

    #[test]
    fn a_limit_that_is_not_known_or_not_the_only_one_limits_nothing() {
        let one = Limits { on_demand: Some(Processors(64)), spot: None };
        let (on_demand, spot) = (Market::OnDemand, Market::Preemptible);
        assert_eq!(told(&["m5.large"], &[spot, on_demand], one), (None, 12));
        assert_eq!(told(&["m5.large", "g5.xlarge"], &[on_demand], one), (None, 44));
    }

    #[test]
    fn a_limit_is_a_whole_number() {
        assert_eq!(whole(64.0), Some(64));
        assert_eq!((whole(-1.0), whole(f64::NAN), whole(1e20)), (None, None, None));
    }
}
