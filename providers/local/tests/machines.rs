//! Machines from their creation to their end, with real processes.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::*;
use vcycle_api::{
    Act, Clock, Created, Deletion, ErrorKind, Identity, InstanceState, Listing, Observe,
    Processors, Resolution, SystemClock, UserData,
};
use vcycle_local::SupervisorCommand;

const IDLE: &str = "#!/bin/sh\ntouch ready\nexec sleep 3600\n";

#[tokio::test]
async fn a_machine_runs_its_script_in_a_clean_place_of_its_own_and_leaves_nothing() {
    let site = Site::new();
    let provider = site.provider();
    let script = "#!/bin/sh\nenv > env\npwd > pwd\numask > umask\nls /proc/self/fd > fds\n\
                  readlink /proc/self/fd/0 > stdin\ntouch ready\nexec sleep 3600\n";
    let request = request(&provider, script).await;
    let created = provider.create(&request).await.unwrap();
    assert!(matches!(created, Created::New(_)));
    let id = created.id();
    assert_eq!(state(&provider, id).await, InstanceState::Running, "create waits for the script");
    until_file(&site.work(id).join("ready")).await;

    let read = |name: &str| fs::read_to_string(site.work(id).join(name)).unwrap();
    assert_eq!(read("pwd").trim(), site.work(id).to_str().unwrap());
    assert_eq!(read("umask").trim(), "0077");
    assert_eq!(read("stdin").trim(), "/dev/null");
    assert_eq!(read("fds").split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    let env = read("env");
    let mut names: Vec<&str> = env.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    names.retain(|name| *name != "_");
    names.sort_unstable();
    let wanted = [
        "HOME",
        "JOBOUTPUTS",
        "LANG",
        "PATH",
        "PWD",
        "TMPDIR",
        "VCYCLE_INSTANCE",
        "VCYCLE_MACHINE_MARK",
    ];
    assert_eq!(names, wanted);
    let mode = |name: &str| fs::metadata(site.folder(id).join(name)).unwrap().permissions().mode();
    for secret in ["user_data", "environment.json", "spec.json", "console.log"] {
        assert_eq!(mode(secret) & 0o777, 0o600, "{secret}");
    }
    assert_eq!(mode("") & 0o777, 0o700);

    assert_eq!(provider.delete(id).await.unwrap(), Deletion::Accepted);
    until("the machine to be gone", async || provider.get(id).await.is_err()).await;
    assert!(list(&provider).await.is_empty());
    assert_eq!(processes_of(id), NONE);
    assert!(!site.folder(id).join("user_data").exists());
    assert!(!site.folder(id).join("environment.json").exists());
    assert!(!site.work(id).exists());
    assert_eq!(provider.delete(id).await.unwrap(), Deletion::AlreadyGone);
    until("the supervisor and its guard to end", async || {
        processes_with(&site.folder(id).display().to_string()).is_empty()
    })
    .await;
    until("no child to be left unreaped", async || zombies().is_empty()).await;
}

#[tokio::test]
async fn a_script_that_ends_is_a_stopped_machine_and_takes_its_children_along() {
    let site = Site::new();
    let provider = site.provider();
    let script = "#!/bin/sh\necho said before the end\nsleep 3600 &\nexit 7\n";
    let request = request(&provider, script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until_state(&provider, &id, &InstanceState::Stopped).await;
    assert_eq!(processes_of(&id), NONE);
    let instance = provider.get(&id).await.unwrap();
    assert!(instance.started.unwrap() <= instance.ended.unwrap());
    let read = |name: &str| fs::read_to_string(site.folder(&id).join(name)).unwrap();
    assert_eq!(read("console.log"), "said before the end\n");
    assert!(read("ended.json").contains("\"code\": 7"), "{}", read("ended.json"));
    assert_eq!(provider.quota().await.unwrap().machines_used, Some(1), "it holds its place");
    remove(&provider, &id).await;
    assert_eq!(provider.quota().await.unwrap().machines_used, Some(0));
}

#[tokio::test]
async fn a_script_that_hides_and_ignores_sigterm_is_removed_completely() {
    let site = Site::new();
    let provider = site.provider();
    let sleeps = format!("3600.{}", unique());
    let script = format!(
        "#!/bin/sh\ntrap '' TERM HUP INT\n\
         setsid sleep {sleeps} &\n\
         setsid env -i setsid sh -c 'trap \"\" TERM; cd /; sleep {sleeps} & sleep {sleeps}' &\n\
         (setsid sh -c 'sleep {sleeps} & exit' &)\n\
         touch ready\nwhile true; do sleep {sleeps}; done\n"
    );
    let request = request(&provider, &script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until_file(&site.work(&id).join("ready")).await;
    until("all to be hidden", async || processes_with(&sleeps).len() >= 6).await;
    remove(&provider, &id).await;
    assert_eq!(processes_with(&sleeps), NONE);
    assert_eq!(processes_of(&id), NONE);
}

#[tokio::test]
async fn a_machine_over_its_memory_is_ended_and_says_why() {
    let site = Site::new();
    let provider = site.provider();
    // Each `tail` stays under the limit of 64 MB for one process; together they do not.
    let script = "#!/bin/sh\nfor i in 1 2 3; do\n\
                  (head -c 40000000 /dev/zero; exec sleep 3600) | tail -n 1 &\ndone\nwait\n";
    let request = request(&provider, script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    let fault = until_failed(&provider, &id).await;
    assert!(fault.contains("of its 64 MB of memory"), "{fault}");
    assert_eq!(processes_of(&id), NONE);
    remove(&provider, &id).await;
}

#[tokio::test]
async fn one_process_cannot_grow_beyond_the_memory_of_its_machine() {
    let site = Site::new();
    let provider = site.provider();
    let script = "#!/bin/sh\nhead -c 200000000 /dev/zero | tail -n 1 > /dev/null\necho $? > result\n\
                  touch ready\nexec sleep 3600\n";
    let request = request(&provider, script).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    until_file(&site.work(&id).join("ready")).await;
    assert_ne!(fs::read_to_string(site.work(&id).join("result")).unwrap().trim(), "0");
    assert_eq!(state(&provider, &id).await, InstanceState::Running);
    remove(&provider, &id).await;
}

#[tokio::test]
async fn invariant_9_a_machine_ends_at_its_deadline_without_any_manager() {
    let site = Site::new();
    let provider = site.provider();
    let mut request = request(&provider, IDLE).await;
    request.tags.deadline = SystemClock::new().now() + Duration::from_secs(5);
    let id = provider.create(&request).await.unwrap().id().clone();
    drop(provider);
    until("its end", async || site.folder(&id).join("ended.json").exists()).await;
    assert_eq!(processes_of(&id), NONE);
    let instance = site.provider().get(&id).await.unwrap();
    assert_eq!(instance.state, InstanceState::Stopped);
    assert!(instance.ended.unwrap() >= request.tags.deadline);
}

#[tokio::test(flavor = "multi_thread")]
async fn weakness_1j_5_the_same_intent_twenty_times_at_once_makes_one_machine() {
    let site = Site::new();
    let script = "#!/bin/sh\nmkdir only-once || touch ../twice\nexec sleep 3600\n";
    let request = request(&site.provider(), script).await;
    let calls = (0..20).map(|_| {
        let (provider, request) = (site.provider(), request.clone());
        tokio::spawn(async move { provider.create(&request).await.unwrap() })
    });
    let mut new = 0;
    let mut ids = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let created = call.await.unwrap();
        new += usize::from(matches!(created, Created::New(_)));
        ids.push(created.id().clone());
    }
    ids.dedup();
    assert_eq!((new, ids.len()), (1, 1));
    let id = &ids[0];
    until_file(&site.work(id).join("only-once")).await;
    let provider = site.provider();
    assert_eq!(list(&provider).await.len(), 1);
    stage(&site, id, "run");
    stage(&site, id, "guard");
    remove(&provider, id).await;
    assert!(!site.folder(id).join("twice").exists());
    assert_eq!(fs::read_dir(site.path().join("tmp")).unwrap().count(), 0, "no drafts are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_at_once_never_pass_the_quota() {
    let site = Site::new();
    let narrow = || site.provider_with(|settings| settings.processors = Some(Processors(3)));
    let mut calls = Vec::new();
    for _ in 0..8 {
        let provider = narrow();
        let request = request(&provider, IDLE).await;
        calls.push(tokio::spawn(async move { provider.create(&request).await }));
    }
    let mut made = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(created) => made.push(created.id().clone()),
            Err(error) => assert_eq!(error.kind, ErrorKind::QuotaExceeded, "{error}"),
        }
    }
    assert_eq!(made.len(), 3);
    let quota = narrow().quota().await.unwrap();
    assert_eq!(
        (quota.processors, quota.processors_used),
        (Some(Processors(3)), Some(Processors(3)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_at_once_are_all_accepted_and_leave_nothing() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    let calls = (0..10).map(|_| {
        let (provider, id) = (site.provider(), id.clone());
        tokio::spawn(async move { provider.delete(&id).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    until("the machine to be gone", async || provider.get(&id).await.is_err()).await;
    assert_eq!(processes_of(&id), NONE);
}

#[tokio::test]
async fn weakness_1j_7_what_is_not_a_machine_of_ours_is_shown_and_never_touched() {
    let site = Site::new();
    let provider = site.provider();
    let machines = site.path().join("machines");
    let newer = machines.join("local-6f2c1c0e-1111-4222-8333-0123456789ab");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("spec.json"), "{\"format\": 99}").unwrap();
    fs::write(newer.join("wanted"), "").unwrap();
    let theirs = machines.join("somebody");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("thesis.tex"), "precious").unwrap();
    let all = list(&provider).await;
    assert_eq!(all.len(), 2);
    for instance in &all {
        assert_eq!(instance.identity, Identity::Foreign);
        assert_eq!(provider.get(&instance.id).await.unwrap(), *instance);
        let refused = provider.delete(&instance.id).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
    }
    assert!(newer.join("wanted").exists());
    assert_eq!(fs::read_to_string(theirs.join("thesis.tex")).unwrap(), "precious");
    assert_eq!(provider.quota().await.unwrap().machines_used, Some(2));
}

#[tokio::test]
async fn a_machine_that_cannot_be_read_makes_the_listing_partial_and_stops_creation() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    let spec = site.folder(&id).join("spec.json");
    let away = site.folder(&id).join("spec.away");
    // A directory in its place is a file that cannot be read, for root too.
    fs::rename(&spec, &away).unwrap();
    fs::create_dir(&spec).unwrap();
    let Listing::Partial { seen, why } = provider.list().await.unwrap() else {
        panic!("a complete listing without the machine")
    };
    assert!(seen.is_empty() && why.contains(id.as_str()), "{why}");
    assert_eq!(provider.get(&id).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(provider.delete(&id).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(provider.quota().await.unwrap_err().kind, ErrorKind::Unavailable);
    let another = common::request(&provider, IDLE).await;
    assert_eq!(provider.create(&another).await.unwrap_err().kind, ErrorKind::Unavailable);
    fs::remove_dir(&spec).unwrap();
    fs::rename(&away, &spec).unwrap();
    assert_eq!(state(&provider, &id).await, InstanceState::Running);
    remove(&provider, &id).await;
}

#[tokio::test]
async fn a_folder_that_is_away_proves_no_absence_and_ends_no_machine() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    let (machines, away) = (site.path().join("machines"), site.path().join("away"));
    fs::rename(&machines, &away).unwrap();
    fs::create_dir(&machines).unwrap();
    assert_eq!(provider.list().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(provider.get(&id).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(provider.delete(&id).await.unwrap_err().kind, ErrorKind::Unavailable);
    let resolved = provider.resolve(&request.tags.intent, request.tags.deadline).await;
    assert_eq!(resolved.unwrap_err().kind, ErrorKind::Unavailable);
    fs::remove_dir(&machines).unwrap();
    fs::rename(&away, &machines).unwrap();
    assert_eq!(state(&provider, &id).await, InstanceState::Running);
    remove(&provider, &id).await;
}

#[tokio::test]
async fn removing_the_folder_by_hand_ends_the_machine() {
    let site = Site::new();
    let provider = site.provider();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let request = request(&provider, IDLE).await;
        ids.push(provider.create(&request).await.unwrap().id().clone());
    }
    fs::remove_dir_all(site.folder(&ids[0])).unwrap();
    assert_eq!(provider.get(&ids[0]).await.unwrap_err().kind, ErrorKind::NotFound);
    until_ended(&site, &ids[0]).await;
    assert_eq!(state(&provider, &ids[1]).await, InstanceState::Running);
    // Everything at once, as with a temporary directory.
    fs::remove_dir_all(site.path()).unwrap();
    until_ended(&site, &ids[1]).await;
    until_ended(&site, &ids[2]).await;
}

async fn until_ended(site: &Site, id: &vcycle_api::InstanceId) {
    until("its processes to end", async || {
        processes_of(id).is_empty()
            && processes_with(&site.folder(id).display().to_string()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_intent_that_was_proven_absent_can_never_become_a_machine() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let resolve = async || provider.resolve(&request.tags.intent, request.tags.deadline).await;
    assert_eq!(resolve().await.unwrap(), Resolution::ProvenAbsent);
    // The create call that was delayed on its way comes now.
    let late = site.provider().create(&request).await.unwrap();
    assert!(matches!(late, Created::AlreadyExists(_)));
    assert_eq!(provider.get(late.id()).await.unwrap_err().kind, ErrorKind::NotFound);
    assert!(list(&provider).await.is_empty());
    assert_eq!(resolve().await.unwrap(), Resolution::ProvenAbsent);
}

#[tokio::test]
async fn a_removed_machine_is_not_made_again_by_a_late_create() {
    let site = Site::new();
    let provider = site.provider();
    let request = request(&provider, IDLE).await;
    let id = provider.create(&request).await.unwrap().id().clone();
    remove(&provider, &id).await;
    assert_eq!(provider.create(&request).await.unwrap(), Created::AlreadyExists(id.clone()));
    assert!(list(&provider).await.is_empty());
    assert_eq!(processes_of(&id), NONE);
}

#[tokio::test]
async fn a_wrong_request_makes_nothing_and_says_what_is_wrong() {
    let site = Site::new();
    let provider = site.provider();
    let good = request(&provider, IDLE).await;
    let mut wrong = Vec::new();
    for (script, said) in [
        ("#cloud-config\n", "must begin with `#!`"),
        ("#!sh\n", "absolute path"),
        ("#!/no/such/interpreter\n", "/no/such/interpreter"),
    ] {
        let mut request = good.clone();
        request.user_data = UserData::new(script);
        wrong.push((request, said));
    }
    let mut request = good.clone();
    request.user_data = UserData::new(format!("#!/bin/sh\n{}", "x".repeat(1 << 20)));
    wrong.push((request, "more than 1048576"));
    let mut request = good.clone();
    request.offering.id.flavour = "m1.large".to_owned();
    wrong.push((request, "m1.large"));
    let mut request = good.clone();
    request.environment = vec![("VCYCLE_MACHINE_MARK".to_owned(), "mine".to_owned())];
    wrong.push((request, "VCYCLE_MACHINE_MARK"));
    for (request, said) in wrong {
        let error = provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
    assert!(list(&provider).await.is_empty());
}

#[tokio::test]
async fn a_machine_whose_supervisor_cannot_start_is_a_failed_machine() {
    let site = Site::new();
    let missing = site.provider_with(|settings| settings.supervisor.program = "/no/such".into());
    let request = request(&missing, IDLE).await;
    let id = missing.create(&request).await.unwrap().id().clone();
    let fault = until_failed(&missing, &id).await;
    assert!(fault.contains("could not be started"), "{fault}");
    remove(&missing, &id).await;

    // It starts, and does nothing.
    let idle = site.provider_with(|settings| {
        settings.supervisor = SupervisorCommand { program: "/bin/true".into(), arguments: vec![] };
        settings.start_window = Duration::from_secs(3);
    });
    let request = common::request(&idle, IDLE).await;
    let id = idle.create(&request).await.unwrap().id().clone();
    assert_eq!(state(&idle, &id).await, InstanceState::Pending);
    let fault = until_failed(&idle, &id).await;
    assert!(fault.contains("did not start in time"), "{fault}");
    remove(&idle, &id).await;
}

#[tokio::test]
async fn a_machine_with_processors_of_its_own_is_bound_to_them() {
    let host = std::thread::available_parallelism().unwrap().get();
    if host < 2 {
        println!("skipped: this host has one processor");
        return;
    }
    let site = Site::new();
    let provider = site.provider_with(|settings| settings.processors = None);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let script = "#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status > cpus\ntouch ready\nexec sleep 3600\n";
        let request = request(&provider, script).await;
        let id = provider.create(&request).await.unwrap().id().clone();
        until_file(&site.work(&id).join("ready")).await;
        let cpus = fs::read_to_string(site.work(&id).join("cpus")).unwrap();
        seen.push(cpus.split_whitespace().nth(1).unwrap().to_owned());
    }
    assert!(seen.iter().all(|cpus| cpus.parse::<u32>().is_ok()), "one processor each: {seen:?}");
    assert_ne!(seen[0], seen[1], "the second machine goes where the first is not");
}
