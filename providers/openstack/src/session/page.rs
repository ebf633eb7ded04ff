//! Collections that come in pages. Only the marker of the next link is used, never its address:
//! links of services behind proxies often name hosts that cannot be reached.

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) items: Vec<T>,
    /// Marker of the next page ([`super::Call::after`]); `None`: this was the last.
    pub(crate) next: Option<String>,
}

/// Takes a page out of an answer. Nova, Neutron and Cinder have `KEY_links` with `rel: next`,
/// Glance has `next`, Keystone has `links.next`. The error is for people.
pub(super) fn parse<T: DeserializeOwned>(mut body: Value, key: &str) -> Result<Page<T>, String> {
    let next = match next_link(&body, key) {
        Some(link) => Some(marker(link).ok_or("the link to the next page has no marker")?),
        None => None,
    };
    let items = body.get_mut(key).map(Value::take).ok_or_else(|| format!("no '{key}' in it"))?;
    let items = serde_json::from_value(items).map_err(|_| format!("'{key}' has another shape"))?;
    Ok(Page { items, next })
}

fn next_link<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    let listed = body.get(format!("{key}_links")).and_then(Value::as_array);
    let listed = listed.into_iter().flatten().find(|link| link["rel"] == "next");
    let plain = || body.get("next").or_else(|| body.get("links")?.get("next"));
    listed.map(|link| &link["href"]).or_else(plain).and_then(Value::as_str)
}

fn marker(link: &str) -> Option<String> {
    let base = Url::parse("http://relative.invalid/").expect("a constant is a URL");
    let url = base.join(link).ok()?;
    url.query_pairs().find(|(key, _)| key == "marker").map(|(_, marker)| marker.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_service_has_its_way_to_name_the_next_page() {
        let body = |links: Value| {
            let mut body = json!({"things": [1, 2]});
            body.as_object_mut().unwrap().extend(links.as_object().unwrap().clone());
            parse::<u32>(body, "things").unwrap().next
        };
        let href = "http://inside:8774/v2.1/things?limit=2&marker=a%2Fb";
        let links =
            json!([{"rel": "previous", "href": "?marker=x"}, {"rel": "next", "href": href}]);
        assert_eq!(body(json!({ "things_links": links })), Some("a/b".to_owned()));
        assert_eq!(body(json!({"next": "/v2/things?marker=m&limit=2"})), Some("m".to_owned()));
        assert_eq!(body(json!({"links": {"next": null, "self": "x"}})), None);
        assert_eq!(body(json!({"first": "/v2/things"})), None);
        assert_eq!(body(json!({ "things_links": [] })), None);
    }

    #[test]
    fn a_page_without_its_key_or_with_a_next_that_leads_nowhere_is_no_empty_page() {
        assert!(parse::<u32>(json!({"others": []}), "things").is_err());
        assert!(parse::<u32>(json!({"things": {"a": 1}}), "things").is_err());
        assert!(parse::<u32>(json!({"things": [], "next": "/v2/things"}), "things").is_err());
    }
}
