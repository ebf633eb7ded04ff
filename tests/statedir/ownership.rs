//! One owner per space: taken, renewed, lost, given back, raced for.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use vcycle::model::Generation;
use vcycle::store::testing::{Effect, FaultyFs, When};
use vcycle::store::{Acquire, Fault, Fenced, Lost, Ownership, RealFs, Store, StoreError};
use vcycle_api::SystemClock;

use crate::acquire::acquire;
use crate::bench::{Bench, Place, TTL, clock, files, held, in_folder, make, manager, own, space};

const EIO: i32 = 5;
const EROFS: i32 = 30;
const JUST: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_space_has_one_owner_until_it_is_given_back() {
    for bench in Bench::both() {
        let (a, b) = (bench.store(), bench.store());
        let owner = own(&a, "m1").await;
        assert_eq!((owner.generation(), owner.space()), (Generation(1), &space()));
        assert_eq!(held(&b, "m2").await, (manager("m1"), 1));
        owner.proof().unwrap().check().await.unwrap();
        owner.release().await;
        // At once: no time has passed.
        assert_eq!(own(&b, "m2").await.generation(), Generation(2));
        assert_eq!(held(&a, "m1").await, (manager("m2"), 2));
    }
}

#[tokio::test]
async fn an_owner_that_renews_keeps_its_space_and_one_that_is_silent_loses_it() {
    for bench in Bench::both() {
        let (a, b) = (bench.store(), bench.store());
        let owner = own(&a, "m1").await;
        for _ in 0..20 {
            held(&b, "m2").await;
            bench.clock.advance(owner.renew_every());
            owner.renew().await.unwrap();
            owner.proof().unwrap().check().await.unwrap();
        }
        held(&b, "m2").await;
        bench.clock.advance(TTL);
        held(&b, "m2").await;
        bench.clock.advance(JUST);
        assert_eq!(own(&b, "m2").await.generation(), Generation(2));
    }
}

/// Two managers whose configurations differ: the owner must be waited for as long as it may act.
#[tokio::test]
async fn an_owner_with_a_longer_ttl_is_waited_for_as_long_as_it_believes() {
    for bench in Bench::both() {
        let (patient, hasty) = (bench.store(), bench.store());
        let long = 4 * TTL;
        let owned = acquire(&patient, &space(), &manager("m1"), long).await.unwrap();
        let Acquire::Owned(owner) = owned else { panic!("it is free") };
        held(&hasty, "m2").await;
        // The owner may act for most of its TTL, which is more than the other's.
        bench.clock.advance(long - long / 5 - JUST);
        owner.proof().unwrap().check().await.unwrap();
        assert_eq!(held(&hasty, "m2").await, (manager("m1"), 1));
        bench.clock.advance(long / 5 + JUST + JUST);
        assert_eq!(own(&hasty, "m2").await.generation(), Generation(2));
        // And the other way round: nobody waits longer than the owner of now may act.
        held(&patient, "m1").await;
        bench.clock.advance(TTL + JUST);
        let taken = acquire(&patient, &space(), &manager("m1"), long).await.unwrap();
        assert!(matches!(taken, Acquire::Owned(_)), "{taken:?}");
    }
}

/// A claim of a version that does not tell its TTL is judged by ours.
#[tokio::test]
async fn a_claim_of_an_older_version_is_judged_by_our_own_ttl() {
    let bench = Bench::memory();
    let claim = br#"{"format":1,"manager":"old","attempt":"x","at":"2025-12-31T16:53:20.000Z"}"#;
    bench.plant("spaces/a.example/owner/00000007", claim);
    let life = br#"{"format":1,"counter":3,"released":false}"#;
    bench.plant("spaces/a.example/owner/00000007.renew", life);
    let store = bench.store();
    assert_eq!(held(&store, "m1").await, (manager("old"), 7));
    bench.clock.advance(TTL + JUST);
    assert_eq!(own(&store, "m1").await.generation(), Generation(8));
}

