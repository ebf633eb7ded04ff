//! `vcycle library list|show|check|render`: the VM definitions.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::CliError;
use super::output::{BOLD, FAINT, Screen, json, print, styled, table, table_text};
use super::site::load_config;
use super::{LibraryArgs, LibraryCommand, render};
use crate::config::{Collector, ProblemRow, Problems};
use crate::library::entry::Entry;
use crate::library::options::{FileSpec, OptionSpec};
use crate::library::{entry_names, load_entry};
use crate::model::EntryName;

/// Carries the command out.
pub(crate) fn run(config: &Path, command: &LibraryCommand) -> Result<(), CliError> {
    match command {
        LibraryCommand::List(args) => list(config, args),
        LibraryCommand::Show { entry, library } => show(config, entry, library),
        LibraryCommand::Check { entry, library } => check(config, entry.as_ref(), library),
        LibraryCommand::Render(args) => render::run(config, args),
    }
}

/// Folders that were typed, or those of the configuration.
fn folders(config: &Path, args: &LibraryArgs) -> Result<Vec<PathBuf>, CliError> {
    if args.path.is_empty() {
        return Ok(load_config(config)?.library.paths);
    }
    if let Some(missing) = args.path.iter().find(|path| !path.is_dir()) {
        return Err(CliError::Usage(format!("{} is not a folder", missing.display())));
    }
    Ok(args.path.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect())
}

/// An entry, or all that is wrong with it.
fn load(paths: &[PathBuf], name: &EntryName) -> Result<Entry, CliError> {
    let problems = Collector::default();
    let entry = load_entry(paths, name, &problems);
    let (result, _warnings) = problems.into_parts();
    result.map_err(|problems| CliError::Problems(problems.to_string()))?;
    entry.ok_or_else(|| {
        let known: Vec<String> = entry_names(paths).iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        CliError::Usage(format!("the library has no entry {name}; it has: {known}"))
    })
}

/// The documented JSON of an entry.
#[derive(Serialize)]
struct EntryJson<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    contact: &'a str,
    folder: &'a Path,
    min_processors: u32,
    max_processors: Option<u32>,
    options: Vec<OptionJson<'a>>,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
struct OptionJson<'a> {
    name: &'a str,
    takes: String,
    default: Option<&'a str>,
    required: bool,
    secret: bool,
    description: &'a str,
}

#[derive(Serialize)]
struct FileJson<'a> {
    name: &'a str,
    required: bool,
    secret: bool,
    description: &'a str,
}

impl<'a> EntryJson<'a> {
    fn of(entry: &'a Entry) -> Self {
        let option = |(name, spec): (&'a String, &'a OptionSpec)| OptionJson {
            name,
            takes: spec.kind.describe(),
            default: spec.default.as_deref(),
            required: spec.required,
            secret: spec.secret,
            description: &spec.description,
        };
        let file = |(name, spec): (&'a String, &'a FileSpec)| FileJson {
            name,
            required: spec.required,
            secret: spec.secret,
            description: &spec.description,
        };
        Self {
            name: entry.name.as_str(),
            version: &entry.version,
            description: &entry.description,
            contact: &entry.contact,
            folder: &entry.folder,
            min_processors: entry.processors.min.0,
            max_processors: entry.processors.max.map(|max| max.0),
            options: entry.options.iter().map(option).collect(),
            files: entry.files.iter().map(file).collect(),
        }
    }
}

/// The documented JSON of `vcycle library list --json`.
#[derive(Serialize)]
struct ListJson<'a> {
    format: u32,
    entries: Vec<EntryJson<'a>>,
    /// Entries that cannot be used: `vcycle library check` tells why.
    broken: Vec<&'a EntryName>,
}

fn list(config: &Path, args: &LibraryArgs) -> Result<(), CliError> {
    let paths = folders(config, args)?;
    let names = entry_names(&paths);
    let mut entries = Vec::new();
    let mut broken = Vec::new();
    for name in &names {
        match load(&paths, name) {
            Ok(entry) => entries.push(entry),
            Err(_) => broken.push(name),
        }
    }
    if args.read.json {
        let entries = entries.iter().map(EntryJson::of).collect();
        return print(&json(&ListJson { format: 1, entries, broken })?);
    }
    if names.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return print(&format!("no entries in {}\n", shown.join(", ")));
    }
    let mut table = table(Screen::of_stdout(), &["ENTRY", "VERSION", "DESCRIPTION", "FOLDER"]);
    for entry in &entries {
        table.add_row([
            entry.name.as_str(),
            &entry.version,
            &entry.description,
            &entry.folder.display().to_string(),
        ]);
    }
    for name in broken {
        table.add_row([name.as_str(), "-", "broken: `vcycle library check` tells why", ""]);
    }
    print(&table_text(&table))
}

