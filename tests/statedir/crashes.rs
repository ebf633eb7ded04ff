//! The process dies before or after each single write: what is left is the old state or the new one,
//! and the next owner tidies up the rest.

use std::time::Duration;

use vcycle::model::{MachineRecord, Timestamp};
use vcycle::store::testing::{Effect, FaultyFs, When, example_record};
use vcycle::store::{FeatureKind, LoadedSpace, Ownership, Store, StoreError};

use crate::bench::{Bench, SECRET, TTL, files, in_folder, make, own, space};

/// More operations than any of ours has.
const MANY: u64 = 60;

/// Runs an operation once for each crash point, each on a fresh directory with one machine (1).
/// `judge` sees what a new process loads, and whether the operation said that it was done. Gives
/// the number of crash points.
async fn crash_everywhere(
    bench: fn() -> Bench,
    operation: impl AsyncFn(&Store, &Ownership, &MachineRecord) -> Result<(), StoreError>,
    judge: impl AsyncFn(&Bench, &LoadedSpace, bool),
) -> u64 {
    let mut points = 0;
    for effect in [Effect::CrashBefore, Effect::CrashAfter] {
        for at in 1..MANY {
            let bench = bench();
            let (store, faults) = bench.faulty();
            let owner = own(&store, "m1").await;
            let record = make(&store, &owner, 1).await;
            faults.add(When::Mutation(faults.mutations() + at), effect);
            let said = operation(&store, &owner, &record).await;
            let loaded = bench.store().load_space(&space()).await.unwrap();
            assert!(loaded.corrupt.is_empty(), "{effect:?} at {at}: {loaded:?}");
            judge(&bench, &loaded, said.is_ok()).await;
            if !faults.crashed() {
                said.unwrap();
                break;
            }
            points += 1;
            next_owner_tidies_up(&bench, &loaded).await;
        }
    }
    points
}

async fn next_owner_tidies_up(bench: &Bench, before: &LoadedSpace) {
    let store = bench.store();
    crate::bench::held(&store, "m2").await;
    bench.clock.advance(TTL + Duration::from_secs(1));
    let owner = own(&store, "m2").await;
    let after = store.load_space(&space()).await.unwrap();
    assert_eq!(after.records, before.records, "what may stand for a VM is never swept");
    assert_eq!(after.archived, before.archived);
    assert!(after.unfinished.is_empty() && after.corrupt.is_empty(), "{after:?}");
    // And it can go on.
    make(&store, &owner, 77).await;
}

#[tokio::test]
async fn a_crash_in_create_machine_leaves_a_whole_machine_or_none() {
    for bench in [Bench::memory, Bench::real] {
        let points = crash_everywhere(
            bench,
            async |store, owner, _| {
                let record = example_record(2);
                store.create_machine(&owner.proof().unwrap(), &record, &files(&record)).await
            },
            async |bench, loaded, said_done| {
                let two = example_record(2);
                let there = loaded.records.iter().any(|record| record.machine() == two.machine());
                assert!(there || !said_done, "the intent is durable before the call");
                if there {
                    let store = bench.store();
                    let machine = two.machine();
                    let keys =
                        store.feature_keys(&space(), machine, FeatureKind::Job).await.unwrap();
                    assert_eq!(keys.unwrap().len(), files(&two).jobfeatures.len());
                    let keys =
                        store.feature_keys(&space(), machine, FeatureKind::Machine).await.unwrap();
                    assert_eq!(keys.unwrap().len(), files(&two).machinefeatures.len());
                    let user_data = store.user_data(&space(), machine).await.unwrap().unwrap();
                    assert_eq!(user_data.expose(), SECRET);
                }
            },
        )
        .await;
        assert_eq!(points, 2 * 8, "three directories, four files, the record");
    }
}

#[tokio::test]
async fn a_crash_in_save_record_leaves_the_old_record_or_the_new() {
    let started = Some(Timestamp::from_secs(1_767_200_500));
    for bench in [Bench::memory, Bench::real] {
        let points = crash_everywhere(
            bench,
            async |store, owner, record| {
                let record = MachineRecord { started, ..record.clone() };
                store.save_record(&owner.proof().unwrap(), &record).await
            },
            async |_, loaded, said_done| {
                let [record] = loaded.records.as_slice() else { panic!("{loaded:?}") };
                assert!(record.started == started || (record.started.is_none() && !said_done));
            },
        )
        .await;
        assert_eq!(points, 2);
    }
}

