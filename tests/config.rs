//! Every broken configuration and entry gives its exact, complete list of problems; every good one
//! its exact rules. `tests/config/CASE/` has the files and `expected.txt`
//! (`SNAPSHOTS=overwrite cargo test --test config` rewrites those; read the difference).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vcycle::config::{At, Host};
use vcycle::library::{Loaded, Setup, load_all};

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
        Ok(setup) => rules(&setup, &mut text),
    }
    text
}

fn rules(setup: &Setup, text: &mut String) {
    for space in setup.spaces.values() {
        writeln!(text, "{:#?}", space.policy).unwrap();
        for definition in space.machinetypes.values() {
            writeln!(text, "{:#?}", definition.options).unwrap();
        }
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
    assert!(with_a_secret >= 3, "the cases with secrets are gone");
}
