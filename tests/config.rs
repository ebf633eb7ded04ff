//! Every broken configuration and entry gives its exact, complete list of problems; every good one
//! its exact rules. `tests/config/CASE/` has the files and `expected.txt`
//! (`SNAPSHOTS=overwrite cargo test --test config` rewrites those; read the difference).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vcycle::config::{At, Host, LoadedCaps, ProviderConfig, load_caps};
use vcycle::library::{Loaded, Setup, load_all};
use vcycle::model::Market;

const FOLDER: &str = "tests/config";

fn host() -> Host {
    Host { name: "manager-1.example".to_owned() }
}

fn load(main: impl AsRef<Path>) -> Loaded {
    load_all(main.as_ref(), &host())
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> =
        std::fs::read_dir(FOLDER).unwrap().map(|item| item.unwrap().path()).collect();
    cases.sort();
    cases
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

fn is_good(case: &Path) -> bool {
    name(case).starts_with("good-")
}

/// What people see of a case: warnings, then the problems, or the rules.
fn seen(case: &Path) -> String {
    let Loaded { setup, warnings, .. } = load(case.join("vcycle.toml"));
    let mut text = String::new();
    for warning in warnings {
        writeln!(text, "{warning}\n").unwrap();
    }
    match setup {
        Err(problems) => writeln!(text, "{problems}").unwrap(),
        Ok(setup) => {
            rules(&setup, &mut text);
            money(&setup, &mut text);
        }
    }
    text
}

/// What may be spent, and at which prices.
fn money(setup: &Setup, text: &mut String) {
    if let Some(spending) = &setup.config.spending {
        for space in setup.config.spaces.values() {
            let (metering, overstay) = (space.metering(), spending.overstay(space));
            writeln!(text, "{}: {metering:?}, overstay {overstay:?}", space.name).unwrap();
            for machinetype in space.machinetypes.keys() {
                writeln!(text, "{:?}", space.account(machinetype, Market::OnDemand)).unwrap();
            }
        }
        writeln!(text, "{:#?}\n{:#?}", spending.book.lists(), spending.rates).unwrap();
    }
    let LoadedCaps { caps, budgets, warnings, .. } = load_caps(&setup.config);
    for warning in warnings {
        writeln!(text, "{warning}\n").unwrap();
    }
    match caps {
        Ok(caps) => {
            caps.iter().for_each(|cap| writeln!(text, "{cap:#?}").unwrap());
            budgets.iter().for_each(|budget| writeln!(text, "{budget:#?}").unwrap());
        }
        Err(problems) => writeln!(text, "{problems}").unwrap(),
    }
}

fn rules(setup: &Setup, text: &mut String) {
    for space in setup.spaces.values() {
        writeln!(text, "{:#?}", space.policy).unwrap();
        for definition in space.machinetypes.values() {
            writeln!(text, "{:#?}", definition.options).unwrap();
            if let Some(key) = &definition.public_key {
                writeln!(text, "{key}").unwrap();
            }
        }
    }
    for space in setup.config.spaces.values() {
        let table = match &space.provider {
            ProviderConfig::OpenStack(openstack) => format!("{openstack:#?}\n"),
            ProviderConfig::Aws(aws) => format!("{aws:#?}\n"),
            ProviderConfig::Gcp(gcp) => format!("{gcp:#?}\n"),
            ProviderConfig::Local(_) | ProviderConfig::Sim(_) => continue,
        };
        // Where the checkout is says nothing.
        let here = format!("{}/", std::env::current_dir().unwrap().display());
        write!(text, "{}", table.replace(&here, "")).unwrap();
    }
}

#[test]
fn every_case_says_exactly_what_it_should() {
    let broken = cases().iter().filter(|case| !is_good(case)).count();
    assert!(broken >= 35, "only {broken} broken configurations");
    for case in cases() {
        let loaded = load(case.join("vcycle.toml"));
        assert_eq!(loaded.setup.is_ok(), is_good(&case), "{}: {:?}", name(&case), loaded.setup);
        snapbox::assert_data_eq!(
            seen(&case),
            snapbox::Data::read_from(&case.join("expected.txt"), None)
        );
    }
}

#[test]
fn every_problem_has_a_place_and_says_what_would_be_right() {
    for case in cases() {
        let Err(problems) = load(case.join("vcycle.toml")).setup else { continue };
        for problem in problems.list() {
            let row = problem.row();
            assert!(!row.right.is_empty() && !row.wrong.is_empty(), "{}: {row:?}", name(&case));
            let of_a_file = matches!(problem.at, At::File(_));
            assert!(!of_a_file || row.wrong.contains("cannot be read"), "{}: {row:?}", name(&case));
            assert_eq!(row.line.is_some(), !of_a_file, "{}: {row:?}", name(&case));
            assert_eq!(row.line.is_some(), row.column.is_some());
        }
    }
}

#[test]
fn no_secret_is_in_any_message() {
    let mut with_a_secret = 0;
    for case in cases() {
        let main = std::fs::read(case.join("vcycle.toml")).unwrap_or_default();
        with_a_secret += u32::from(String::from_utf8_lossy(&main).contains("hunter2"));
        let seen = seen(&case);
        for secret in ["hunter2", "123456"] {
            assert!(!seen.contains(secret), "{}:\n{seen}", name(&case));
        }
    }
    assert!(with_a_secret >= 5, "the cases with secrets are gone");
}

#[test]
fn the_sample_and_the_minimal_configuration_load_without_a_warning() {
    for sample in ["etc/vcycle.toml", "etc/minimal.toml"] {
        let Loaded { setup, warnings, .. } = load(sample);
        let setup = setup.unwrap_or_else(|problems| panic!("{sample}:\n{problems}"));
        assert!(warnings.is_empty(), "{sample}: {warnings:?}");
        assert!(!setup.spaces.is_empty());
    }
}

/// Whether a line is the commented header of a table of a space that is commented as a whole.
fn is_commented_table(line: &str) -> bool {
    line == "# [spending]"
        || ["rehearsal", "cumulus", "aws", "google"]
            .iter()
            .any(|space| line.starts_with(&format!("# [space.\"{space}.")))
}

/// The key of a line such as `# cycle = "60s"`, or `cycle = "60s"`.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_').then_some(key)
}

