//! One manager after the other.

use vcycle::store::testing::{Effect, When};
use vcycle_money::{Author, Violation};

use super::*;

fn units(amount: i64) -> Amount {
    Amount::from_units(amount)
}

#[tokio::test]
async fn a_wave_is_reserved_in_one_entry_as_far_as_it_fits_and_the_next_process_knows_of_it() {
    for bench in Bench::both() {
        let store = bench.store();
        let (ledger, owner) = (ledger(&store), own(&store, "m1").await);
        set_cap(&ledger, 3).await;
        let answers = reserve(&ledger, &owner, 1..=5).await.unwrap();
        let made: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(made, [true, true, true, false, false]);
        let refusal = answers[3].as_ref().unwrap_err();
        assert_eq!((refusal.left, refusal.needed), (Amount::ZERO, units(1)));
        assert_eq!(ledger.book().head().number, 2, "the caps, and the wave");

        let intents = wave(&owner, 1..=2).into_iter().map(|reservation| reservation.intent);
        let events: Vec<Event> = intents.map(settled).collect();
        let number = ledger.write(&owner.proof().unwrap(), |_| events.clone()).await.unwrap();
        assert_eq!(number, Some(3));

        let other = super::ledger(&bench.store());
        assert_eq!(other.book().head().number, 0, "nothing is read before it is asked for");
        assert_eq!(other.refresh().await.unwrap(), ledger.book());
        assert_eq!(taken(&other), units(2), "two halves and a whole");
        let answers = reserve(&other, &owner, 4..=5).await.unwrap();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(*other.replay().await.unwrap(), *other.book());
    }
}

#[tokio::test]
async fn nothing_is_written_when_nothing_is_to_be_said() {
    let bench = Bench::memory();
    let (store, faults) = bench.faulty();
    let owner = own(&store, "m1").await;
    let ledger = ledger(&store);
    set_cap(&ledger, 1).await;
    let before = faults.mutations();
    set_cap(&ledger, 1).await;
    assert_eq!(ledger.write(&owner.proof().unwrap(), |_| Vec::new()).await.unwrap(), None);
    let refused = reserve(&ledger, &owner, [1, 2]).await.unwrap();
    assert!(refused[1].is_err());
    assert!(reserve(&ledger, &owner, [3]).await.unwrap()[0].is_err());
    assert_eq!(faults.mutations() - before, 1, "only the one that fits");
    let again = reserve(&ledger, &owner, [1]).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap().entry(), 2, "what is reserved already is not again");
    assert_eq!(faults.mutations() - before, 1);
}

#[tokio::test]
async fn blocks_have_checkpoints_and_are_packed_when_they_are_old() {
    for bench in Bench::both() {
        let store = bench.store();
        let (ledger, owner) = (ledger(&store), own(&store, "m1").await);
        set_cap(&ledger, 3).await;
        fill(&ledger, &owner, 1..8).await;
        assert_eq!(ledger.book().head().number, 15);
        let exists = |path: &str| bench.content(path).is_some();
        assert!(exists("ledger/checkpoints/0000000004.json"));
        assert!(exists("ledger/checkpoints/0000000012.json"));
        assert!(!exists("ledger/packed/000000.jsonl"), "it is not a day old");

        // A day later; the owner is another one then.
        bench.clock.advance(Duration::from_secs(2 * 86_400));
        let owner = next_owner(&bench, &store).await;
        fill(&ledger, &owner, 10..13).await;
        assert_eq!(ledger.book().head().number, 21);
        assert!(exists("ledger/packed/000000.jsonl") && exists("ledger/packed/000002.jsonl"));
        assert!(!exists("ledger/packed/000003.jsonl"), "it is of the last two");
        assert!(!exists("ledger/checkpoints/0000000008.json"), "three are kept");
        assert!(exists("ledger/checkpoints/0000000020.json"));
        assert!(exists("ledger/log/0000000005.json"), "the first of each block stays");
        let pack = String::from_utf8(bench.content("ledger/packed/000001.jsonl").unwrap()).unwrap();
        assert_eq!(pack.lines().count(), 4);

        let other = super::ledger(&bench.store());
        assert_eq!(other.refresh().await.unwrap(), ledger.book());
        assert_eq!(*other.replay().await.unwrap(), *ledger.book());
        for checkpoint in ["0000000012", "0000000016", "0000000020"] {
            bench.uproot(&format!("ledger/checkpoints/{checkpoint}.json"));
            let other = super::ledger(&bench.store());
            assert_eq!(other.refresh().await.unwrap(), ledger.book(), "without {checkpoint}");
        }
    }
}

#[tokio::test]
async fn who_was_fenced_writes_nothing_and_who_is_superseded_in_the_ledger_reserves_nothing() {
    let bench = Bench::memory();
    let store = bench.store();
    let (ledger, first) = (ledger(&store), own(&store, "m1").await);
    set_cap(&ledger, 9).await;
    let proof = first.proof().unwrap();
    reserve(&ledger, &first, [1]).await.unwrap();
    let next = bench.store();
    crate::bench::held(&next, "m2").await;
    bench.clock.advance(TTL + Duration::from_secs(1));
    let second = own(&next, "m2").await;
    let late = ledger.reserve(&proof, wave(&first, [2])).await.unwrap_err();
    assert!(matches!(late, LedgerError::Store(vcycle::store::StoreError::Fenced(_))), "{late}");
    assert_eq!(ledger.problem(), None, "the others may go on");
    let late = ledger.write(&proof, |_| vec![released(reservation(&first, 1).intent)]).await;
    assert!(late.is_err());
    reserve(&super::ledger(&next), &second, [3]).await.unwrap();

    // The log of generations is lost: the ledger still knows that there was a second.
    bench.uproot("spaces/a.example/owner");
    let fresh = bench.store();
    let again = own(&fresh, "m1").await;
    assert_eq!(again.generation().0, 1);
    let error = reserve(&super::ledger(&fresh), &again, [4]).await.unwrap_err();
    assert!(error.to_string().contains("superseded"), "{error}");
}

