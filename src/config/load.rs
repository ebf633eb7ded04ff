//! Reads the files of a configuration, layer by layer, and validates them together. The only file
//! of this module that touches the file system; [`validate`] is pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vcycle_money::Currency;

use super::problem::{Collector, Finding, Problem, Problems, Wrong};
use super::reader::Reader;
use super::spending::{
    self, CapFile, CapTexts, CapsAndBudgets, LoadedCaps, NamedFiles, named_files, speaks_of_caps,
    validate_caps, validate_caps_alone,
};
use super::tree::{self, Table, Value};
use super::types::{Config, TlsIdentity};
use super::{Warning, server, site, space};
use crate::model::Timestamp;

/// What the host contributes to defaults.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its full name.
    pub name: String,
}

impl Host {
    /// This host.
    pub fn this() -> Self {
        let name = nix::unistd::gethostname().unwrap_or_default();
        Self { name: name.to_string_lossy().into_owned() }
    }
}

/// All configuration files as texts.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// Layers, lowest first; each is a list of files.
    pub layers: Vec<Vec<TextFile>>,
    /// The price lists that `[spending]` names.
    pub prices: Vec<TextFile>,
    /// The rates of exchange that it names.
    pub rates: Vec<TextFile>,
    /// Every file and folder that was read or looked for, to be watched.
    pub watched: BTreeSet<PathBuf>,
}

impl Texts {
    /// All files, in order.
    pub fn files(&self) -> impl Iterator<Item = &TextFile> {
        self.layers.iter().flatten().chain(&self.prices).chain(&self.rates)
    }
}

/// A configuration file.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Its name for people.
    pub name: PathBuf,
    /// The absolute folder that relative paths in it start from.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
}

impl TextFile {
    /// Its absolute path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name.file_name().unwrap_or_default())
    }
}

/// Loads the configuration whose main file is `main`, with `conf.d/*.toml` beside it and
/// `STATE/conf.d/*.toml`.
///
/// # Errors
/// All problems of all files.
pub fn load(main: &Path) -> Result<(Config, Vec<Warning>), Problems> {
    let problems = Collector::default();
    let texts = read_texts(main, &problems);
    let config = validate(&texts, &Host::this(), &problems);
    let (result, warnings) = problems.into_parts();
    result?;
    let config = config.expect("a configuration without problems is complete");
    Ok((config, warnings))
}

/// Reads all files. Problems of reading go to the collector.
pub fn read_texts(main: &Path, problems: &Collector) -> Texts {
    let mut texts = Texts::default();
    let main_layer: Vec<_> = texts.read_file(main, problems).into_iter().collect();
    texts.layers.push(main_layer);
    let beside = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let layer = texts.read_folder(&beside, problems);
    texts.layers.push(layer);
    if let Some(state_dir) = state_dir_of(&texts.layers) {
        texts.watched.insert(state_dir.clone());
        let layer = texts.read_folder(&shown(&state_dir.join("conf.d")), problems);
        texts.layers.push(layer);
    }
    texts.read_named(problems);
    texts
}

/// Reads and checks the caps that a configuration is to obey.
pub fn load_caps(config: &Config) -> LoadedCaps {
    let problems = Collector::default();
    let texts = read_caps(&config.site.state_dir, &problems);
    let found = match &config.spending {
        Some(spending) => validate_caps(&texts, spending.currency, config, &problems),
        None => {
            warn_unwatched(&texts, &problems);
            CapsAndBudgets::default()
        }
    };
    loaded(texts, found, problems)
}

/// The same for who has no configuration, but knows the currency of the ledger: the names in caps are not looked up.
pub fn load_caps_alone(state_dir: &Path, currency: Currency) -> LoadedCaps {
    let problems = Collector::default();
    let texts = read_caps(state_dir, &problems);
    let found = validate_caps_alone(&texts, currency, &problems);
    loaded(texts, found, problems)
}

fn loaded(texts: CapTexts, found: CapsAndBudgets, problems: Collector) -> LoadedCaps {
    let (result, warnings) = problems.into_parts();
    let budgets = if result.is_ok() { found.budgets } else { Vec::new() };
    LoadedCaps { caps: result.map(|()| found.caps), budgets, warnings, texts }
}

