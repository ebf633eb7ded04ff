//! What the tests against recorded exchanges share: reading them.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod tenancy;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A recorded exchange.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Capture {
    /// Number and name: `055-server-create`.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) response: Response,
}

/// What was asked.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    /// JSON; a text that is not JSON as a string; null without a body.
    #[serde(default)]
    pub(crate) body: Value,
}

/// What was answered.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// As in [`Request::body`]; an empty string without a body.
    #[serde(default)]
    pub(crate) body: Value,
}

impl Capture {
    /// The number in the name.
    pub(crate) fn number(&self) -> u16 {
        self.name[..3].parse().expect("names begin with three digits")
    }
}

impl Response {
    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| value.as_str())
    }
}

/// The folder of a recording.
pub(crate) fn folder(recording: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(recording)
}

/// All exchanges of a recording, in order.
pub(crate) fn captures(recording: &str) -> Vec<Capture> {
    let entries = std::fs::read_dir(folder(recording)).expect("the recording is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Capture {
    let text = std::fs::read_to_string(file).unwrap();
    let mut capture: Capture =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    capture.name = file.file_stem().unwrap().to_string_lossy().into_owned();
    capture
}
