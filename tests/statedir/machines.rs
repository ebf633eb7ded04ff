//! Machines in the state directory: made, changed, archived, expired; what VMs read and put.

use std::os::unix::fs::PermissionsExt;

use vcycle::model::{Evidence, Generation, Gone, MachineName, SpaceName, Timestamp};
use vcycle::store::testing::example_record;
use vcycle::store::{FeatureKind, OutputName, PutError, StoreError};

use crate::bench::{Bench, Place, SECRET, files, in_folder, make, manager, own, space};

fn output(name: &str) -> OutputName {
    OutputName::parse(name).unwrap()
}

const PLENTY: u64 = 1 << 30;

#[tokio::test]
async fn a_machine_lives_through_its_folders() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let mut record = make(&store, &owner, 1).await;
        make(&store, &owner, 2).await;

        let loaded = bench.store().load_space(&space()).await.unwrap();
        assert_eq!(loaded.records.len(), 2);
        assert!(loaded.records.contains(&record));
        assert!(loaded.corrupt.is_empty() && loaded.unfinished.is_empty());

        let proof = owner.proof().unwrap();
        record.started = Some(Timestamp::from_secs(1_767_200_100));
        record.gone =
            Some(Gone { at: Timestamp::from_secs(1_767_209_000), evidence: Evidence::NotFound });
        store.save_record(&proof, &record).await.unwrap();
        let machine = record.machine().clone();
        assert_eq!(store.record(&space(), &machine).await.unwrap(), Some(record.clone()));

        store.archive(&proof, &machine).await.unwrap();
        store.archive(&proof, &machine).await.unwrap();
        assert_eq!(store.record(&space(), &machine).await.unwrap(), None);
        let loaded = store.load_space(&space()).await.unwrap();
        assert_eq!(loaded.records.len(), 1);
        let [archived] = loaded.archived.as_slice() else { panic!("{loaded:?}") };
        assert_eq!((&archived.machine, &archived.record), (&machine, &record));
        assert_eq!(archived.at, Timestamp::from_secs(1_767_209_000));

        store.expire(&proof, &machine).await.unwrap();
        store.expire(&proof, &machine).await.unwrap();
        assert!(store.load_space(&space()).await.unwrap().archived.is_empty());
    }
}

#[tokio::test]
async fn every_write_is_stamped_with_the_owner_that_made_it() {
    let bench = Bench::memory();
    let store = bench.store();
    let first = own(&store, "m1").await;
    let record = make(&store, &first, 1).await;
    assert_eq!((record.written_by, &record.manager), (Generation(1), &manager("m1")));
    first.release().await;

    let second = own(&store, "m2").await;
    store.save_record(&second.proof().unwrap(), &record).await.unwrap();
    let record = store.record(&space(), record.machine()).await.unwrap().unwrap();
    assert_eq!((record.written_by, &record.manager), (Generation(2), &manager("m2")));
    assert_eq!(record.tags.generation, Generation(1), "what the VM carries stays");
}

#[tokio::test]
async fn all_files_are_there_before_the_record_and_secrets_are_private() {
    for bench in Bench::both() {
        let (store, faults) = bench.faulty();
        let owner = own(&store, "m1").await;
        let before = faults.log().len();
        let record = make(&store, &owner, 1).await;
        let log = faults.log();
        let (last, files) = log[before..].split_last().unwrap();
        assert_eq!(*last, format!("put {}", in_folder(&record, "record.json")));
        for file in ["user_data", "jobfeatures/job_id", "machinefeatures/total_cpu", "joboutputs"] {
            let path = in_folder(&record, file);
            assert!(files.iter().any(|op| op.ends_with(&path)), "{file} is not in {files:?}");
        }
        let user_data = store.user_data(&space(), record.machine()).await.unwrap().unwrap();
        assert_eq!(user_data.expose(), SECRET);
        let path = in_folder(&record, "user_data");
        match &bench.place {
            Place::Memory(fs) => assert_eq!(fs.mode(&path), Some(vcycle::store::Mode::Private)),
            Place::Real(dir) => {
                let mode = |path: &str| {
                    let meta = std::fs::metadata(dir.path().join(path)).unwrap();
                    meta.permissions().mode() & 0o7777
                };
                assert_eq!(mode(&path), 0o600);
                assert_eq!(mode(&in_folder(&record, "")), 0o750);
                assert_eq!(mode(&in_folder(&record, "joboutputs")), 0o750);
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_its_files_stay() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let proof = owner.proof().unwrap();
        // The same intent again, as after a lost reply, is the same deed.
        store.create_machine(&proof, &record, &files(&record)).await.unwrap();

        let mut other = record.clone();
        other.tags.intent = example_record(2).tags.intent;
        let mut new_files = files(&other);
        new_files.user_data = vcycle_api::UserData::new("other");
        let error = store.create_machine(&proof, &other, &new_files).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
        assert_eq!(store.record(&space(), record.machine()).await.unwrap(), Some(record.clone()));
        let kept = store.user_data(&space(), record.machine()).await.unwrap().unwrap();
        assert_eq!(kept.expose(), SECRET);
    }
}

#[tokio::test]
async fn a_record_of_another_space_is_never_written() {
    let bench = Bench::memory();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let mut record = example_record(1);
    record.tags.space = SpaceName::parse("b.example").unwrap();
    let proof = owner.proof().unwrap();
    let error = store.create_machine(&proof, &record, &files(&record)).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongSpace { .. }), "{error}");
    let error = store.save_record(&proof, &record).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongSpace { .. }), "{error}");
}

