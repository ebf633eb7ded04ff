//! Options and files that an entry declares, and whether a written value fits. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definition::OptionText;
use super::template::{BUILT_IN_OPTIONS, is_option_name};
use crate::config::reader::Reader;
use crate::config::tree::Value;
use crate::config::{OptionValue, Placed, Problem, Wrong, values};

/// An option of an entry.
#[derive(Debug, Clone)]
pub struct OptionSpec {
    /// What values it takes.
    pub kind: OptionKind,
    /// For people.
    pub description: String,
    /// Its text when nothing is written; `None`: the pattern is replaced by nothing.
    pub default: Option<String>,
    /// Whether it must be written.
    pub required: bool,
    /// Whether its value is masked for people, and may come from a file.
    pub secret: bool,
}

/// What values an option takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// A whole number within bounds.
    Integer {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// `true` or `false`; written so in `user_data`.
    Flag,
    /// One of some texts.
    Choice(Vec<String>),
}

/// A file of an entry: its content becomes part of `user_data`.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// For people.
    pub description: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether its content is masked for people (default).
    pub secret: bool,
}

impl OptionKind {
    /// What a right value looks like, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Integer { min: i64::MIN, max: i64::MAX } => {
                "a whole number, without quotes".to_owned()
            }
            Self::Integer { min, max: i64::MAX } => format!("a whole number, {min} or more"),
            Self::Integer { min: i64::MIN, max } => format!("a whole number, {max} or less"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Flag => "true or false, without quotes".to_owned(),
            Self::Choice(choices) => {
                let quoted: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
                format!("one of {}", quoted.join(", "))
            }
        }
    }

    /// The text of a value, if it is of this kind. The message never has the value: it may be secret.
    pub fn accept(&self, value: &OptionValue) -> Result<String, Wrong> {
        let refuse = |wrong: String| Err(Wrong::new(wrong, self.describe()));
        match (self, value) {
            (Self::Text, OptionValue::Text(text)) => Ok(text.clone()),
            (Self::Integer { min, max }, OptionValue::Integer(number)) => {
                if (min..=max).contains(&number) {
                    Ok(number.to_string())
                } else {
                    refuse("a number out of range".to_owned())
                }
            }
            (Self::Flag, OptionValue::Flag(flag)) => Ok(flag.to_string()),
            (Self::Choice(choices), OptionValue::Text(text)) => {
                if choices.contains(text) {
                    Ok(text.clone())
                } else {
                    refuse("not one of the choices".to_owned())
                }
            }
            (
                Self::Text | Self::Integer { .. } | Self::Flag | Self::Choice(_),
                other @ (OptionValue::Text(_)
                | OptionValue::Integer(_)
                | OptionValue::Flag(_)
                | OptionValue::Other(_)),
            ) => refuse(format!("{} where something else is wanted", other.kind())),
        }
    }
}

impl OptionSpec {
    /// The text of an option that is not written.
    pub fn text_of_default(&self) -> OptionText {
        let text = self.default.as_deref().unwrap_or_default();
        OptionText { text: Arc::from(text), secret: self.secret }
    }
}

/// Reads `[option.NAME]`.
pub(super) fn read_options(root: &Reader<'_>) -> BTreeMap<String, OptionSpec> {
    let mut options = BTreeMap::new();
    for (name, section) in root.tables_of("option") {
        check_name(&name, &section);
        let spec = read_option(&section);
        section.finish();
        if let Some(spec) = spec {
            options.insert(name, spec);
        }
    }
    options
}

/// Reads `[file.NAME]`.
pub(super) fn read_files(
    root: &Reader<'_>,
    options: &BTreeMap<String, OptionSpec>,
) -> BTreeMap<String, FileSpec> {
    let mut files = BTreeMap::new();
    for (name, section) in root.tables_of("file") {
        check_name(&name, &section);
        if options.contains_key(&name) {
            let wrong = "an option has the same name, and one pattern would mean both";
            section.problem(Wrong::new(wrong, "another name"));
        }
        let description = section.required("description", values::line, "what the file is");
        let spec = FileSpec {
            description: description.map(|text| text.value).unwrap_or_default(),
            required: section.get_or("required", values::flag, false).value,
            secret: section.get_or("secret", values::flag, true).value,
        };
        section.finish();
        files.insert(name, spec);
    }
    files
}

fn check_name(name: &str, section: &Reader<'_>) {
    if BUILT_IN_OPTIONS.contains(&name) {
        section.problem(Wrong::new("this option is set by the manager", "another name"));
    } else if !is_option_name(name) {
        section.problem(Wrong::new(
            "not a name that a pattern can have",
            "up to 64 lower-case letters, digits and `_`, not ending in `_base64`",
        ));
    }
}

fn read_option(section: &Reader<'_>) -> Option<OptionSpec> {
    let problems = section.problems();
    let kind = read_kind(section);
    let description = section.required("description", values::line, "what the option does");
    let required = section.get_or("required", values::flag, false);
    let secret = section.get_or("secret", values::flag, false);
    let written = section.get("default", |value| Ok(option_default(value)));
    let kind = kind?;
    let mut default = None;
    if let Some(written) = written {
        match kind.accept(&written.value) {
            Ok(text) => default = Some(text),
            Err(wrong) => problems.add(Problem::at_value(&written, wrong)),
        }
        if required.value {
            let wrong = Wrong::new("a default for an option that must be set", "one of the two");
            problems.add(Problem::at_value(&written, wrong));
        }
        if secret.value && default.as_deref().is_some_and(|text| !text.is_empty()) {
            let wrong = Wrong::new("a secret in the library, where all can read it", "no default");
            problems.add(Problem::at_value(&written, wrong).hidden());
        }
    }
    if secret.value && kind != OptionKind::Text {
        let wrong = Wrong::new("only texts can be secret", "`type = \"string\"`, or not secret");
        problems.add(Problem::at_value(&secret, wrong));
    }
    let description = description.map(|text| text.value).unwrap_or_default();
    Some(OptionSpec { kind, description, default, required: required.value, secret: secret.value })
}

fn option_default(value: &Value) -> OptionValue {
    crate::config::option_value(value)
}

fn read_kind(section: &Reader<'_>) -> Option<OptionKind> {
    const RIGHT: &str = "\"string\", \"integer\", \"boolean\" or \"choice\"";
    let kind = section.required("type", values::text, RIGHT)?;
    match kind.value.as_str() {
        "string" => Some(OptionKind::Text),
        "boolean" => Some(OptionKind::Flag),
        "integer" => {
            let min = bound(section, "min", i64::MIN);
            let max = bound(section, "max", i64::MAX);
            if min.value > max.value {
                let wrong = Wrong::new("above `max`", "not above `max`");
                section.problems().add(Problem::at_value(&min, wrong));
            }
            Some(OptionKind::Integer { min: min.value, max: max.value })
        }
        "choice" => {
            let right = "the texts to choose from";
            let read = |value: &_| values::list(value, values::text);
            let choices = section.required("choices", read, right)?;
            if choices.value.is_empty() {
                let wrong = Wrong::new("nothing to choose from", right);
                section.problems().add(Problem::at_value(&choices, wrong));
            }
            Some(OptionKind::Choice(choices.value))
        }
        _ => {
            section.problems().add(Problem::at_value(&kind, Wrong::new("not a type", RIGHT)));
            // What belongs to some types is not also an unknown key.
            for key in ["min", "max", "choices"] {
                section.has(key);
            }
            None
        }
    }
}

fn bound(section: &Reader<'_>, key: &'static str, default: i64) -> Placed<i64> {
    section.get_or(key, values::integer, default)
}
