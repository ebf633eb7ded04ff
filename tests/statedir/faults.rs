//! A state directory that is full, unwritable, gone or damaged: said clearly, and nothing follows.

use std::os::unix::fs::PermissionsExt;

use vcycle::model::ManagerName;
use vcycle::store::testing::{Effect, Vanishing, When, example_record};
use vcycle::store::{Fault, StoreError};

use crate::acquire::acquire;
use crate::bench::{Bench, Place, TTL, files, fresh, in_folder, make, own, space};

const ENOSPC: i32 = 28;
const EACCES: i32 = 13;
const EROFS: i32 = 30;
const EIO: i32 = 5;
const ESTALE: i32 = 116;

#[tokio::test]
async fn each_fault_says_what_was_attempted_what_came_back_and_what_to_do() {
    for (errno, fault, words) in [
        (ENOSPC, Fault::Full, "No space left"),
        (EACCES, Fault::Permission, "user that vcycle runs as"),
        (EROFS, Fault::ReadOnly, "mount it read-write"),
        (EIO, Fault::Io, "look at the disk"),
    ] {
        let bench = Bench::memory();
        let (store, faults) = bench.faulty();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        faults.add(When::EveryMutation, Effect::Fail(errno));
        let proof = owner.proof().unwrap();
        let error = store.save_record(&proof, &record).await.unwrap_err();
        assert_eq!(error.fault(), fault);
        let text = error.to_string();
        assert!(text.contains(&in_folder(&record, "record.json")), "{text}");
        assert!(text.contains("cannot write") && text.contains(words), "{text}");
        let record = example_record(2);
        store.create_machine(&proof, &record, &files(&record)).await.unwrap_err();
        let loaded = bench.store().load_space(&space()).await.unwrap();
        assert_eq!(loaded.records.len(), 1, "what was there is there");
    }
}

#[tokio::test]
async fn an_owner_that_cannot_renew_on_a_full_disk_goes_on_until_its_time_is_over() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    faults.add(When::EveryMutation, Effect::Fail(ENOSPC));
    bench.clock.advance(owner.renew_every());
    owner.renew().await.unwrap();
    assert!(owner.trouble().unwrap().contains("No space left"), "{:?}", owner.trouble());
    owner.proof().unwrap().check().await.unwrap();
    faults.heal();
    owner.renew().await.unwrap();
    assert_eq!(owner.trouble(), None);

    faults.add(When::EveryMutation, Effect::Fail(ENOSPC));
    bench.clock.advance(TTL);
    owner.renew().await.unwrap_err();
    owner.proof().unwrap_err();
}

#[tokio::test]
async fn secrets_do_not_show_in_errors() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    faults.add(When::EveryMutation, Effect::Fail(ENOSPC));
    let record = example_record(1);
    let proof = owner.proof().unwrap();
    let machine_files = files(&record);
    let error = store.create_machine(&proof, &record, &machine_files).await.unwrap_err();
    for text in [error.to_string(), format!("{error:?}"), format!("{machine_files:?}")] {
        assert!(!text.contains("secret-token"), "{text}");
    }
}

#[tokio::test]
async fn a_vanished_directory_is_never_an_empty_one() {
    for bench in Bench::both() {
        let store = bench.store();
        store.open_deployment(fresh(1)).await.unwrap();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        let away = match &bench.place {
            Place::Memory(fs) => {
                fs.set_vanished(Vanishing::Away);
                None
            }
            Place::Real(dir) => {
                // What an unmount leaves: the empty mount point.
                let away = dir.path().with_extension("away");
                std::fs::rename(dir.path(), &away).unwrap();
                std::fs::create_dir(dir.path()).unwrap();
                Some(away)
            }
        };
        let faults = [
            store.load_space(&space()).await.unwrap_err().fault(),
            store.record(&space(), record.machine()).await.unwrap_err().fault(),
            store.requests(&space()).await.unwrap_err().fault(),
            store.save_record(&owner.proof().unwrap(), &record).await.unwrap_err().fault(),
            store.open_deployment(fresh(2)).await.unwrap_err().fault(),
            store
                .heartbeats(&space(), &[(record.machine().clone(), "x".into())])
                .await
                .unwrap_err()
                .fault(),
            acquire(&store, &space(), &ManagerName::parse("m2").unwrap(), TTL)
                .await
                .unwrap_err()
                .fault(),
        ];
        assert_eq!(faults, [Fault::Vanished; 7]);
        let error = owner.proof().unwrap().check().await.unwrap_err();
        assert!(error.to_string().contains("vanished"), "{error}");
        match (&bench.place, away) {
            (Place::Real(dir), Some(away)) => {
                assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
                std::fs::remove_dir(dir.path()).unwrap();
                std::fs::rename(&away, dir.path()).unwrap();
            }
            (Place::Memory(fs), _) => fs.set_vanished(Vanishing::Back),
            (Place::Real(_), None) => unreachable!("it was moved away"),
        }
        owner.proof().unwrap().check().await.unwrap();
        assert_eq!(store.load_space(&space()).await.unwrap().records.len(), 1);
    }
}

