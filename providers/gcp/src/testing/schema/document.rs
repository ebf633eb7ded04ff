//! The description as it stands in the file, and the way from a request to its method.
//!
//! The format is Google's discovery document (developers.google.com/discovery/v1/reference/apis), cut down by
//! `tests/gcp/schema.py` at the root of the repository.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer};

static TEXT: &str = include_str!("../../../tests/schema/compute.v1.subset.json");

static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("the description is a discovery document"));

/// The description that is built in.
pub(crate) fn document() -> &'static Document {
    &DOCUMENT
}

/// The part of a discovery document that is used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    /// Query parameters of every method.
    pub(crate) parameters: BTreeMap<String, Parameter>,
    methods: Vec<Method>,
    schemas: BTreeMap<String, Node>,
}

/// A method of the API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Method {
    /// For example `compute.instances.insert`.
    pub(crate) id: String,
    http_method: String,
    /// Under `/compute/v1/`, with `{names}`.
    path: String,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    /// Schema of the body of a request.
    pub(crate) request: Option<String>,
    /// Schema of the body of an answer.
    pub(crate) response: Option<String>,
}

/// A parameter in the path or in the query.
#[derive(Debug, Deserialize)]
pub(crate) struct Parameter {
    location: Location,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(flatten)]
    pub(crate) node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Location {
    Path,
    Query,
}

/// A type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    #[serde(rename = "$ref")]
    pub(crate) reference: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<Kind>,
    pub(crate) format: Option<String>,
    #[serde(rename = "enum")]
    pub(crate) words: Option<Vec<String>>,
    #[serde(default, deserialize_with = "whole")]
    pub(crate) pattern: Option<Regex>,
    pub(crate) minimum: Option<String>,
    pub(crate) maximum: Option<String>,
    pub(crate) properties: Option<BTreeMap<String, Node>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) additional_properties: Option<Box<Node>>,
    /// Methods whose request must have it.
    #[serde(default)]
    pub(crate) required_by: Vec<String>,
}

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Any,
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

/// A pattern is about the whole text.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let pattern = String::deserialize(deserializer)?;
    Regex::new(&format!("^(?:{pattern})$")).map(Some).map_err(serde::de::Error::custom)
}

impl Document {
    /// The method of a request, and what stands in its path for the names; `None`: there is none.
    pub(crate) fn find(
        &'static self,
        http_method: &str,
        path: &[String],
    ) -> Option<(&'static Method, BTreeMap<&'static str, String>)> {
        let of_verb = self.methods.iter().filter(|method| method.http_method == http_method);
        let fits = of_verb.filter_map(|method| Some((method, method.fits(path)?)));
        // A word of the path is meant before a name: `instances/bulk` is no instance.
        fits.min_by_key(|(_, names)| names.len())
    }

    /// A schema by its name.
    pub(crate) fn schema(&self, name: &str) -> Option<&Node> {
        self.schemas.get(name)
    }
}

impl Method {
    fn fits(&'static self, path: &[String]) -> Option<BTreeMap<&'static str, String>> {
        let mut names = BTreeMap::new();
        let mut segments = self.path.split('/');
        for given in path {
            let wanted = segments.next()?;
            match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => drop(names.insert(name, given.clone())),
                None if wanted == given => {}
                None => return None,
            }
        }
        segments.next().is_none().then_some(names)
    }
}

impl Parameter {
    pub(crate) fn is_query(&self) -> bool {
        self.location == Location::Query
    }
}

impl Node {
    /// The type that is meant, wherever it is written.
    pub(crate) fn resolved(&'static self, document: &'static Document) -> &'static Self {
        let named = self.reference.as_deref().and_then(|name| document.schema(name));
        named.unwrap_or(self)
    }
}
