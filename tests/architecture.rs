//! Holds the house together: the arrows of `docs/ARCHITECTURE.md`, the purity of the brain, one
//! owner for the state directory's paths, one place for mutating provider calls, small files.
//!
//! It parses the sources rather than searching their text, so grouped imports and long paths count
//! and comments do not. Each rule has a test that plants a violation and must find it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "architecture/blocking.rs"]
mod blocking;
#[path = "architecture/forwards.rs"]
mod forwards;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::path::Path;

use source::SourceFile;

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = SourceFile::read_all(&root.join("src"));
    assert!(files.len() > 20, "found only {} sources below {}", files.len(), root.display());
    files
}

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn imports_follow_the_arrows() {
    let found: Vec<String> = sources().iter().flat_map(rules::against_the_arrows).collect();
    assert_none("imports against an arrow of docs/ARCHITECTURE.md", &found);
}

#[test]
fn model_plan_and_rendering_are_pure() {
    let found: Vec<String> = sources().iter().flat_map(rules::impure).collect();
    assert_none("clock, randomness, file system, network or async where all must be pure", &found);
}

#[test]
fn model_and_plan_know_no_order_that_differs_from_run_to_run() {
    let found: Vec<String> = sources().iter().flat_map(rules::random_order).collect();
    assert_none("hash maps and sets of random order where all must be pure", &found);
}

#[test]
fn only_store_names_paths_of_the_state_directory() {
    let found: Vec<String> = sources().iter().flat_map(rules::state_paths).collect();
    assert_none("paths of the state directory outside src/store", &found);
}

#[test]
fn only_act_calls_what_changes_a_cloud() {
    let found: Vec<String> = sources().iter().flat_map(rules::mutating_calls).collect();
    assert_none("calls that change a cloud outside src/act", &found);
}

#[test]
fn production_files_are_small() {
    let found: Vec<String> = sources().iter().flat_map(rules::too_long).collect();
    assert_none("files over the limit of production lines: split them", &found);
}

#[test]
fn providers_know_only_the_contract() {
    let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers");
    let mut seen = 0;
    for folder in std::fs::read_dir(&providers).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        let found = rules::provider_dependencies(&name, &manifest);
        assert_none(
            &format!("providers/{name} depends on more of vcycle than the contract"),
            &found,
        );
        seen += 1;
    }
    assert!(seen >= 3, "found only {seen} provider crates");
}

#[test]
fn what_runs_all_the_time_looks_at_files_on_threads_of_their_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runs = |path: &str| {
        ["src/driver", "src/cycle", "src/observe", "src/act", "src/reload.rs"]
            .iter()
            .any(|part| path.starts_with(part))
    };
    let texts = forwards::texts(root);
    let texts: Vec<_> = texts.iter().filter(|(path, _)| runs(path)).collect();
    assert!(texts.len() > 20, "found only {}", texts.len());
    let found: Vec<String> =
        texts.iter().flat_map(|(path, text)| blocking::looks(path, text)).collect();
    assert_none("looks at files on a thread of the runtime", &found);
    for planted in ["fn f() { path.is_dir(); }", "async fn f() { std::fs::read(path); }"] {
        assert_eq!(blocking::looks("x.rs", planted).len(), 1, "{planted}");
    }
    let aside = "async fn f() { tokio::task::spawn_blocking(move || path.is_dir()).await; }";
    assert_eq!(blocking::looks("x.rs", aside), [""; 0]);
}

#[test]
fn a_provider_before_another_forwards_every_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = std::fs::read_to_string(root.join("providers/api/src/contract.rs")).unwrap();
    let contract = forwards::Contract::parse(&contract);
    let texts = forwards::texts(root);
    let found: Vec<String> =
        texts.iter().flat_map(|(path, text)| contract.left_out(path, text)).collect();
    assert_none(
        "calls that a default of the contract answers instead of the provider behind",
        &found,
    );
    let planted =
        "impl Observe for X { fn capabilities(&self) -> &C { self.inner.capabilities() } }";
    assert!(contract.left_out("x.rs", planted).len() > 5, "the rule finds a violation");
    let own = "impl Observe for X { fn capabilities(&self) -> &C { &self.capabilities } }";
    assert_eq!(contract.left_out("x.rs", own), [""; 0]);
}