#[tokio::test]
async fn a_paused_owner_is_fenced_and_writes_nothing_when_it_wakes() {
    for bench in Bench::both() {
        let paused = bench.store();
        let owner = own(&paused, "m1").await;
        let record = make(&paused, &owner, 1).await;
        let proof = owner.proof().unwrap();

        // Its clock stands still, as that of a stopped process or a suspended host may.
        let other = Store::new(bench.fs(), clock());
        let elsewhere = clock();
        let watching = Store::new(bench.fs(), elsewhere.clone());
        held(&watching, "m2").await;
        elsewhere.advance(TTL + JUST);
        let newer = own(&watching, "m2").await;
        assert_eq!(newer.generation(), Generation(2));

        let superseded = Fenced::Superseded { generation: Generation(1), by: Generation(2) };
        assert_eq!(proof.check().await.unwrap_err(), superseded);
        let mut stale = record.clone();
        stale.started = Some(record.intended);
        let error = paused.save_record(&proof, &stale).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Fenced);
        for error in [
            paused.archive(&proof, record.machine()).await.unwrap_err(),
            paused.expire(&proof, record.machine()).await.unwrap_err(),
            paused.create_machine(&proof, &record, &files(&record)).await.unwrap_err(),
            paused.set_job_feature(&proof, record.machine(), "k", "v").await.unwrap_err(),
            paused.leave_shutdown_message(&proof, record.machine(), "700 x").await.unwrap_err(),
            paused.sweep(&proof).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Fenced(_)), "{error}");
        }
        let on_disk = other.record(&space(), record.machine()).await.unwrap().unwrap();
        assert_eq!(on_disk, record);
        assert_eq!(owner.renew().await.unwrap_err(), Lost(superseded));
        newer.proof().unwrap().check().await.unwrap();
    }
}

#[tokio::test]
async fn an_owner_that_is_late_is_fenced_by_its_own_clock_alone_and_for_good() {
    let bench = Bench::memory();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let proof = owner.proof().unwrap();
    bench.clock.advance(TTL - TTL / 5);
    assert!(matches!(proof.check().await, Err(Fenced::Expired { .. })));
    assert!(matches!(owner.proof(), Err(Fenced::Expired { .. })));
    // Nobody else came; yet somebody may be just about to.
    assert!(matches!(owner.renew().await, Err(Lost(Fenced::Expired { .. }))));
    drop(owner);
    assert_eq!(held(&store, "m1").await.1, 1, "its own silence has to be waited for, too");
    bench.clock.advance(TTL + JUST);
    assert_eq!(own(&store, "m1").await.generation(), Generation(2));
}

#[tokio::test]
async fn a_renewal_that_hangs_does_not_stretch_the_ownership() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    bench.clock.advance(owner.renew_every());
    faults.add(When::Mutation(faults.mutations() + 1), Effect::HangAfter);
    let late = async {
        bench.clock.advance(TTL);
        // Written or not, nobody told us in time.
        owner.proof().map(|_| ())
    };
    tokio::select! {
        biased;
        result = owner.renew() => panic!("it was to hang: {result:?}"),
        proof = late => assert!(matches!(proof, Err(Fenced::Expired { .. }))),
    }
}

#[tokio::test]
async fn a_renewal_that_is_done_too_late_does_not_count_wherever_it_was_held_up() {
    for polls in 0.. {
        let bench = Bench::memory();
        let (store, _) = bench.faulty();
        let other = bench.store();
        let owner = own(&store, "m1").await;
        held(&other, "m2").await;
        bench.clock.advance(TTL - TTL / 5 - JUST);
        let mut renewal = std::pin::pin!(owner.renew());
        let mut context = Context::from_waker(Waker::noop());
        let in_time = (0..polls).any(|_| renewal.as_mut().poll(&mut context).is_ready());
        if in_time {
            assert!(polls > 4, "it was held up nowhere");
            break;
        }
        // Stopped in the middle, while the other waits out what it saw.
        bench.clock.advance(TTL / 5 + 2 * JUST);
        let taken = acquire(&other, &space(), &manager("m2"), TTL).await.unwrap();
        assert!(renewal.await.is_err(), "after {polls} polls");
        assert!(owner.proof().is_err(), "after {polls} polls, {taken:?}");
    }
}

