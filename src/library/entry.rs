//! One library entry: `entry.toml` and `user_data`, from text to [`Entry`]. Pure; all problems go
//! to the collector with their places.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use super::options::{FileSpec, OptionSpec, read_files, read_options};
use super::template::{self, BUILT_IN_OPTIONS, Meaning, Piece, VARIABLES};
use crate::config::reader::{Reader, nearest};
use crate::config::settings::Settings;
use crate::config::tree::{self, Value};
use crate::config::{Collector, Place, Problem, Source, Wrong, values};
use crate::model::{Effect, EntryName, OutcomeRules, Processors};

/// A VM definition.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, and that of its folder.
    pub name: EntryName,
    /// Its version, as its authors count.
    pub version: String,
    /// One line about it.
    pub description: String,
    /// Whom to ask.
    pub contact: String,
    /// Processors that its machines can use.
    pub processors: Accepted,
    /// What it wants where a site says nothing.
    pub defaults: Settings,
    /// Options by name.
    pub options: BTreeMap<String, OptionSpec>,
    /// Files by name.
    pub files: BTreeMap<String, FileSpec>,
    /// Rules before the default table.
    pub rules: Vec<(RangeInclusive<u16>, Effect)>,
    /// The template.
    pub template: Arc<str>,
    /// Where it was found.
    pub folder: PathBuf,
}

/// Processors that machines of an entry can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Fewest.
    pub min: Processors,
    /// Most; `None`: any number.
    pub max: Option<Processors>,
}

impl Entry {
    /// What shutdown codes mean.
    pub fn outcomes(&self) -> OutcomeRules {
        OutcomeRules::with_overrides(self.rules.clone())
    }
}

/// The texts of an entry.
#[derive(Debug, Clone)]
pub struct EntryTexts {
    /// Name of its folder.
    pub name: EntryName,
    /// The folder, absolute.
    pub folder: PathBuf,
    /// Name of the folder for people.
    pub shown: PathBuf,
    /// `entry.toml`.
    pub entry: String,
    /// `user_data`.
    pub user_data: String,
}

/// Reads an entry. `None` only when there was a problem.
pub fn read_entry(texts: &EntryTexts, problems: &Collector) -> Option<Entry> {
    let file = texts.shown.join("entry.toml");
    let table = tree::parse(&file, &texts.folder, &texts.entry, problems);
    let root = Reader::new(&table, "", problems);
    let name = root.required("name", values::name::<EntryName>, "the name of the folder");
    if let Some(name) = name.as_ref().filter(|name| name.value != texts.name) {
        let wrong = Wrong::new("not the name of the folder", format!("\"{}\"", texts.name));
        problems.add(Problem::at_value(name, wrong));
    }
    let version = root.required("version", values::line, "a version, for example \"1.0\"");
    let description = root.required("description", values::line, "one line about the entry");
    let contact = root.required("contact", values::line, "whom to ask: a mail address or URL");
    let processors = read_accepted(&root);
    let section = root.table("defaults");
    let defaults = section.as_ref().map(Settings::read).unwrap_or_default();
    if let Some(section) = section {
        section.finish();
    }
    let options = read_options(&root);
    let files = read_files(&root, &options);
    let rules = read_rules(&root);
    root.finish();
    check_template(texts, &options, &files, problems);
    Some(Entry {
        name: name?.value,
        version: version?.value,
        description: description?.value,
        contact: contact?.value,
        processors,
        defaults,
        options,
        files,
        rules,
        template: texts.user_data.as_str().into(),
        folder: texts.folder.clone(),
    })
}

fn read_accepted(root: &Reader<'_>) -> Accepted {
    let any = Accepted { min: Processors(1), max: None };
    let Some(section) = root.table("processors") else { return any };
    let min = section.get_or("min", |v| values::positive(v).map(Processors), any.min);
    let max = section.get("max", |v| values::positive(v).map(Processors));
    if let Some(max) = max.as_ref().filter(|max| max.value < min.value) {
        let wrong = Wrong::new("below `min`", format!("{} or more", min.value));
        section.problems().add(Problem::at_value(max, wrong));
    }
    section.finish();
    Accepted { min: min.value, max: max.map(|max| max.value) }
}

/// A rule of `[outcome]` as written: codes, effect, and where.
struct Rule {
    codes: RangeInclusive<u16>,
    effect: Effect,
    place: Place,
    key: String,
}

