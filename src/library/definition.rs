//! A machinetype ready to be made: entry, options and files resolved, and everything valid.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::model::{EntryRef, MachineName, MachinetypeName, SpaceName, SpacePolicy, Timestamp};
use vcycle_api::{Need, UserData};

/// The whole of a manager's instructions, valid, swapped as one.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration.
    pub config: Arc<Config>,
    /// Spaces with their rules and definitions.
    pub spaces: BTreeMap<SpaceName, Arc<SpaceSetup>>,
    /// SHA-256 (hex, first 12 digits) of everything that was read.
    pub digest: String,
}

/// One space.
#[derive(Debug, Clone)]
pub struct SpaceSetup {
    /// The rules for the planner.
    pub policy: SpacePolicy,
    /// The definitions for `act`.
    pub machinetypes: BTreeMap<MachinetypeName, Definition>,
}

impl SpaceSetup {
    /// What the machinetypes need of the cloud, by name. Those without a share are among them: their images
    /// stay.
    pub fn needs(&self) -> Vec<Need> {
        let definitions = self.machinetypes.iter();
        let need = |(name, definition): (&MachinetypeName, &Definition)| Need {
            machinetype: name.clone(),
            image: definition.image.clone(),
            public_key: definition.public_key.clone(),
            flavors: self
                .policy
                .machinetypes
                .get(name)
                .map(|p| p.flavors.clone())
                .unwrap_or_default(),
        };
        definitions.map(need).collect()
    }
}

/// What to make for a machinetype.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The entry and its version.
    pub entry: EntryRef,
    /// Image, if the entry or the configuration names one (ancestor: `root_image`).
    pub image: Option<String>,
    /// Public key of root, if the entry or the configuration names one (ancestor: `root_public_key`).
    pub public_key: Option<String>,
    /// The `user_data` template.
    pub template: Arc<str>,
    /// Option values by name (`##user_data_option_NAME##`), and contents of files
    /// (`user_data_file_NAME`).
    pub options: BTreeMap<String, OptionText>,
    /// DNs whose client certificates may write outputs (ancestor: `https_x509dn`).
    pub https_x509dn: Vec<String>,
    /// Names of output files with a meaning: the heartbeat file, if any.
    pub heartbeat_file: Option<String>,
}

/// The text of an option.
#[derive(Clone)]
pub struct OptionText {
    /// The text.
    pub text: Arc<str>,
    /// Whether it is masked when shown to people.
    pub secret: bool,
}

impl std::fmt::Debug for OptionText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.secret { f.write_str("[secret]") } else { self.text.fmt(f) }
    }
}

/// What is different from machine to machine.
#[derive(Debug, Clone)]
pub struct MachineVariables<'a> {
    /// GOCDB site name.
    pub site: &'a str,
    /// Space.
    pub space: &'a SpaceName,
    /// Machinetype.
    pub machinetype: &'a MachinetypeName,
    /// Machine.
    pub machine: &'a MachineName,
    /// `vcycle VERSION`.
    pub manager_version: &'a str,
    /// Host name of the manager.
    pub manager_hostname: &'a str,
    /// `https://HOST:PORT`, without a slash at the end.
    pub base_url: &'a str,
    /// Bearer token for PUT: `##user_data_option_joboutputs_token##`.
    pub outputs_token: &'a str,
    /// PEM of the CA of our HTTPS server: `##user_data_option_manager_ca##`; empty: a public one.
    pub manager_ca: &'a str,
    /// Its hard end, in seconds since 1970: `##user_data_option_deadline##`.
    pub deadline: Timestamp,
}

/// A rendered contextualisation.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// For the create call.
    pub user_data: UserData,
    /// The same with secrets masked, for people.
    pub masked: String,
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Too big for the provider.
    #[error("user_data of {bytes} bytes is larger than the {limit} bytes that the provider takes")]
    TooLarge {
        /// Its size as the provider counts.
        bytes: usize,
        /// The most it takes.
        limit: usize,
    },
}
