//! Reads one table key by key and remembers which keys it was asked for, so that all others can
//! be refused with the nearest known name. Never stops at the first problem.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::{Collector, Finding, Problem, Wrong};
use super::source::{Place, Placed};
use super::tree::{Entry, Table, Value, join};
use super::values::{self, Read};

/// A table being read.
pub struct Reader<'a> {
    table: &'a Table,
    place: Place,
    path: String,
    problems: &'a Collector,
    known: RefCell<Vec<&'static str>>,
}

/// Settings of the ancestor that have another name or another home here.
const RENAMED: [(&str, &str); 17] = [
    ("flavor_names", "flavors"),
    ("flavors", "instance_types"),
    ("flavors", "machine_types"),
    ("instance_types", "machine_types"),
    ("machine_types", "instance_types"),
    ("cleanup_hours", "cleanup"),
    ("backoff_seconds", "backoff"),
    ("fizzle_seconds", "fizzle"),
    ("heartbeat_seconds", "heartbeat"),
    ("max_wallclock_seconds", "max_wallclock"),
    ("min_wallclock_seconds", "min_wallclock"),
    ("gocdb_sitename", "name"),
    ("flavours", "flavors"),
    ("image", "root_image"),
    ("wallclock", "max_wallclock"),
    ("creations", "creations_per_cycle"),
    ("network_uuid", "networks"),
];

impl<'a> Reader<'a> {
    /// Reads a table whose path is `path`; its problems go to the collector.
    pub fn new(table: &'a Table, path: impl Into<String>, problems: &'a Collector) -> Self {
        let place = table.place.clone();
        Self { table, place, path: path.into(), problems, known: RefCell::default() }
    }

