//! Reads a whole setup from files: configuration, the entries it uses, the files it names. The
//! only file of this module that touches the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::definition::Setup;
use super::entry::{Entry, EntryTexts, read_entry};
use super::resolve::{FileContents, resolve_space};
use crate::config::reader::nearest;
use crate::config::{
    self, Collector, Config, Host, MachinetypeConfig, Placed, Problem, Problems, PublicKey, Texts,
    Warning, Wrong, plain, shown,
};
use crate::model::EntryName;

/// The largest template or file that is read: no cloud takes more.
const LARGEST: u64 = 1 << 20;

/// The result of one attempt to load.
#[derive(Debug)]
pub struct Loaded {
    /// The setup, or all that is wrong.
    pub setup: Result<Setup, Problems>,
    /// What somebody should look at.
    pub warnings: Vec<Warning>,
    /// Every file and folder that was read or looked for: a change of one may change the result.
    pub watched: BTreeSet<PathBuf>,
}

/// Loads everything: the configuration whose main file is `main`, the library entries that it
/// uses, and the files that it names.
///
/// # Errors
/// All problems of all files, in one go.
pub fn load_setup(main: &Path) -> Result<Setup, Problems> {
    load_all(main, &Host::this()).setup
}

/// As [`load_setup`], with warnings, and with what to watch, also when the load failed.
pub fn load_all(main: &Path, host: &Host) -> Loaded {
    let problems = Collector::default();
    let mut texts = config::read_texts(main, &problems);
    let config = config::validate(&texts, host, &problems);
    let mut watched = std::mem::take(&mut texts.watched);
    let setup = config.map(|config| {
        config::check_server_files(&config, &problems);
        complete(Arc::new(config), &texts, &mut watched, &problems)
    });
    let (result, warnings) = problems.into_parts();
    let setup = result.map(|()| setup.expect("a configuration without problems is complete"));
    Loaded { setup, warnings, watched }
}

/// Adds the library to a configuration.
///
/// # Errors
/// All problems of the entries that are used, and of the machinetypes that use them.
pub fn load(config: Arc<Config>) -> Result<Setup, Problems> {
    let problems = Collector::default();
    let texts = Texts::default();
    let setup = complete(config, &texts, &mut BTreeSet::new(), &problems);
    let (result, _) = problems.into_parts();
    result.map(|()| setup)
}

fn complete(
    config: Arc<Config>,
    texts: &Texts,
    watched: &mut BTreeSet<PathBuf>,
    problems: &Collector,
) -> Setup {
    let mut digest = Sha256::new();
    for file in texts.files() {
        feed(&mut digest, file.path().as_os_str().as_encoded_bytes());
        feed(&mut digest, file.text.as_bytes());
    }
    watched.extend(config.library.paths.iter().cloned());
    let mut entries = BTreeMap::new();
    for (name, wanted) in used_entries(&config) {
        let Some(texts) = find_entry(&config.library.paths, &name, problems) else {
            refuse_unknown(&config.library.paths, &wanted, problems);
            continue;
        };
        let Some(texts) = texts else { continue };
        watched.extend(["", "entry.toml", "user_data"].map(|file| texts.folder.join(file)));
        feed(&mut digest, texts.entry.as_bytes());
        feed(&mut digest, texts.user_data.as_bytes());
        entries.extend(read_entry(&texts, problems).map(|entry| (name, entry)));
    }
    let files = read_files((&config, &entries), watched, &mut digest);
    let spending = config.spending.as_ref();
    let spaces = config
        .spaces
        .iter()
        .map(|(name, space)| {
            (name.clone(), Arc::new(resolve_space((space, spending), &entries, &files, problems)))
        })
        .collect();
    Setup { config, spaces, digest: short_hex(&digest.finalize()) }
}

