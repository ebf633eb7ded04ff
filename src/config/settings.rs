//! The settings that a machinetype's section and a library entry's `[defaults]` share: read by
//! one function, with their places, so that they mean the same in both and `library` can put one
//! over the other and still say where a wrong value was written.

use std::time::Duration;

use super::problem::Problem;
use super::public_key::{self, PublicKey};
use super::reader::Reader;
use super::source::Placed;
use super::values;
use crate::model::{Hs06, Market, Megabytes, Processors, Ranking, Share};

/// As written: `None` is "not written here".
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the settings of `MachinetypePolicy` and `Definition`"
)]
pub struct Settings {
    pub target_share: Option<Placed<Share>>,
    pub min_processors: Option<Placed<Processors>>,
    pub max_processors: Option<Placed<Processors>>,
    pub flavors: Option<Placed<Vec<String>>>,
    pub markets: Option<Placed<Vec<Market>>>,
    pub zones: Option<Placed<Vec<String>>>,
    pub rank: Option<Placed<Ranking>>,
    pub spreading: Option<Placed<f64>>,
    pub mb_per_processor: Option<Placed<Megabytes>>,
    pub processors_limit: Option<Placed<Processors>>,
    pub max_starting_processors: Option<Placed<Processors>>,
    pub hs06_per_processor: Option<Placed<Hs06>>,
    pub backoff: Option<Placed<Duration>>,
    pub fizzle: Option<Placed<Duration>>,
    pub start_timeout: Option<Placed<Duration>>,
    pub max_wallclock: Option<Placed<Duration>>,
    pub min_wallclock: Option<Placed<Duration>>,
    pub heartbeat_file: Option<Placed<String>>,
    pub heartbeat: Option<Placed<Duration>>,
    pub grace: Option<Placed<Duration>>,
    pub https_x509dn: Option<Placed<Vec<String>>>,
    pub root_image: Option<Placed<String>>,
    pub root_public_key: Option<Placed<PublicKey>>,
    pub breaker_failures: Option<Placed<u32>>,
    pub breaker_pause: Option<Placed<Duration>>,
    pub breaker_pause_max: Option<Placed<Duration>>,
}

impl Settings {
    /// Reads them all from a table that may have other keys too.
    pub fn read(from: &Reader<'_>) -> Self {
        let processors = |key| from.get(key, |v| values::positive(v).map(Processors));
        let limit = |key| from.get(key, |v| values::count(v).map(Processors));
        let section = from.table("breaker");
        let breaker = section.as_ref();
        let settings = Self {
            target_share: from.get("target_share", values::share),
            min_processors: processors("min_processors"),
            max_processors: processors("max_processors"),
            flavors: from.get("flavors", |v| values::list(v, values::line)),
            markets: from.get("markets", values::markets),
            zones: from.get("zones", |v| values::list(v, values::line)),
            rank: from.get("rank", values::ranking),
            spreading: from.get("spreading", values::spreading),
            mb_per_processor: from
                .get("mb_per_processor", |v| Ok(Megabytes(values::positive(v)?.into()))),
            processors_limit: limit("processors_limit"),
            max_starting_processors: limit("max_starting_processors"),
            hs06_per_processor: from
                .get("hs06_per_processor", |v| Ok(Hs06(values::above_zero(v)?))),
            backoff: from.duration("backoff"),
            fizzle: from.duration("fizzle"),
            start_timeout: from.get("start_timeout", values::duration_above_zero),
            max_wallclock: from.get("max_wallclock", values::duration_above_zero),
            min_wallclock: from.duration("min_wallclock"),
            heartbeat_file: from.get("heartbeat_file", values::output_name),
            heartbeat: from.duration("heartbeat"),
            grace: from.duration("grace"),
            https_x509dn: from.get("https_x509dn", |v| values::one_or_more(v, values::line)),
            root_image: from.get("root_image", values::line),
            root_public_key: read_public_key(from),
            breaker_failures: breaker.and_then(|b| b.get("failures", values::positive)),
            breaker_pause: breaker.and_then(|b| b.get("pause", values::duration_above_zero)),
            breaker_pause_max: breaker
                .and_then(|b| b.get("pause_max", values::duration_above_zero)),
        };
        if let Some(section) = section {
            section.finish();
        }
        settings
    }

    /// These settings, and where they are silent, those below.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        macro_rules! either {
            ($($field:ident),* $(,)?) => {
                Self { $($field: self.$field.clone().or_else(|| below.$field.clone())),* }
            };
        }
        either!(
            target_share,
            min_processors,
            max_processors,
            flavors,
            markets,
            zones,
            rank,
            spreading,
            mb_per_processor,
            processors_limit,
            max_starting_processors,
            hs06_per_processor,
            backoff,
            fizzle,
            start_timeout,
            max_wallclock,
            min_wallclock,
            heartbeat_file,
            heartbeat,
            grace,
            https_x509dn,
            root_image,
            root_public_key,
            breaker_failures,
            breaker_pause,
            breaker_pause_max,
        )
    }
}

/// A path starts from the folder of the file that has it.
fn read_public_key(from: &Reader<'_>) -> Option<Placed<PublicKey>> {
    let written = from.get("root_public_key", values::text)?;
    match public_key::read(&written.value) {
        Ok(key) => Some(written.with(key.resolved(|path| written.place.source.absolute(path)))),
        Err(wrong) => {
            // What stands there may be the private key.
            from.problems().add(Problem::at_value(&written, wrong).hidden());
            None
        }
    }
}
