//! The unit is valid and its box stays as tight as it is. Skipped, and said so, where systemd's own
//! tools are not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `systemd-analyze security`: 0 is a perfect box, 10 none. Lower this when it gets better.
const EXPOSURE_MOST: f64 = 2.0;

fn systemd() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn analyze(args: &[&str]) -> Option<(bool, String)> {
    match Command::new("systemd-analyze").args(args).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            eprintln!("skipped: systemd-analyze cannot be run: {error}");
            None
        }
    }
}

/// A unit whose programs exist here, so that only the unit itself is judged.
fn unit_for_this_host(dir: &Path) -> PathBuf {
    let text = std::fs::read_to_string(systemd().join("vcycled.service")).unwrap();
    let here = text
        .replace("/usr/bin/vcycle", env!("CARGO_BIN_EXE_vcycle"))
        .lines()
        .filter(|line| !line.starts_with("Documentation="))
        .collect::<Vec<_>>()
        .join("\n");
    let path = dir.join("vcycled.service");
    std::fs::write(&path, here).unwrap();
    path
}

#[test]
fn the_unit_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit_for_this_host(dir.path());
    let Some((good, text)) = analyze(&["verify", unit.to_str().unwrap()]) else { return };
    let about_us: Vec<_> = text.lines().filter(|line| line.contains("vcycled")).collect();
    assert!(good && about_us.is_empty(), "{text}");
}

#[test]
fn the_box_stays_tight() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit_for_this_host(dir.path());
    let offline = ["security", "--offline=true", "--no-pager", unit.to_str().unwrap()];
    let Some((good, text)) = analyze(&offline) else { return };
    if !good && text.contains("unrecognized option") {
        eprintln!("skipped: this systemd-analyze knows no --offline");
        return;
    }
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let score = line.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap();
    assert!(score <= EXPOSURE_MOST, "{line}: above {EXPOSURE_MOST}");
}

#[test]
fn local_machines_survive_a_restart_of_the_unit() {
    let unit = std::fs::read_to_string(systemd().join("vcycled.service")).unwrap();
    let has = |setting: &str| unit.lines().any(|line| line == setting);
    for setting in ["KillMode=process", "Type=notify", "NotifyAccess=main"] {
        assert!(has(setting), "{setting}");
    }
    assert!(unit.lines().any(|line| line.starts_with("WatchdogSec=")));
}