#[test]
fn the_rules_find_planted_violations() {
    let parse = |path: &str, text: &str| SourceFile::parse(path, text);
    let planted = [
        rules::against_the_arrows(&parse("plan/x.rs", "use crate::{model::Phase, store::Store};")),
        rules::against_the_arrows(&parse("model/x.rs", "fn f() { crate::plan::plan(); }")),
        rules::against_the_arrows(&parse("server/x.rs", "use vcycle_api::Act;")),
        rules::against_the_arrows(&parse("driver.rs", "use vcycle_local::Local;")),
        rules::against_the_arrows(&parse("model/x.rs", "use super::super::plan::Plan;")),
        rules::impure(&parse("plan/x.rs", "fn f() { std::time::SystemTime::now(); }")),
        rules::impure(&parse("plan/x.rs", "use std::{fmt, fs};")),
        rules::impure(&parse("model/x.rs", "async fn f() {}")),
        rules::impure(&parse("model/x.rs", "fn f() { rand::rng(); }")),
        rules::impure(&parse("library/render.rs", "use tokio::net::TcpStream;")),
        rules::impure(&parse("library/template.rs", "fn f() { std::env::var(\"X\"); }")),
        rules::impure(&parse("library/urls.rs", "use std::net::TcpStream;")),
        rules::impure(&parse("library/resolve.rs", "fn f() { std::fs::read(\"x\"); }")),
        rules::random_order(&parse("plan/x.rs", "fn f(m: std::collections::HashMap<u8, u8>) {}")),
        rules::random_order(&parse("model/x.rs", "struct S { set: HashSet<u8> }")),
        rules::random_order(&parse("plan/x.rs", "fn f() { let s = HashSet::new(); }")),
        rules::random_order(&parse("plan/x.rs", "fn f() { x.collect::<HashSet<_>>(); }")),
        rules::random_order(&parse("plan/x.rs", "use std::collections::HashMap as Map;")),
        rules::random_order(&parse("plan/x.rs", "use std::hash::RandomState;")),
        rules::state_paths(&parse("act/x.rs", r#"fn f() { root.join("record.json"); }"#)),
        rules::state_paths(&parse("cli/x.rs", r#"fn f() { c.site.state_dir.join("x"); }"#)),
        rules::state_paths(&parse("cli/x.rs", r#"fn f() { root.join("managers"); }"#)),
        rules::state_paths(&parse("server/x.rs", r#"fn f() { root.join("heartbeatlists"); }"#)),
        rules::state_paths(&parse("config/x.rs", r#"fn f() { state_dir.join("conf.d"); }"#)),
        rules::mutating_calls(&parse("cycle.rs", "async fn f() { p.create(&r).await; }")),
        rules::mutating_calls(&parse("driver.rs", "fn f() { Act::delete(&p, &id); }")),
        rules::too_long(&parse("act/x.rs", &"fn f() {}\n".repeat(rules::LONGEST_FILE + 1))),
        rules::provider_dependencies("aws", "[dependencies]\nvcycle-sim = \"1\""),
        rules::provider_dependencies("aws", "[dependencies]\nvcycle = \"1\""),
    ];
    for (i, found) in planted.iter().enumerate() {
        assert_eq!(found.len(), 1, "planted violation {i}: {found:?}");
    }
    assert!(
        rules::too_long(&parse(
            "a.rs",
            &format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}", "fn g() {}\n".repeat(900))
        ))
        .is_empty()
    );
    // A fixed hasher gives the same order in every run.
    let fixed = "use std::collections::HashSet; type S = HashSet<u8, BuildHasherDefault<D>>;";
    assert!(rules::random_order(&parse("plan/x.rs", fixed)).is_empty());
    assert!(rules::random_order(&parse("store/x.rs", "struct S(HashMap<u8, u8>);")).is_empty());
    assert!(
        rules::impure(&parse(
            "plan/x.rs",
            "/// Not std::fs, not async.\nuse rand_chacha::ChaCha8Rng;"
        ))
        .is_empty()
    );
}
