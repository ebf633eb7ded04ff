//! One directory seen through several mounts: what one writes, the others see. With
//! `VCYCLE_TEST_DIRS=/mnt/1:/mnt/2` on mounts of a shared filesystem; else the same directory seen twice, where it says
//! little of the filesystem and shows that the tests themselves are right.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use vcycle::model::{MachineRecord, Timestamp};
use vcycle::store::{Acquire, Ownership, RealFs, Store};
use vcycle_api::{Clock, ManualClock, SystemClock};

use crate::acquire::acquire;
use crate::bench::{TTL, fresh, held, make, manager, own, space};

/// A new directory on all mounts, removed at the end.
struct Mounts {
    views: Vec<PathBuf>,
    _own: Option<tempfile::TempDir>,
}

impl Mounts {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "vcycle-mounts-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::SeqCst)
        );
        let (own, tops) = match std::env::var_os("VCYCLE_TEST_DIRS") {
            Some(dirs) => (None, std::env::split_paths(&dirs).collect()),
            None => {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().to_owned();
                (Some(dir), vec![path.clone(), path])
            }
        };
        let views: Vec<PathBuf> = tops.iter().map(|top| top.join(&name)).collect();
        std::fs::create_dir(&views[0]).unwrap();
        Self { views, _own: own }
    }

    /// A manager's process on a mount, with a clock of its own.
    fn store(&self, number: usize) -> (Store, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_767_200_000)));
        let fs = RealFs::new(&self.views[number % self.views.len()]);
        (Store::new(Arc::new(fs), clock.clone()), clock)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.views[0]);
    }
}

#[tokio::test]
async fn all_mounts_open_one_deployment() {
    let mounts = Mounts::new();
    let mut ids = Vec::new();
    for number in 0..6 {
        let deployment =
            mounts.store(number).0.open_deployment(fresh(number as u64)).await.unwrap();
        ids.push(deployment.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_renewal_on_one_mount_is_seen_on_the_others_within_the_ttl() {
    let mounts = Mounts::new();
    let ((one, _), (two, watching)) = (mounts.store(0), mounts.store(1));
    let owner = own(&one, "one").await;
    held(&two, "two").await;
    // Had a renewal not been seen, the space would be taken when the silence is longer than the TTL.
    for _ in 0..30 {
        owner.renew().await.unwrap();
        watching.advance(TTL * 2 / 3);
        assert_eq!(held(&two, "two").await, (manager("one"), 1));
    }
}

#[tokio::test]
async fn what_is_given_back_on_one_mount_is_taken_at_once_on_another() {
    let mounts = Mounts::new();
    let mut expected = 0;
    for turn in 0..12 {
        let (store, _) = mounts.store(turn);
        let owner = own(&store, &format!("m{turn}")).await;
        expected += 1;
        assert_eq!(owner.generation().0, expected);
        owner.release().await;
    }
}

#[tokio::test]
async fn a_new_owner_on_another_mount_sees_every_record_and_fences_the_old_one() {
    let mounts = Mounts::new();
    let ((one, _), (two, watching)) = (mounts.store(0), mounts.store(1));
    let old = own(&one, "one").await;
    held(&two, "two").await;
    let mut made = Vec::new();
    for number in 1..=10 {
        made.push(make(&one, &old, number).await);
    }
    watching.advance(TTL * 2);
    let new = loop {
        // The last renewal may be seen only now.
        match acquire(&two, &space(), &manager("two"), TTL).await.unwrap() {
            Acquire::Owned(ownership) => break ownership,
            Acquire::HeldBy { .. } => watching.advance(TTL * 2),
        }
    };
    let mut seen = two.load_space(&space()).await.unwrap().records;
    seen.sort_by_key(|record| record.machine().clone());
    made.sort_by_key(|record| record.machine().clone());
    assert_eq!(seen, made);
    assert!(old.proof().unwrap().check().await.is_err(), "the old one sees that it was replaced");
    let mut changed: MachineRecord = seen.remove(0);
    changed.started = Some(changed.intended);
    two.save_record(&new.proof().unwrap(), &changed).await.unwrap();
    // A mount that caches names may show the old record for as long as that: it is whole, and only old.
    let (clock, longest) = (SystemClock::new(), Duration::from_secs(90));
    let begun = clock.monotonic();
    loop {
        let read = one.record(&space(), changed.machine()).await.unwrap().unwrap();
        if read.started == changed.started {
            break;
        }
        assert_eq!(read, made[0], "whole");
        let elapsed = clock.monotonic().saturating_sub(begun);
        assert!(elapsed < longest, "a replaced file is never read anew");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_managers_that_race_on_all_mounts_exactly_one_owns_each_generation() {
    let mounts = Mounts::new();
    mounts.store(0).0.open_deployment(fresh(1)).await.unwrap();
    for generation in 1..=10 {
        let race = (0..8).map(|number| {
            let (store, _) = mounts.store(number);
            tokio::spawn(async move {
                let name = manager(&format!("m{number}"));
                acquire(&store, &space(), &name, TTL).await
            })
        });
        let ends =
            futures::future::join_all(race).await.into_iter().map(|end| end.unwrap().unwrap());
        let mut owners: Vec<Ownership> = ends
            .filter_map(|end| match end {
                Acquire::Owned(ownership) => Some(ownership),
                Acquire::HeldBy { .. } => None,
            })
            .collect();
        assert_eq!(owners.len(), 1, "generation {generation}");
        let owner = owners.remove(0);
        assert_eq!(owner.generation().0, generation);
        owner.release().await;
    }
}

/// Prints how long a mount hides what another has done: for docs/STATE-DIR.md.
#[tokio::test]
#[ignore = "measures a shared filesystem: tests/shared-fs/run.sh"]
async fn measured_what_a_mount_hides() {
    let mounts = Mounts::new();
    let clock = SystemClock::new();
    let (mine, theirs) = (&mounts.views[0], &mounts.views[1]);
    let time_until = |what: &str, seen: &dyn Fn() -> bool| {
        let begun = clock.monotonic();
        let longest = Duration::from_secs(90);
        while !seen() && clock.monotonic().saturating_sub(begun) < longest {
            std::hint::spin_loop();
        }
        let time = clock.monotonic().saturating_sub(begun);
        eprintln!("{what}: seen on the other mount after {:.3} s", time.as_secs_f64());
    };
    let (my, their) = (mine.join("f"), theirs.join("f"));
    assert!(!their.exists());
    std::fs::write(&my, "1").unwrap();
    time_until("a new file, by open (looked for before)", &|| std::fs::read(&their).is_ok());
    std::fs::write(mine.join("new"), "2").unwrap();
    std::fs::rename(mine.join("new"), &my).unwrap();
    time_until("a replaced file, by open", &|| std::fs::read(&their).is_ok_and(|c| c == b"2"));
    std::fs::write(mine.join("new"), "longer").unwrap();
    std::fs::rename(mine.join("new"), &my).unwrap();
    let size = || std::fs::metadata(&their).is_ok_and(|meta| meta.len() == 6);
    time_until("the size of a replaced file, by stat", &size);
    let names = || std::fs::read_dir(theirs).unwrap().flatten().count();
    assert_eq!(names(), 1);
    std::fs::write(mine.join("g"), "1").unwrap();
    time_until("a new name, by listing", &|| names() == 2);
    std::fs::remove_file(&my).unwrap();
    time_until("a removed file, by stat", &|| std::fs::metadata(&their).is_err());
}
