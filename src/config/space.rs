//! `[space."NAME"]`: its limits, its one provider, and its machinetypes as written.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{Collector, Finding, Problem, Wrong};
use super::provider::{LocalDirs, read_provider, refuse_shared_dirs};
use super::reader::{Reader, nearest, one_of};
use super::source::Placed;
use super::spending::{read_community, read_metering, read_overstay};
use super::tree::Value;
use super::types::{
    MachinetypeConfig, OptionValue, ProviderConfig, SpaceConfig, WrittenFile, WrittenOption,
};
use super::{defaults, settings::Settings, values};
use crate::model::{BlastRadius, MachinetypeName, Pace, Processors, SpaceName};

/// Reads all spaces.
pub(super) fn read_spaces(
    root: &Reader<'_>,
    state_dir: Option<&Path>,
) -> BTreeMap<SpaceName, SpaceConfig> {
    let mut seen = LocalDirs::new();
    let mut spaces = BTreeMap::new();
    for (written, reader) in root.tables_of("space") {
        let name = name_of_key::<SpaceName>(&written, &reader);
        if let Some(space) = read_space(name, &reader, &mut seen) {
            spaces.insert(space.name.clone(), space);
        }
        reader.finish();
    }
    if let Some(state_dir) = state_dir {
        refuse_shared_dirs(&seen, state_dir, root);
    }
    if spaces.is_empty() && root.has("space").is_none() {
        let wrong = Wrong::new("there is no space, so nothing to manage", "[space.\"NAME\"]");
        let problem = Problem::at_place(root.place(), "", wrong).found_by(Finding::Absence);
        root.problems().add(problem.as_warning());
    }
    spaces
}

/// A name that is written as the key of a table.
fn name_of_key<T: std::str::FromStr<Err = vcycle_api::InvalidName>>(
    written: &str,
    at: &Reader<'_>,
) -> Option<T> {
    values::name(&Value::Text(written.to_owned())).map_err(|wrong| at.problem(wrong)).ok()
}

fn read_space(
    name: Option<SpaceName>,
    space: &Reader<'_>,
    seen: &mut LocalDirs,
) -> Option<SpaceConfig> {
    let problems = space.problems();
    let provider = read_provider(space, seen);
    let processors_limit = space.get("processors_limit", |v| values::count(v).map(Processors));
    warn_zero(problems, processors_limit.as_ref().map(|limit| limit.with(limit.value.0)));
    let machines_limit = space.get("machines_limit", values::count);
    warn_zero(problems, machines_limit.clone());
    let pace: Placed<Pace> = space.get_or("creations_per_cycle", values::pace, defaults::PACE);
    let pause = space.get_or("delete_pause", values::duration_above_zero, defaults::DELETE_PAUSE);
    let pause_max =
        space.get_or("delete_pause_max", values::duration_above_zero, defaults::DELETE_PAUSE_MAX);
    if pause.value > pause_max.value {
        let wrong = Wrong::new("above `delete_pause_max`", "not longer than `delete_pause_max`");
        problems.add(Problem::at_value(&pause, wrong));
    }
    let machinetypes = space
        .tables_of("machinetype")
        .into_iter()
        .filter_map(|(written, reader)| {
            let name = name_of_key::<MachinetypeName>(&written, &reader);
            let machinetype = read_machinetype(name, &reader);
            reader.finish();
            machinetype.map(|machinetype| (machinetype.name.clone(), machinetype))
        })
        .collect::<BTreeMap<_, _>>();
    if machinetypes.is_empty() && space.has("machinetype").is_none() {
        let wrong = Wrong::new("no machinetype, so nothing is made here", "a machinetype");
        let problem = Problem::at_place(space.place(), space.path(), wrong);
        problems.add(problem.found_by(Finding::Absence).as_warning());
    }
    let shutdown_time = space.get("shutdown_time", values::time).map(|time| time.value);
    let cleanup = space.get_or("cleanup", values::duration, defaults::CLEANUP).value;
    let blast_radius = read_blast_radius(space);
    let markets = space.get("markets", values::markets).map(|markets| markets.value);
    let overstay = read_overstay(space);
    let metering = read_metering(space);
    let hs23 = read_hs23(space, provider.as_ref().map(|(provider, _)| provider));
    let (provider, provider_section) = provider?;
    let markets = markets.unwrap_or_else(|| provider.standard_markets());
    Some(SpaceConfig {
        name: name?,
        provider,
        provider_section,
        processors_limit: processors_limit.map(|limit| limit.value),
        machines_limit: machines_limit.map(|limit| limit.value),
        markets,
        pace: pace.value,
        shutdown_time,
        cleanup,
        blast_radius,
        delete_pause: pause.value,
        delete_pause_max: pause_max.value,
        hs23,
        metering,
        overstay,
        machinetypes,
    })
}