/// Reads `[outcome]`. Narrow ranges go before wide ones, so an exception is written as such.
fn read_rules(root: &Reader<'_>) -> Vec<(RangeInclusive<u16>, Effect)> {
    let problems = root.problems();
    let mut rules: Vec<Rule> = Vec::new();
    for (codes, place, written) in root.values_of("outcome") {
        let key = written.key.clone();
        let effect = read_effect(written.value)
            .map_err(|wrong| problems.add(Problem::at_value(&written, wrong)));
        let codes = read_codes(&codes)
            .map_err(|wrong| problems.add(Problem::at_place(&place, key.as_str(), wrong)));
        if let (Ok(codes), Ok(effect)) = (codes, effect) {
            rules.push(Rule { codes, effect, place, key });
        }
    }
    rules.sort_by_key(|rule| (rule.codes.end() - rule.codes.start(), *rule.codes.start()));
    for (i, rule) in rules.iter().enumerate() {
        let clash = rules[..i].iter().find(|narrow| clashes(narrow, rule));
        if let Some(narrow) = clash {
            let wrong = Wrong::new(
                format!("overlaps {} with another effect", narrow.key),
                "one range inside the other (the narrower wins), or apart",
            );
            let problem = Problem::at_place(&rule.place, rule.key.as_str(), wrong);
            problems.add(problem.and_at(&narrow.place, "the other range"));
        }
    }
    rules.into_iter().map(|rule| (rule.codes, rule.effect)).collect()
}

/// Whether two rules disagree about a code, and neither is an exception to the other.
fn clashes(narrow: &Rule, wide: &Rule) -> bool {
    let (a, b) = (&narrow.codes, &wide.codes);
    let overlap = a.start() <= b.end() && b.start() <= a.end();
    let inside = b.start() <= a.start() && a.end() <= b.end() && a != b;
    overlap && !inside && narrow.effect != wide.effect
}

fn read_effect(value: &Value) -> Result<Effect, Wrong> {
    match value {
        Value::Text(text) if text == "abort" => Ok(Effect::Abort),
        Value::Text(text) if text == "normal" => Ok(Effect::Normal),
        _ => Err(Wrong::new("not an effect", "\"abort\" (backs off) or \"normal\"")),
    }
}

fn read_codes(text: &str) -> Result<RangeInclusive<u16>, Wrong> {
    let code =
        |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=999).contains(code));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(Wrong::new("not a range of codes", "codes from 100 to 999: \"300\", \"300-699\"")),
    }
}

/// Looks at every pattern of the template: an option that is not declared would silently be
/// replaced by nothing.
fn check_template(
    texts: &EntryTexts,
    options: &BTreeMap<String, OptionSpec>,
    files: &BTreeMap<String, FileSpec>,
    problems: &Collector,
) {
    let name = texts.shown.join("user_data");
    let source = Arc::new(Source::new(&name, &texts.folder, texts.user_data.clone(), &[]));
    let declared: Vec<&str> =
        options.keys().chain(files.keys()).map(String::as_str).chain(BUILT_IN_OPTIONS).collect();
    let pieces = template::pieces(&texts.user_data);
    for piece in &pieces {
        let Piece::Pattern { name, span } = piece else { continue };
        let place = Place { source: Arc::clone(&source), span: span.clone() };
        match template::meaning(name) {
            Meaning::Variable(_) => {}
            Meaning::Option { name, .. } if declared.contains(&name) => {}
            Meaning::File(name) if files.contains_key(name) => {}
            Meaning::Option { name, .. } | Meaning::File(name) => {
                let right = match nearest(name, &declared) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare [option.{name}] or [file.{name}] in entry.toml"),
                };
                let wrong = Wrong::new(format!("`{name}` is not declared by the entry"), right);
                problems.add(Problem::at_place(&place, "", wrong));
            }
            Meaning::Unknown => {
                let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
                let right = match nearest(name, &known) {
                    Some(near) => format!("did you mean `##user_data_{near}##`?"),
                    None => "docs/CONFIGURATION.md has the list of patterns".to_owned(),
                };
                let wrong = Wrong::new("an unknown pattern, which is replaced by nothing", right);
                problems.add(Problem::at_place(&place, "", wrong).as_warning());
            }
        }
    }
    if template::is_nested(&pieces) {
        let wrong = Wrong::new("patterns inside of patterns", "patterns side by side");
        problems.add(Problem::at_place(&Place::top_of(&source), "", wrong));
    }
}