#[tokio::test]
async fn peers_1j_2_a_record_whose_folder_is_gone_is_an_error_not_a_silent_nothing() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let proof = owner.proof().unwrap();
        store.archive(&proof, record.machine()).await.unwrap();
        let error = store.save_record(&proof, &record).await.unwrap_err();
        assert!(error.to_string().contains("record.json"), "{error}");
        assert!(store.load_space(&space()).await.unwrap().records.is_empty());
    }
}

#[tokio::test]
async fn vms_read_the_features_of_current_machines_only() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let machine = record.machine();
        let here = space();
        let keys = |kind| store.feature_keys(&here, machine, kind);
        let job = keys(FeatureKind::Job).await.unwrap().unwrap();
        assert!(job.is_sorted() && job.contains(&"job_id".to_owned()), "{job:?}");
        assert!(keys(FeatureKind::Machine).await.unwrap().unwrap().contains(&"total_cpu".into()));

        let get = |key: &'static str| store.feature(&here, machine, FeatureKind::Job, key);
        assert_eq!(get("job_id").await.unwrap().unwrap(), machine.to_string().into_bytes());
        for absent in ["no_such_key", "../record.json", "", "..", "a/b"] {
            assert_eq!(get(absent).await.unwrap(), None, "{absent:?}");
        }

        let proof = owner.proof().unwrap();
        store.set_job_feature(&proof, machine, "shutdowntime_job", "1767210000").await.unwrap();
        assert_eq!(get("shutdowntime_job").await.unwrap().unwrap(), b"1767210000");
        store.set_machine_feature(&proof, machine, "shutdowntime", "5").await.unwrap();
        let shutdown = store.feature(&here, machine, FeatureKind::Machine, "shutdowntime");
        assert_eq!(shutdown.await.unwrap().unwrap(), b"5");
        let bad = store.set_job_feature(&proof, machine, "../record.json", "x").await;
        assert!(matches!(bad, Err(StoreError::InvalidName { .. })), "{bad:?}");

        store.archive(&proof, machine).await.unwrap();
        assert_eq!(keys(FeatureKind::Job).await.unwrap(), None);
        assert_eq!(get("job_id").await.unwrap(), None);
        let unknown = MachineName::compose(record.machinetype(), 99);
        let none = store.feature_keys(&space(), &unknown, FeatureKind::Job).await.unwrap();
        assert_eq!(none, None);
    }
}

#[tokio::test]
async fn trap_7_12_outputs_have_limits_and_only_go_into_folders_that_exist() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let machine = record.machine();
        let put = async |name: &str, size: usize, limit: u64| {
            let content = vec![b'x'; size];
            store.put_output(&space(), machine, &output(name), &content, limit).await
        };
        put("a.log", 60, 100).await.unwrap();
        put("b.log", 40, 100).await.unwrap();
        let error = put("c.log", 1, 100).await.unwrap_err();
        assert!(matches!(error, PutError::MachineLimit { would_be: 101, limit: 100 }), "{error}");
        assert_eq!(bench.content(&in_folder(&record, "joboutputs/c.log")), None);
        // What it replaces does not count.
        put("a.log", 50, 100).await.unwrap();
        put("c.log", 10, 100).await.unwrap();
        assert_eq!(bench.content(&in_folder(&record, "joboutputs/a.log")).unwrap().len(), 50);

        let unknown = MachineName::compose(record.machinetype(), 99);
        let error =
            store.put_output(&space(), &unknown, &output("a"), b"x", PLENTY).await.unwrap_err();
        assert!(matches!(error, PutError::UnknownMachine), "{error}");
        let loaded = store.load_space(&space()).await.unwrap();
        assert!(loaded.unfinished.is_empty(), "no folder was made for it");

        store.archive(&owner.proof().unwrap(), machine).await.unwrap();
        let error = put("late.log", 1, PLENTY).await.unwrap_err();
        assert!(matches!(error, PutError::UnknownMachine), "{error}");
    }
}

#[tokio::test]
async fn a_machine_cannot_use_up_the_inodes() {
    let bench = Bench::memory();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let record = make(&store, &owner, 1).await;
    for i in 0..1000 {
        bench.plant(&in_folder(&record, &format!("joboutputs/{i}")), b"");
    }
    let machine = record.machine();
    let error =
        store.put_output(&space(), machine, &output("one-more"), b"", PLENTY).await.unwrap_err();
    assert!(matches!(error, PutError::TooManyFiles), "{error}");
    store.put_output(&space(), machine, &output("7"), b"new", PLENTY).await.unwrap();
}

