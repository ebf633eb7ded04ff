//! Which servers a listing is asked for.
//!
//! A member's filters are the ones of `_get_server_search_options` in
//! `nova/api/openstack/compute/servers.py`; all others are dropped in silence, `deleted` and `metadata`
//! among them.

use vcycle_api::Timestamp;

use super::super::ask::Ask;
use super::super::reply::{self, Reply};
use super::super::words;
use super::super::world::World;
use super::server::Cell;
use super::{At, Server, policy, show};

/// The filters of one request.
#[derive(Debug, Default)]
pub(super) struct Filter {
    name: Option<String>,
    status: Option<String>,
    flavor: Option<String>,
    image: Option<String>,
    all_tags: Vec<String>,
    any_tags: Vec<String>,
    not_tags: Vec<String>,
    locked: Option<bool>,
    pub(super) changes_since: Option<Timestamp>,
}

fn words_of(text: Option<&str>) -> Vec<String> {
    text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

impl Filter {
    /// Reads the query; refuses what Nova's validation refuses.
    pub(super) fn new(ask: &Ask, at: &At) -> Result<Self, Reply> {
        let all_tenants = ask.param("all_tenants").is_some_and(|value| value != "0");
        if all_tenants {
            let list = if ask.path.last().is_some_and(|last| last == "detail") {
                "os_compute_api:servers:detail:get_all_tenants"
            } else {
                "os_compute_api:servers:index:get_all_tenants"
            };
            return Err(policy(list));
        }
        let text = |key| ask.param(key).map(str::to_owned);
        let mut filter = Self {
            name: text("name"),
            status: text("status"),
            flavor: text("flavor"),
            image: text("image"),
            ..Self::default()
        };
        if let Some(since) = ask.param("changes-since") {
            let time = words::time_of(since).ok_or_else(|| {
                reply::fault(
                    400,
                    format!(
                        "Invalid input for query parameters changes-since. Value: {since}. '{since}' \
                         is not a 'date-time'"
                    ),
                )
            })?;
            filter.changes_since = Some(time);
        }
        if at.micro >= 26 {
            filter.all_tags = words_of(ask.param("tags"));
            filter.any_tags = words_of(ask.param("tags-any"));
            filter.not_tags = words_of(ask.param("not-tags"));
        }
        if at.micro >= 73 {
            filter.locked = ask.param("locked").map(|value| value.eq_ignore_ascii_case("true"));
        }
        Ok(filter)
    }

    /// Whether the listing shows this server.
    pub(super) fn takes(&self, world: &World, at: &At, server: &Server) -> bool {
        if server.tenant != at.caller {
            return false;
        }
        if server.cell != Cell::Up {
            return false;
        }
        let now = world.now();
        let there = match self.changes_since {
            Some(since) => show::changed_since(server, now, since),
            // Nor are those that wait for the site to reclaim them (`instance_get_all_by_filters_sort`
            // in `nova/db/main/api.py`, `deleted` being false for members).
            None => server.is_there() && !server.soft_deleted,
        };
        there && self.fits(world, server, server.look(now).status)
    }

    /// Whether servers of a cell that is down are listed as fragments: from 2.69 on, and only when
    /// neither a filter nor a page nor an order is asked for. Otherwise they are left out without a
    /// word (`_is_cell_down_supported` in `nova/api/openstack/compute/servers.py`).
    pub(super) fn shows_dark_cells(&self, ask: &Ask, at: &At) -> bool {
        let Self {
            name,
            status,
            flavor,
            image,
            all_tags,
            any_tags,
            not_tags,
            locked,
            changes_since,
        } = self;
        let paged = ["sort_key", "sort_dir", "limit", "marker"];
        let texts = [name, status, flavor, image].iter().all(|text| text.is_none());
        let tags = [all_tags, any_tags, not_tags].iter().all(|tags| tags.is_empty());
        let plain = texts && tags && locked.is_none() && changes_since.is_none();
        at.micro >= 69 && plain && paged.iter().all(|key| ask.param(key).is_none())
    }

    fn fits(&self, world: &World, server: &Server, status: &str) -> bool {
        let has = |tag: &String| server.tags.contains(tag);
        let flavor = &world.site.flavors[server.flavor].id;
        self.name.as_deref().is_none_or(|pattern| matches(pattern, &server.name))
            && self.status.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(status))
            && self.flavor.as_ref().is_none_or(|wanted| wanted == flavor)
            && self.image.as_ref().is_none_or(|wanted| Some(wanted) == server.image.as_ref())
            && self.all_tags.iter().all(has)
            && (self.any_tags.is_empty() || self.any_tags.iter().any(has))
            && (self.not_tags.is_empty() || !self.not_tags.iter().all(has))
            && self.locked.is_none_or(|locked| locked == server.locked)
    }
}

/// The database's regular expressions, as far as a client of ours writes them: anchors, and
/// characters with a backslash before them.
fn matches(pattern: &str, name: &str) -> bool {
    let (from_start, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (to_end, rest) = match rest.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let plain = rest.replace('\\', "");
    match (from_start, to_end) {
        (true, true) => name == plain,
        (true, false) => name.starts_with(&plain),
        (false, true) => name.ends_with(&plain),
        (false, false) => name.contains(&plain),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_name_filter_is_a_pattern_and_not_a_name() {
        assert!(matches("multi", "my-multi-1") && matches("^multi", "multi-1"));
        assert!(!matches("^multi", "my-multi-1") && !matches("^multi$", "multi-1"));
        assert!(matches("^a\\.b$", "a.b"));
    }
}
