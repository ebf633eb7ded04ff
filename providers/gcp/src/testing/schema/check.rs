//! Whether a message is what the description says: types, words, formats, patterns, unknown fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, Kind, Method, Node};
use super::{Problem, Side};

/// Looks for what is wrong in the messages of one method.
pub(crate) struct Finder<'a> {
    pub(crate) document: &'static Document,
    pub(crate) side: Side,
    pub(crate) method: &'a str,
    /// Words that a test has made up on purpose: allowed where other words are listed.
    pub(crate) odd_words: &'a BTreeSet<String>,
    pub(crate) problems: Vec<Problem>,
}

impl Finder<'_> {
    fn add(&mut self, at: &str, what: impl AsRef<str>) {
        let what = format!("{at}: {}", what.as_ref());
        self.problems.push(Problem { side: self.side, method: self.method.to_owned(), what });
    }

    /// A body against the schema of this name.
    pub(crate) fn body(&mut self, value: &Value, schema: &str) {
        match self.document.schema(schema) {
            Some(node) => self.value(value, node, schema),
            None => self.add(schema, "there is no such schema"),
        }
    }

    fn value(&mut self, value: &Value, node: &'static Node, at: &str) {
        let node = node.resolved(self.document);
        // The text says why rather than the value: it may be secret.
        let wrong = |kind: &str| format!("is {} in place of {kind}", word_of(value));
        match node.kind {
            None | Some(Kind::Any) => {}
            Some(Kind::Object) => match value.as_object() {
                Some(map) => self.object(map, node, at),
                None => self.add(at, wrong("an object")),
            },
            Some(Kind::Array) => match (value.as_array(), &node.items) {
                (Some(all), Some(items)) => {
                    for (place, one) in all.iter().enumerate() {
                        self.value(one, items, &format!("{at}[{place}]"));
                    }
                }
                (Some(_), None) => {}
                (None, _) => self.add(at, wrong("a list")),
            },
            Some(Kind::Boolean) if value.is_boolean() => {}
            Some(Kind::Boolean) => self.add(at, wrong("true or false")),
            Some(Kind::Number) if value.is_number() => {}
            Some(Kind::Number) => self.add(at, wrong("a number")),
            Some(Kind::Integer) => match value.as_i64() {
                Some(number) if fits_integer(number, node) => {}
                Some(number) => self.add(at, format!("{number} is out of bounds")),
                None => self.add(at, wrong("a whole number")),
            },
            Some(Kind::String) => match value.as_str() {
                Some(text) => self.text(text, node, at),
                // 64-bit numbers, too, are texts in Google's JSON.
                None => self.add(at, wrong("a text")),
            },
        }
    }

    fn object(&mut self, map: &serde_json::Map<String, Value>, node: &'static Node, at: &str) {
        let known = node.properties.as_ref();
        for (name, value) in map {
            let here = format!("{at}.{name}");
            match (known.and_then(|known| known.get(name)), &node.additional_properties) {
                (Some(property), _) => self.value(value, property, &here),
                (None, Some(others)) => self.value(value, others, &here),
                (None, None) => self.add(&here, "there is no such field"),
            }
        }
        if self.side == Side::Reply {
            return;
        }
        for (name, property) in known.into_iter().flatten() {
            if property.required_by.iter().any(|id| id == self.method) && !map.contains_key(name) {
                self.add(&format!("{at}.{name}"), "is missing");
            }
        }
    }

    pub(crate) fn text(&mut self, text: &str, node: &Node, at: &str) {
        if let Some(words) = &node.words
            && !words.iter().any(|word| word == text)
            && !self.odd_words.contains(text)
        {
            self.add(at, format!("{text:?} is none of the known words"));
        }
        if let Some(pattern) = &node.pattern
            && !pattern.is_match(text)
        {
            self.add(at, format!("{text:?} does not match {}", pattern.as_str()));
        }
        let good = match node.format.as_deref() {
            Some("int64") => text.parse::<i64>().is_ok(),
            Some("uint64") => text.parse::<u64>().is_ok(),
            Some("int32") => text.parse::<i32>().is_ok(),
            Some("uint32") => text.parse::<u32>().is_ok(),
            Some("byte") => is_base64(text),
            _ => true,
        };
        if !good {
            let format = node.format.as_deref().unwrap_or_default();
            self.add(at, format!("{text:?} is no {format}"));
        }
        let number = text.parse::<i64>().ok();
        if let Some(number) = number.filter(|&number| !fits_integer(number, node)) {
            self.add(at, format!("{number} is out of bounds"));
        }
    }

    /// What stands in the path.
    pub(crate) fn path(&mut self, method: &'static Method, names: &BTreeMap<&str, String>) {
        for (name, given) in names {
            match method.parameters.get(*name) {
                Some(parameter) => self.text(given, &parameter.node, &format!("{{{name}}}")),
                None => self.add(name, "is in the path but not described"),
            }
        }
    }

    /// The query.
    pub(crate) fn query(&mut self, method: &'static Method, query: &[(String, String)]) {
        for (name, given) in query {
            let own = method.parameters.get(name).filter(|parameter| parameter.is_query());
            // The system parameters may be written with a dollar (cloud.google.com/apis/docs/system-parameters).
            let plain = name.strip_prefix('$').unwrap_or(name);
            let parameter = own.or_else(|| self.document.parameters.get(plain));
            let at = format!("?{name}");
            match parameter {
                Some(parameter) if parameter.node.kind == Some(Kind::Boolean) => {
                    if !matches!(given.as_str(), "true" | "false") {
                        self.add(&at, format!("{given:?} is not true or false"));
                    }
                }
                Some(parameter) => self.text(given, &parameter.node, &at),
                None if plain == "apiVersion" => {}
                None => self.add(&at, "there is no such parameter"),
            }
        }
        let required = method.parameters.iter().filter(|(_, parameter)| parameter.required);
        for (name, _) in required.filter(|(_, parameter)| parameter.is_query()) {
            if !query.iter().any(|(given, _)| given == name) {
                self.add(&format!("?{name}"), "is missing");
            }
        }
    }
}

/// The first parameter of a query that the method does not have.
pub(crate) fn odd_query(problems: &[Problem]) -> Option<&Problem> {
    problems.iter().find(|problem| problem.what.starts_with('?'))
}

/// The body of a refusal, which the discovery document does not describe: as recorded ones look.
pub(crate) fn shape(body: &Value) -> Option<String> {
    let error = &body["error"];
    if !error["code"].is_u64() {
        return Some("error.code is no number".to_owned());
    }
    if !error["message"].is_string() {
        return Some("error.message is no text".to_owned());
    }
    let first = &error["errors"][0];
    let missing = ["domain", "reason", "message"].into_iter().find(|key| !first[key].is_string());
    missing.map(|key| format!("error.errors[0].{key} is no text"))
}

fn word_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn fits_integer(number: i64, node: &Node) -> bool {
    let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<i64>().ok());
    let width = match node.format.as_deref() {
        Some("int32") => i32::try_from(number).is_ok(),
        Some("uint32") => u32::try_from(number).is_ok(),
        _ => true,
    };
    width
        && bound(&node.minimum).is_none_or(|least| number >= least)
        && bound(&node.maximum).is_none_or(|most| number <= most)
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    text.len() - body.len() <= 2 && body.chars().all(known)
}
