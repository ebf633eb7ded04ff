//! The two languages of `filter`: comparisons as of AIP-160, and `eq`/`ne` with a regular expression, which
//! are not mixed. As the description of `instances.list` says; what it does not say is as AIP-160 says.

use std::iter::Peekable;

use regex_lite::Regex;
use serde_json::Value;

/// A filter.
#[derive(Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare { field: Vec<String>, by: By, value: String },
    Matches { field: Vec<String>, pattern: Regex },
    MatchesNot { field: Vec<String>, pattern: Regex },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Has,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    By(By),
    Word(String),
    Quoted(String),
}

/// Not a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoFilter;

fn tokens(text: &str) -> Result<Vec<Token>, NoFilter> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(&letter) = letters.peek() {
        match letter {
            ' ' | '\t' | '\n' => drop(letters.next()),
            '(' => {
                letters.next();
                found.push(Token::Open);
            }
            ')' => {
                letters.next();
                found.push(Token::Close);
            }
            '"' | '\'' => {
                letters.next();
                let inner: String = letters.by_ref().take_while(|&other| other != letter).collect();
                found.push(Token::Quoted(inner));
            }
            '=' | '!' | '<' | '>' | ':' => found.push(Token::By(comparison(&mut letters)?)),
            _ => {
                let mut word = String::new();
                let ends = |c: char| c.is_whitespace() || "()=!<>:\"'".contains(c);
                while let Some(letter) = letters.next_if(|&letter| !ends(letter)) {
                    word.push(letter);
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

fn comparison(letters: &mut Peekable<std::str::Chars<'_>>) -> Result<By, NoFilter> {
    let first = letters.next();
    let equal = letters.next_if_eq(&'=').is_some();
    match (first, equal) {
        (Some('='), false) => Ok(By::Equal),
        (Some('!'), true) => Ok(By::NotEqual),
        (Some('<'), true) => Ok(By::LessOrEqual),
        (Some('<'), false) => Ok(By::Less),
        (Some('>'), true) => Ok(By::MoreOrEqual),
        (Some('>'), false) => Ok(By::More),
        (Some(':'), false) => Ok(By::Has),
        _ => Err(NoFilter),
    }
}

struct Parser {
    tokens: Peekable<std::vec::IntoIter<Token>>,
    compares: usize,
    matches: usize,
}

impl Parser {
    fn word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(own) if own == word)).is_some()
    }

    /// Side by side, or joined by `AND`.
    fn all(&mut self) -> Result<Filter, NoFilter> {
        let mut parts = vec![self.any()?];
        while self.tokens.peek().is_some_and(|token| *token != Token::Close) {
            self.word("AND");
            parts.push(self.any()?);
        }
        Ok(Filter::All(parts))
    }

    /// Joined by `OR`, which binds closer (AIP-160).
    fn any(&mut self) -> Result<Filter, NoFilter> {
        let mut parts = vec![self.one()?];
        while self.word("OR") {
            parts.push(self.one()?);
        }
        Ok(Filter::Any(parts))
    }

    fn one(&mut self) -> Result<Filter, NoFilter> {
        if self.word("NOT") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        match self.tokens.next() {
            Some(Token::Open) => {
                let inner = self.all()?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(NoFilter),
                }
            }
            Some(Token::Word(field)) => self.compare(&field),
            _ => Err(NoFilter),
        }
    }

    fn compare(&mut self, field: &str) -> Result<Filter, NoFilter> {
        let field: Vec<String> = field.split('.').map(str::to_owned).collect();
        let sign = self.tokens.next();
        let value = match self.tokens.next() {
            Some(Token::Word(value) | Token::Quoted(value)) => value,
            _ => return Err(NoFilter),
        };
        match sign {
            Some(Token::By(by)) => {
                self.compares += 1;
                Ok(Filter::Compare { field, by, value })
            }
            Some(Token::Word(word)) if word == "eq" || word == "ne" => {
                self.matches += 1;
                let pattern = Regex::new(&format!("^(?:{value})$")).map_err(|_| NoFilter)?;
                match word == "eq" {
                    true => Ok(Filter::Matches { field, pattern }),
                    false => Ok(Filter::MatchesNot { field, pattern }),
                }
            }
            _ => Err(NoFilter),
        }
    }
}

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, NoFilter> {
        let tokens = tokens(text)?.into_iter().peekable();
        let mut parser = Parser { tokens, compares: 0, matches: 0 };
        let filter = parser.all()?;
        let mixed = parser.compares > 0 && parser.matches > 0;
        if mixed || parser.tokens.next().is_some() { Err(NoFilter) } else { Ok(filter) }
    }

    /// The first segments of the fields that it looks at.
    pub(crate) fn fields<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.fields(into));
            }
            Self::Not(inner) => inner.fields(into),
            Self::Compare { field, .. }
            | Self::Matches { field, .. }
            | Self::MatchesNot { field, .. } => into.push(&field[0]),
        }
    }

    /// Whether it lets a resource through.
    pub(crate) fn fits(&self, resource: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.fits(resource)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(resource)),
            Self::Not(inner) => !inner.fits(resource),
            Self::Matches { field, pattern } => {
                text_of(resource, field).is_some_and(|text| pattern.is_match(&text))
            }
            Self::MatchesNot { field, pattern } => {
                text_of(resource, field).is_none_or(|text| !pattern.is_match(&text))
            }
            Self::Compare { field, by, value } => compares(text_of(resource, field), *by, value),
        }
    }
}