#[tokio::test]
async fn an_observer_that_was_stopped_in_the_middle_of_a_look_does_not_rob_a_living_owner() {
    use std::task::{Context, Waker};
    for polls in 0.. {
        let bench = Bench::memory();
        let (watching, _) = bench.faulty();
        let owner = own(&bench.store(), "m1").await;
        held(&watching, "m2").await;
        bench.clock.advance(TTL / 3);
        let (here, me) = (space(), manager("m2"));
        let mut looking = std::pin::pin!(acquire(&watching, &here, &me, TTL));
        let mut context = Context::from_waker(Waker::noop());
        if (0..polls).any(|_| looking.as_mut().poll(&mut context).is_ready()) {
            assert!(polls > 6, "it was stopped nowhere");
            break;
        }
        // Stopped, while the owner renews as it should; then it goes on with what it had read.
        for _ in 0..4 {
            owner.renew().await.unwrap();
            bench.clock.advance(TTL / 3);
        }
        let outcome = looking.await.unwrap();
        assert!(matches!(outcome, Acquire::HeldBy { .. }), "after {polls} polls: {outcome:?}");
        owner.renew().await.unwrap();
        owner.proof().unwrap().check().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_owner_sees_every_record_though_its_listing_of_the_machines_is_old() {
    let bench = Bench::memory();
    let (next, caches) = bench.faulty();
    let first = bench.store();
    let owner = own(&first, "m1").await;
    assert_eq!(next.load_space(&space()).await.unwrap().records, []);
    held(&next, "m2").await;
    // Within the minute that a cache may lie: the intent of a call that may still be under way.
    caches.freeze();
    let record = make(&first, &owner, 1).await;
    drop(owner);
    bench.clock.advance(TTL + JUST);
    let newer = own(&next, "m2").await;
    assert_eq!(newer.generation(), Generation(2));
    assert_eq!(next.load_space(&space()).await.unwrap().records, [record]);
}

#[tokio::test]
async fn a_look_so_old_that_its_next_number_is_free_again_makes_no_owner() {
    let bench = Bench::memory();
    let (slow, caches) = bench.faulty();
    own(&bench.store(), "m1").await.release().await;
    let one = own(&bench.store(), "m1").await;
    held(&slow, "m2").await;
    caches.freeze();
    one.release().await;
    for _ in 0..30 {
        own(&bench.store(), "m1").await.release().await;
    }
    let owner = own(&bench.store(), "m1").await;
    assert!(bench.content("spaces/a.example/owner/00000003").is_none(), "it was cleaned");
    // Its listing still says 2, of which nothing is left: it waits long, and the owner lives on.
    held(&slow, "m2").await;
    for _ in 0..20 {
        bench.clock.advance(TTL / 3);
        owner.renew().await.unwrap();
    }
    let (_, generation) = held(&slow, "m2").await;
    assert_eq!(generation, owner.generation().0, "its own link made its next listing true");
    assert!(bench.content("spaces/a.example/owner/00000003").is_some(), "it did try");
    owner.proof().unwrap().check().await.unwrap();
}

#[tokio::test]
async fn a_lost_link_reply_is_ours() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let before = own(&store, "m1").await;
    before.release().await;
    // The claim is the first operation after the directories.
    let claim = faults.log().iter().position(|op| op.starts_with("put ")).unwrap() as u64;
    let (store, faults) = bench.faulty();
    faults.add(When::Mutation(claim + 1), Effect::FailAfter(EIO));
    assert_eq!(own(&store, "m1").await.generation(), Generation(2));
    assert!(faults.log()[claim as usize].ends_with("owner/00000002"), "{:?}", faults.log());
}

#[tokio::test]
async fn old_looks_never_make_two_owners() {
    let bench = Bench::memory();
    let (slow, caches) = bench.faulty();
    let first = own(&bench.store(), "m1").await;
    held(&slow, "m2").await;
    caches.freeze();
    first.release().await;
    let second = own(&bench.store(), "m3").await;
    assert_eq!(second.generation(), Generation(2));
    // Sees the log as it was, with generation 1; its file is read afresh and says released.
    assert_eq!(held(&slow, "m2").await.1, 2, "the exclusive link told the truth");
    second.proof().unwrap().check().await.unwrap();
}

#[tokio::test]
async fn a_new_owner_sees_every_machine_of_the_last_one_however_old_its_host_s_looks_are() {
    let bench = Bench::memory();
    let (slow, caches) = bench.faulty();
    let one = own(&bench.store(), "m1").await;
    // Somebody on the host of the next owner has just looked at the space.
    assert_eq!(slow.load_space(&space()).await.unwrap().records, []);
    caches.freeze();
    let made = make(&bench.store(), &one, 1).await;
    one.release().await;
    let two = own(&slow, "m2").await;
    assert_eq!(slow.load_space(&space()).await.unwrap().records, [made]);
    two.proof().unwrap().check().await.unwrap();
}

/// What its successor wrote must not look to it like the records of a restored backup.
#[tokio::test]
async fn a_new_owner_that_is_stopped_before_it_reads_the_records_does_not_rob_its_successor() {
    let bench = Bench::memory();
    let (slow, faults) = bench.faulty();
    let (here, me) = (space(), manager("m1"));
    let mut acquiring = Box::pin(acquire(&slow, &here, &me, TTL));
    let mut context = Context::from_waker(Waker::noop());
    while bench.content("spaces/a.example/current/.owner").is_none() {
        assert!(acquiring.as_mut().poll(&mut context).is_pending(), "{:?}", faults.log());
    }
    let other = bench.store();
    held(&other, "m2").await;
    bench.clock.advance(TTL + JUST);
    let successor = own(&other, "m2").await;
    make(&other, &successor, 1).await;
    let woken = acquiring.await.unwrap_err();
    assert_eq!(woken.fault(), Fault::Fenced, "{woken}");
    assert_eq!(bench.content("spaces/a.example/owner/00000003"), None);
    successor.proof().unwrap().check().await.unwrap();
}

#[tokio::test]
async fn an_owner_whose_first_renewal_is_hidden_by_a_cache_is_not_robbed() {
    let bench = Bench::memory();
    let (slow, caches) = bench.faulty();
    let (quick, faults) = bench.faulty();
    // The claim is seen, and its renewal is not there yet.
    let claim = {
        let probe = Bench::memory();
        let (store, faults) = probe.faulty();
        own(&store, "m1").await;
        faults.log().iter().position(|op| op.starts_with("put ")).unwrap() as u64
    };
    faults.add(When::Mutation(claim + 2), Effect::Hang);
    let (me, here) = (manager("m1"), space());
    let acquiring = acquire(&quick, &here, &me, TTL);
    tokio::select! {
        biased;
        result = acquiring => panic!("it was to hang: {result:?}"),
        (_, generation) = held(&slow, "m2") => assert_eq!(generation, 1),
    }
    caches.freeze();
    for _ in 0..5 {
        bench.clock.advance(TTL);
        assert_eq!(held(&slow, "m2").await, (manager("m1"), 1));
    }
    bench.clock.advance(JUST);
    caches.thaw();
    assert_eq!(own(&slow, "m2").await.generation(), Generation(2), "it never came");
}

#[tokio::test]
async fn a_log_that_was_restored_from_a_backup_is_jumped_over_with_an_alarm() {
    for bench in Bench::both() {
        let store = bench.store();
        for _ in 0..4 {
            own(&store, "m1").await.release().await;
        }
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        assert_eq!(record.written_by, Generation(5));
        // The log of the backup ends at 2; the records are newer.
        for generation in 3..=5 {
            bench.uproot(&format!("spaces/a.example/owner/0000000{generation}"));
            bench.uproot(&format!("spaces/a.example/owner/0000000{generation}.renew"));
        }
        let forgotten = Fenced::Forgotten { generation: Generation(5) };
        assert_eq!(owner.proof().unwrap().check().await.unwrap_err(), forgotten);
        assert_eq!(owner.renew().await.unwrap_err(), Lost(forgotten));

        let next = own(&bench.store(), "m2").await;
        assert_eq!(next.generation(), Generation(6));
        let [alarm] = next.alarms() else { panic!("{:?}", next.alarms()) };
        assert!(alarm.contains("restored from a backup"), "{alarm}");
    }
}

#[tokio::test]
async fn old_generations_are_cleaned_and_some_are_kept() {
    let bench = Bench::memory();
    let store = bench.store();
    for _ in 0..30 {
        own(&store, "m1").await.release().await;
    }
    assert!(bench.content("spaces/a.example/owner/00000013").is_none());
    for kept in 14..=30 {
        assert!(bench.content(&format!("spaces/a.example/owner/{kept:08}")).is_some(), "{kept}");
    }
    assert_eq!(own(&store, "m1").await.generation(), Generation(31));
}

#[tokio::test]
async fn a_damaged_log_entry_is_waited_for_and_passed() {
    let bench = Bench::memory();
    bench.plant("spaces/a.example/owner/00000007", b"\0\0");
    bench.plant("spaces/a.example/owner/00000007.renew", b"");
    bench.plant("spaces/a.example/owner/00000099.renew", b"of nobody");
    bench.plant("spaces/a.example/owner/notes.txt", b"by a person");
    let store = bench.store();
    assert_eq!(held(&store, "m1").await, (manager("unknown"), 7));
    bench.clock.advance(Duration::from_secs(76));
    assert_eq!(own(&store, "m1").await.generation(), Generation(8));
}

#[tokio::test]
async fn a_take_over_that_fails_is_repeated_and_the_silence_is_not_counted_anew() {
    let bench = Bench::memory();
    let _dead = own(&bench.store(), "m1").await;
    let (store, faults) = bench.faulty();
    held(&store, "m2").await;
    bench.clock.advance(TTL + JUST);
    // The disk takes no writes: that nobody owns the space must be seen at every look.
    faults.add(When::EveryMutation, Effect::Fail(EROFS));
    for _ in 0..10 {
        acquire(&store, &space(), &manager("m2"), TTL).await.unwrap_err();
        bench.clock.advance(TTL / 5);
    }
    faults.heal();
    assert_eq!(own(&store, "m2").await.generation(), Generation(2));
}

#[tokio::test]
async fn a_look_at_a_space_of_another_writes_nothing() {
    let bench = Bench::memory();
    let _owner = own(&bench.store(), "m1").await;
    let (store, faults) = bench.faulty();
    held(&store, "m2").await;
    assert_eq!(faults.log(), [""; 0]);
}

#[tokio::test]
async fn an_owner_writes_nothing_but_its_renewal_when_nothing_changes() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    let before = faults.log().len();
    bench.clock.advance(owner.renew_every());
    owner.renew().await.unwrap();
    owner.proof().unwrap().check().await.unwrap();
    assert_eq!(faults.log()[before..], ["write spaces/a.example/owner/00000001.renew"]);
}