/// Whoever wrote a cap believes that it holds.
fn warn_unwatched(texts: &CapTexts, problems: &Collector) {
    if let Some(file) = texts.files.iter().find(|file| speaks_of_caps(&file.text.text)) {
        let wrong = Wrong::new(
            "there are caps, and the configuration has no `[spending]`: a manager makes nothing that may cost something",
            "`[spending]` with `currency` and `prices`; or no caps",
        );
        problems.add(Problem::in_file(&file.text.name, wrong).as_warning());
    }
}

/// The caps of the spend manager, in the state directory. Problems of reading go to the collector: files that cannot be
/// read are not the same as none.
pub fn read_caps(state_dir: &Path, problems: &Collector) -> CapTexts {
    let mut texts = Texts::default();
    let folder = caps_folder(state_dir);
    let files = texts.read_folder(&folder, problems);
    let known = |file: TextFile| {
        let metadata = std::fs::metadata(file.path()).ok();
        let modified = metadata.as_ref().and_then(|it| it.modified().ok());
        CapFile {
            modified: modified.map(Timestamp::from_system),
            owner: metadata.as_ref().map(std::os::unix::fs::MetadataExt::uid),
            text: file,
        }
    };
    CapTexts { folder, files: files.into_iter().map(known).collect() }
}

/// Where the files of the spend manager are, for people.
pub fn caps_folder(state_dir: &Path) -> PathBuf {
    shown(&state_dir.join("caps.d"))
}

/// The state directory of a configuration that need not be valid; `None` when it names none.
pub fn find_state_dir(main: &Path) -> Option<PathBuf> {
    let texts = read_texts(main, &Collector::default());
    state_dir_of(&texts.layers[..2])
}

/// The state directory by the layers below its own: its own `conf.d` cannot move it.
fn state_dir_of(layers: &[Vec<TextFile>]) -> Option<PathBuf> {
    let ignored = Collector::default();
    let root = merge(layers, &ignored)?;
    let Value::Table(site) = &root.entries.get("site")?.node.value else { return None };
    let node = &site.entries.get("state_dir")?.node;
    match &node.value {
        Value::Text(text) if !text.is_empty() => Some(node.place.source.absolute(Path::new(text))),
        _ => None,
    }
}

impl Texts {
    fn read_file(&mut self, name: &Path, problems: &Collector) -> Option<TextFile> {
        let absolute = std::path::absolute(name).unwrap_or_else(|_| name.to_owned());
        self.watched.insert(absolute.clone());
        match std::fs::read_to_string(&absolute) {
            Ok(text) => {
                let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
                Some(TextFile { name: name.to_owned(), folder, text })
            }
            Err(error) => {
                let wrong = Wrong::new(
                    format!("the file cannot be read: {}", plain(&error)),
                    "a TOML file in UTF-8 that this user may read",
                );
                problems.add(Problem::in_file(name, wrong).found_by(Finding::Broken));
                None
            }
        }
    }

    /// The files that `[spending]` names: each once, patterns in the order of names.
    fn read_named(&mut self, problems: &Collector) {
        let Some(root) = merge(&self.layers, &Collector::default()) else { return };
        let NamedFiles { prices, rates } = named_files(&root);
        self.prices = self.read_all(&prices, problems);
        self.rates = self.read_all(&rates, problems);
    }

    fn read_all(&mut self, patterns: &[PathBuf], problems: &Collector) -> Vec<TextFile> {
        let mut files = Vec::<TextFile>::new();
        for pattern in patterns {
            for file in self.matching(pattern, problems) {
                if files.iter().all(|known| known.path() != file) {
                    files.extend(self.read_file(&shown(&file), problems));
                }
            }
        }
        files
    }

    /// The files that are meant: one, or those of a folder whose names match.
    fn matching(&mut self, pattern: &Path, problems: &Collector) -> Vec<PathBuf> {
        let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !name.contains('*') {
            return vec![pattern.to_owned()];
        }
        let folder = pattern.parent().unwrap_or(Path::new("/"));
        self.watched.insert(folder.to_owned());
        let files = list_folder(folder).unwrap_or_default();
        let of_name = |file: &PathBuf| {
            file.file_name().is_some_and(|file| matches(&name, &file.to_string_lossy()))
        };
        let files: Vec<PathBuf> = files.into_iter().filter(of_name).collect();
        if files.is_empty() {
            let wrong = Wrong::new(
                "the files cannot be read: there is none of such a name",
                "at least one file; `*` stands for anything in the last part of a path that ends in `.toml`",
            );
            problems.add(Problem::in_file(&shown(pattern), wrong).found_by(Finding::Broken));
        }
        files
    }

