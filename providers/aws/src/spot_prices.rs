//! What spot costs now: the newest price of each type in each zone, as EC2 tells it. For choosing and forecasts: what is
//! reserved for a machine is the price on demand, which a spot machine that names no highest price never passes
//! ("Spot Instances", EC2 User Guide).

use std::collections::BTreeMap;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::InstanceType;
use vcycle_api::{ProviderError, Timestamp};

use crate::account::Account;
use crate::errors::Failure;
use crate::instance::time;

const DESCRIBE: &str = "describe spot price history";

/// Linux, in a VPC: all accounts have been in one since 2022.
const PRODUCT: &str = "Linux/UNIX";

/// The price of spot, in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotPrice {
    /// Type of the instance.
    pub instance_type: String,
    /// Zone.
    pub zone: String,
    /// US dollars for an hour, as EC2 writes them: `0.123400`.
    pub dollars: String,
    /// Since when it is.
    pub since: Timestamp,
}

/// The prices in force now of the configured types. A history from now on begins with them
/// (API reference, DescribeSpotPriceHistory, `StartTime`).
pub(crate) async fn spot_prices(account: &Account) -> Result<Vec<SpotPrice>, ProviderError> {
    let types: Vec<InstanceType> =
        account.settings.instance_types.iter().map(|name| name.as_str().into()).collect();
    let now = DateTime::from_millis(account.clock.now().as_millis());
    let (mut told, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = account.session.call(DESCRIBE, |clients| {
            let request = clients.ec2.describe_spot_price_history().start_time(now);
            let request = request.set_instance_types(Some(types.clone()));
            request.product_descriptions(PRODUCT).set_next_token(token.clone()).send()
        });
        let answer = asked.await.map_err(Failure::of_read)?;
        told.extend(answer.spot_price_history().iter().filter_map(|price| {
            Some(SpotPrice {
                instance_type: price.instance_type()?.as_str().to_owned(),
                zone: price.availability_zone()?.to_owned(),
                dollars: price.spot_price()?.to_owned(),
                since: price.timestamp().and_then(time)?,
            })
        }));
        // An empty token, too, is the last page (API reference).
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(newest(told));
        }
    }
}

/// The newest of each type and zone.
fn newest(told: Vec<SpotPrice>) -> Vec<SpotPrice> {
    let mut newest: BTreeMap<(String, String), SpotPrice> = BTreeMap::new();
    for price in told {
        let key = (price.instance_type.clone(), price.zone.clone());
        if newest.get(&key).is_none_or(|known| known.since < price.since) {
            newest.insert(key, price);
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_prices_of_a_zone_the_newest_is_in_force() {
        let price = |zone: &str, dollars: &str, since| SpotPrice {
            instance_type: "c7i.2xlarge".to_owned(),
            zone: zone.to_owned(),
            dollars: dollars.to_owned(),
            since: Timestamp::from_secs(since),
        };
        let told = vec![
            price("a", "0.1", 5),
            price("b", "0.3", 1),
            price("a", "0.2", 9),
            price("a", "0.4", 7),
        ];
        assert_eq!(newest(told), [price("a", "0.2", 9), price("b", "0.3", 1)]);
    }
}
