//! What a machine of a machinetype would get, rendered as a sample; and whether the provider of its
//! space would take it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::definition::{MachineVariables, RenderError, Rendered, Setup};
use crate::config::{Problem, SpaceConfig, TlsIdentity, Wrong};
use crate::model::{EntryName, MachineName, MachinetypeName, SpaceName, Timestamp};

/// What stands for the certificate of the manager's own authority in a sample.
const MANAGER_CA: &str =
    "-----BEGIN CERTIFICATE-----\n(the CA of the manager)\n-----END CERTIFICATE-----\n";
/// The most that the certificate of the manager's own authority has, in bytes of PEM: a size must not
/// be called good because the sample's certificate is shorter than the real one.
pub const LARGEST_MANAGER_CA: usize = 1024;

/// As long as any that comes.
const SAMPLE_DEADLINE: i64 = 1_800_000_000;

/// Why there is nothing to show of a rendering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The configuration has no such space.
    #[error("no space {0} in the configuration")]
    NoSpace(SpaceName),
    /// The space has no machinetype of that name or with that entry.
    #[error("space {space} has no machinetype `{name}` and none with the entry `{name}`")]
    NoMachinetype {
        /// The space.
        space: SpaceName,
        /// What was asked for.
        name: String,
    },
    /// Several machinetypes of the space use the entry.
    #[error("several machinetypes of space {space} use the entry `{name}`; name one: {found}")]
    Several {
        /// The space.
        space: SpaceName,
        /// What was asked for.
        name: String,
        /// The machinetypes.
        found: String,
    },
    /// It cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Renders what a machine of a machinetype would get. `name` is a machinetype of the space, or an
/// entry that one of them uses. The machine's name, token and CA are made up: they differ from
/// machine to machine.
///
/// # Errors
/// When there is no such machinetype, or the result is larger than `limit`.
pub fn render(
    setup: &Setup,
    space: &SpaceName,
    name: &str,
    limit: usize,
) -> Result<Rendered, SampleError> {
    let in_space = setup.spaces.get(space).ok_or_else(|| SampleError::NoSpace(space.clone()))?;
    let machinetype = pick(in_space, space, name)?;
    Ok(sample(setup, (space, &machinetype), MANAGER_CA, (limit, str::len))?)
}

/// The sample of a machinetype that the space has.
fn sample(
    setup: &Setup,
    (space, machinetype): (&SpaceName, &MachinetypeName),
    manager_ca: &str,
    (limit, count): (usize, fn(&str) -> usize),
) -> Result<Rendered, RenderError> {
    let server = &setup.config.server;
    let port = server.https.port.unwrap_or(server.https.listen.port());
    let variables = MachineVariables {
        site: &setup.config.site.name,
        space,
        machinetype,
        machine: &MachineName::compose(machinetype, 0),
        manager_version: concat!("vcycle ", env!("CARGO_PKG_VERSION")),
        manager_hostname: &server.https_host,
        base_url: &format!("https://{}:{port}", server.https_host),
        outputs_token: "0123456789abcdef0123456789abcdef0123456789a",
        manager_ca,
        deadline: Timestamp::from_secs(SAMPLE_DEADLINE),
    };
    setup.spaces[space].machinetypes[machinetype].render_counted(&variables, limit, count)
}

fn pick(
    setup: &super::SpaceSetup,
    space: &SpaceName,
    name: &str,
) -> Result<MachinetypeName, SampleError> {
    if let Some(found) = setup.machinetypes.keys().find(|known| known.as_str() == name) {
        return Ok(found.clone());
    }
    let with_entry: Vec<_> = setup
        .machinetypes
        .iter()
        .filter(|(_, definition)| definition.entry.name.as_str() == name)
        .map(|(machinetype, _)| machinetype)
        .collect();
    let name = name.to_owned();
    match with_entry.as_slice() {
        [] => Err(SampleError::NoMachinetype { space: space.clone(), name }),
        [one] => Ok((*one).clone()),
        many => {
            let found: Vec<&str> = many.iter().map(|found| found.as_str()).collect();
            Err(SampleError::Several { space: space.clone(), name, found: found.join(", ") })
        }
    }
}

/// The most that a provider takes.
#[derive(Debug, Clone, Copy)]
pub struct UserDataLimit {
    /// The provider's name.
    pub provider: &'static str,
    /// Bytes.
    pub bytes: usize,
    /// How it counts those of a text.
    pub count: fn(&str) -> usize,
}

impl PartialEq for UserDataLimit {
    fn eq(&self, other: &Self) -> bool {
        (self.provider, self.bytes) == (other.provider, other.bytes)
    }
}

impl Eq for UserDataLimit {}

/// A machinetype whose machines cannot be made: their `user_data` is too large for the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "user_data of machinetype {machinetype} in space {space} has {bytes} bytes, more than the {} that \
     its provider `{}` takes: shorten the template of the entry `{entry}`, or the options and files \
     that this machinetype gives it",
    limit.bytes, limit.provider
)]
pub struct TooLarge {
    /// The space.
    pub space: SpaceName,
    /// The machinetype.
    pub machinetype: MachinetypeName,
    /// Its entry.
    pub entry: EntryName,
    /// How large it is, with the largest certificate that the manager's own authority may have.
    pub bytes: usize,
    /// What it should fit into.
    pub limit: UserDataLimit,
}

impl TooLarge {
    /// As a problem of the configuration, at the section of the machinetype.
    pub fn problem(&self, setup: &Setup) -> Option<Problem> {
        let Self { space, machinetype, entry, bytes, limit } = self;
        let section = &setup.config.spaces.get(space)?.machinetypes.get(machinetype)?.section;
        let wrong = Wrong::new(
            format!(
                "its user_data has {bytes} bytes, more than the {} that the provider `{}` of space \
                 {space} takes",
                limit.bytes, limit.provider
            ),
            format!("a shorter template of the entry `{entry}`, or shorter options and files here"),
        );
        Some(Problem::at_value(section, wrong))
    }
}

/// As hard to compress as a real one.
fn largest_ca() -> String {
    let lines = (0_u8..).map(|line| STANDARD.encode(Sha256::digest([line])));
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        if text.len() >= LARGEST_MANAGER_CA {
            break;
        }
    }
    text.truncate(LARGEST_MANAGER_CA);
    text
}

/// Every machinetype whose `user_data` the provider of its space would not take.
pub fn too_large(
    setup: &Setup,
    limit_of: impl Fn(&SpaceConfig) -> Option<UserDataLimit>,
) -> Vec<TooLarge> {
    let largest_ca = match setup.config.server.https.identity {
        TlsIdentity::SelfSigned => largest_ca(),
        TlsIdentity::Files { certificate: _, key: _ } => String::new(),
    };
    let mut found = Vec::new();
    for (space, definitions) in &setup.spaces {
        let Some(limit) = setup.config.spaces.get(space).and_then(&limit_of) else { continue };
        for (machinetype, definition) in &definitions.machinetypes {
            match sample(setup, (space, machinetype), &largest_ca, (limit.bytes, limit.count)) {
                Ok(_) => {}
                Err(RenderError::TooLarge { bytes, limit: _ }) => found.push(TooLarge {
                    space: space.clone(),
                    machinetype: machinetype.clone(),
                    entry: definition.entry.name.clone(),
                    bytes,
                    limit,
                }),
            }
        }
    }
    found
}
