//! What people type and what they get: golden outputs, exit codes, the forms of JSON, and that
//! nothing is changed without agreement. The real program on a prepared state directory.
//!
//! `SNAPSHOTS=overwrite cargo test --test cli` takes what is printed now as golden.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

#[path = "cli/bills.rs"]
mod bills;
#[path = "cli/bills_doubtful.rs"]
mod bills_doubtful;
#[path = "cli/doubts.rs"]
mod doubts;
#[path = "cli/plans.rs"]
mod plans;
#[path = "cli/prices.rs"]
mod prices;
#[path = "cli/refresh.rs"]
mod refresh;
#[path = "cli/simulate.rs"]
mod simulate;
#[path = "cli/spend.rs"]
mod spend;
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use snapbox::{Data, assert_data_eq};
use support::{Answer, call, root, vcycle};

const SPACE: &str = "cumulus.iris.example";

/// A site whose state directory holds one snapshot, and no manager.
struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let space = dir.path().join("shared/spaces").join(SPACE);
        std::fs::create_dir_all(&space).unwrap();
        let snapshot = root().join("tests/cli/snapshot.json");
        std::fs::copy(snapshot, space.join("plan.json")).unwrap();
        let deployment = r#"{ "format": 1, "id": "abcdefghijkl" }"#;
        std::fs::write(dir.path().join("shared/deployment.json"), deployment).unwrap();
        let site = Self { dir };
        std::fs::write(site.path("vcycle.toml"), site.config_text()).unwrap();
        site
    }

    fn config_text(&self) -> String {
        format!(
            r#"[site]
name = "UKI-EXAMPLE"
state_dir = "{top}/shared"
manager = "vm12"

[library]
paths = ["{library}"]

[server]
https_host = "vcycle.example"

[space."{SPACE}"]
processors_limit = 8
[space."{SPACE}".local]
dir = "{top}/machines"
processors = 8
memory = "16GiB"

[space."{SPACE}".machinetype.batch]
entry = "batch"
target_share = 60
[space."{SPACE}".machinetype.batch.options]
spool = "/var/spool/vcycle/batch"

[space."{SPACE}".machinetype.idle]
entry = "batch"
target_share = 40
[space."{SPACE}".machinetype.idle.options]
spool = "/var/spool/vcycle/idle"
"#,
            top = self.dir.path().display(),
            library = root().join("vm-library").display(),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn call(&self, args: &[&str]) -> Answer {
        let config = self.path("vcycle.toml").display().to_string();
        let mut all = args.to_vec();
        all.extend(["--config", &config]);
        call(&all)
    }

    fn requests(&self) -> Vec<Value> {
        let folder = self.path("shared/spaces").join(SPACE).join("requests");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    /// Text without what differs from run to run: this folder, the sources' folder, and ages in
    /// days (the snapshot's times are fixed, the clock is not).
    fn steady(&self, text: &str) -> String {
        let text = text
            .replace(&self.dir.path().display().to_string(), "SITE")
            .replace(&root().display().to_string(), "SOURCES");
        steady_ages(&text)
    }
}

/// `324d11h` and `1y...` become `AGE----`, of the same width.
fn steady_ages(text: &str) -> String {
    let mut steady = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let age = word.split_once('d').is_some_and(|(days, hours)| {
            let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
            digits(days) && hours.strip_suffix('h').is_some_and(digits)
        });
        if age {
            steady.push_str(&"AGE-------"[..word.len()]);
        } else {
            steady.push_str(&word);
        }
        word.clear();
        if c != '\0' {
            steady.push(c);
        }
    }
    steady
}

#[track_caller]
fn golden(name: &str, text: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    assert_data_eq!(text, Data::read_from(&path, None).raw());
}

/// The form of a JSON value: names and types, lists by their first element.
fn form(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), form(value))).collect()
        }
        Value::Array(elements) => elements.iter().take(1).map(form).collect(),
        Value::String(_) => "string".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Null => Value::Null,
    }
}

#[track_caller]
fn golden_form(name: &str, answer: &Answer) {
    assert_eq!(answer.stderr, "");
    let mut text = serde_json::to_string_pretty(&form(&answer.json())).unwrap();
    text.push('\n');
    golden(name, text);
}

