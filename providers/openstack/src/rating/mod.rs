//! What flavours cost by the site's own rating service, CloudKitty: by its rules, where we may read them (administrators may,
//! as CloudKitty comes), else by what our project was charged in the last day. What is not certain is left out and told.
//!
//! CloudKitty knows no currency, and its costs are those of a collect period (an hour, unless the site has another).
//! Sources: API reference of CloudKitty, v1 "Rating", "HashMap Module REST API", v2 "Get dataframes"; how rules work
//! together: `cloudkitty/rating/hash/__init__.py` (2026-06).

mod charges;
mod hashmap;
mod rules;

use std::time::Duration;

use vcycle_api::{ErrorKind, ProviderError, Timestamp};

use crate::compute::{self, Flavor};
use crate::session::{Call, Failure, Service};
use crate::site::Site;

const READ: &str = "read prices of the rating service";

/// What flavours cost for one collect period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// Where they are from.
    pub basis: Basis,
    /// The collect period, as the last charges show it; `None`: nothing shows it.
    pub period: Option<Duration>,
    /// The flavours of the space whose cost is certain.
    pub flavors: Vec<FlavorRate>,
    /// The others, each with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Where rates are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The rules of the module `hashmap`.
    Rules,
    /// What our project was charged.
    Charges,
}

/// What a machine of a flavour costs: the sum of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlavorRate {
    /// Name of the flavour.
    pub flavor: String,
    /// What rules of each group ask for.
    pub groups: Vec<GroupRate>,
}

/// What the rules of a group ask for: the dearest of the sums, multiplied by all factors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRate {
    /// Decimal texts, as the service wrote them: sums.
    pub flats: Vec<String>,
    /// The same: factors.
    pub factors: Vec<String>,
}

/// Asks the rating service for all that the space offers.
pub(crate) async fn rates(site: &Site, now: Timestamp) -> Result<Rates, ProviderError> {
    if !site.has(Service::Rating).await? {
        let message = "the catalogue has no rating service (CloudKitty): write the site's list by hand, as etc/prices/openstack.toml, or \
                       name it in clouds.yaml as rating_endpoint_override";
        return Err(ProviderError::new(ErrorKind::InvalidSpec, READ, message));
    }
    let flavors = flavors(site).await?;
    let charges = charges::read(site, now).await;
    match rules::read(site, now).await {
        Ok(rules) => {
            let (rated, left_out) = hashmap::rate(&flavors, &rules?);
            let period = charges.ok().and_then(|charges| charges.period);
            Ok(Rates { basis: Basis::Rules, period, flavors: rated, left_out })
        }
        Err(failure) if failure.status == Some(403) => {
            let charges = charges.map_err(|failure| forbidden(&failure))?;
            let (rated, left_out) = charges::rate(&flavors, &charges);
            Ok(Rates { basis: Basis::Charges, period: charges.period, flavors: rated, left_out })
        }
        Err(failure) => Err(failure.of_read()),
    }
}

/// Neither rules nor charges.
fn forbidden(failure: &Failure) -> ProviderError {
    let message = format!(
        "the rules may not be read with this login, and the charges of the project cannot: {}; ask the site to allow the policy \
         dataframes:get, or for its prices, and write them by hand as etc/prices/openstack.toml",
        failure.message
    );
    ProviderError::new(ErrorKind::AuthFailed, READ, message)
}

/// The flavours of the space.
async fn flavors(site: &Site) -> Result<Vec<Flavor>, ProviderError> {
    let offered = compute::offerings(site).await?;
    let table = compute::table_with(site, |_| true).await?;
    let mut flavors: Vec<Flavor> = Vec::new();
    for offering in offered {
        let known = flavors.iter().any(|flavor| flavor.name == offering.id.flavour);
        if let Some(flavor) = table.by_name(&offering.id.flavour).filter(|_| !known) {
            flavors.push(flavor.clone());
        }
    }
    Ok(flavors)
}

fn get(path: &str) -> Call<'_> {
    Call::get(Service::Rating, path, READ)
}