async fn race(stores: Vec<Store>) -> Vec<(u64, Ownership)> {
    let tasks = stores.into_iter().enumerate().map(|(i, store)| {
        tokio::spawn(async move {
            let name = manager(&format!("m{i}"));
            acquire(&store, &space(), &name, TTL).await.unwrap()
        })
    });
    let mut owned = Vec::new();
    for outcome in futures::future::join_all(tasks).await {
        if let Acquire::Owned(ownership) = outcome.unwrap() {
            owned.push((ownership.generation().0, ownership));
        }
    }
    owned
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_managers_that_race_exactly_one_owns_each_generation() {
    for bench in Bench::both() {
        for round in 1..=5 {
            let stores = (0..16)
                .map(|_| Store::new(Arc::new(FaultyFs::new(bench.fs())), bench.clock.clone()))
                .collect();
            let mut owned = race(stores).await;
            assert_eq!(owned.len(), 1, "{owned:?}");
            let (generation, ownership) = owned.remove(0);
            assert_eq!(generation, round);
            ownership.release().await;
        }
    }
}

/// The name of the variable that tells a racing child where.
const RACE: &str = "VCYCLE_TEST_RACE_DIR";

#[test]
fn of_twelve_processes_that_race_exactly_one_owns_the_space() {
    let bench = Bench::real();
    let Place::Real(dir) = &bench.place else { unreachable!("it is real") };
    let mut children: Vec<_> = (0..12)
        .map(|i| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "ownership::child_of_the_race", "--ignored", "--nocapture"])
                .env(RACE, dir.path())
                .env("VCYCLE_TEST_RACE_NAME", format!("m{i}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    // All wait for a line, so that they begin together.
    for child in &mut children {
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }
    let said: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let count = |word: &str| said.iter().filter(|text| text.contains(word)).count();
    assert_eq!((count("race: owned 1"), count("race: held")), (1, 11), "{said:?}");
}

#[tokio::test]
#[ignore = "a child of the race between processes"]
async fn child_of_the_race() {
    let Some(dir) = std::env::var_os(RACE) else { return };
    let name = manager(&std::env::var("VCYCLE_TEST_RACE_NAME").unwrap());
    let store = Store::new(Arc::new(RealFs::new(dir)), Arc::new(SystemClock::new()));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match acquire(&store, &space(), &name, Duration::from_secs(600)).await.unwrap() {
        Acquire::Owned(ownership) => println!("race: owned {}", ownership.generation()),
        Acquire::HeldBy { .. } => println!("race: held"),
    }
}

#[tokio::test]
async fn a_new_owner_sees_everything_that_the_old_one_wrote() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let records = [make(&store, &owner, 1).await, make(&store, &owner, 2).await];
        assert!(bench.content(&in_folder(&records[0], "user_data")).is_some());
        drop(owner);
        let other = bench.store();
        held(&other, "m2").await;
        bench.clock.advance(TTL + JUST);
        own(&other, "m2").await;
        let mut loaded = other.load_space(&space()).await.unwrap().records;
        loaded.sort_by_key(|record| record.tags.intent);
        assert_eq!(loaded, records);
    }
}
