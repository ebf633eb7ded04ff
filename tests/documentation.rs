//! The documentation names tests, files and commands; this holds it to what is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

/// Names of all test functions: a `fn` right below a test attribute, or inside `proptest!`.
fn tests_there_are() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "providers", "money"] {
        for file in files_below(&root().join(folder), "rs") {
            let mut marked = false;
            for line in read(&file).lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    marked = true;
                } else if marked && !line.starts_with("#[") && !line.starts_with("//") {
                    let name = line.trim_start_matches("async ").strip_prefix("fn ");
                    names.extend(name.and_then(|n| n.split('(').next()).map(str::to_owned));
                    marked = false;
                }
            }
        }
    }
    names
}

/// Words in back quotes that look like the name of a test: four words or more, joined by `_`.
fn tests_named_in(page: &str) -> Vec<String> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.split('_').count() >= 4)
        .filter(|word| {
            word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let there = tests_there_are();
    assert!(there.len() > 300, "found only {} tests", there.len());
    let mut named = 0;
    let mut missing = Vec::new();
    let pages = ["ARCHITECTURE", "TRAPS", "COOPERATION", "OPENSTACK", "MONEY"];
    for page in pages.map(|page| format!("docs/{page}.md")) {
        for test in tests_named_in(&read(&root().join(&page))) {
            named += 1;
            if !there.contains(&test) {
                missing.push(format!("{page}: {test}"));
            }
        }
    }
    assert!(named > 50, "the documents name only {named} tests");
    assert!(missing.is_empty(), "tests that do not exist:\n  {}", missing.join("\n  "));
}

#[test]
fn every_invariant_has_a_row_with_a_test() {
    let page = read(&root().join("docs/ARCHITECTURE.md"));
    for number in 1..=12 {
        let row = page.lines().find(|line| line.starts_with(&format!("| {number} | ")));
        let row = row.unwrap_or_else(|| panic!("invariant {number} has no row"));
        assert!(!tests_named_in(row).is_empty(), "invariant {number} names no test");
    }
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let mut pages = files_below(&root().join("docs"), "md");
    pages.extend(["README.md", "CHANGELOG.md"].map(|page| root().join(page)));
    pages.extend(files_below(&root().join("vm-library"), "md"));
    let mut broken = Vec::new();
    for page in &pages {
        let text = read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let outside = file.is_empty() || file.contains("://");
            if !outside && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n  {}", broken.join("\n  "));
}

#[test]
fn the_readme_names_every_document() {
    let readme = read(&root().join("README.md"));
    let mut missing = Vec::new();
    for page in files_below(&root().join("docs"), "md") {
        let name = page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("docs/decisions/") && !readme.contains(&name) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "documents that the README does not name: {missing:?}");
}

/// What a hunk of a patch expects to be there: the file, and the lines that stay or go.
fn expected_by(patch: &str) -> Vec<(String, String)> {
    let mut expected = Vec::new();
    let mut file = None;
    for line in patch.lines() {
        if let Some(name) = line.strip_prefix("--- a/") {
            file = Some(name.to_owned());
        } else if line.starts_with("@@ ") {
            expected.push((file.clone().expect("a hunk is of a file"), String::new()));
        } else if let Some((_, text)) = expected.last_mut()
            && let Some(stays) = line.strip_prefix(' ').or_else(|| line.strip_prefix('-'))
            && !line.starts_with("--- ")
        {
            *text += stays;
            text.push('\n');
        }
    }
    expected
}

#[test]
fn every_fault_that_is_planted_into_the_simulation_can_still_be_planted_and_is_documented() {
    let page = read(&root().join("docs/SIMULATION.md"));
    let patches = files_below(&root().join("tests/sim/planted"), "patch");
    assert!(patches.len() >= 5, "found only {} patches", patches.len());
    let mut wrong = Vec::new();
    for patch in patches {
        let name = patch.file_stem().unwrap().to_str().unwrap().to_owned();
        if !page.contains(&format!("`{name}`")) {
            wrong.push(format!("{name} is not in docs/SIMULATION.md"));
        }
        let expected = expected_by(&read(&patch));
        assert!(!expected.is_empty(), "{name} changes nothing");
        for (file, lines) in expected {
            if !read(&root().join(&file)).contains(&lines) {
                wrong.push(format!("{name} does not apply any more to {file}:\n{lines}"));
            }
        }
    }
    assert!(wrong.is_empty(), "make these patches anew:\n  {}", wrong.join("\n  "));
}

#[test]
fn what_a_patch_expects_is_read_off_its_hunks() {
    let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ fn f() {\n one\n-two\n+2\n three\n@@ -9 +9 @@\n-nine\n\
                 diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-y\n+z\n";
    let of = |file: &str, lines: &str| (file.to_owned(), lines.to_owned());
    assert_eq!(
        expected_by(patch),
        [of("x", "one\ntwo\nthree\n"), of("x", "nine\n"), of("y", "y\n")]
    );
}