fn text_of(resource: &Value, field: &[String]) -> Option<String> {
    let found = field.iter().try_fold(resource, |value, name| value.get(name))?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn compares(own: Option<String>, by: By, value: &str) -> bool {
    let Some(own) = own else { return by == By::NotEqual };
    let numbers = own.parse::<f64>().ok().zip(value.parse::<f64>().ok());
    let order = match numbers {
        Some((own, value)) => own.partial_cmp(&value),
        None => Some(own.as_str().cmp(value)),
    };
    match by {
        By::Equal => order.is_some_and(|order| order.is_eq()),
        By::NotEqual => order.is_none_or(|order| order.is_ne()),
        By::Less => order.is_some_and(|order| order.is_lt()),
        By::LessOrEqual => order.is_some_and(|order| order.is_le()),
        By::More => order.is_some_and(|order| order.is_gt()),
        By::MoreOrEqual => order.is_some_and(|order| order.is_ge()),
        By::Has => value == "*" || own.contains(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &str) -> bool {
        let resource = json!({
            "name": "vm-7", "status": "RUNNING", "id": "12",
            "labels": { "owner": "x", "vcycle-intent": "00ff" },
            "scheduling": { "automaticRestart": false },
        });
        Filter::parse(filter).unwrap().fits(&resource)
    }

    #[test]
    fn comparisons_are_joined_as_the_description_says() {
        assert!(fits("labels.owner:*"));
        assert!(!fits("labels.other:*"));
        assert!(fits("(labels.owner = \"x\")(status != TERMINATED)"));
        assert!(fits("labels.vcycle-intent=00ff AND scheduling.automaticRestart = false"));
        assert!(fits("(name = other) OR (name = vm-7)"));
        assert!(fits("name = other OR name = vm-7 AND status = RUNNING"));
        assert!(!fits("NOT (status = RUNNING)"));
        assert!(fits("id > 9"));
    }

    #[test]
    fn a_regular_expression_must_match_the_whole_field() {
        assert!(fits("name eq 'vm-.*'"));
        assert!(!fits("name eq vm"));
        assert!(fits("name ne .*instance"));
        assert!(fits("(name eq vm-7)(status eq RUN.*)"));
    }

    #[test]
    fn nonsense_and_mixtures_are_no_filters() {
        for text in
            ["", "name", "name =", "(name = x", "(name eq x)(status = y)", "= x", "name = x)"]
        {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
