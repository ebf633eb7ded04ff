//! What is wrong with a configuration, and what would be right: collected over all files, never
//! one at a time, and printed in one stable plain form.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::source::{Place, Placed, masked};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Path of the key; empty when the problem is not about one key.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
    /// Where.
    pub at: At,
    /// A second place that belongs to it, and what is there.
    pub also: Option<(Place, String)>,
    /// What kind of finding it is.
    pub finding: Finding,
    /// Whether values of the lines that are shown are covered: nobody knows what is in them.
    pub values: Values,
}

/// Whether the values on the lines of a message are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// As they are.
    Shown,
    /// This part of the file is covered; of the second place, all behind the key.
    Covered(std::ops::Range<usize>),
}

/// What a problem follows from. Where a file is broken, some conclusions would be nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// From something that is written.
    Presence,
    /// From something that is not there: worthless when a part of the files could not be read.
    Absence,
    /// The file itself cannot be read, or is not TOML from here on.
    Broken,
}

/// Where a problem is.
#[derive(Debug, Clone)]
pub enum At {
    /// A part of a text.
    Place(Place),
    /// A part of a text that must not be shown (it may hold a secret).
    Hidden(Place),
    /// A file or folder as a whole: it could not be read.
    File(PathBuf),
}

/// What is wrong with one value and what would be right, when the place is known elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Wrong {
    /// Both halves.
    pub fn new(wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), right: right.into() }
    }
}

impl Problem {
    /// An error about the value of a key.
    pub fn at_value<T>(value: &Placed<T>, wrong: Wrong) -> Self {
        Self::at_place(&value.place, &value.key, wrong)
    }

    /// An error at a place.
    pub fn at_place(place: &Place, key: impl Into<String>, wrong: Wrong) -> Self {
        Self::new(At::Place(place.clone()), key.into(), wrong)
    }

    /// An error about a whole file.
    pub fn in_file(file: &Path, wrong: Wrong) -> Self {
        Self::new(At::File(file.to_owned()), String::new(), wrong)
    }

    fn new(at: At, key: String, Wrong { wrong, right }: Wrong) -> Self {
        let finding = Finding::Presence;
        let values = Values::Shown;
        Self { severity: Severity::Error, key, wrong, right, at, also: None, finding, values }
    }

    /// Names a second place.
    #[must_use]
    pub fn and_at(mut self, place: &Place, what: impl Into<String>) -> Self {
        self.also = Some((place.clone(), what.into()));
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Shows the place without its text.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        if let At::Place(place) = self.at {
            self.at = At::Hidden(place);
        }
        self
    }

    /// Covers a value that belongs to no known setting, and so may be a secret in a wrong place.
    #[must_use]
    pub fn covering(mut self, value: &Place) -> Self {
        self.values = Values::Covered(value.span.clone());
        self
    }

    /// Says what it follows from.
    #[must_use]
    pub fn found_by(mut self, finding: Finding) -> Self {
        self.finding = finding;
        self
    }

    fn start(&self) -> usize {
        match &self.at {
            At::Place(place) | At::Hidden(place) => place.span.start,
            At::File(_) => 0,
        }
    }

    fn file(&self) -> &Path {
        match &self.at {
            At::Place(place) | At::Hidden(place) => place.source.name(),
            At::File(file) => file,
        }
    }

    fn line_and_column(&self) -> Option<(usize, usize)> {
        match &self.at {
            At::Place(place) | At::Hidden(place) => Some(place.line_and_column()),
            At::File(_) => None,
        }
    }

    /// For programs: one flat row.
    pub fn row(&self) -> ProblemRow {
        let (line, column) = self.line_and_column().unzip();
        ProblemRow {
            severity: self.severity,
            file: self.file().to_owned(),
            line,
            column,
            key: self.key.clone(),
            wrong: self.wrong.clone(),
            right: self.right.clone(),
        }
    }
}

