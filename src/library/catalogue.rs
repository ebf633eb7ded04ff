//! What `vcycle library list|show|check|render` show, as data (JSON) and as text. Decides nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::entry::Entry;
use super::load::{entry_names, load_entry};
use super::options::OptionKind;
use crate::config::values::show_duration;
use crate::config::{Collector, Placed, Problem, Problems, PublicKey, Wrong};
use crate::model::{Effect, EntryName, Market};

pub use super::sample::{SampleError, render};

/// One line of `library list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRow {
    /// Name.
    pub name: EntryName,
    /// Version; empty when the entry has problems.
    pub version: String,
    /// What it is.
    pub description: String,
    /// How many errors it has.
    pub errors: usize,
    /// Where it is.
    pub folder: PathBuf,
}

/// All entries, by name. Broken ones are listed with their number of errors.
pub fn list(paths: &[PathBuf]) -> Vec<EntryRow> {
    entry_names(paths)
        .into_iter()
        .map(|name| {
            let Examined { entry, result, .. } = examine(paths, &name);
            let folder = folder_of(paths, &name).unwrap_or_default();
            EntryRow {
                version: entry.as_ref().map(|entry| entry.version.clone()).unwrap_or_default(),
                description: entry.map(|entry| entry.description).unwrap_or_default(),
                errors: result.map_or_else(|problems| problems.list().len(), |()| 0),
                folder,
                name,
            }
        })
        .collect()
}

/// What `library check` found.
#[derive(Debug)]
pub struct Checked {
    /// The entries that were looked at.
    pub entries: Vec<EntryName>,
    /// Errors, entry by entry.
    pub errors: Vec<Problem>,
    /// Warnings, entry by entry.
    pub warnings: Vec<Problem>,
}

/// Checks one entry, or all.
///
/// # Errors
/// When there is no entry of that name.
pub fn check(paths: &[PathBuf], name: Option<&EntryName>) -> Result<Checked, Problems> {
    let entries: Vec<EntryName> = match name {
        Some(name) if folder_of(paths, name).is_none() => return Err(no_entry(paths, name)),
        Some(name) => vec![name.clone()],
        None => entry_names(paths).into_iter().collect(),
    };
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for name in &entries {
        let Examined { result, warnings: more, .. } = examine(paths, name);
        errors.extend(result.err().map(|problems| problems.list().to_vec()).into_iter().flatten());
        warnings.extend(more);
        if let Some(folder) = folder_of(paths, name).filter(|f| !f.join("README.md").is_file()) {
            let wrong = Wrong::new("no README.md", "what the entry needs, does and reports");
            warnings.push(Problem::in_file(&folder, wrong).as_warning());
        }
    }
    Ok(Checked { entries, errors, warnings })
}

fn examine(paths: &[PathBuf], name: &EntryName) -> Examined {
    let problems = Collector::default();
    let entry = load_entry(paths, name, &problems);
    let (result, warnings) = problems.into_parts();
    Examined { entry, result, warnings }
}

/// An entry with all that was found about it.
struct Examined {
    entry: Option<Entry>,
    result: Result<(), Problems>,
    warnings: Vec<Problem>,
}

fn folder_of(paths: &[PathBuf], name: &EntryName) -> Option<PathBuf> {
    paths.iter().map(|path| path.join(name.as_str())).find(|folder| folder.is_dir())
}

fn no_entry(paths: &[PathBuf], name: &EntryName) -> Problems {
    let names = entry_names(paths);
    let known: Vec<&str> = names.iter().map(EntryName::as_str).collect();
    let right = match crate::config::reader::nearest(name.as_str(), &known) {
        Some(near) => format!("did you mean {near}?"),
        None => crate::config::reader::one_of(&known),
    };
    let folder = paths.first().map_or(Path::new("vm-library"), PathBuf::as_path);
    let wrong = Wrong::new(format!("no entry `{name}` in the library"), right);
    Problems::one(Problem::in_file(folder, wrong))
}

