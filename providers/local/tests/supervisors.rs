//! Machines do not depend on managers, and the death of a supervisor leaves nothing running.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::*;
use vcycle_api::{Act, Clock, InstanceState, Observe, SystemClock};

const IDLE: &str = "#!/bin/sh\ntouch ready\nexec sleep 3600\n";
const START_WINDOW: Duration = Duration::from_secs(3);
const HELPER_DIR: &str = "VCYCLE_TEST_HELPER_DIR";

/// Started by the test below as a process of its own: a manager that is killed.
#[tokio::test]
#[ignore = "a helper process of another test"]
async fn helper_that_creates_a_machine_and_waits_to_be_killed() {
    let dir = PathBuf::from(std::env::var_os(HELPER_DIR).expect("only the other test runs this"));
    let provider = vcycle_local::Local::open(settings(&dir)).unwrap();
    let request = request(&provider, IDLE).await;
    provider.create(&request).await.unwrap();
    fs::write(dir.join("created"), request.tags.intent.to_string()).unwrap();
    std::future::pending::<()>().await;
}

/// Started by the test below: a manager that creates one machine after the other until it is killed.
#[tokio::test]
#[ignore = "a helper process of another test"]
async fn helper_that_creates_machines_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os(HELPER_DIR).expect("only the other test runs this"));
    let settings = vcycle_local::Settings { start_window: START_WINDOW, ..settings(&dir) };
    let provider = vcycle_local::Local::open(settings).unwrap();
    fs::write(dir.join("begun"), "").unwrap();
    loop {
        provider.create(&request(&provider, IDLE).await).await.unwrap();
    }
}

/// Files and folders below a folder, as far as they can be counted while they come and go.
fn entries(folder: &Path) -> usize {
    let Ok(found) = fs::read_dir(folder) else { return 0 };
    found.flatten().map(|entry| 1 + entries(&entry.path())).sum()
}