/// A problem for programs (`--json`). Stable: fields are only added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemRow {
    /// How bad.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Line, from 1, if it is about a part of the file.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// Path of the key; may be empty.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = match self.key.as_str() {
            "" => self.wrong.clone(),
            key => format!("{key}: {}", self.wrong),
        };
        let title = level.primary_title(title);
        let mut group = match &self.at {
            At::Place(place) => {
                let hidden = match &self.values {
                    Values::Shown => None,
                    Values::Covered(span) => Some(span.clone()),
                };
                title.element(snippet(place, AnnotationKind::Primary, &self.right, hidden))
            }
            At::Hidden(place) => {
                let (line, column) = place.line_and_column();
                title
                    .element(origin(place.source.name()).line(line).char_column(column))
                    .element(Level::HELP.message(self.right.as_str()))
            }
            At::File(file) => {
                Group::with_title(title).element(origin(file)).elements(help(&self.right))
            }
        };
        if let Some((place, what)) = &self.also {
            let hidden = match &self.values {
                Values::Shown => None,
                Values::Covered(_) => Some(place.span.end..end_of_line(place)),
            };
            group = group.element(snippet(place, AnnotationKind::Context, what, hidden));
        }
        f.write_str(&Renderer::plain().render(&[group]))
    }
}

fn help(right: &str) -> Option<annotate_snippets::Message<'_>> {
    (!right.is_empty()).then(|| Level::HELP.message(right))
}

fn origin(file: &Path) -> Origin<'_> {
    Origin::path(file.to_string_lossy())
}

fn snippet<'a>(
    place: &'a Place,
    kind: AnnotationKind,
    label: &'a str,
    hidden: Option<std::ops::Range<usize>>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = match hidden {
        Some(hidden) => Cow::Owned(masked(place.source.shown(), &[hidden])),
        None => Cow::Borrowed(place.source.shown()),
    };
    Snippet::source(text)
        .path(place.source.name().to_string_lossy())
        .annotation(kind.span(first_line_of(place)).label(label))
}

fn end_of_line(place: &Place) -> usize {
    let text = place.source.shown();
    text[place.span.end..].find('\n').map_or(text.len(), |length| place.span.end + length)
}

/// A message points at one line, also when the value spans many.
fn first_line_of(place: &Place) -> std::ops::Range<usize> {
    let text = place.source.shown();
    let start = place.span.start.min(text.len());
    let end = place.span.end.clamp(start, text.len());
    match text.get(start..end).and_then(|part| part.find('\n')) {
        Some(line) => start..start + line,
        None => start..end,
    }
}

/// All problems of all files, in the order of files and lines. Never empty.
#[derive(Debug, Clone)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }

    /// The first of them in one line, for an alarm, with how many more there are.
    pub fn in_a_line(&self) -> String {
        let Some(first) = self.0.first().map(Problem::row) else { return String::new() };
        let line = first.line.map(|line| format!(":{line}")).unwrap_or_default();
        let key = if first.key.is_empty() { String::new() } else { format!(" {}:", first.key) };
        let more = match self.0.len() - 1 {
            0 => String::new(),
            1 => "; and 1 problem more".to_owned(),
            many => format!("; and {many} problems more"),
        };
        format!("{}{line}:{key} {} ({}){more}", first.file.display(), first.wrong, first.right)
    }

    /// One problem.
    pub fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}\n")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            many => write!(f, "{many} problems"),
        }
    }
}

impl std::error::Error for Problems {}

/// Where problems are gathered while everything is read.
#[derive(Debug, Default)]
pub struct Collector(RefCell<Vec<Problem>>);

impl Collector {
    /// Adds one.
    pub fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// The errors, if there are any, and the warnings; each sorted by file and place.
    pub fn into_parts(self) -> (Result<(), Problems>, Vec<Problem>) {
        let mut all = without_nonsense(self.0.into_inner());
        all.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        let (errors, warnings): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|problem| problem.severity == Severity::Error);
        (if errors.is_empty() { Ok(()) } else { Err(Problems(errors)) }, warnings)
    }
}

/// Drops what cannot be known as long as a file is broken: that something is missing, and whatever
/// comes behind the first syntax error of its file.
fn without_nonsense(mut all: Vec<Problem>) -> Vec<Problem> {
    let mut broken: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for problem in all.iter().filter(|problem| problem.finding == Finding::Broken) {
        let first = broken.entry(problem.file().to_owned()).or_insert(usize::MAX);
        *first = problem.start().min(*first);
    }
    if broken.is_empty() {
        return all;
    }
    all.retain(|problem| match problem.finding {
        Finding::Broken => true,
        Finding::Absence => false,
        // What the parser made up to go on has no place of its own: 0.
        Finding::Presence => {
            broken.get(problem.file()).is_none_or(|first| (1..*first).contains(&problem.start()))
        }
    });
    all
}

fn sort_key(problem: &Problem) -> (&Path, usize, &str) {
    (problem.file(), problem.start(), &problem.wrong)
}
