//! `vcycle library render`: exactly what a VM would get as user_data, secrets masked unless asked.

use std::path::Path;

use serde::Serialize;

use super::RenderArgs;
use super::error::CliError;
use super::output::{json, print};
use crate::config::{Config, Host, TlsIdentity};
use crate::library::{Definition, MachineVariables, SpaceSetup, load_setup};
use crate::model::{MachineName, MachinetypeName};

/// What stands for the parts that are made for each machine.
const NO_TOKEN: &str = "the-token-of-the-machine";
/// What stands for the certificate of our own authority, which is made when the daemon first runs.
const NO_CA: &str = "-----BEGIN CERTIFICATE-----\n(made by the daemon)\n-----END CERTIFICATE-----\n";

/// Carries the command out.
pub(crate) fn run(config: &Path, args: &RenderArgs) -> Result<(), CliError> {
    let setup = load_setup(config).map_err(|p| CliError::Problems(p.to_string()))?;
    let space = setup.spaces.get(&args.space).ok_or_else(|| {
        let known: Vec<_> = setup.spaces.keys().map(ToString::to_string).collect();
        CliError::Usage(format!(
            "the configuration has no space {}; it has: {}",
            args.space,
            known.join(", ")
        ))
    })?;
    let (machinetype, definition) = choose(space, args)?;
    let host = Host::this();
    let machine = MachineName::compose(machinetype, 0);
    let variables = MachineVariables {
        site: &setup.config.site.name,
        space: &args.space,
        machinetype,
        machine: &machine,
        manager_version: concat!("vcycle ", env!("CARGO_PKG_VERSION")),
        manager_hostname: &host.name,
        base_url: &base_url(&setup.config),
        outputs_token: NO_TOKEN,
        manager_ca: match setup.config.server.https.identity {
            TlsIdentity::SelfSigned => NO_CA,
            TlsIdentity::Files { .. } => "",
        },
    };
    // The limit is the provider's; here the size is told, so that nothing is hidden.
    let rendered = definition
        .render(&variables, usize::MAX)
        .map_err(|error| CliError::failed("cannot render", &error))?;
    let text = if args.reveal_secrets { rendered.user_data.expose() } else { &rendered.masked };
    if args.read.json {
        return print(&json(&RenderJson {
            format: 1,
            entry: args.entry.as_str(),
            version: &definition.entry.version,
            space: args.space.as_str(),
            machinetype: machinetype.as_str(),
            bytes: rendered.user_data.expose().len(),
            masked: !args.reveal_secrets,
            user_data: text,
        })?);
    }
    print(text)
}

/// The documented JSON of `vcycle library render --json`.
#[derive(Serialize)]
struct RenderJson<'a> {
    format: u32,
    entry: &'a str,
    version: &'a str,
    space: &'a str,
    machinetype: &'a str,
    bytes: usize,
    masked: bool,
    user_data: &'a str,
}

/// The machinetype of the space that uses the entry.
fn choose<'a>(
    space: &'a SpaceSetup,
    args: &RenderArgs,
) -> Result<(&'a MachinetypeName, &'a Definition), CliError> {
    let uses: Vec<_> = space
        .machinetypes
        .iter()
        .filter(|(_, definition)| definition.entry.name == args.entry)
        .filter(|(name, _)| args.machinetype.as_ref().is_none_or(|wanted| wanted == *name))
        .collect();
    match uses.as_slice() {
        [one] => Ok(*one),
        [] => Err(CliError::Usage(match &args.machinetype {
            Some(name) => format!("machinetype {name} of {} does not use {}", args.space, args.entry),
            None => format!("no machinetype of {} uses the entry {}", args.space, args.entry),
        })),
        several => {
            let names: Vec<_> = several.iter().map(|(name, _)| name.to_string()).collect();
            Err(CliError::Usage(format!(
                "several machinetypes of {} use {}: choose with --machinetype {}",
                args.space,
                args.entry,
                names.join("|")
            )))
        }
    }
}

/// As the server composes it, with the port of the configuration.
fn base_url(config: &Config) -> String {
    let https = &config.server.https;
    let port = https.port.unwrap_or(https.listen.port());
    format!("https://{}:{port}", config.server.https_host)
}
