//! The process dies before or after each single write: the entry stands as a whole or not at all, and the next process
//! goes on.

use vcycle::store::testing::{Effect, When};

use super::*;

const MANY: u64 = 40;

/// A ledger with `filled` reservations made and released, so that the next entry comes at another place of its block.
async fn prepared(store: &Store, filled: u64) -> (Ledger, Ownership) {
    let (ledger, owner) = (ledger(store), own(store, "m1").await);
    set_cap(&ledger, 9).await;
    fill(&ledger, &owner, 100..100 + filled).await;
    (ledger, owner)
}

/// Runs an operation once for each crash point. Gives the number of crash points.
async fn crash_everywhere(
    bench: fn() -> Bench,
    filled: u64,
    operation: impl AsyncFn(&Ledger, &Ownership) -> Result<(), LedgerError>,
    stands: impl Fn(&Ledger) -> bool,
) -> u64 {
    let mut points = 0;
    for effect in [Effect::CrashBefore, Effect::CrashAfter] {
        for at in 1..MANY {
            let bench = bench();
            let (store, faults) = bench.faulty();
            let (ledger, owner) = prepared(&store, filled).await;
            faults.add(When::Mutation(faults.mutations() + at), effect);
            let said = operation(&ledger, &owner).await;
            let next = super::ledger(&bench.store());
            next.refresh().await.unwrap();
            assert!(stands(&next) || said.is_err(), "{effect:?} at {at}: what was told is true");
            assert_eq!(*next.replay().await.unwrap(), *next.book());
            if !faults.crashed() {
                said.unwrap();
                break;
            }
            points += 1;
            goes_on(&bench, &next).await;
        }
    }
    points
}

/// Another process appends over the next blocks, and packs what is old.
async fn goes_on(bench: &Bench, next: &Ledger) {
    let before = next.book().head().number;
    let store = bench.store();
    for _ in 0..2 {
        bench.clock.advance(Duration::from_secs(2 * 86_400));
        let owner = next_owner(bench, &store).await;
        let first = 1000 + next.book().head().number;
        fill(next, &owner, first..first + 5).await;
    }
    assert_eq!(next.book().head().number, before + 20, "nothing is in the way");
    let other = super::ledger(&bench.store());
    assert_eq!(other.refresh().await.unwrap(), next.book());
    assert_eq!(*other.replay().await.unwrap(), *next.book());
    assert!(other.alarms().is_empty(), "{:?}", other.alarms());
}

#[tokio::test]
async fn a_crash_in_reserve_leaves_the_whole_wave_or_nothing() {
    let mut points = 0;
    for filled in 1..=4 {
        for bench in [Bench::memory, Bench::real] {
            points += crash_everywhere(
                bench,
                filled,
                async |ledger, owner| reserve(ledger, owner, 1..=3).await.map(|_| ()),
                |ledger| match ledger.book().reservations_len() {
                    0 => false,
                    3 => true,
                    part => panic!("{part} of the wave"),
                },
            )
            .await;
        }
    }
    assert!(points >= 16, "{points}");
}

#[tokio::test]
async fn a_crash_at_the_end_of_a_block_loses_no_entry_whatever_is_tidied_up() {
    for bench in [Bench::memory, Bench::real] {
        let points = crash_everywhere(
            bench,
            1,
            async |ledger, owner| {
                // From the third entry over the end of the first block and of some more.
                for number in 1..=3 {
                    reserve(ledger, owner, [number]).await?;
                }
                for number in 1..=3 {
                    let intent = reservation(owner, number).intent;
                    ledger.write(&owner.proof().unwrap(), |_| vec![settled(intent)]).await?;
                }
                Ok(())
            },
            |ledger| taken(ledger) == "1.5".parse().unwrap(),
        )
        .await;
        assert!(points >= 2 * 10, "entries, directories, checkpoints: {points}");
    }
}

#[tokio::test]
async fn a_crash_while_old_blocks_are_packed_loses_nothing() {
    for bench in [Bench::memory, Bench::real] {
        let mut points = 0;
        for effect in [Effect::CrashBefore, Effect::CrashAfter] {
            for at in 1..MANY {
                let bench = bench();
                let (store, faults) = bench.faulty();
                let (ledger, _) = prepared(&store, 6).await;
                bench.clock.advance(Duration::from_secs(2 * 86_400));
                let owner = next_owner(&bench, &store).await;
                faults.add(When::Mutation(faults.mutations() + at), effect);
                // Over the end of the next block: the first two are packed.
                for number in 1..=3 {
                    let _ = reserve(&ledger, &owner, [number]).await;
                }
                let next = super::ledger(&bench.store());
                next.refresh().await.unwrap();
                assert_eq!(*next.replay().await.unwrap(), *next.book(), "{effect:?} at {at}");
                if !faults.crashed() {
                    assert!(bench.content("ledger/packed/000001.jsonl").is_some());
                    break;
                }
                points += 1;
                goes_on(&bench, &next).await;
            }
        }
        assert!(points >= 2 * 8, "{points}");
    }
}