/// Everything about one entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryPage {
    /// Name.
    pub name: EntryName,
    /// Version.
    pub version: String,
    /// What it is.
    pub description: String,
    /// Whom to ask.
    pub contact: String,
    /// Where it is.
    pub folder: PathBuf,
    /// Fewest processors.
    pub min_processors: u32,
    /// Most processors, if there is a most.
    pub max_processors: Option<u32>,
    /// Defaults of settings: name and value as it would be written.
    pub defaults: Vec<(String, String)>,
    /// Options.
    pub options: Vec<OptionRow>,
    /// Files.
    pub files: Vec<FileRow>,
    /// Shutdown codes with an effect of their own: codes, effect.
    pub outcomes: Vec<(String, Effect)>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptionRow {
    /// Name.
    pub name: String,
    /// What values it takes.
    pub takes: String,
    /// What it does.
    pub description: String,
    /// Its text when it is not set.
    pub default: Option<String>,
    /// Whether it must be set.
    pub required: bool,
    /// Whether it is secret.
    pub secret: bool,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileRow {
    /// Name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether it must be named.
    pub required: bool,
    /// Whether it is secret.
    pub secret: bool,
}

/// Everything about one entry.
///
/// # Errors
/// When there is none of that name, or it has errors.
pub fn show(paths: &[PathBuf], name: &EntryName) -> Result<EntryPage, Problems> {
    if folder_of(paths, name).is_none() {
        return Err(no_entry(paths, name));
    }
    let Examined { entry, result, .. } = examine(paths, name);
    result?;
    Ok(page(&entry.expect("an entry without errors is complete")))
}

fn page(entry: &Entry) -> EntryPage {
    let options = entry.options.iter().map(|(name, spec)| OptionRow {
        name: name.clone(),
        takes: takes(&spec.kind),
        description: spec.description.clone(),
        default: spec.default.clone(),
        required: spec.required,
        secret: spec.secret,
    });
    let files = entry.files.iter().map(|(name, spec)| FileRow {
        name: name.clone(),
        description: spec.description.clone(),
        required: spec.required,
        secret: spec.secret,
    });
    let codes = |codes: &std::ops::RangeInclusive<u16>| match (codes.start(), codes.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    EntryPage {
        name: entry.name.clone(),
        version: entry.version.clone(),
        description: entry.description.clone(),
        contact: entry.contact.clone(),
        folder: entry.folder.clone(),
        min_processors: entry.processors.min.0,
        max_processors: entry.processors.max.map(|max| max.0),
        defaults: defaults(entry),
        options: options.collect(),
        files: files.collect(),
        outcomes: entry.rules.iter().map(|(range, effect)| (codes(range), *effect)).collect(),
    }
}

fn takes(kind: &OptionKind) -> String {
    kind.describe()
}

/// The defaults that the entry sets, as they would be written.
fn defaults(entry: &Entry) -> Vec<(String, String)> {
    let d = &entry.defaults;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| (name.to_owned(), value)));
    };
    fn shown<T>(written: &Option<Placed<T>>, show: impl Fn(&T) -> String) -> Option<String> {
        written.as_ref().map(|written| show(&written.value))
    }
    row("target_share", shown(&d.target_share, |v| v.weight().to_string()));
    row("min_processors", shown(&d.min_processors, ToString::to_string));
    row("max_processors", shown(&d.max_processors, ToString::to_string));
    row("flavors", shown(&d.flavors, |v| v.join(", ")));
    let words = |v: &Vec<Market>| v.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    row("markets", shown(&d.markets, words));
    row("zones", shown(&d.zones, |v| v.join(", ")));
    row("mb_per_processor", shown(&d.mb_per_processor, ToString::to_string));
    row("processors_limit", shown(&d.processors_limit, ToString::to_string));
    row("max_starting_processors", shown(&d.max_starting_processors, ToString::to_string));
    row("hs06_per_processor", shown(&d.hs06_per_processor, |v| v.0.to_string()));
    for (name, value) in [
        ("backoff", &d.backoff),
        ("fizzle", &d.fizzle),
        ("start_timeout", &d.start_timeout),
        ("max_wallclock", &d.max_wallclock),
        ("min_wallclock", &d.min_wallclock),
        ("heartbeat", &d.heartbeat),
        ("grace", &d.grace),
        ("breaker.pause", &d.breaker_pause),
        ("breaker.pause_max", &d.breaker_pause_max),
    ] {
        row(name, shown(value, |v| show_duration(*v)));
    }
    row("breaker.failures", shown(&d.breaker_failures, ToString::to_string));
    row("heartbeat_file", shown(&d.heartbeat_file, Clone::clone));
    row("https_x509dn", shown(&d.https_x509dn, |v| v.join(", ")));
    row("root_image", shown(&d.root_image, Clone::clone));
    row("root_public_key", shown(&d.root_public_key, key_words));
    rows
}

fn key_words(key: &PublicKey) -> String {
    match key {
        PublicKey::None => "none".to_owned(),
        PublicKey::Text(text) => text.clone(),
        PublicKey::File(path) => path.display().to_string(),
    }
}

impl fmt::Display for EntryPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.name, self.version, self.description)?;
        writeln!(f, "contact     {}", self.contact)?;
        writeln!(f, "folder      {}", self.folder.display())?;
        match self.max_processors {
            Some(max) => writeln!(f, "processors  {} to {max}", self.min_processors)?,
            None => writeln!(f, "processors  {} or more", self.min_processors)?,
        }
        if !self.defaults.is_empty() {
            writeln!(f, "\ndefaults")?;
        }
        for (name, value) in &self.defaults {
            writeln!(f, "  {name:<24}{value}")?;
        }
        if !self.options.is_empty() {
            writeln!(f, "\noptions")?;
        }
        for option in &self.options {
            let default = match (&option.default, option.required) {
                (_, true) => "required".to_owned(),
                (Some(default), false) => format!("default {default:?}"),
                (None, false) => "no default".to_owned(),
            };
            let secret = if option.secret { ", secret" } else { "" };
            writeln!(f, "  {:<24}{}", option.name, option.description)?;
            writeln!(f, "  {:<24}{}; {default}{secret}", "", option.takes)?;
        }
        if !self.files.is_empty() {
            writeln!(f, "\nfiles")?;
        }
        for file in &self.files {
            let required = if file.required { "required" } else { "optional" };
            let secret = if file.secret { ", secret" } else { "" };
            writeln!(f, "  {:<24}{}", file.name, file.description)?;
            writeln!(f, "  {:<24}{required}{secret}", "")?;
        }
        if !self.outcomes.is_empty() {
            writeln!(f, "\nshutdown codes")?;
        }
        for (codes, effect) in &self.outcomes {
            let effect = match effect {
                Effect::Abort => "abort",
                Effect::Normal => "normal",
            };
            writeln!(f, "  {codes:<24}{effect}")?;
        }
        Ok(())
    }
}
