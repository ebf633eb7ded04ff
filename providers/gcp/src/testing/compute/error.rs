//! What goes wrong inside an operation, and the stock-outs that are its commonest cause.

use serde_json::{Value, json};
use vcycle_api::Market;

use crate::testing::reply::{self, Reply};

/// Whether a refusal comes at once or inside the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The insert itself is refused.
    AtOnce,
    /// The insert is accepted; its operation fails.
    InOperation,
}

/// An offering that is out of stock. Empty words and `None` mean any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Machine type.
    pub machine_type: String,
    /// Zone.
    pub zone: String,
    /// Market.
    pub market: Option<Market>,
    /// Code: `ZONE_RESOURCE_POOL_EXHAUSTED` or one of its relatives.
    pub code: String,
    /// How it is told.
    pub told: Told,
}

impl Shortage {
    /// Of everything, everywhere.
    pub fn total() -> Self {
        Self {
            machine_type: String::new(),
            zone: String::new(),
            market: None,
            code: "ZONE_RESOURCE_POOL_EXHAUSTED".to_owned(),
            told: Told::InOperation,
        }
    }

    /// Of a machine type in a zone and market.
    pub fn of(machine_type: &str, zone: &str, market: Market) -> Self {
        let (machine_type, zone) = (machine_type.to_owned(), zone.to_owned());
        Self { machine_type, zone, market: Some(market), ..Self::total() }
    }

    pub(crate) fn fits(&self, machine_type: &str, zone: &str, market: Market) -> bool {
        let any = |own: &str, other: &str| own.is_empty() || own == other;
        any(&self.machine_type, machine_type)
            && any(&self.zone, zone)
            && self.market.is_none_or(|own| own == market)
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpError {
    /// Code in `error.errors[0]`.
    pub code: String,
    /// Message.
    pub message: String,
    /// `httpErrorStatusCode`.
    pub status: i32,
    /// `httpErrorMessage`.
    pub status_message: String,
    /// `errorDetails`; null: none.
    pub details: Value,
    /// `reason` of the same refusal when it is told at once.
    pub reason: String,
}

impl OpError {
    /// Any error.
    pub fn new(code: &str, status: i32, message: &str) -> Self {
        let status_message = match status {
            400 => "BAD REQUEST",
            403 => "FORBIDDEN",
            404 => "NOT FOUND",
            409 => "CONFLICT",
            412 => "PRECONDITION FAILED",
            503 => "SERVICE UNAVAILABLE",
            _ => "INTERNAL SERVER ERROR",
        };
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            status,
            status_message: status_message.to_owned(),
            details: Value::Null,
            reason: "invalid".to_owned(),
        }
    }

    /// No machine of this type is to be had in the zone.
    pub fn stock_out(code: &str, project: &str, zone: &str, machine_type: &str) -> Self {
        let message = format!(
            "The zone 'projects/{project}/zones/{zone}' does not have enough resources available to \
             fulfill the request.  Try a different zone, or try again later."
        );
        let metadatas = json!({
            "attachment": "", "vmType": machine_type, "zone": zone, "zonesAvailable": "",
        });
        let info = json!({
            "domain": "compute.googleapis.com", "reason": "resource_availability",
            "metadatas": metadatas,
        });
        let url = "https://cloud.google.com/compute/docs/resource-error";
        let help =
            json!({ "links": [{ "description": "Troubleshooting documentation", "url": url }] });
        let text = json!({ "locale": "en-US", "message": message });
        let details =
            json!([{ "help": help }, { "localizedMessage": text }, { "errorInfo": info }]);
        let reason = code.to_owned();
        Self { details, reason, ..Self::new(code, 503, &message) }
    }

    /// A quota would be passed.
    pub fn quota(metric: &str, limit: f64, region: &str) -> Self {
        let message = format!("Quota '{metric}' exceeded.  Limit: {limit:.1} in region {region}.");
        let info = json!({
            "metricName": format!("compute.googleapis.com/{}", metric.to_lowercase()),
            "limitName": format!("{}-per-project-region", metric.replace('_', "-")),
            "dimensions": { "region": region },
            "limit": limit,
        });
        let details = json!([{ "quotaInfo": info }]);
        let reason = "quotaExceeded".to_owned();
        Self { details, reason, ..Self::new("QUOTA_EXCEEDED", 403, &message) }
    }

    /// The name is taken, which was seen only when the operation ran.
    pub fn already_exists(resource: &str) -> Self {
        let message = format!("The resource '{resource}' already exists");
        let reason = "alreadyExists".to_owned();
        Self { reason, ..Self::new("RESOURCE_ALREADY_EXISTS", 409, &message) }
    }

    /// The subnetwork has no free address.
    pub fn no_addresses(subnetwork: &str) -> Self {
        let message = format!("IP space of '{subnetwork}' is exhausted.");
        Self::new("IP_SPACE_EXHAUSTED", 400, &message)
    }

    /// A rule of the organisation forbids it.
    pub fn forbidden_by_rule(constraint: &str, project: &str) -> Self {
        let message = format!("Constraint {constraint} violated for project {project}.");
        let reason = "conditionNotMet".to_owned();
        Self { reason, ..Self::new("CONDITION_NOT_MET", 412, &message) }
    }

    /// The `error` of an operation.
    pub(crate) fn show(&self) -> Value {
        let mut one = json!({ "code": self.code, "message": self.message });
        if !self.details.is_null() {
            one["errorDetails"] = self.details.clone();
        }
        json!({ "errors": [one] })
    }

    /// The same, told at once.
    pub(crate) fn at_once(&self) -> Reply {
        let status = u16::try_from(self.status).unwrap_or(500);
        reply::refusal(status, &self.reason, &self.message)
    }
}