#[tokio::test]
async fn nobody_writes_of_what_is_not_theirs() {
    let bench = Bench::memory();
    let store = bench.store();
    let (ledger, a) = (ledger(&store), own(&store, "m1").await);
    let b = own_space(&store, "m1", "b.example").await;
    let other_space = ledger.reserve(&a.proof().unwrap(), wave(&b, [1])).await.unwrap_err();
    assert!(other_space.to_string().contains("b.example"), "{other_space}");
    reserve(&ledger, &b, [1]).await.unwrap();
    let intent = reservation(&b, 1).intent;
    let proof = a.proof().unwrap();
    let not_theirs = |result: Result<Option<u64>, LedgerError>| {
        assert!(matches!(result, Err(LedgerError::NotTheirs { .. })), "{result:?}");
    };
    not_theirs(ledger.write(&proof, |_| vec![released(intent)]).await);
    let caps = Event::CapsSet { caps: Vec::new(), source: String::new() };
    not_theirs(ledger.write(&proof, |_| vec![caps.clone()]).await);
    let person = Author::Person { who: "root".to_owned() };
    not_theirs(ledger.write_as(&person, |_| vec![released(intent)]).await);
    let unknown = ledger.write(&proof, |_| vec![released(reservation(&a, 7).intent)]).await;
    assert!(matches!(unknown, Err(LedgerError::Refused(Violation::Unknown { .. }))));
    assert_eq!(ledger.refresh().await.unwrap().head().number, 1);
}

#[tokio::test]
async fn who_slept_for_days_does_not_write_into_a_hole() {
    // In the middle of a block, at its end, and at the beginning of one.
    for slept_at in [2, 3, 4, 5] {
        let bench = Bench::memory();
        let store = bench.store();
        let (ledger, owner) = (ledger(&store), own(&store, "m1").await);
        set_cap(&ledger, 3).await;
        let (slow, caches) = bench.faulty();
        let sleeper = super::ledger(&slow);
        for number in 2..=slept_at {
            set_cap(&ledger, number).await;
        }
        assert_eq!(sleeper.refresh().await.unwrap().head().number, slept_at as u64);
        caches.freeze();
        fill(&ledger, &owner, 1..10).await;
        bench.clock.advance(Duration::from_secs(2 * 86_400));
        let owner = next_owner(&bench, &store).await;
        fill(&ledger, &owner, 20..23).await;
        assert!(bench.content("ledger/packed/000001.jsonl").is_some());
        let caps = || vec![cap(77)];
        let written = sleeper.set_caps(&manager("m1"), |_| Some(caps()), "").await;
        if let Err(error) = written {
            // Its looks are so old that it can do nothing; nor does it do harm.
            assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
            assert_eq!(
                ledger.refresh().await.unwrap().caps()[0].limit,
                units(slept_at),
                "slept at {slept_at}"
            );
            caches.thaw();
            sleeper.set_caps(&manager("m1"), |_| Some(caps()), "").await.unwrap();
        }
        assert_eq!(ledger.refresh().await.unwrap(), sleeper.book(), "slept at {slept_at}");
        assert_eq!(ledger.book().caps()[0].limit, units(77));
        assert_eq!(*ledger.replay().await.unwrap(), *ledger.book());
    }
}

#[tokio::test]
async fn lost_replies_of_an_append_are_recognised() {
    for effect in [Effect::FailAfter(5), Effect::Fail(5), Effect::Fail(116), Effect::FailAfter(116)]
    {
        for at in 1..=4 {
            for bench in Bench::both() {
                let (store, faults) = bench.faulty();
                let owner = own(&store, "m1").await;
                let ledger = ledger(&store);
                set_cap(&ledger, 9).await;
                reserve(&ledger, &owner, [1]).await.unwrap();
                faults.add(When::Mutation(faults.mutations() + at), effect);
                for number in 2..7 {
                    // A directory that could not be made is an error; it is asked again.
                    let answers = match reserve(&ledger, &owner, [number]).await {
                        Ok(answers) => answers,
                        Err(_) => reserve(&ledger, &owner, [number]).await.unwrap(),
                    };
                    assert!(answers[0].is_ok());
                }
                let other = super::ledger(&bench.store());
                assert_eq!(other.refresh().await.unwrap(), ledger.book());
                assert_eq!(taken(&other), units(6), "each once");
            }
        }
    }
}

/// A year has thousands of files: were one failed look the end, a bad hour of the file server would be an hour without a ledger.
#[tokio::test]
async fn one_look_that_fails_does_not_keep_a_ledger_from_being_opened() {
    const ESTALE: i32 = 116;
    let bench = Bench::memory();
    let store = bench.store();
    let (written, owner) = (ledger(&store), own(&store, "m1").await);
    set_cap(&written, 3).await;
    fill(&written, &owner, 1..8).await;
    for call in 1.. {
        let (store, faults) = bench.faulty();
        faults.add(When::Call(call), Effect::Fail(ESTALE));
        faults.add(When::Call(call + 1), Effect::Fail(ESTALE));
        assert_eq!(ledger(&store).refresh().await.unwrap(), written.book(), "call {call}");
        if faults.calls() < call {
            assert!(call > 10, "{call} looks");
            break;
        }
    }
    let (store, faults) = bench.faulty();
    (1..100).for_each(|call| faults.add(When::Call(call), Effect::Fail(ESTALE)));
    assert!(ledger(&store).refresh().await.is_err(), "what stays away is said");
}
