//! Configuration: text -> raw -> valid `Config`; every problem of every file reported at once,
//! with file, line, column, key and what would be right.
//!
//! Reading order: `source` and `problem` (places, and what is wrong there), `tree` (TOML with
//! places, layers merged), `values` and `reader` (typed reading that never stops), `settings`,
//! `site`, `server`, `space`,
//! `provider`, `clouds`, `openstack`, `aws`, `gcp`, `public_key`, `spending` (meaning), `load` (the only file here that reads files), `defaults`.
//! docs/CONFIGURATION.md is the description for people.

mod aws;
mod clouds;
pub mod defaults;
mod gcp;
mod load;
mod openstack;
pub mod problem;
mod provider;
pub mod public_key;
pub mod reader;
mod server;
pub mod settings;
mod site;
pub mod source;
mod space;
mod spending;
pub mod tree;
mod types;
pub mod values;

pub use aws::{AwsConfig, AwsCredentials, RoleConfig, RootVolumeConfig};
pub use gcp::{BootDiskConfig, GcpConfig, ServiceAccountConfig};
pub use load::{
    Host, TextFile, Texts, caps_folder, check_server_files, find_state_dir, load, load_caps,
    load_caps_alone, read_caps, read_texts, validate,
};
pub(crate) use load::{plain, shown};
pub use openstack::{CredentialConfig, NetworksConfig, OpenStackConfig, PreemptibleConfig};
pub use problem::{At, Collector, Finding, Problem, ProblemRow, Problems, Severity, Wrong};
pub use public_key::PublicKey;
pub use source::{Place, Placed, Source};
pub use space::option_value;
pub use spending::{
    CapFile, CapTexts, CapsAndBudgets, CapsStand, Lives, LoadedCaps, Metering, NO_CAPS_FILE,
    OfferingPrice, SiteWorld, SpendingSettings, speaks_of_caps, validate_caps, validate_scenario,
};
pub use types::{
    Config, HttpsConfig, LibraryConfig, LocalConfig, MachinetypeConfig, OptionValue,
    ProviderConfig, ServerConfig, ServerLimits, SimConfig, Site, SpaceConfig, TlsIdentity,
    WrittenFile, WrittenOption,
};

/// Something that should be looked at, but does not stop anything.
pub type Warning = Problem;