    /// The path of the table.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the table is: its name, where it has one.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The collector.
    pub fn problems(&self) -> &'a Collector {
        self.problems
    }

    fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        self.known.borrow_mut().push(key);
        self.table.entries.get(key)
    }

    /// Whether the key is there, whatever it holds. Makes it known.
    pub fn has(&self, key: &'static str) -> Option<&'a Place> {
        self.entry(key).map(|entry| &entry.key)
    }

    /// Where a key stands that is known only to be refused, if it is there: it is never named as a known one.
    pub fn refused(&self, key: &'static str) -> Option<&'a Place> {
        self.table.entries.contains_key(key).then(|| self.has(key)).flatten()
    }

    /// A value through one of the functions of `values`.
    pub fn get<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Read<T>,
    ) -> Option<Placed<T>> {
        let entry = self.entry(key)?;
        let place = entry.node.place.clone();
        let key = join(&self.path, key);
        match read(&entry.node.value) {
            Ok(value) => Some(Placed { value, place, key }),
            Err(wrong) => {
                self.problems.add(Problem::at_place(&place, key, wrong));
                None
            }
        }
    }

    /// A value, or the default; a wrong value also gives the default, after its problem is noted.
    pub fn get_or<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Read<T>,
        default: T,
    ) -> Placed<T> {
        self.get(key, read).unwrap_or_else(|| Placed {
            value: default,
            place: self.place.clone(),
            key: join(&self.path, key),
        })
    }

    /// A value that must be there. `right` says what is missing.
    pub fn required<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Read<T>,
        right: &str,
    ) -> Option<Placed<T>> {
        if !self.table.entries.contains_key(key) {
            let wrong = Wrong::new(format!("`{key}` is missing"), right);
            self.absence(wrong);
        }
        self.get(key, read)
    }

    /// A duration.
    pub fn duration(&self, key: &'static str) -> Option<Placed<Duration>> {
        self.get(key, values::duration)
    }

    /// An address to listen on.
    pub fn listen(&self, key: &'static str) -> Option<Placed<SocketAddr>> {
        self.get(key, values::listen)
    }

    /// A path, resolved against the folder of the file that has it.
    pub fn path_of(&self, key: &'static str) -> Option<Placed<PathBuf>> {
        let written = self.get(key, values::path)?;
        let resolved = written.place.source.absolute(&written.value);
        Some(written.with(resolved))
    }

    /// A sub-table.
    pub fn table(&self, key: &'static str) -> Option<Reader<'a>> {
        let entry = self.entry(key)?;
        self.inner(key, entry)
    }

    /// All entries of a sub-table whose keys are names that people chose, as sub-tables.
    pub fn tables_of(&self, key: &'static str) -> Vec<(String, Reader<'a>)> {
        let Some(tables) = self.table(key) else { return Vec::new() };
        tables
            .table
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), tables.inner(name, entry)?)))
            .collect()
    }

    /// The tables of a list of them (`[[machine]]`), in order; counted from 1 in their paths.
    pub fn tables_in(&self, key: &'static str) -> Vec<Reader<'a>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::List(items) = &entry.node.value else {
            let wrong = Wrong::new(
                format!("{} where a list of tables is wanted", entry.node.value.kind()),
                format!("[[{key}]], once for each"),
            );
            self.problems.add(Problem::at_place(&entry.node.place, join(&self.path, key), wrong));
            return Vec::new();
        };
        let tables = items.iter().enumerate().filter_map(|(at, node)| {
            let path = format!("{}[{}]", join(&self.path, key), at + 1);
            if let Value::Table(table) = &node.value {
                return Some(Reader::new(table, path, self.problems));
            }
            let wrong = Wrong::new(
                format!("{} where a table is wanted", node.value.kind()),
                format!("[[{key}]], once for each"),
            );
            self.problems.add(Problem::at_place(&node.place, path, wrong));
            None
        });
        tables.collect()
    }

    /// All values of a sub-table whose keys are names that people chose.
    pub fn values_of(&self, key: &'static str) -> Vec<(String, Place, Placed<&'a Value>)> {
        let Some(tables) = self.table(key) else { return Vec::new() };
        tables
            .table
            .entries
            .iter()
            .map(|(name, entry)| {
                let key = join(&tables.path, name);
                let place = entry.node.place.clone();
                (name.clone(), entry.key.clone(), Placed { value: &entry.node.value, place, key })
            })
            .collect()
    }

    fn inner(&self, key: &str, entry: &'a Entry) -> Option<Reader<'a>> {
        let path = join(&self.path, key);
        match &entry.node.value {
            Value::Table(table) => Some(Reader {
                table,
                place: entry.key.clone(),
                path,
                problems: self.problems,
                known: RefCell::default(),
            }),
            other => {
                let wrong = Wrong::new(
                    format!("{} where a table is wanted", other.kind()),
                    format!("a table: [{path}]"),
                );
                self.problems.add(Problem::at_place(&entry.node.place, path, wrong));
                None
            }
        }
    }

    /// Notes a problem at the table itself.
    pub fn problem(&self, wrong: Wrong) {
        self.problems.add(Problem::at_place(&self.place, self.path.as_str(), wrong));
    }

    /// Notes at the table that something is not there.
    pub fn absence(&self, wrong: Wrong) {
        let problem = Problem::at_place(&self.place, self.path.as_str(), wrong);
        self.problems.add(problem.found_by(Finding::Absence));
    }

    /// Refuses every key that was never asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (key, entry) in &self.table.entries {
            if known.contains(&key.as_str()) {
                continue;
            }
            let wrong = Wrong::new("unknown key", self.advice(key, &known));
            let problem = Problem::at_place(&entry.key, join(&self.path, key), wrong);
            // The value of a table with a header of its own is that header: nothing to cover.
            let value = &entry.node.place;
            let is_header = value.span.contains(&entry.key.span.start);
            self.problems.add(if is_header { problem } else { problem.covering(value) });
        }
    }

    fn advice(&self, key: &str, known: &[&'static str]) -> String {
        for (prefix, table) in [("user_data_option_", "options"), ("user_data_file_", "files")] {
            if let Some(name) = key.strip_prefix(prefix).filter(|_| known.contains(&table)) {
                return format!("`{name}` in [{}]", join(&self.path, table));
            }
        }
        let renamed = RENAMED.iter().find(|(old, new)| *old == key && known.contains(new));
        match renamed.map(|(_, new)| *new).or_else(|| nearest(key, known)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => one_of(known),
        }
    }
}

/// The nearest of the known names, if one is near enough to be what was meant.
pub fn nearest<'n>(text: &str, known: &[&'n str]) -> Option<&'n str> {
    let allowed = (text.chars().count() / 3).max(2);
    known
        .iter()
        .map(|name| (strsim::osa_distance(text, name), *name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// All known names, for people.
pub fn one_of(known: &[&str]) -> String {
    let mut names: Vec<_> = known.to_vec();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "nothing is known here".to_owned(),
        [one] => format!("only `{one}` is known here"),
        many => format!("known here: {}", many.join(", ")),
    }
}
