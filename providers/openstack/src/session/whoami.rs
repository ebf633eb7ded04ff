//! Who we are for the cloud.

use vcycle_api::Timestamp;

/// What a login gave. For people, and for what depends on it (roles, expiry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whoami {
    /// Which credential, in the words of its file: `cloud 'iris' of /etc/openstack/clouds.yaml`.
    pub(crate) credential: String,
    /// Whether it is the second one, the first having been refused, and why.
    pub(crate) first_refused: Option<String>,
    /// Name of the project.
    pub(crate) project: String,
    /// Id of the project.
    pub(crate) project_id: String,
    /// Name of the user.
    pub(crate) user: String,
    /// Id of the user.
    pub(crate) user_id: String,
    /// Region, when one was chosen or the catalogue has only one.
    pub(crate) region: Option<String>,
    /// Roles in the project.
    pub(crate) roles: Vec<String>,
    /// When the token ends.
    pub(crate) token_expires: Timestamp,
    /// When the application credential ends, if it has an end and we may read it.
    pub(crate) credential_expires: Option<Timestamp>,
    /// What else its owner should know (files that others can read, unverified TLS).
    pub(crate) notices: Vec<String>,
}