/// The documented JSON of `vcycle library show --json`.
#[derive(Serialize)]
struct ShowJson<'a> {
    format: u32,
    entry: EntryJson<'a>,
    readme: Option<&'a str>,
}

fn show(config: &Path, name: &EntryName, args: &LibraryArgs) -> Result<(), CliError> {
    let entry = load(&folders(config, args)?, name)?;
    let readme = std::fs::read_to_string(entry.folder.join("README.md")).ok();
    if args.read.json {
        let answer = ShowJson { format: 1, entry: EntryJson::of(&entry), readme: readme.as_deref() };
        return print(&json(&answer)?);
    }
    print(&entry_text(&entry, readme.as_deref(), Screen::of_stdout()))
}

fn entry_text(entry: &Entry, readme: Option<&str>, screen: Screen) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} {}: {}", styled(BOLD, &entry.name), entry.version, entry.description);
    let _ = writeln!(text, "  contact     {}", entry.contact);
    let _ = writeln!(text, "  folder      {}", entry.folder.display());
    let most = entry.processors.max.map_or("any number".to_owned(), |max| max.to_string());
    let _ = writeln!(text, "  processors  {} to {most}", entry.processors.min);
    if !entry.options.is_empty() {
        let mut table = table(screen, &["OPTION", "TAKES", "DEFAULT", "DESCRIPTION"]);
        for (name, spec) in &entry.options {
            let default = match (&spec.default, spec.required) {
                (_, true) => "required",
                (Some(default), false) if default.is_empty() => "empty",
                (Some(default), false) => default,
                (None, false) => "-",
            };
            let secret = if spec.secret { " (secret)" } else { "" };
            let description = format!("{}{secret}", spec.description);
            table.add_row([name.as_str(), &spec.kind.describe(), default, &description]);
        }
        let _ = write!(text, "\n{}", table_text(&table));
    }
    if !entry.files.is_empty() {
        let mut table = table(screen, &["FILE", "", "DESCRIPTION"]);
        for (name, spec) in &entry.files {
            let required = if spec.required { "required" } else { "optional" };
            table.add_row([name.as_str(), required, &spec.description]);
        }
        let _ = write!(text, "\n{}", table_text(&table));
    }
    match readme {
        Some(readme) => {
            let _ = write!(text, "\n{}", readme.trim_end());
            text.push('\n');
        }
        None => {
            let _ = writeln!(text, "\n{}", styled(FAINT, "it has no README.md"));
        }
    }
    text
}

/// The documented JSON of `vcycle library check --json`.
#[derive(Serialize)]
struct CheckJson<'a> {
    format: u32,
    checked: Vec<&'a str>,
    valid: bool,
    problems: Vec<ProblemRow>,
}

fn check(config: &Path, name: Option<&EntryName>, args: &LibraryArgs) -> Result<(), CliError> {
    let paths = folders(config, args)?;
    let names: Vec<EntryName> = match name {
        Some(name) => vec![name.clone()],
        None => entry_names(&paths).into_iter().collect(),
    };
    if let Some(name) = name
        && !entry_names(&paths).contains(name)
    {
        load(&paths, name)?;
    }
    let problems = Collector::default();
    for name in &names {
        load_entry(&paths, name, &problems);
    }
    let (result, warnings) = problems.into_parts();
    let checked: Vec<_> = names.iter().map(EntryName::as_str).collect();
    if args.read.json {
        let found = result.as_ref().err().map(Problems::list).unwrap_or_default();
        let problems = found.iter().chain(&warnings).map(|problem| problem.row()).collect();
        print(&json(&CheckJson { format: 1, checked, valid: result.is_ok(), problems })?)?;
        return result.map_err(|problems| CliError::Problems(problems.to_string()));
    }
    for warning in &warnings {
        print(&format!("{warning}\n\n"))?;
    }
    result.map_err(|problems| CliError::Problems(problems.to_string()))?;
    print(&format!("no problems: {}\n", checked.join(", ")))
}
