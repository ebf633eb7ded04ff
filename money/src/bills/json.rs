//! Values of JSON as their text: a number that went by way of floating point would not be what the bill says.

use serde_json::value::RawValue;

use super::{BillDamage, Exact};

/// The text of a value: that within the quotes of a string, that of a number as it stands; `None`: null, or no text.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    let as_it_stands = raw.get();
    match as_it_stands.as_bytes().first()? {
        b'"' => serde_json::from_str(as_it_stands).ok(),
        b'-' | b'0'..=b'9' => Some(as_it_stands.to_owned()),
        _ => None,
    }
}

/// An amount, as a number or as its text; null is nothing.
pub(super) fn exact(raw: &RawValue) -> Result<Exact, String> {
    match (raw.get(), text(raw)) {
        ("null", _) => Ok(Exact::ZERO),
        (_, Some(text)) => text.parse::<Exact>().map_err(|error| error.to_string()),
        (other, None) => Err(format!("{} is no amount of money", beginning(other))),
    }
}

/// As much of a text as a message can bear.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

/// An error of the parser, whose first line is this line of the file.
pub(super) fn damage(error: &serde_json::Error, first: u64) -> BillDamage {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let what =
        if error.is_eof() { format!("the file was cut off ({text})") } else { text.to_owned() };
    let (line, column) = (error.line().max(1) as u64, error.column().max(1) as u64);
    BillDamage { line: first + line - 1, column, what }
}
