//! Pages of lists: 0 to 500 to a page, filtered, in the order of names or of times.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::filter::Filter;
use super::{Call, Place};
use crate::testing::reply::{self, Reply};
use crate::testing::schema::document;
use crate::testing::world::World;

/// The most and the default of `maxResults`.
const PAGE: usize = 500;

/// A resource that may be on the page.
pub(crate) struct Row<'a, T> {
    pub(crate) place: &'a Place,
    pub(crate) made: Timestamp,
    pub(crate) resource: &'a T,
}

/// What is on the page.
pub(crate) struct Page {
    pub(crate) items: Vec<(String, Value)>,
    pub(crate) next: Option<String>,
}

/// Newest first, or by zone and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Name,
    Newest,
}

/// Where a page ended: the next begins after it, whatever has gone or come meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    newest: Option<i64>,
    place: Place,
    filter: String,
}

impl Mark {
    fn token(&self) -> String {
        let Place { zone, name } = &self.place;
        URL_SAFE_NO_PAD.encode(json!([self.newest, zone, name, self.filter]).to_string())
    }

    fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let all: Value = serde_json::from_slice(&bytes).ok()?;
        let place = Place::new(all[1].as_str()?, all[2].as_str()?);
        let filter = all[3].as_str()?.to_owned();
        Some(Self { newest: all[0].as_i64(), place, filter })
    }

    fn is_before<T>(&self, row: &Row<'_, T>) -> bool {
        match self.newest {
            None => self.place < *row.place,
            Some(millis) => (-millis, &self.place) < (-row.made.as_millis(), row.place),
        }
    }
}

/// What a list is asked for.
struct Wanted {
    filter: Option<Filter>,
    filter_text: String,
    limit: usize,
    order: Order,
    after: Option<Mark>,
}

fn wanted(call: &Call, schema: &str) -> Result<Wanted, Reply> {
    let filter_text = call.ask.param("filter").unwrap_or_default().to_owned();
    let bad = || reply::invalid("filter", &filter_text, "Invalid list filter expression.");
    let filter = match filter_text.is_empty() {
        true => None,
        false => Some(Filter::parse(&filter_text).map_err(|_| bad())?),
    };
    let known = document().schema(schema).and_then(|node| node.properties.as_ref());
    let mut fields = Vec::new();
    filter.iter().for_each(|filter| filter.fields(&mut fields));
    if fields.iter().any(|field| known.is_some_and(|known| !known.contains_key(*field))) {
        return Err(bad());
    }
    let limit = match call.ask.param("maxResults") {
        None => PAGE,
        Some(text) => {
            let why = "Values must be within the range of [0, 500].";
            let limit = text.parse::<usize>().ok().filter(|&limit| limit <= PAGE);
            // What none to a page means is written nowhere: the default, so that lists come to an end.
            match limit.ok_or_else(|| reply::invalid("maxResults", text, why))? {
                0 => PAGE,
                limit => limit,
            }
        }
    };
    let order = match call.ask.param("orderBy") {
        None | Some("name") => Order::Name,
        Some("creationTimestamp desc") => Order::Newest,
        Some(other) => return Err(reply::invalid("orderBy", other, "Invalid order by.")),
    };
    let after = match call.ask.param("pageToken") {
        None => None,
        Some(token) => {
            let mark = Mark::read(token).filter(|mark| {
                mark.filter == filter_text && mark.newest.is_some() == (order == Order::Newest)
            });
            let why = "The page token is not of this list.";
            Some(mark.ok_or_else(|| reply::invalid("pageToken", token, why))?)
        }
    };
    Ok(Wanted { filter, filter_text, limit, order, after })
}

/// The page that a call asks for. The rows come in the order of their places.
pub(crate) fn page<'a, T: 'a>(
    call: &Call,
    schema: &str,
    rows: impl Iterator<Item = Row<'a, T>>,
    show: impl Fn(&Row<'a, T>) -> Value,
) -> Result<Page, Reply> {
    let wanted = wanted(call, schema)?;
    let after = wanted.after.as_ref();
    let mut rows: Vec<Row<'a, T>> =
        rows.filter(|row| after.is_none_or(|mark| mark.is_before(row))).collect();
    if wanted.order == Order::Newest {
        rows.sort_by_key(|row| (std::cmp::Reverse(row.made), row.place.clone()));
    }
    let (mut items, mut last, mut more) = (Vec::new(), None, false);
    for row in &rows {
        if items.len() == wanted.limit {
            // Whether what is left would fit the filter is not looked at: an empty last page is allowed.
            more = true;
            break;
        }
        let shown = show(row);
        if wanted.filter.as_ref().is_none_or(|filter| filter.fits(&shown)) {
            items.push((row.place.zone.clone(), shown));
        }
        last = Some(row);
    }
    let next = last.filter(|_| more).map(|row| {
        let newest = (wanted.order == Order::Newest).then(|| row.made.as_millis());
        Mark { newest, place: row.place.clone(), filter: wanted.filter_text.clone() }.token()
    });
    Ok(Page { items, next })
}

/// The answer of a plain list. Without results it has no `items` at all.
pub(crate) fn plain(world: &World, call: &Call, kind: &str, page: Page) -> Value {
    let path = call.ask.path.join("/");
    let mut all = json!({ "kind": kind, "id": path, "selfLink": world.url(&path) });
    if !page.items.is_empty() {
        all["items"] = page.items.into_iter().map(|(_, item)| item).collect();
    }
    if let Some(next) = page.next {
        all["nextPageToken"] = json!(next);
    }
    all
}