    /// The `*.toml` files of a folder by name; a folder that does not exist is empty.
    fn read_folder(&mut self, folder: &Path, problems: &Collector) -> Vec<TextFile> {
        self.watched.insert(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
        let names = match list_folder(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let wrong = Wrong::new(
                    format!("the folder cannot be read: {}", plain(&error)),
                    "a folder that this user may read, or none",
                );
                problems.add(Problem::in_file(folder, wrong).found_by(Finding::Broken));
                Vec::new()
            }
        };
        names.iter().filter_map(|name| self.read_file(name, problems)).collect()
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| matches(after, &rest[at..]))
        }),
    }
}

fn list_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            names.push(path);
        }
    }
    names.sort();
    Ok(names)
}

/// The error without the number that the standard library adds, which says nothing to people.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

/// A path for people: short where it is below the current directory.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

/// All layers as one table: within a layer no key twice, a later layer above an earlier one.
fn merge(layers: &[Vec<TextFile>], problems: &Collector) -> Option<Table> {
    let mut merged: Option<Table> = None;
    for layer in layers {
        let mut together: Option<Table> = None;
        for file in layer {
            let table = tree::parse(&file.name, &file.folder, &file.text, problems);
            match &mut together {
                None => together = Some(table),
                Some(below) => tree::add_to_layer(below, table, "", problems),
            }
        }
        match (&mut merged, together) {
            (Some(below), Some(above)) => tree::overlay(below, above),
            (None, Some(first)) => merged = Some(first),
            (Some(_) | None, None) => {}
        }
    }
    merged
}

/// Makes the configuration from its texts: pure. All problems go to the collector; `None` only
/// when there was one.
pub fn validate(texts: &Texts, host: &Host, problems: &Collector) -> Option<Config> {
    let root = merge(&texts.layers, problems)?;
    refuse_moved_state(&texts.layers, &root, problems);
    let empty = Table { place: root.place.clone(), entries: Default::default() };
    let empty = Reader::new(&empty, "", problems);
    let root = Reader::new(&root, "", problems);
    let site = site::read_site(&root, host);
    let library = site::read_library(&root);
    let server = server::read_server(&root, &empty, host);
    let state_dir = site.as_ref().map(|site| site.state_dir.as_path());
    let spaces = space::read_spaces(&root, state_dir);
    let spending = spending::read_spending(&root, texts);
    spending::check_spaces(spending.as_ref(), &spaces, problems);
    root.finish();
    Some(Config {
        site: site?,
        library,
        server,
        spaces,
        spending,
        files: texts.files().map(TextFile::path).collect(),
    })
}

fn refuse_moved_state(layers: &[Vec<TextFile>], root: &Table, problems: &Collector) {
    let Some(state_dir) = state_dir_of(layers) else { return };
    if layers.len() > 2 && state_dir_of(&layers[..2]).is_some_and(|first| first != state_dir) {
        let Some(Value::Table(site)) = root.entries.get("site").map(|entry| &entry.node.value)
        else {
            return;
        };
        let Some(entry) = site.entries.get("state_dir") else { return };
        let wrong = Wrong::new(
            "a file in the state directory cannot move the state directory",
            "set it in the main file or in the `conf.d` beside it",
        );
        problems.add(Problem::at_place(&entry.node.place, "site.state_dir", wrong));
    }
}

/// Files that the server will need: said at once, not when the first machine connects.
pub fn check_server_files(config: &Config, problems: &Collector) {
    let https = &config.server.https;
    let mut files: Vec<&Path> = https.client_ca.iter().map(PathBuf::as_path).collect();
    if let TlsIdentity::Files { certificate, key } = &https.identity {
        files.extend([certificate.as_path(), key.as_path()]);
    }
    for file in files {
        if let Err(error) = std::fs::File::open(file) {
            let wrong = Wrong::new(
                format!("[server.https] needs this file, and it cannot be read: {}", plain(&error)),
                "a PEM file that this user may read",
            );
            problems.add(Problem::in_file(&shown(file), wrong));
        }
    }
}