/// A build with the local provider alone must load the sample as it is shipped.
#[test]
fn the_samples_use_no_provider_but_local_as_they_are_shipped() {
    for sample in ["etc/vcycle.toml", "etc/minimal.toml"] {
        let text = std::fs::read_to_string(sample).unwrap();
        let sample: toml::Table = text.parse().unwrap();
        for (name, space) in sample["space"].as_table().unwrap() {
            let tables = space.as_table().unwrap().iter().filter(|(_, value)| value.is_table());
            let providers: Vec<_> =
                tables.map(|(key, _)| key.as_str()).filter(|key| *key != "machinetype").collect();
            assert_eq!(providers, ["local"], "space {name}");
        }
    }
}

/// Uncommented, the sample is still right: its comments do not lie about names and forms.
#[test]
fn every_commented_setting_of_the_sample_can_be_uncommented() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string("etc/vcycle.toml").unwrap();
    let library = std::path::absolute("vm-library").unwrap();
    let needs_files = ["certificate", "key", "client_ca"];
    let mut uncommented = 0;
    let etc = std::path::absolute("etc").unwrap();
    let text: String = text
        .replace("../vm-library", library.to_str().unwrap())
        .replace("\"prices/", &format!("\"{}/prices/", etc.display()))
        .replace("\"rates.toml", &format!("\"{}/rates.toml", etc.display()))
        .lines()
        .map(|line| match key_of(line).filter(|key| !needs_files.contains(key)) {
            None if is_commented_table(line) => format!("{}\n", &line[2..]),
            Some("hostcert") | None => format!("{line}\n"),
            Some(_) => {
                uncommented += u32::from(line.starts_with("# "));
                format!("{}\n", line.strip_prefix("# ").unwrap_or(line))
            }
        })
        .collect();
    assert!(uncommented > 35, "only {uncommented}");
    let main = folder.path().join("vcycle.toml");
    std::fs::write(&main, text).unwrap();
    let setup = load(&main).setup.unwrap_or_else(|problems| panic!("{problems}"));
    let providers: Vec<_> = setup.config.spaces.values().map(|space| &space.provider).collect();
    assert!(
        matches!(
            providers.as_slice(),
            [
                ProviderConfig::Aws(_),
                ProviderConfig::OpenStack(_),
                ProviderConfig::Gcp(_),
                ProviderConfig::Local(_),
                ProviderConfig::Sim(_)
            ]
        ),
        "{providers:?}"
    );
}

/// Keys that a reader of the configuration knows, as its own messages name them.
fn known_keys(case: &str) -> Vec<String> {
    let seen = seen(&Path::new(FOLDER).join(case));
    let names = seen.split("known here: ").skip(1).filter_map(|rest| rest.lines().next());
    let mut keys: Vec<String> =
        names.flat_map(|line| line.split(", ")).map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[test]
fn every_key_is_in_the_documentation_and_in_the_sample() {
    let documentation = std::fs::read_to_string("docs/CONFIGURATION.md").unwrap();
    let samples = [
        "etc/vcycle.toml",
        "etc/prices/aws-eu-west-2.toml",
        "etc/prices/openstack.toml",
        "etc/rates.toml",
        "etc/examples/caps.d/grant.toml",
        "etc/examples/caps.d/budget.toml",
    ];
    let sample: String =
        samples.iter().map(|sample| std::fs::read_to_string(sample).unwrap()).collect();
    let mut keys = known_keys("every-table-has-an-unknown-key");
    keys.extend(known_keys("good-with-wrong-caps"));
    keys.extend(known_keys("good-with-wrong-budgets"));
    assert!(keys.len() > 60, "{keys:?}");
    for key in &keys {
        let documented = [format!("`{key}`"), format!("[{key}]")];
        let documented = documented.iter().any(|key| documentation.contains(key));
        assert!(documented, "docs/CONFIGURATION.md lacks {key}");
        let in_sample = sample.contains(&format!("{key} = "))
            || sample.contains(&format!("{key}]"))
            || sample.contains(&format!(".{key}."))
            || sample.contains(&format!("[[{key}]]"))
            || sample.contains(&format!("[{key}."));
        assert!(in_sample, "etc/vcycle.toml lacks {key}");
    }
}