#[tokio::test]
async fn the_first_opener_names_the_deployment_and_all_others_follow() {
    for bench in Bench::both() {
        let store = bench.store();
        assert_eq!(store.deployment().await.unwrap(), None, "looking makes nothing");
        let first = store.open_deployment(fresh(1)).await.unwrap();
        assert_eq!(first.id, fresh(1));
        assert_eq!(bench.store().open_deployment(fresh(2)).await.unwrap(), first);
        assert_eq!(store.deployment().await.unwrap(), Some(first));
    }
}

#[tokio::test]
async fn a_deployment_whose_name_is_lost_is_not_named_anew() {
    for bench in Bench::both() {
        let store = bench.store();
        store.open_deployment(fresh(1)).await.unwrap();
        own(&store, "m1").await;
        bench.uproot("deployment.json");
        let error = bench.store().open_deployment(fresh(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::NoDeployment), "{error}");
    }
}

#[tokio::test]
async fn a_lost_reply_of_opening_is_no_failure() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    faults.add(When::Mutation(1), Effect::FailAfter(EIO));
    assert_eq!(store.open_deployment(fresh(1)).await.unwrap().id, fresh(1));
}

#[tokio::test]
async fn a_stale_handle_on_one_read_is_no_corrupt_record() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    make(&store, &owner, 1).await;
    drop(owner);
    let mut failed = 0;
    for call in 1..20 {
        let (store, again) = bench.faulty();
        again.add(When::Call(call), Effect::Fail(ESTALE));
        match store.load_space(&space()).await {
            Ok(loaded) => assert_eq!((loaded.records.len(), loaded.corrupt.len()), (1, 0)),
            Err(error) => {
                assert_eq!(error.fault(), Fault::Io);
                failed += 1;
            }
        }
    }
    assert!(failed >= 3, "list, read, list: {failed}");
    drop(faults);
}

#[tokio::test]
async fn a_record_that_may_not_be_read_is_reported_and_the_others_are_read() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let (one, two) = (make(&store, &owner, 1).await, make(&store, &owner, 2).await);
        // A directory in its place: what even root cannot read.
        bench.uproot(&in_folder(&one, "record.json"));
        bench.plant(&in_folder(&one, "record.json/x"), b"");
        let loaded = bench.store().load_space(&space()).await.unwrap();
        assert_eq!(loaded.records, [two]);
        let [corrupt] = loaded.corrupt.as_slice() else { panic!("{loaded:?}") };
        assert_eq!(&corrupt.machine, one.machine());
    }
}

#[tokio::test]
async fn an_unwritable_directory_is_said_with_its_path() {
    let bench = Bench::real();
    let Place::Real(dir) = &bench.place else { unreachable!("it is real") };
    if nix::unistd::geteuid().is_root() {
        println!("skipped: root may write everywhere; the same fault is injected elsewhere");
        return;
    }
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let current = dir.path().join("spaces/a.example/current");
    std::fs::set_permissions(&current, std::fs::Permissions::from_mode(0o555)).unwrap();
    let record = example_record(1);
    let proof = owner.proof().unwrap();
    let error = store.create_machine(&proof, &record, &files(&record)).await.unwrap_err();
    std::fs::set_permissions(&current, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(error.fault(), Fault::Permission);
    assert!(error.to_string().contains("spaces/a.example/current"), "{error}");
}
