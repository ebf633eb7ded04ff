//! `vcycle library list|show|check|render`: the VM definitions, for people and scripts. What they
//! show is made by `library::catalogue`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::error::CliError;
use super::output::{Screen, json, print, table, table_text};
use super::site::load_config;
use super::{LibraryArgs, LibraryCommand, RenderArgs, providers};
use crate::config::{Problem, ProblemRow, Problems};
use crate::library::catalogue::{self, EntryPage, EntryRow};
use crate::library::{Setup, load_setup, too_large};
use crate::model::{EntryName, MachinetypeName};

/// Carries the command out.
pub(crate) fn run(config: &Path, command: &LibraryCommand) -> Result<ExitCode, CliError> {
    match command {
        LibraryCommand::List(args) => list(config, args)?,
        LibraryCommand::Show { entry, library } => show(config, entry, library)?,
        LibraryCommand::Check { entry, library } => return check(config, entry.as_ref(), library),
        LibraryCommand::Render(args) => render(config, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Folders that were typed, or those of the configuration.
fn folders(config: &Path, args: &LibraryArgs) -> Result<Vec<PathBuf>, CliError> {
    if args.path.is_empty() {
        return Ok(load_config(config)?.library.paths);
    }
    if let Some(missing) = args.path.iter().find(|path| !path.is_dir()) {
        return Err(CliError::Usage(format!("{} is not a folder", missing.display())));
    }
    Ok(args.path.clone())
}

fn problems(problems: &Problems) -> CliError {
    CliError::Problems(problems.to_string())
}

/// The documented JSON of `vcycle library list --json`.
#[derive(Serialize)]
struct ListJson {
    format: u32,
    entries: Vec<EntryRow>,
}

fn list(config: &Path, args: &LibraryArgs) -> Result<(), CliError> {
    let paths = folders(config, args)?;
    let entries = catalogue::list(&paths);
    if args.read.json {
        return print(&json(&ListJson { format: 1, entries })?);
    }
    if entries.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return print(&format!("no entries in {}\n", shown.join(", ")));
    }
    let mut table = table(Screen::of_stdout(), &["ENTRY", "VERSION", "DESCRIPTION", "FOLDER"]);
    for entry in &entries {
        let description = match entry.errors {
            0 => entry.description.clone(),
            1 => "has an error: see `vcycle library check`".to_owned(),
            many => format!("has {many} errors: see `vcycle library check`"),
        };
        let folder = entry.folder.display().to_string();
        table.add_row([entry.name.as_str(), &entry.version, &description, &folder]);
    }
    print(&table_text(&table))
}

/// The documented JSON of `vcycle library show --json`.
#[derive(Serialize)]
struct ShowJson {
    format: u32,
    #[serde(flatten)]
    entry: EntryPage,
    readme: Option<String>,
}

fn show(config: &Path, name: &EntryName, args: &LibraryArgs) -> Result<(), CliError> {
    let entry = catalogue::show(&folders(config, args)?, name).map_err(|p| problems(&p))?;
    let readme = std::fs::read_to_string(entry.folder.join("README.md")).ok();
    if args.read.json {
        return print(&json(&ShowJson { format: 1, entry, readme })?);
    }
    let mut text = entry.to_string();
    if let Some(readme) = readme {
        text.push('\n');
        text.push_str(readme.trim_end());
        text.push('\n');
    }
    print(&text)
}

/// The documented JSON of `vcycle library check --json`.
#[derive(Serialize)]
struct CheckJson {
    format: u32,
    checked: Vec<EntryName>,
    valid: bool,
    problems: Vec<ProblemRow>,
}

fn check(
    config: &Path,
    name: Option<&EntryName>,
    args: &LibraryArgs,
) -> Result<ExitCode, CliError> {
    let checked = catalogue::check(&folders(config, args)?, name).map_err(|p| problems(&p))?;
    let catalogue::Checked { entries, mut errors, warnings } = checked;
    // Folders that were typed have no spaces. A setup that cannot be used is for `vcycle check`.
    if args.path.is_empty()
        && let Ok(setup) = load_setup(config)
    {
        let found = too_large(&setup, providers::user_data_limit);
        let found = found.iter().filter(|found| entries.contains(&found.entry));
        errors.extend(found.filter_map(|found| found.problem(&setup)));
    }
    let valid = errors.is_empty();
    let found: Vec<Problem> = errors.into_iter().chain(warnings).collect();
    if args.read.json {
        let problems = found.iter().map(Problem::row).collect();
        print(&json(&CheckJson { format: 1, checked: entries, valid, problems })?)?;
    } else {
        for problem in &found {
            print(&format!("{problem}\n\n"))?;
        }
        let names: Vec<_> = entries.iter().map(EntryName::as_str).collect();
        let verdict = if valid { "no errors" } else { "errors" };
        print(&format!("{verdict} in {}\n", names.join(", ")))?;
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The documented JSON of `vcycle library render --json`.
#[derive(Serialize)]
struct RenderJson<'a> {
    format: u32,
    entry: &'a EntryName,
    space: &'a str,
    bytes: usize,
    masked: bool,
    user_data: &'a str,
}

fn render(config: &Path, args: &RenderArgs) -> Result<(), CliError> {
    let setup = load_setup(config).map_err(|p| problems(&p))?;
    let name = machinetype_of(&setup, args)?;
    let found = too_large(&setup, providers::user_data_limit);
    if let Some(found) = found.iter().find(|f| f.space == args.space && f.machinetype == name) {
        return Err(CliError::Usage(found.to_string()));
    }
    // Checked above, with a certificate as long as the manager's may be.
    let rendered = catalogue::render(&setup, &args.space, name.as_str(), usize::MAX)
        .map_err(|error| CliError::Usage(error.to_string()))?;
    let whole = rendered.user_data.expose();
    let text = if args.reveal_secrets { whole } else { &rendered.masked };
    if !args.read.json {
        return print(text);
    }
    print(&json(&RenderJson {
        format: 1,
        entry: &args.entry,
        space: args.space.as_str(),
        bytes: whole.len(),
        masked: !args.reveal_secrets,
        user_data: text,
    })?)
}

/// The machinetype of the space that uses the entry: named, or the only one.
fn machinetype_of(setup: &Setup, args: &RenderArgs) -> Result<MachinetypeName, CliError> {
    let RenderArgs { entry, space, machinetype, .. } = args;
    let in_space = setup.spaces.get(space).ok_or_else(|| {
        let known: Vec<_> = setup.spaces.keys().map(ToString::to_string).collect();
        CliError::Usage(format!(
            "the configuration has no space {space}; it has: {}",
            known.join(", ")
        ))
    })?;
    let uses: Vec<&MachinetypeName> = in_space
        .machinetypes
        .iter()
        .filter(|(_, definition)| definition.entry.name == *entry)
        .map(|(name, _)| name)
        .collect();
    let names = || uses.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    match (machinetype, uses.as_slice()) {
        (Some(wanted), _) if uses.contains(&wanted) => Ok(wanted.clone()),
        (None, [one]) => Ok((*one).clone()),
        (_, []) => {
            Err(CliError::Usage(format!("no machinetype of {space} uses the entry {entry}")))
        }
        (Some(wanted), _) => Err(CliError::Usage(format!(
            "machinetype {wanted} of {space} does not use the entry {entry}; these do: {}",
            names()
        ))),
        (None, _) => Err(CliError::Usage(format!(
            "several machinetypes of {space} use the entry {entry}; name one with --machinetype: {}",
            names()
        ))),
    }
}
