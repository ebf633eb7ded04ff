//! Golden scenarios: each file in `tests/scenarios` is a story that a site admin can read. Lines
//! that begin with `| ` are what the planner answers; `SNAPSHOTS=overwrite` writes them anew.
//! The language is explained in `tests/scenarios/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;
mod scenario_language;

use std::path::PathBuf;

use scenario_language::Story;

fn scenarios() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_gives_its_golden_answer() {
    let files = scenarios();
    assert!(files.len() >= 20, "only {} scenarios", files.len());
    let mut different = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let told =
            Story::tell(&text).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let golden = snapbox::Data::read_from(&file, Some(snapbox::data::DataFormat::Text));
        let assert = snapbox::Assert::new().action_env("SNAPSHOTS");
        if let Err(problem) = assert.try_eq(Some(&name), told.into(), golden) {
            different.push(problem.to_string());
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