/// Waits until something holds, without a pause: what comes after must happen at once.
fn until_soon(what: &str, holds: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !holds() {
        assert!(clock.monotonic() < Duration::from_secs(60), "waited for {what}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_manager_killed_at_any_moment_of_a_create_leaves_a_machine_that_is_listed_or_nothing() {
    for round in 0..12 {
        let site = Site::new();
        let mut manager = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "helper_that_creates_machines_until_it_is_killed"])
            .env(HELPER_DIR, site.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until_file(&site.path().join("begun")).await;
        // A create leaves a handful of files one after the other: the kills fall all over it.
        let (folder, begun) = (site.path(), entries(site.path()));
        until_soon("the create to go on", || entries(folder) >= begun + round);
        manager.kill().unwrap();
        manager.wait().unwrap();
        let provider = site.provider();
        until("no machine to be pending", async || {
            list(&provider).await.iter().all(|machine| machine.state != InstanceState::Pending)
        })
        .await;
        let all = list(&provider).await;
        for machine in &all {
            let settled = matches!(
                machine.state,
                InstanceState::Running | InstanceState::Failed { refusal: _, fault: _ }
            );
            assert!(settled, "{machine:?}");
        }
        for machine in &all {
            remove(&provider, &machine.id).await;
            assert_eq!(processes_of(&machine.id), NONE);
        }
        assert!(list(&provider).await.is_empty());
        until("all supervisors to end", async || {
            processes_with(site.path().to_str().unwrap()).is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_machine_survives_the_kill_of_its_manager_and_is_found_again() {
    let site = Site::new();
    let mut manager = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_that_creates_a_machine_and_waits_to_be_killed"])
        .env(HELPER_DIR, site.path())
        .env("SECRET_OF_THE_MANAGER", "not for machines")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until_file(&site.path().join("created")).await;
    manager.kill().unwrap();
    manager.wait().unwrap();
    let provider = site.provider();
    let all = list(&provider).await;
    assert_eq!(all.len(), 1);
    let id = &all[0].id;
    assert_eq!(all[0].state, InstanceState::Running);
    let intent = fs::read_to_string(site.path().join("created")).unwrap();
    assert_eq!(id.as_str(), format!("local-{intent}"));
    for pid in [stage(&site, id, "run"), stage(&site, id, "guard")] {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(environ.is_empty(), "the manager's environment was inherited");
    }
    assert!(!processes_of(id).is_empty());
    remove(&provider, id).await;
    assert_eq!(processes_of(id), NONE);
}

#[tokio::test]
async fn supervisors_hold_no_secret_in_arguments_or_environment() {
    let site = Site::new();
    let provider = site.provider();
    let script = format!("{IDLE}# password-in-user-data\n");
    let request = request(&provider, &script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until_file(&site.work(&id).join("ready")).await;
    for pid in [stage(&site, &id, "run"), stage(&site, &id, "guard")] {
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap();
            let text = String::from_utf8_lossy(&text);
            for secret in ["password-in-user-data", "secret-token"] {
                assert!(!text.contains(secret), "{file}: {text}");
            }
        }
        // A full pipe or a held terminal of the manager would tie them to it.
        for fd in ["0", "1"] {
            let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
            assert_eq!(target, PathBuf::from("/dev/null"), "fd {fd} of {pid}");
        }
    }
    assert_eq!(processes_with("password-in-user-data"), NONE);
    assert_eq!(processes_with("secret-token"), NONE);
    remove(&provider, &id).await;
}

#[tokio::test]
async fn a_killed_supervisor_is_a_failed_machine_whose_guard_ends_all_it_had() {
    let site = Site::new();
    let provider = site.provider();
    let sleeps = format!("3600.{}", unique());
    // Without its environment and outside its session, only the guard can know it.
    let script = format!(
        "#!/bin/sh\n(cd /; setsid env -i sleep {sleeps} &)\ntouch ready\nexec sleep {sleeps}\n"
    );
    let request = request(&provider, &script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until("both to sleep", async || processes_with(&format!("\0{sleeps}")).len() == 2).await;
    kill_9(stage(&site, &id, "run"));
    let fault = until_failed(&provider, &id).await;
    assert!(fault.contains("supervisor died"), "{fault}");
    until("nothing to be left", async || processes_with(&sleeps).is_empty()).await;
    until("the guard's word", async || until_failed(&provider, &id).await.contains("SIGKILL"))
        .await;
    remove(&provider, &id).await;
    assert!(list(&provider).await.is_empty());
}

#[tokio::test]
async fn a_delete_ends_what_is_left_when_supervisor_and_guard_were_killed() {
    let site = Site::new();
    let provider = site.provider();
    let sleeps = format!("3600.{}", unique());
    // One is known by its mark, one by its session.
    let script = format!(
        "#!/bin/sh\nsetsid sleep {sleeps} &\nenv -i sleep {sleeps} &\ntouch ready\n\
         exec sleep {sleeps}\n"
    );
    let request = request(&provider, &script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until("all to sleep", async || processes_with(&format!("\0{sleeps}")).len() == 3).await;
    kill_9(stage(&site, &id, "guard"));
    kill_9(stage(&site, &id, "run"));
    let fault = until_failed(&provider, &id).await;
    assert!(fault.contains("supervisor died"), "{fault}");
    assert!(!processes_with(&sleeps).is_empty(), "nobody has ended them yet");
    remove(&provider, &id).await;
    assert_eq!(processes_with(&sleeps), NONE);
}

#[tokio::test]
async fn a_supervisor_without_its_guard_still_ends_its_machine() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    kill_9(stage(&site, &id, "guard"));
    assert_eq!(state(&provider, &id).await, InstanceState::Running);
    remove(&provider, &id).await;
    assert_eq!(processes_of(&id), NONE);
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_ends_its_machine_first() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    let supervisor = nix::unistd::Pid::from_raw(stage(&site, &id, "run"));
    nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGTERM).unwrap();
    let fault = until_failed(&provider, &id).await;
    assert!(fault.contains("told to end"), "{fault}");
    assert_eq!(processes_of(&id), NONE);
    assert!(provider.get(&id).await.unwrap().ended.is_some());
    remove(&provider, &id).await;
}

#[tokio::test]
async fn invariant_9_a_supervisor_that_hangs_past_the_hard_end_is_given_up() {
    let site = Site::new();
    let provider = site.provider_with(|settings| settings.patience = Duration::from_millis(500));
    let mut request = request(&provider, IDLE).await;
    request.tags.deadline = SystemClock::new().now() + Duration::from_secs(8);
    let id = provider.create(&request).await.unwrap().id().clone();
    let supervisor = nix::unistd::Pid::from_raw(stage(&site, &id, "run"));
    nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let fault = until_failed(&provider, &id).await;
    assert!(fault.contains("supervisor died"), "{fault}");
    until("nothing to be left", async || processes_of(&id).is_empty()).await;
    remove(&provider, &id).await;
}
