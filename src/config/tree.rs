//! TOML text to a tree in which every key and value knows its place; and trees merged to one.
//! Decides precedence, and nothing about meaning.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Collector, Finding, Problem, Wrong};
use super::source::{Place, Source};

/// Tables of these names hold values that may be secret: see [`Source`]. In `files` there should be
/// paths, but a secret that was put there by mistake is still one.
const SECRET_TABLES: [&str; 2] = ["options", "files"];

/// Where one of these stands before a syntax error, the broken line may hold a secret.
const SECRET_WORDS: [&str; 7] =
    ["option", "files", "password", "passwd", "secret", "token", "credential"];

/// A table with the places of its keys and values.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its header, or the whole of an inline table.
    pub place: Place,
    /// By key.
    pub entries: BTreeMap<String, Entry>,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: Place,
    /// The value.
    pub node: Node,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// A value as TOML has it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the variants are the types of TOML")]
pub enum Value {
    Text(String),
    /// `None`: too big for 64 bits.
    Integer(Option<i64>),
    Number(f64),
    Flag(bool),
    /// As written, RFC 3339 if it has an offset.
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// The type, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Flag(_) => "a boolean",
            Self::Time(_) => "a time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses one file. Syntax errors go to the collector; what could be read is returned, so that
/// its other problems are found in the same run.
pub fn parse(name: &Path, folder: &Path, text: &str, problems: &Collector) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut hidden = Vec::new();
    secrets(document.get_ref(), &mut hidden);
    let span = document.span();
    let shown = Arc::new(Source::new(name, folder, text.to_owned(), &hidden));
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // A broken line may be one with a secret in it, which the tree does not know.
        let line_end =
            text[span.end.min(text.len())..].find('\n').map_or(text.len(), |n| span.end + n);
        let risky = SECRET_WORDS.iter().any(|word| text[..line_end].contains(word));
        let place = Place { source: Arc::clone(&shown), span };
        let right = match error.message() {
            "duplicate key" => "each key once",
            _ => "valid TOML (strings in quotes, one `key = value` a line)",
        };
        let wrong = Wrong::new(format!("not TOML: {}", error.message()), right);
        let problem = Problem::at_place(&place, "", wrong).found_by(Finding::Broken);
        problems.add(if risky { problem.hidden() } else { problem });
    }
    table(&shown, span, document.get_ref())
}

fn table(source: &Arc<Source>, span: Range<usize>, from: &DeTable<'_>) -> Table {
    let place = |span| Place { source: Arc::clone(source), span };
    let entries = from
        .iter()
        .map(|(key, value)| {
            let entry = Entry { key: place(key.span()), node: node(source, value) };
            (key.get_ref().to_string(), entry)
        })
        .collect();
    Table { place: place(span), entries }
}

fn node(source: &Arc<Source>, from: &Spanned<DeValue<'_>>) -> Node {
    let value = match from.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Time(time.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|item| node(source, item)).collect()),
        DeValue::Table(inner) => Value::Table(table(source, from.span(), inner)),
    };
    Node { place: Place { source: Arc::clone(source), span: from.span() }, value }
}

/// Finds the values below every table that may hold secrets.
fn secrets(from: &DeTable<'_>, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in from.iter() {
        let is_secret = SECRET_TABLES.contains(&key.get_ref().as_ref());
        match value.get_ref() {
            DeValue::Table(inner) if is_secret => {
                hidden.extend(inner.values().map(contents));
            }
            DeValue::Table(inner) => secrets(inner, hidden),
            _ if is_secret => hidden.push(contents(value)),
            _ => {}
        }
    }
}

/// The span of a value, without its quotes where it has some.
fn contents(value: &Spanned<DeValue<'_>>) -> Range<usize> {
    let span = value.span();
    if value.get_ref().is_str() && span.len() >= 2 { span.start + 1..span.end - 1 } else { span }
}

/// Adds a file to its layer: a key that both have is a problem that names both places.
pub fn add_to_layer(layer: &mut Table, file: Table, path: &str, problems: &Collector) {
    for (name, entry) in file.entries {
        let key = join(path, &name);
        match layer.entries.get_mut(&name) {
            None => {
                layer.entries.insert(name, entry);
            }
            Some(Entry { node: Node { value: Value::Table(into), .. }, .. })
                if matches!(entry.node.value, Value::Table(_)) =>
            {
                if let Value::Table(more) = entry.node.value {
                    add_to_layer(into, more, &key, problems);
                }
            }
            Some(first) => {
                let wrong = Wrong::new(
                    "set in two files of one layer, so neither is above the other",
                    "set it in one of them",
                );
                let problem = Problem::at_place(&entry.key, key, wrong);
                let problem = problem.covering(&entry.node.place);
                problems.add(problem.and_at(&first.key, "the other place"));
            }
        }
    }
}

/// Puts a later layer over an earlier one: its keys win, tables are merged key by key.
pub fn overlay(base: &mut Table, over: Table) {
    for (name, entry) in over.entries {
        match (base.entries.get_mut(&name).map(|below| &mut below.node.value), entry.node.value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                let node = Node { place: entry.node.place, value };
                base.entries.insert(name, Entry { key: entry.key, node });
            }
        }
    }
}

/// A key below a path, quoted where TOML would quote it.
pub fn join(path: &str, key: &str) -> String {
    let bare =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