#[tokio::test]
async fn two_puts_at_once_do_not_pass_the_limit_together() {
    for bench in Bench::both() {
        let (store, _) = bench.faulty();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let (a, b) = (output("a"), output("b"));
        let content = [b'x'; 60];
        let here = space();
        let (first, second) = tokio::join!(
            store.put_output(&here, record.machine(), &a, &content, 100),
            store.put_output(&here, record.machine(), &b, &content, 100),
        );
        assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|ok| **ok).count(), 1);
    }
}

#[tokio::test]
async fn heartbeats_are_dated_by_the_file_server_in_one_call() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let (one, two) = (make(&store, &owner, 1).await, make(&store, &owner, 2).await);
        // Our own clock is of no consequence.
        bench.clock.step_wall(Timestamp::from_secs(1));
        let beat = output("heartbeat");
        store.put_output(&space(), one.machine(), &beat, b"0 0 0 1 1", PLENTY).await.unwrap();
        let wanted = [
            (two.machine().clone(), "heartbeat".to_owned()),
            (one.machine().clone(), "../record.json".to_owned()),
            (one.machine().clone(), "heartbeat".to_owned()),
        ];
        let [silent, invalid, beaten] =
            store.heartbeats(&space(), &wanted).await.unwrap().try_into().unwrap();
        assert_eq!((silent, invalid), (None, None));
        assert!(beaten.unwrap() >= Timestamp::from_secs(1_767_200_000), "{beaten:?}");
    }
}

#[tokio::test]
async fn trap_7_8_a_machines_own_last_words_are_never_overwritten() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let (one, two) = (make(&store, &owner, 1).await, make(&store, &owner, 2).await);
        let said = |machine: &MachineName| {
            let (store, machine) = (store.clone(), machine.clone());
            async move { store.shutdown_message(&space(), &machine).await.unwrap() }
        };
        assert_eq!(said(one.machine()).await, None);
        let name = output("shutdown_message");
        store.put_output(&space(), one.machine(), &name, b"200 Success", PLENTY).await.unwrap();
        let proof = owner.proof().unwrap();
        for machine in [one.machine(), two.machine()] {
            store.leave_shutdown_message(&proof, machine, "700 Failed to start").await.unwrap();
        }
        assert_eq!(said(one.machine()).await.unwrap(), "200 Success");
        assert_eq!(said(two.machine()).await.unwrap(), "700 Failed to start");
        // The machine may still have its say after us.
        store.put_output(&space(), two.machine(), &name, b"300 \xff", PLENTY).await.unwrap();
        assert_eq!(said(two.machine()).await.unwrap(), "300 \u{fffd}");

        let unknown = MachineName::compose(one.machinetype(), 99);
        store.leave_shutdown_message(&proof, &unknown, "700 x").await.unwrap();
        assert_eq!(said(&unknown).await, None);
    }
}

/// Loads so many records from disk, and tells how long it took.
async fn load(count: u64) {
    let bench = Bench::real();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let template = make(&store, &owner, 0).await;
    for number in 1..count {
        let mut record = example_record(number);
        record.written_by = template.written_by;
        let path = in_folder(&record, "record.json");
        bench.plant(&path, &serde_json::to_vec_pretty(&record).unwrap());
    }
    let timer = vcycle_api::SystemClock::new();
    let loaded = bench.store().load_space(&space()).await.unwrap();
    let took = vcycle_api::Clock::monotonic(&timer);
    assert_eq!((loaded.records.len() as u64, loaded.corrupt.len()), (count, 0));
    println!("{count} records in {took:?}");
}

/// How long it may take is nobody's affair: a manager renews while it reads.
#[tokio::test]
async fn a_new_owner_reads_thousands_of_records() {
    load(2_000).await;
}

#[tokio::test]
#[ignore = "a measurement: cargo test --release --test statedir measured -- --ignored --nocapture"]
async fn measured_reading_ten_thousand_records() {
    load(10_000).await;
}

#[tokio::test]
async fn a_machine_in_both_places_after_a_restore_counts_once_and_is_archived() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let file = in_folder(&record, "record.json");
        let mut old = record.clone();
        old.started = Some(old.intended);
        bench.plant(&file.replace("/current/", "/deleted/"), &serde_json::to_vec(&old).unwrap());
        let loaded = store.load_space(&space()).await.unwrap();
        assert_eq!((loaded.records.len(), loaded.archived.len()), (1, 0));
        store.archive(&owner.proof().unwrap(), record.machine()).await.unwrap();
        let loaded = store.load_space(&space()).await.unwrap();
        assert_eq!((loaded.records.len(), loaded.archived[0].record.clone()), (0, record));
    }
}

#[tokio::test]
#[ignore = "a measurement: cargo test --release --test statedir measured -- --ignored --nocapture"]
async fn measured_creating_a_thousand_machines() {
    use futures::StreamExt;
    let bench = Bench::real();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let proof = owner.proof().unwrap();
    let timer = vcycle_api::SystemClock::new();
    futures::stream::iter(0..1000)
        .map(|number| {
            let record = example_record(number);
            let (store, proof) = (&store, &proof);
            async move { store.create_machine(proof, &record, &files(&record)).await.unwrap() }
        })
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
    println!("1,000 creates in {:?}", vcycle_api::Clock::monotonic(&timer));
}