/// Zero is a way to stop a space, and also a likely slip.
fn warn_zero(problems: &Collector, limit: Option<Placed<u32>>) {
    if let Some(limit) = limit.filter(|limit| limit.value == 0) {
        let wrong = Wrong::new("zero, so nothing is made", "leave the key out for no limit");
        problems.add(Problem::at_value(&limit, wrong).as_warning());
    }
}

/// `hs23 = { "c7i.2xlarge" = 86 }`: what whole machines deliver.
fn read_hs23(space: &Reader<'_>, provider: Option<&ProviderConfig>) -> BTreeMap<String, f64> {
    let known = provider.and_then(ProviderConfig::flavours);
    let measured = space.values_of("hs23").into_iter().filter_map(|(flavour, name_at, written)| {
        let is_unknown = known.is_some_and(|known| !known.contains(&flavour));
        if let (true, Some(known)) = (is_unknown, known) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let right = match nearest(&flavour, &known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => one_of(&known),
            };
            let wrong = Wrong::new("this space makes no machine of this type", right);
            let problem = Problem::at_place(&name_at, written.key.as_str(), wrong);
            space.problems().add(problem.as_warning());
        }
        match values::above_zero(written.value) {
            Ok(hs23) => Some((flavour, hs23)),
            Err(Wrong { wrong, .. }) => {
                let right =
                    "HS23 of the whole machine, above zero: \"NAME\" = 86, the name in quotes";
                space.problems().add(Problem::at_value(&written, Wrong::new(wrong, right)));
                None
            }
        }
    });
    measured.collect()
}

fn read_blast_radius(space: &Reader<'_>) -> BlastRadius {
    let standard = defaults::BLAST_RADIUS;
    let Some(section) = space.table("blast_radius") else { return standard };
    let radius = BlastRadius {
        machines: section.get_or("machines", values::count, standard.machines).value,
        fraction: section.get_or("fraction", values::percentage, standard.fraction).value,
    };
    section.finish();
    radius
}

fn read_machinetype(
    name: Option<MachinetypeName>,
    section: &Reader<'_>,
) -> Option<MachinetypeConfig> {
    let entry = section.required("entry", values::name, "the name of a library entry");
    let community = read_community(section);
    let settings = Settings::read(section);
    let options = section
        .values_of("options")
        .into_iter()
        .map(|(name, name_at, written)| {
            let value = written.with(option_value(written.value));
            (name, WrittenOption { name_at, value })
        })
        .collect();
    let files = section
        .values_of("files")
        .into_iter()
        .filter_map(|(name, name_at, written)| match values::path(written.value) {
            Ok(path) => {
                let source = &written.place.source;
                let path = written.with(source.absolute(&path));
                Some((name, WrittenFile { name_at, path }))
            }
            Err(wrong) => {
                section.problems().add(Problem::at_value(&written, wrong));
                None
            }
        })
        .collect();
    Some(MachinetypeConfig {
        name: name?,
        entry: entry?,
        section: Placed { value: (), place: section.place().clone(), key: section.path().into() },
        community,
        settings,
        options,
        files,
    })
}

/// A value of an option, whatever the option takes.
pub fn option_value(value: &Value) -> OptionValue {
    match value {
        Value::Text(text) => OptionValue::Text(text.clone()),
        Value::Integer(Some(number)) => OptionValue::Integer(*number),
        Value::Flag(flag) => OptionValue::Flag(*flag),
        other @ (Value::Integer(None)
        | Value::Number(_)
        | Value::Time(_)
        | Value::List(_)
        | Value::Table(_)) => OptionValue::Other(other.kind()),
    }
}
