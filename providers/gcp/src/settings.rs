//! What the provider is told about one project and region. Already validated by who makes it; what would
//! make every create fail is checked again by [`Settings::check`].

use std::path::PathBuf;
use std::time::Duration;

use vcycle_api::{DeploymentId, Market, Processors};

use crate::OpenError;

/// Settings of the provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are.
    pub credentials: Credentials,
    /// Id of the project (not its number).
    pub project: String,
    /// The region, for example `europe-west2`.
    pub region: String,
    /// Zones of that region, best first; empty: all that it has.
    pub zones: Vec<String>,
    /// Machine types to offer, best first; never empty, for a region has hundreds.
    pub machine_types: Vec<String>,
    /// Markets to offer, best first; never empty.
    pub markets: Vec<Market>,
    /// Network of a new machine: a name, or `projects/P/global/networks/N`. With neither network nor subnetwork:
    /// `default`.
    pub network: Option<String>,
    /// Subnetwork of a new machine: a name, or `projects/P/regions/R/subnetworks/S`.
    pub subnetwork: Option<String>,
    /// Whether machines get an external address. It goes when they go.
    pub external_address: ExternalAddress,
    /// What machines may do in Google Cloud; `None`: they have no service account.
    pub service_account: Option<ServiceAccount>,
    /// The disk that they boot from. It is always removed with its machine.
    pub boot_disk: BootDisk,
    /// Network tags, which firewall rules aim at.
    pub network_tags: Vec<String>,
    /// Where the API is, for tests and private endpoints; `None`: `https://compute.googleapis.com`.
    pub endpoint: Option<String>,
    /// Where the billing catalogue is, for tests and private endpoints; `None`: `https://cloudbilling.googleapis.com`.
    pub billing_endpoint: Option<String>,
    /// Most HTTP requests at one time.
    pub requests_at_once: u32,
    /// Time limit of one request.
    pub request_time: Duration,
    /// How long a create waits to hear whether an accepted machine can be made at all. Most stock-outs and
    /// quota refusals come within seconds, and are then told by the create itself; later ones by the listing.
    pub insert_wait: Duration,
    /// How long after a lost reply a machine may still appear ([`vcycle_api::Capabilities::settle`]).
    pub settle: Duration,
    /// Whose disks are ours. `None`, for who only looks: none are.
    pub deployment: Option<DeploymentId>,
}

impl Settings {
    /// The usual settings: on demand, in all zones, on the network `default`, with neither external address nor
    /// service account.
    pub fn new(project: &str, region: &str, machine_types: &[&str]) -> Self {
        Self {
            credentials: Credentials { source: Source::Default, impersonate: None },
            project: project.to_owned(),
            region: region.to_owned(),
            zones: Vec::new(),
            machine_types: machine_types.iter().map(|&name| name.to_owned()).collect(),
            markets: vec![Market::OnDemand],
            network: None,
            subnetwork: None,
            external_address: ExternalAddress::No,
            service_account: None,
            boot_disk: BootDisk::default(),
            network_tags: Vec::new(),
            endpoint: None,
            billing_endpoint: None,
            requests_at_once: 16,
            request_time: Duration::from_secs(30),
            insert_wait: Duration::from_secs(5),
            settle: Duration::from_secs(120),
            deployment: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let missing = |what| Err(OpenError::Setting { what, why: "is empty".to_owned() });
        if self.project.is_empty() {
            return missing("project");
        }
        if self.region.is_empty() {
            return missing("region");
        }
        if self.machine_types.is_empty() {
            return missing("machine_types");
        }
        if self.markets.is_empty() {
            return missing("markets");
        }
        let strange = |zone: &&String| {
            let of_region = zone.strip_prefix(self.region.as_str());
            of_region.is_none_or(|rest| !rest.starts_with('-'))
        };
        if let Some(zone) = self.zones.iter().find(strange) {
            let why = format!("{zone} is not a zone of {}", self.region);
            return Err(OpenError::Setting { what: "zones", why });
        }
        match (&self.credentials.source, &self.endpoint) {
            (Source::Anonymous, None) => Err(OpenError::Setting {
                what: "credentials",
                why: "anonymous ones are for tests, with an endpoint of their own".to_owned(),
            }),
            (Source::Default | Source::File(_) | Source::Anonymous, _) => Ok(()),
        }
    }
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where they come from.
    pub source: Source,
    /// E-mail address of a service account that they stand in for.
    pub impersonate: Option<String>,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Application-default credentials: `GOOGLE_APPLICATION_CREDENTIALS`, what `gcloud auth application-default
    /// login` left, or the metadata server of the machine that we run on.
    Default,
    /// A file of a service account, of a federated identity (`external_account`), of an impersonation or of a
    /// person. Read again after a refusal, so that a key may be changed under us.
    File(PathBuf),
    /// None at all, for tests: taken only with an endpoint of its own.
    Anonymous,
}

/// Whether machines get an external address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalAddress {
    /// Yes, one that goes with the machine.
    Yes,
    /// No: they reach the outside through the network's own gateway (Cloud NAT).
    No,
}

/// The service account of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its e-mail address.
    pub email: String,
    /// OAuth scopes; empty: `cloud-platform`, so that the roles of the account alone decide.
    pub scopes: Vec<String>,
}

/// The disk that a machine boots from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootDisk {
    /// Size in GB (as Google counts them: 2^30 bytes); with `gb_per_processor`, the least size. With neither: the
    /// image's own.
    pub gb: Option<u32>,
    /// Size in GB for each processor.
    pub gb_per_processor: Option<u32>,
    /// Type, for example `pd-balanced`; `None`: Google's default, `pd-standard`.
    pub disk_type: Option<String>,
}

impl BootDisk {
    /// Its size in GB; `None`: the image's own.
    pub(crate) fn size(&self, processors: Processors) -> Option<u64> {
        let each = self.gb_per_processor.map(|gb| u64::from(gb) * u64::from(processors.0));
        each.max(self.gb.map(u64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("a-project", "europe-west2", &["n2-standard-4"])
    }

    #[test]
    fn the_usual_settings_are_good() {
        settings().check().unwrap();
    }

    #[test]
    fn a_zone_of_another_region_is_refused() {
        for zone in ["europe-west1-b", "europe-west2", "europe-west22-a"] {
            let settings = Settings { zones: vec![zone.to_owned()], ..settings() };
            let error = settings.check().unwrap_err();
            assert!(error.to_string().contains("europe-west2"), "{error}");
        }
        let settings = Settings { zones: vec!["europe-west2-a".to_owned()], ..settings() };
        settings.check().unwrap();
    }

    #[test]
    fn nothing_can_be_sold_without_types_or_markets() {
        assert!(Settings { machine_types: Vec::new(), ..settings() }.check().is_err());
        assert!(Settings { markets: Vec::new(), ..settings() }.check().is_err());
    }

    #[test]
    fn anonymous_credentials_need_an_endpoint_of_their_own() {
        let credentials = Credentials { source: Source::Anonymous, impersonate: None };
        let mut settings = Settings { credentials, ..settings() };
        assert!(settings.check().is_err());
        settings.endpoint = Some("http://127.0.0.1:1".to_owned());
        settings.check().unwrap();
    }
}
