//! The patterns of a `user_data` template (FIELD.md 2.2): where they are and which exist. Pure.
//!
//! A pattern is `##user_data_NAME##` with a name of lower-case letters, digits, `_` and (as the
//! ancestor's expression has it, though no name holds one) `,`.

use std::ops::Range;

/// What every pattern begins with.
const OPEN: &str = "##user_data_";
/// What every pattern ends with.
const CLOSE: &str = "##";
/// `##user_data_option_NAME_base64##`: the value in base64, safe in YAML and in quotes.
const BASE64: &str = "_base64";

/// Options that the manager sets itself; no entry can declare them.
pub const OUTPUTS_TOKEN: &str = "joboutputs_token";
/// See [`OUTPUTS_TOKEN`].
pub const MANAGER_CA: &str = "manager_ca";
/// See [`OUTPUTS_TOKEN`].
pub const DEADLINE: &str = "deadline";
/// All of them.
pub const BUILT_IN_OPTIONS: [&str; 3] = [OUTPUTS_TOKEN, MANAGER_CA, DEADLINE];

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text as it is.
    Text(&'t str),
    /// A pattern: what stands between `##user_data_` and `##`.
    Pattern {
        /// Its name.
        name: &'t str,
        /// The whole pattern in the template.
        span: Range<usize>,
    },
}

/// Splits a template: the pieces together are the template.
pub fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text_from = 0;
    let mut at = 0;
    while let Some(found) = template[at..].find(OPEN).map(|offset| at + offset) {
        let name_from = found + OPEN.len();
        let rest = &template[name_from..];
        let length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        if !rest[length..].starts_with(CLOSE) {
            // Not a pattern; the next one can begin inside of it at the earliest.
            at = found + 1;
            continue;
        }
        if text_from < found {
            pieces.push(Piece::Text(&template[text_from..found]));
        }
        at = name_from + length + CLOSE.len();
        text_from = at;
        pieces.push(Piece::Pattern { name: &rest[..length], span: found..at });
    }
    if text_from < template.len() {
        pieces.push(Piece::Text(&template[text_from..]));
    }
    pieces
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ','
}

/// What the manager knows of a machine before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the rows of the table below")]
pub enum Variable {
    Site,
    Space,
    Machinetype,
    MachineHostname,
    ManagerVersion,
    ManagerHostname,
    MachinefeaturesUrl,
    JobfeaturesUrl,
    JoboutputsUrl,
    HeartbeatMachinesUrl,
    RootImageUrl,
    /// Known to the ancestor, and without a value here: the template's URL (ours are files), the
    /// UUID (a cloud has none before the machine exists).
    Nothing,
}

/// Names of variables: the ancestor's, its deprecated synonyms, and the technical note's spelling
/// of the URLs.
pub const VARIABLES: [(&str, Variable); 20] = [
    ("site", Variable::Site),
    ("space", Variable::Space),
    ("machinetype", Variable::Machinetype),
    ("vmtype", Variable::Machinetype),
    ("machine_hostname", Variable::MachineHostname),
    ("vm_hostname", Variable::MachineHostname),
    ("manager_version", Variable::ManagerVersion),
    ("vmlm_version", Variable::ManagerVersion),
    ("manager_hostname", Variable::ManagerHostname),
    ("vmlm_hostname", Variable::ManagerHostname),
    ("machinefeatures_url", Variable::MachinefeaturesUrl),
    ("manager_machinefeatures_url", Variable::MachinefeaturesUrl),
    ("jobfeatures_url", Variable::JobfeaturesUrl),
    ("manager_jobfeatures_url", Variable::JobfeaturesUrl),
    ("joboutputs_url", Variable::JoboutputsUrl),
    ("manager_joboutputs_url", Variable::JoboutputsUrl),
    ("heartbeat_machines_url", Variable::HeartbeatMachinesUrl),
    ("root_image_url", Variable::RootImageUrl),
    ("url", Variable::Nothing),
    ("uuid", Variable::Nothing),
];

/// What a pattern stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'t> {
    /// A variable.
    Variable(Variable),
    /// An option, or the content of a file of that name.
    Option {
        /// Its name.
        name: &'t str,
        /// How its value is written.
        form: Form,
    },
    /// The content of a file (deprecated spelling).
    File(&'t str),
    /// Nothing that is known: replaced by nothing.
    Unknown,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64 (RFC 4648, with padding, on one line).
    Base64,
}

/// What the name of a pattern stands for. Names of options never end in `_base64`.
pub fn meaning(name: &str) -> Meaning<'_> {
    if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Meaning::Variable(*variable);
    }
    match (name.strip_prefix("option_"), name.strip_prefix("file_")) {
        (Some(option), _) => match option.strip_suffix(BASE64) {
            Some(name) => Meaning::Option { name, form: Form::Base64 },
            None => Meaning::Option { name: option, form: Form::Plain },
        },
        (None, Some(file)) => Meaning::File(file),
        (None, None) => Meaning::Unknown,
    }
}

/// Whether a text can be the name of an option or file.
pub fn is_option_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.ends_with(BASE64)
}

/// Patterns written inside patterns would become new patterns when the inner ones are removed.
pub fn is_nested(pieces: &[Piece<'_>]) -> bool {
    let left: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => *text,
            Piece::Pattern { .. } => "",
        })
        .collect();
    self::pieces(&left).iter().any(|piece| matches!(piece, Piece::Pattern { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(template: &str) -> Vec<&str> {
        let pattern = |piece| match piece {
            Piece::Pattern { name, .. } => Some(name),
            Piece::Text(_) => None,
        };
        pieces(template).into_iter().filter_map(pattern).collect()
    }

    #[test]
    fn patterns_are_found_where_the_ancestor_found_them() {
        assert_eq!(names("a ##user_data_space## b"), ["space"]);
        assert_eq!(names("##user_data_a####user_data_b##"), ["a", "b"]);
        assert_eq!(names("####user_data_a##"), ["a"]);
        assert_eq!(names("##user_data_##"), [""]);
        assert_eq!(names("##user_data_##user_data_a##"), [""]);
        assert_eq!(names("##user_data_a,b##"), ["a,b"]);
        for none in ["##user_data_A##", "##user_data_a b##", "##user_data_a#", "#user_data_a##"] {
            assert!(names(none).is_empty(), "{none}");
        }
        assert_eq!(names("##user_data_x ##user_data_y##"), ["y"]);
    }

    #[test]
    fn a_pattern_inside_a_pattern_is_noticed() {
        assert!(is_nested(&pieces("##user_##user_data_x##data_space##")));
        assert!(!is_nested(&pieces("##user_data_x####user_data_space##")));
    }

    proptest! {
        #[test]
        fn the_pieces_together_are_the_template(
            template in "(#|##|user_data_|##user_data_|[a-z,é \n]){0,40}",
        ) {
            let mut at = 0;
            for piece in pieces(&template) {
                let text = match piece {
                    Piece::Text(text) => text,
                    Piece::Pattern { ref span, .. } => &template[span.clone()],
                };
                prop_assert!(template[at..].starts_with(text) && !text.is_empty());
                at += text.len();
            }
            prop_assert_eq!(at, template.len());
        }
    }
}