/// Length first, so that no two sequences of texts give the same bytes.
fn feed(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

fn short_hex(hash: &[u8]) -> String {
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Every entry that a machinetype names, and all the places where.
fn used_entries(config: &Config) -> BTreeMap<EntryName, Vec<Placed<EntryName>>> {
    let mut used: BTreeMap<EntryName, Vec<Placed<EntryName>>> = BTreeMap::new();
    for machinetype in config.spaces.values().flat_map(|space| space.machinetypes.values()) {
        let wanted = &machinetype.entry;
        used.entry(wanted.value.clone()).or_default().push(wanted.clone());
    }
    used
}

/// The texts of the first folder of this name. Outer `None`: there is none; inner `None`: there
/// is, but it cannot be read, and that has been reported.
#[expect(clippy::option_option, reason = "absent and unreadable are different answers")]
pub(super) fn find_entry(
    paths: &[PathBuf],
    name: &EntryName,
    problems: &Collector,
) -> Option<Option<EntryTexts>> {
    let folder = paths.iter().map(|path| path.join(name.as_str())).find(|path| path.is_dir())?;
    let shown = shown(&folder);
    let read = |file: &str| match read_text(&folder.join(file)) {
        Ok(text) => Some(text),
        Err(why) => {
            let wrong = Wrong::new(
                format!("the file cannot be read: {why}"),
                "every entry has `entry.toml` and `user_data`, both UTF-8",
            );
            problems.add(Problem::in_file(&shown.join(file), wrong));
            None
        }
    };
    let (entry, user_data) = (read("entry.toml"), read("user_data"));
    Some(entry.zip(user_data).map(|(entry, user_data)| EntryTexts {
        name: name.clone(),
        folder,
        shown,
        entry,
        user_data,
    }))
}

fn refuse_unknown(paths: &[PathBuf], wanted: &[Placed<EntryName>], problems: &Collector) {
    if paths.is_empty() {
        // Said already, at `paths`.
        return;
    }
    let names = entry_names(paths);
    let known: Vec<&str> = names.iter().map(EntryName::as_str).collect();
    let folders: Vec<_> = paths.iter().map(|path| shown(path).display().to_string()).collect();
    for place in wanted {
        let right = match nearest(place.value.as_str(), &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("the library is empty: {}", folders.join(", ")),
            None => format!("one of: {}", known.join(", ")),
        };
        let wrong = Wrong::new(format!("no entry `{}` in the library", place.value), right);
        problems.add(Problem::at_value(place, wrong));
    }
}

/// Names of all entries in all folders.
pub fn entry_names(paths: &[PathBuf]) -> BTreeSet<EntryName> {
    paths
        .iter()
        .filter_map(|path| std::fs::read_dir(path).ok())
        .flatten()
        .filter_map(|item| {
            let item = item.ok().filter(|item| item.path().join("entry.toml").is_file())?;
            EntryName::parse(item.file_name().to_str()?).ok()
        })
        .collect()
}

/// Loads one entry by name, or says what is wrong with it.
pub fn load_entry(paths: &[PathBuf], name: &EntryName, problems: &Collector) -> Option<Entry> {
    let texts = find_entry(paths, name, problems)??;
    read_entry(&texts, problems)
}

fn read_files(
    (config, entries): (&Config, &BTreeMap<EntryName, Entry>),
    watched: &mut BTreeSet<PathBuf>,
    digest: &mut Sha256,
) -> FileContents {
    let mut contents = FileContents::new();
    let machinetypes = || config.spaces.values().flat_map(|space| space.machinetypes.values());
    let files = machinetypes().flat_map(|machinetype| machinetype.files.values());
    let keys = machinetypes().filter_map(|machinetype| key_file(machinetype, entries));
    for path in files.map(|file| file.path.value.clone()).chain(keys) {
        watched.insert(path.clone());
        contents.entry(path.clone()).or_insert_with(|| read_text(&path).map(Arc::from));
    }
    for text in contents.values().flatten() {
        feed(digest, text.as_bytes());
    }
    contents
}

/// The file of the public key of root, if it is one.
fn key_file(
    machinetype: &MachinetypeConfig,
    entries: &BTreeMap<EntryName, Entry>,
) -> Option<PathBuf> {
    let of_entry = || entries.get(&machinetype.entry.value)?.defaults.root_public_key.as_ref();
    match &machinetype.settings.root_public_key.as_ref().or_else(of_entry)?.value {
        PublicKey::File(path) => Some(path.clone()),
        PublicKey::Text(_) | PublicKey::None => None,
    }
}

/// A text of a sane size; or why not, in words that do not have the text in them.
fn read_text(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| plain(&error))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let size = metadata.len();
    if size > LARGEST {
        return Err(format!("{size} bytes is more than any cloud takes"));
    }
    let bytes = std::fs::read(path).map_err(|error| plain(&error))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
