//! Parameters of the Query protocol: `TagSpecification.1.Tag.2.Key=x`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::reply::Refusal;

/// The parameters of a request, or of a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a body of form data.
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// Of these pairs.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    /// A value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A value that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<&str, Refusal> {
        self.get(key).ok_or_else(|| Refusal::missing(key))
    }

    /// Whether a switch is on.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }

    /// A number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let bad = |_| Refusal::bad(format!("Value ({text}) for parameter {key} is invalid."));
        text.parse().map(Some).map_err(bad)
    }

    /// The values of `KEY.1`, `KEY.2`, ..., in the order of their numbers.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        let mut found: Vec<(u32, &str)> = Vec::new();
        for (name, value) in &self.0 {
            let rest = name.strip_prefix(key).and_then(|rest| rest.strip_prefix('.'));
            if let Some(number) = rest.and_then(|rest| rest.parse().ok()) {
                found.push((number, value));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// What stands under `KEY.`, without that.
    pub(crate) fn under(&self, key: &str) -> Self {
        let inner = self.0.iter().filter_map(|(name, value)| {
            let rest = name.strip_prefix(key)?.strip_prefix('.')?;
            Some((rest.to_owned(), value.clone()))
        });
        Self(inner.collect())
    }

    /// What stands under `KEY.1`, `KEY.2`, ..., in the order of their numbers.
    pub(crate) fn groups(&self, key: &str) -> Vec<Self> {
        let all = self.under(key);
        let numbers = all.0.keys().filter_map(|name| name.split('.').next()?.parse::<u32>().ok());
        let numbers: std::collections::BTreeSet<u32> = numbers.collect();
        numbers.into_iter().map(|number| all.under(&number.to_string())).collect()
    }

    /// Whether nothing is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First segments of the names: what was asked for, without the details.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| name.split('.').next().unwrap_or(name))
    }

    /// A number for all parameters but these, the same for equal requests.
    pub(crate) fn digest(&self, but: &[&str]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for pair in self.0.iter().filter(|(key, _)| !but.contains(&key.as_str())) {
            pair.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// For the ledger: without secrets.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        let shown = self.0.iter().map(|(key, value)| {
            let secret = matches!(key.as_str(), "UserData" | "WebIdentityToken" | "ExternalId");
            let value =
                if secret { format!("({} characters)", value.len()) } else { value.clone() };
            (key.clone(), value)
        });
        shown.collect()
    }
}

/// A filter of a describe call: any of the values.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    name: String,
    values: Vec<String>,
}

/// The filters of a request: all of them must be passed.
#[derive(Debug, Clone)]
pub(crate) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M`; at most 200 values each.
    pub(crate) fn of(params: &Params) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for group in params.groups("Filter") {
            let name = group.need("Name")?.to_owned();
            let values: Vec<String> = group.list("Value").into_iter().map(str::to_owned).collect();
            if values.is_empty() {
                return Err(Refusal::bad(format!("The filter '{name}' has no values")));
            }
            if values.len() > 200 {
                let code = "FilterLimitExceeded";
                return Err(Refusal::new(400, code, "The maximum number of filter values is 200."));
            }
            all.push(Filter { name, values });
        }
        Ok(Self(all))
    }

    /// Whether a resource passes. `value` gives the values that it has under the name of a filter;
    /// `None`: there is no such filter.
    pub(crate) fn pass(
        &self,
        tags: &BTreeMap<String, String>,
        value: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, Refusal> {
        for Filter { name, values } in &self.0 {
            let has: Vec<String> = match name.strip_prefix("tag:") {
                Some(key) => tags.get(key).cloned().into_iter().collect(),
                None if name == "tag-key" => tags.keys().cloned().collect(),
                None => value(name)
                    .ok_or_else(|| Refusal::bad(format!("The filter '{name}' is invalid")))?,
            };
            let fits = |has: &String| values.iter().any(|wanted| super::words::fits(wanted, has));
            if !has.iter().any(fits) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let params = Params::of(&[("Id.10", "j"), ("Id.2", "b"), ("Id.1", "a"), ("Ids.1", "x")]);
        assert_eq!(params.list("Id"), ["a", "b", "j"]);
        let tags = Params::of(&[("Tag.1.Key", "k"), ("Tag.1.Value", "v"), ("Tag.2.Key", "l")]);
        let groups = tags.groups("Tag");
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].get("Key"), groups[0].get("Value")), (Some("k"), Some("v")));
    }

    #[test]
    fn all_filters_must_be_passed_and_unknown_ones_are_refused() {
        let wanted = [
            ("Filter.1.Name", "tag:a"),
            ("Filter.1.Value.1", "x*"),
            ("Filter.2.Name", "state"),
            ("Filter.2.Value.1", "on"),
        ];
        let filters = Filters::of(&Params::of(&wanted)).unwrap();
        let tags: BTreeMap<_, _> = [("a".to_owned(), "xyz".to_owned())].into();
        let state =
            |word: &'static str| move |name: &str| (name == "state").then(|| vec![word.to_owned()]);
        assert!(filters.pass(&tags, state("on")).unwrap());
        assert!(!filters.pass(&tags, state("off")).unwrap());
        assert!(!filters.pass(&BTreeMap::new(), state("on")).unwrap());
        assert_eq!(filters.pass(&tags, |_| None).unwrap_err().code, "InvalidParameterValue");
    }
}
