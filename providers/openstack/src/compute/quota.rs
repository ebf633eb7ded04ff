//! Limits and use of the project, by `GET /limits`: everybody's servers count.

use serde::Deserialize;
use vcycle_api::{Megabytes, Processors, ProviderError, Quota};

use crate::session::{Call, Service};
use crate::site::Site;

#[derive(Deserialize)]
struct Answer {
    limits: Limits,
}

#[derive(Deserialize)]
struct Limits {
    absolute: Absolute,
}

/// A limit of -1 is none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Absolute {
    max_total_instances: Option<i64>,
    max_total_cores: Option<i64>,
    #[serde(rename = "maxTotalRAMSize")]
    max_total_ram: Option<i64>,
    total_instances_used: Option<i64>,
    total_cores_used: Option<i64>,
    #[serde(rename = "totalRAMUsed")]
    total_ram_used: Option<i64>,
}

impl Absolute {
    fn quota(&self) -> Quota {
        // What is negative is "no limit"; what is more than we can count is none either.
        let count = |told: Option<i64>| told.and_then(|number| u32::try_from(number).ok());
        let size = |told: Option<i64>| told.and_then(|number| u64::try_from(number).ok());
        Quota {
            machines: count(self.max_total_instances),
            processors: count(self.max_total_cores).map(Processors),
            memory: size(self.max_total_ram).map(Megabytes),
            machines_used: count(self.total_instances_used),
            processors_used: count(self.total_cores_used).map(Processors),
            memory_used: size(self.total_ram_used).map(Megabytes),
        }
    }
}

/// Asks for limits and use.
pub(crate) async fn quota(site: &Site) -> Result<Quota, ProviderError> {
    let dialect = site.dialect().await?;
    let call = dialect.say(Call::get(Service::Compute, "/limits", "read quota"));
    let reply = site.session.call::<Answer>(call).await.map_err(|failure| failure.of_read())?;
    Ok(reply.body.limits.absolute.quota())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::captured;

    fn quota_of(name: &str) -> Quota {
        let answer: Answer = serde_json::from_value(captured::body(name)).unwrap();
        answer.limits.absolute.quota()
    }

    #[test]
    fn limits_are_read_in_old_and_new_versions_and_minus_one_is_none() {
        let wanted = Quota {
            machines: Some(2000),
            processors: Some(Processors(4000)),
            memory: None,
            machines_used: Some(0),
            processors_used: Some(Processors(0)),
            memory_used: Some(Megabytes(0)),
        };
        assert_eq!(quota_of("035-limits"), wanted);
        assert_eq!(quota_of("036-limits-mv290"), wanted);
    }

    #[test]
    fn what_is_in_use_is_read() {
        let quota = quota_of("119-limits-when-full");
        assert_eq!(quota.processors, Some(Processors(16)));
        assert_eq!(quota.processors_used, Some(Processors(16)));
        assert_eq!((quota.machines, quota.machines_used), (Some(10), Some(2)));
        assert_eq!(quota.memory_used, Some(Megabytes(32768)));
    }
}