#[tokio::test]
async fn a_crash_in_archive_or_expire_leaves_the_machine_in_one_place() {
    for bench in [Bench::memory, Bench::real] {
        let points = crash_everywhere(
            bench,
            async |store, owner, record| {
                store.archive(&owner.proof().unwrap(), record.machine()).await
            },
            async |_, loaded, said_done| {
                assert_eq!(loaded.records.len() + loaded.archived.len(), 1, "{loaded:?}");
                assert!(loaded.archived.len() == 1 || !said_done);
            },
        )
        .await;
        assert_eq!(points, 2);
        let points = crash_everywhere(
            bench,
            async |store, owner, record| {
                let proof = owner.proof().unwrap();
                store.archive(&proof, record.machine()).await?;
                store.expire(&proof, record.machine()).await
            },
            async |_, loaded, said_done| {
                let left = loaded.records.len() + loaded.archived.len();
                assert!(left == 1 || (left == 0 && loaded.unfinished.is_empty()), "{loaded:?}");
                assert!(left == 0 || !said_done);
            },
        )
        .await;
        assert_eq!(points, 4);
    }
}

#[tokio::test]
async fn rests_of_an_expired_machine_and_of_an_unfinished_one_are_swept() {
    for bench in Bench::both() {
        let record = example_record(5);
        bench.plant(&in_folder(&record, "user_data"), b"s");
        let rest = example_record(6);
        bench.plant(&in_folder(&rest, "x").replace("/current/", "/deleted/"), b"r");
        // The sweeper itself died between its two steps.
        let half = example_record(7);
        bench.plant(&in_folder(&half, "record.json"), b"swept by m0 as generation 3\n");
        bench.plant("spaces/a.example/current/lost+found/x", b"a stranger's");

        let store = bench.store();
        let before = store.load_space(&space()).await.unwrap();
        assert_eq!(before.unfinished.len(), 2, "reading changes nothing: {before:?}");
        assert!(before.corrupt.is_empty());
        assert_eq!(store.record(&space(), half.machine()).await.unwrap(), None);
        own(&store, "m1").await;
        let after = store.load_space(&space()).await.unwrap();
        assert!(after.unfinished.is_empty(), "{after:?}");
        assert_eq!(after.strange, ["lost+found"], "what is not ours stays");
        assert_eq!(bench.content(&in_folder(&record, "user_data")), None);
        assert_eq!(bench.content(&in_folder(&rest, "x").replace("/current/", "/deleted/")), None);
    }
}

#[tokio::test]
async fn a_record_that_an_old_look_hides_is_not_swept() {
    let bench = Bench::memory();
    let (slow, caches) = bench.faulty();
    let machine = example_record(1).machine().clone();
    assert_eq!(slow.record(&space(), &machine).await.unwrap(), None);
    caches.freeze();
    let quick = bench.store();
    let owner = own(&quick, "m1").await;
    let record = make(&quick, &owner, 1).await;
    owner.release().await;
    own(&slow, "m2").await;
    assert!(caches.log().iter().any(|op| op.starts_with("put ") && op.ends_with("/record.json")));
    let loaded = bench.store().load_space(&space()).await.unwrap();
    assert_eq!(loaded.records, [record]);
}

#[tokio::test]
async fn a_maker_that_was_paused_before_its_record_is_refused_by_the_sweeper() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    let record = example_record(1);
    // Paused just before the record: everything else is there.
    let before = probe_operations(&bench).await;
    faults.add(When::Mutation(faults.mutations() + before), Effect::Hang);
    let proof = owner.proof().unwrap();
    let files = files(&record);
    let paused = store.create_machine(&proof, &record, &files);
    let other = bench.store();
    let sweeping = async {
        crate::bench::held(&other, "m2").await;
        bench.clock.advance(TTL + Duration::from_secs(1));
        own(&other, "m2").await
    };
    let second = tokio::select! {
        biased;
        result = paused => panic!("it was to hang: {result:?}"),
        second = sweeping => second,
    };
    assert!(other.load_space(&space()).await.unwrap().unfinished.is_empty());
    // It wakes up and goes on: its proof is dead, and there is no folder for the record either.
    faults.heal();
    let error = store.create_machine(&proof, &record, &files).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    assert!(other.load_space(&space()).await.unwrap().records.is_empty());
    second.proof().unwrap().check().await.unwrap();
}

/// How many mutating operations a create takes on a bench of its own.
async fn probe_operations(bench: &Bench) -> u64 {
    let probe = Bench { place: crate::bench::Bench::memory().place, clock: bench.clock.clone() };
    let (store, faults): (Store, FaultyFs) = probe.faulty();
    let owner = own(&store, "m1").await;
    let before = faults.mutations();
    make(&store, &owner, 1).await;
    faults.mutations() - before
}
