//! Pages of servers, youngest first, and the links from page to page.

use serde_json::{Value, json};

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::world::World;
use super::filter::Filter;
use super::server::Cell;
use super::{At, Server, show};

/// How much of each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Brief,
    Full,
}

/// Which page.
pub(super) struct Page<'a> {
    pub(super) limit: usize,
    pub(super) marker: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// Reads the query. A limit above the site's is cut in silence (as recorded).
    pub(super) fn new(world: &World, ask: &'a Ask) -> Result<Self, Reply> {
        let most = world.site.max_limit;
        let limit = match ask.param("limit") {
            None => most,
            Some(text) => {
                let wanted: usize = text.parse().map_err(|_| not_a_number(text))?;
                wanted.min(most)
            }
        };
        Ok(Self { limit, marker: ask.param("marker") })
    }
}

fn not_a_number(text: &str) -> Reply {
    let message = format!(
        "Invalid input for query parameters limit. Value: {text}. '{text}' does not match '^[0-9]*$'"
    );
    reply::fault(400, message)
}

/// The link to the page after `last`: everything that was asked for, sorted as Nova sorts it.
pub(super) fn next(world: &World, ask: &Ask, last: &str) -> Value {
    let mut query: Vec<(&str, &str)> = ask.query.iter().map(|(k, v)| (&**k, &**v)).collect();
    query.retain(|(key, _)| *key != "marker");
    query.sort_unstable();
    query.push(("marker", last));
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = ask.path.join("/");
    json!([{ "rel": "next", "href": format!("{}/compute/{path}?{query}", world.base) }])
}

/// `GET /servers` and `GET /servers/detail`.
pub(super) fn list(world: &World, ask: &Ask, at: &At, detail: Detail) -> Answer {
    let page = Page::new(world, ask)?;
    let filter = Filter::new(ask, at)?;
    let place = match page.marker {
        None => None,
        Some(marker) => Some(place_of(world, at, &filter, marker)?),
    };
    let servers = &world.nova.servers;
    let oldest_first = ask.param("sort_dir") == Some("asc");
    let all: Box<dyn Iterator<Item = &Server>> = match (oldest_first, place) {
        (false, None) => Box::new(servers.values().rev()),
        (false, Some(place)) => Box::new(servers.range(..place).rev().map(|(_, server)| server)),
        (true, None) => Box::new(servers.values()),
        (true, Some(place)) => Box::new(servers.range(place + 1..).map(|(_, server)| server)),
    };
    let mut shown: Vec<&Server> =
        all.filter(|server| filter.takes(world, at, server)).take(page.limit).collect();
    if filter.shows_dark_cells(ask, at) {
        // Before the others, and only as many as the page has room for.
        let room = page.limit - shown.len();
        let dark = servers.values().filter(|server| {
            server.cell == Cell::Down && server.tenant == at.caller && server.is_there()
        });
        let dark: Vec<&Server> = dark.take(room).collect();
        shown.splice(0..0, dark);
    }
    let values: Vec<Value> = shown
        .iter()
        .map(|server| match (detail, server.cell) {
            (Detail::Brief, Cell::Down | Cell::Missing) => show::brief_down(world, server),
            (Detail::Full, Cell::Down | Cell::Missing) => show::down(world, server),
            (Detail::Brief, Cell::Up) => show::brief(world, server),
            (Detail::Full, Cell::Up) => show::full(world, server, at.micro),
        })
        .collect();
    let mut body = json!({ "servers": values });
    // A full page always has a link, whether more comes or not.
    if let Some(last) = shown.last().filter(|_| shown.len() == page.limit) {
        body["servers_links"] = next(world, ask, &last.id);
    }
    Ok(Reply::json(200, &body))
}

/// A marker must be a server that exists, deleted ones only with `changes-since`.
fn place_of(world: &World, at: &At, filter: &Filter, marker: &str) -> Result<u64, Reply> {
    let place = world.nova.place(marker).filter(|place| {
        let server = &world.nova.servers[place];
        server.tenant == at.caller && (server.is_there() || filter.changes_since.is_some())
    });
    place.ok_or_else(|| reply::fault(400, format!("marker [{marker}] not found")))
}