#[test]
fn help_tells_every_command_and_its_options() {
    golden("help.txt", call(&["--help"]).stdout);
    for command in
        ["run", "check", "plan", "status", "machines", "explain", "drain", "delete", "demo"]
    {
        let answer = call(&[command, "--help"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        golden(&format!("help-{command}.txt"), answer.stdout);
    }
    golden("help-prices.txt", call(&["prices", "--help"]).stdout);
    golden("help-simulate.txt", call(&["simulate", "--help"]).stdout);
    golden("help-spend.txt", call(&["spend", "--help"]).stdout);
    golden("help-spend-import.txt", call(&["spend", "import", "--help"]).stdout);
    golden("help-library-render.txt", call(&["library", "render", "--help"]).stdout);
}

#[test]
fn a_good_configuration_is_called_good() {
    let site = Site::new();
    let answer = site.call(&["check"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    golden("check-good.txt", site.steady(&answer.stdout));
    golden_form("check-good.json", &site.call(&["check", "--json"]));
}

/// A site with a simulated cloud, and one whose credentials are not where they should be.
fn online_site() -> Site {
    let site = Site::new();
    let spaces = format!(
        r#"
[space."sim.example".sim]
processors = 12
[space."sim.example".machinetype.good]
entry = "idle"
target_share = 1
flavors = ["sim.4", "sim.2"]
[space."sim.example".machinetype.bad]
entry = "idle"
target_share = 1
flavors = ["sim.16"]
[space."sim.example".machinetype.large]
entry = "idle"
target_share = 1
min_processors = 6
mb_per_processor = 4096

[space."stack.example".openstack]
cloud = "missing"
clouds_file = "{top}/clouds.yaml"
[space."stack.example".machinetype.any]
entry = "idle"
target_share = 1
"#,
        top = site.dir.path().display()
    );
    let text = site.config_text() + &spaces.replace("\"idle\"", "\"example\"");
    std::fs::write(site.path("vcycle.toml"), text).unwrap();
    site
}

#[test]
fn what_a_tenancy_can_do_is_told_by_its_cloud_and_what_fails_is_exit_code_1() {
    let site = online_site();
    let answer = site.call(&["check", "--online", "sim.example", "stack.example"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    golden("check-online.txt", site.steady(&answer.stdout));
    let answer = site.call(&["check", "--online", "--json", "sim.example"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    golden_form("check-online.json", &answer);
    let findings = &answer.json()["spaces"][0]["findings"];
    let verdict = |subject: &str| {
        let all = findings.as_array().unwrap().iter();
        let found = all.filter(|finding| finding["subject"] == subject).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{subject}: {findings}");
        found[0]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("login"), "works");
    assert_eq!(verdict("machine of good"), "works");
    assert_eq!(verdict("flavours of bad"), "fails");
    assert_eq!(verdict("machine of large"), "fails");
    // The local provider of the first space fails nothing; without `--online` no cloud is asked.
    let works = site.call(&["check", "--online", "--json", SPACE]);
    assert_eq!(works.code, Some(0), "{works:?}");
    let offline = site.call(&["check", "--json"]);
    assert_eq!((offline.code, &offline.json()["spaces"]), (Some(0), &Value::Null));
    let unknown = site.call(&["check", "--online", "nowhere.example"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_eq!(site.call(&["check", SPACE]).code, Some(2), "spaces are asked only online");
}

#[test]
fn every_problem_of_a_bad_configuration_is_told_at_once() {
    let site = Site::new();
    let bad = site
        .config_text()
        .replace("processors_limit", "procesors_limit")
        .replace("spool = \"/var/spool/vcycle/idle\"", "idle_seconds = \"soon\"");
    std::fs::write(site.path("vcycle.toml"), bad).unwrap();
    let answer = site.call(&["check"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    golden("check-bad.txt", site.steady(&answer.stderr));
    let answer = site.call(&["check", "--json"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert_eq!(answer.json()["valid"], false);
    golden_form("check-bad.json", &answer);
}

#[test]
fn status_machines_and_explain_work_without_a_manager_and_say_how_old_it_is() {
    let site = Site::new();
    for (name, args) in [
        ("status", vec!["status"]),
        ("machines", vec!["machines"]),
        ("machines-starting", vec!["machines", "--phase", "starting"]),
        ("explain-space", vec!["explain", SPACE]),
        ("explain-machinetype", vec!["explain", "cumulus.iris.example/idle"]),
        ("managers", vec!["managers"]),
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert_eq!(answer.stderr, "");
        golden(&format!("{name}.txt"), site.steady(&answer.stdout));
        let mut args = args;
        args.push("--json");
        golden_form(&format!("{name}.json"), &site.call(&args));
    }
    let answer = site.call(&["status", "--json"]).json();
    assert_eq!(answer["spaces"][0]["stale"], true);
    assert!(answer["spaces"][0]["age_seconds"].as_u64().unwrap() > 86_400);
}

#[test]
fn reading_needs_no_configuration_when_the_state_directory_is_typed() {
    let site = Site::new();
    let shared = site.path("shared").display().to_string();
    let args = ["status", "--state-dir", &shared, "--config", "/nonexistent/vcycle.toml"];
    let answer = call(&args);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.contains(SPACE), "{answer:?}");
}

#[test]
fn the_library_is_shown_and_rendered() {
    let site = Site::new();
    for (name, args) in [
        ("library-list", vec!["library", "list"]),
        ("library-show", vec!["library", "show", "example"]),
        ("library-check", vec!["library", "check"]),
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        golden(&format!("{name}.txt"), site.steady(&answer.stdout));
        let mut args = args;
        args.push("--json");
        golden_form(&format!("{name}.json"), &site.call(&args));
    }
    let render = ["library", "render", "batch", "--space", SPACE, "--machinetype", "idle"];
    let answer = site.call(&render);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.starts_with("#!/bin/bash\n"));
    assert!(answer.stdout.contains("\n/var/spool/vcycle/idle\n"));
    assert!(answer.stdout.contains("Bearer [secret]"), "the token is masked");
    assert!(!answer.stdout.contains("##user_data_"), "no pattern is left");
    let mut reveal = render.to_vec();
    reveal.push("--reveal-secrets");
    assert!(!site.call(&reveal).stdout.contains("[secret]"));
    let ambiguous = site.call(&["library", "render", "batch", "--space", SPACE]);
    assert_eq!(ambiguous.code, Some(2), "{ambiguous:?}");
    assert!(ambiguous.stderr.contains("batch, idle"), "{ambiguous:?}");
}

#[test]
fn user_data_that_is_too_large_for_the_provider_of_a_space_is_refused_before_a_machine_is_made() {
    let site = Site::new();
    let entry = site.path("library/large");
    std::fs::create_dir_all(&entry).unwrap();
    let text = "name = \"large\"\nversion = \"1\"\ndescription = \"Large\"\n\
                contact = \"a@example.org\"\n[file.payload]\ndescription = \"Payload\"\n";
    std::fs::write(entry.join("entry.toml"), text).unwrap();
    std::fs::write(entry.join("README.md"), "Large.\n").unwrap();
    let template = "#!/bin/sh\n##user_data_option_payload##\n";
    std::fs::write(entry.join("user_data"), template).unwrap();
    std::fs::write(site.path("payload"), "x".repeat(1 << 20)).unwrap();
    let own = format!("paths = [\"{}\", ", site.path("library").display());
    let sections = format!(
        "[space.\"{SPACE}\".machinetype.large]\nentry = \"large\"\ntarget_share = 1\n\
         files = {{ payload = \"payload\" }}\n\
         [space.rehearsal.sim]\n[space.rehearsal.machinetype.big]\nentry = \"large\"\ntarget_share = 1\n\
         files = {{ payload = \"payload\" }}\n"
    );
    let config = site.config_text().replace("paths = [", &own) + &sections;
    std::fs::write(site.path("vcycle.toml"), config).unwrap();
    for (name, code, args) in [
        ("too-large-render.txt", 2, vec!["library", "render", "large", "--space", SPACE]),
        ("too-large-render-sim.txt", 2, vec!["library", "render", "large", "--space", "rehearsal"]),
        ("too-large-library-check.txt", 2, vec!["library", "check", "large"]),
        // The manager runs with it: one machinetype must not keep it from starting.
        ("too-large-check.txt", 0, vec!["check"]),
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(code), "{args:?}: {answer:?}");
        golden(name, site.steady(&format!("{}{}", answer.stdout, answer.stderr)));
    }
    let answer = site.call(&["check", "--json"]).json();
    assert_eq!(answer["valid"], true);
    assert_eq!(answer["problems"].as_array().unwrap().len(), 2, "{answer}");
    std::fs::write(site.path("payload"), "x").unwrap();
    assert_eq!(site.call(&["library", "check", "large"]).code, Some(0));
    assert_eq!(site.call(&["check", "--json"]).json()["problems"], serde_json::json!([]));
}

#[test]
fn library_commands_need_no_configuration_when_a_folder_is_typed() {
    let library = root().join("vm-library").display().to_string();
    let answer = call(&["library", "check", "--path", &library]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let answer = call(&["library", "show", "exmaple", "--path", &library]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("example"), "{answer:?}");
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let site = Site::new();
    for (code, args) in [
        (0, vec!["--version"]),
        (2, vec!["frobnicate"]),
        (2, vec!["status", "--nonsense"]),
        (2, vec!["explain", "Not-A-Name"]),
        (2, vec!["explain", "unknown.example"]),
        (2, vec!["explain", "cumulus.iris.example/unknown"]),
        (2, vec!["status", "unknown.example"]),
        (2, vec!["machines", "--phase", "asleep"]),
        (2, vec!["drain", SPACE, "--by", "soon", "--yes"]),
        (2, vec!["drain", SPACE, "--by", "2h", "--cancel", "--yes"]),
        (2, vec!["drain", "unknown.example", "--yes"]),
        (2, vec!["delete", "vcycle-batch-zzzzzzzzzz", "--yes"]),
        (2, vec!["delete", "not-a-machine", "--yes"]),
        (1, vec!["drain", SPACE, "--cancel", "--yes"]),
        (1, vec!["status", "--state-dir", "/nonexistent"]),
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(code), "{args:?}: {answer:?}");
        if code != 0 {
            assert!(!answer.stderr.is_empty(), "{args:?} does not say why");
            assert_eq!(answer.stdout, "", "{args:?} writes errors to standard output");
        }
    }
    let missing = call(&["status", "--config", "/nonexistent/vcycle.toml"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("/nonexistent/vcycle.toml"), "{missing:?}");
}

#[test]
fn nothing_is_changed_without_agreement() {
    let site = Site::new();
    for args in [
        vec!["drain", SPACE],
        vec!["drain", "cumulus.iris.example/batch", "--by", "2h"],
        vec!["delete", "vcycle-batch-aaaaaaaaaa"],
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains("--yes"), "{answer:?}");
    }
    assert!(site.requests().is_empty());
}

#[test]
fn a_drain_leaves_a_request_and_a_cancel_takes_it_back() {
    let site = Site::new();
    let target = "cumulus.iris.example/batch";
    let answer = site.call(&["drain", target, "--by", "2030-01-01T00:00:00Z", "--yes"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stderr.contains("2 machines are told to end by 2030-01-01T00:00:00Z"));
    let requests = site.requests();
    assert_eq!(requests.len(), 1);
    let what = serde_json::json!({
        "do": "drain-machinetype", "machinetype": "batch", "by": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(requests[0]["what"], what);
    assert!(requests[0]["who"].as_str().unwrap().contains('@'));

    let other = site.call(&["drain", "cumulus.iris.example/idle", "--cancel", "--yes"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert_eq!(site.requests().len(), 1, "the drain of another target was taken back");
    let refused = site.call(&["drain", target, "--cancel"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(site.requests().len(), 1);
    let answer = site.call(&["drain", target, "--cancel", "--yes"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(site.requests().is_empty());
}

#[test]
fn a_delete_leaves_a_request_for_the_owner_of_the_machines_space() {
    let site = Site::new();
    let answer = site.call(&["delete", "vcycle-batch-bbbbbbbbbb", "--yes"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let what = serde_json::json!({ "do": "delete-machine", "machine": "vcycle-batch-bbbbbbbbbb" });
    assert_eq!(site.requests()[0]["what"], what);
}

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let site = Site::new();
    let answer = site.call(&["plan"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.contains("  create vcycle-"), "{answer:?}");
    assert!(answer.stdout.ends_with("nothing was changed\n"), "{answer:?}");
    let answer = site.call(&["plan", SPACE, "--json"]);
    let steps = answer.json()["spaces"][0]["steps"].as_array().unwrap().clone();
    assert!(steps.iter().any(|step| step["step"] == "create"), "{steps:?}");
    golden_form("plan.json", &answer);
    assert!(!site.path("shared").join("spaces").join(SPACE).join("current").exists());
    assert!(!site.path("shared").join("spaces").join(SPACE).join("owner").exists());
    assert!(!site.path("machines").exists(), "a plan makes no folder for machines");
}

/// Every file and folder below a folder, with what tells a change: kind, mode, length and time of change.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (bool, u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let data = std::fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let look = (data.is_dir(), data.mode(), data.len(), data.mtime(), data.mtime_nsec());
        found.insert(path, look);
    }
    found
}

#[test]
fn reading_leaves_everything_as_it_was() {
    let site = Site::new();
    let reading = [
        vec!["check"],
        vec!["plan"],
        vec!["status"],
        vec!["machines"],
        vec!["explain", SPACE],
        vec!["managers"],
        vec!["library", "list"],
        vec!["library", "check"],
        vec!["library", "render", "batch", "--space", SPACE, "--machinetype", "idle"],
    ];
    for machines in ["none", "machines", "machines/machines"] {
        if machines != "none" {
            std::fs::create_dir(site.path(machines)).unwrap();
        }
        let before = tree(site.dir.path());
        for args in &reading {
            let answer = site.call(args);
            assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
            assert_eq!(tree(site.dir.path()), before, "{args:?} has changed something");
        }
    }
}

#[test]
fn completions_and_manual_page_are_made_from_the_same_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = call(&["completions", shell]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(answer.stdout.contains("explain"), "{shell}");
    }
    let page = call(&["man"]).stdout;
    assert!(page.contains(".TH vcycle 1"), "{page}");
    assert!(!page.contains("local\\-supervisor"), "{page}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        vcycle().arg("man").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let answer: Answer = child.wait_with_output().unwrap().into();
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_bad_configuration_does_not_start_a_manager() {
    let site = Site::new();
    std::fs::write(site.path("vcycle.toml"), "[site]\nname = 3\n").unwrap();
    let answer = site.call(&["run", "--log", "plain"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("site.name"), "{answer:?}");
}

#[test]
fn nothing_is_asked_on_a_state_directory_that_no_manager_has_used() {
    let site = Site::new();
    let shared = site.path("shared");
    std::fs::remove_dir_all(&shared).unwrap();
    std::fs::create_dir(&shared).unwrap();
    for args in [
        vec!["drain", SPACE, "--yes"],
        vec!["drain", SPACE, "--cancel", "--yes"],
        vec!["delete", "vcycle-batch-aaaaaaaaaa", "--yes"],
    ] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(1), "{args:?}: {answer:?}");
        assert!(answer.stderr.contains("no manager has ever run"), "{args:?}: {answer:?}");
    }
    assert_eq!(std::fs::read_dir(&shared).unwrap().count(), 0, "something was left there");
}

#[test]
fn a_missing_state_directory_is_told_with_its_path() {
    let site = Site::new();
    let shared = site.path("shared");
    std::fs::remove_dir_all(&shared).unwrap();
    for args in [vec!["run", "--log", "plain"], vec!["status"]] {
        let answer = site.call(&args);
        assert_eq!(answer.code, Some(1), "{args:?}: {answer:?}");
        let text = format!("{} is not a directory", shared.display());
        assert!(answer.stderr.contains(&text), "{args:?}: {answer:?}");
    }
    assert!(!shared.exists(), "it was made");
    let answer = site.call(&["check"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.contains("does not exist on this host"), "{answer:?}");
}

#[test]
fn people_see_and_ask_while_a_manager_refuses_the_configuration() {
    let site = Site::new();
    let good = site.config_text();
    for bad in [
        good.replace("processors_limit", "procesors_limit"),
        good.replace("target_share = 60", "target_share = "),
    ] {
        std::fs::write(site.path("vcycle.toml"), bad).unwrap();
        for args in [
            vec!["status"],
            vec!["machines"],
            vec!["explain", SPACE],
            vec!["managers"],
            vec!["drain", SPACE, "--yes"],
            vec!["drain", SPACE, "--cancel", "--yes"],
            vec!["delete", "vcycle-batch-aaaaaaaaaa", "--yes"],
        ] {
            let answer = site.call(&args);
            assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
            assert!(answer.stderr.contains("(`vcycle check`)"), "{args:?}: {answer:?}");
        }
        let answer = site.call(&["status", "--json"]).json();
        let problem = answer["config_problem"].as_str().unwrap();
        assert!(problem.contains("keeps the last good one"), "{problem}");
    }
}
