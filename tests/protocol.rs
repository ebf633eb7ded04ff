//! Every state that the protocol of ownership can reach, searched: two and three managers on one space, with
//! crashes, stops of any length, lost calls, lost replies, old looks and late writes between any two steps.
//! `docs/COOPERATION.md` says what is assumed and what is proved; the rules themselves are the program's.
//!
//! `cargo test --test protocol -- --nocapture` prints what was searched, and the shortest way to ruin for each
//! step that is done wrongly on purpose; `--ignored` searches farther, for many minutes and in some gigabytes.
//!
//! The search is our own (`protocol/checker.rs`) and exact: states are compared, not hashes of them. The
//! ready-made checker for this language brings seventeen further crates with it, a web server among them,
//! and cannot ask the question about the way on from every state.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "protocol/alone.rs"]
mod alone;
#[path = "protocol/checker.rs"]
mod checker;
#[path = "protocol/hand.rs"]
mod hand;
#[path = "protocol/rules.rs"]
mod rules;
#[path = "protocol/state.rs"]
mod state;
#[path = "protocol/steps.rs"]
mod steps;

use std::collections::HashSet;

use vcycle_api::{Clock, SystemClock};

use checker::{Explored, Fast, Model, explore};
use rules::Times;
use state::{Place, State};
use steps::{Begins, Bent, Calls, LATE_CALL, Protocol, Stops, TWO_BELIEVE};

/// The shortest times that keep the parts of the TTL whole.
const SHORT: Times = Times { ttl: 5, stale: 1, patience: 0 };
/// With the patience as it is: a tenth of the TTL.
const WITH_PATIENCE: Times = Times { ttl: 10, stale: 1, patience: 1 };
const EVERYTHING: u32 = u32::MAX;

const TWO: Protocol = Protocol {
    managers: 2,
    times: SHORT,
    calls: Calls::LeftOut,
    stops: Stops::WhereTheyMatter,
    begins: Begins::Empty,
    faults: Some(0),
    bent: Bent::Nothing,
};

/// Searches, and says what was searched.
fn searched(name: &str, protocol: Protocol, deepest: u32) -> Explored<State> {
    let clock = SystemClock::new();
    let found = explore(&protocol, deepest);
    let Explored { states, transitions, depth, .. } = &found;
    let whole = if found.complete { "all" } else { "not farther" };
    println!(
        "{name}: {} states, {transitions} transitions, {depth} steps deep ({whole}), {:.1} s",
        states.len(),
        clock.monotonic().as_secs_f64()
    );
    found
}

fn holds(name: &str, protocol: Protocol, deepest: u32) -> Explored<State> {
    let found = searched(name, protocol, deepest);
    if let Some(counterexample) = &found.counterexample {
        panic!("{name}: {}", counterexample.told());
    }
    assert_eq!(found.complete, deepest == EVERYTHING, "{name}");
    found
}

/// The most ticks after which one manager alone owns the space, from any of these states.
fn slowest(protocol: Protocol, found: &Explored<State>) -> u8 {
    let mut asked = HashSet::<State, Fast>::default();
    let mut slowest = 0;
    for state in found.states.keys() {
        for (i, manager) in state.managers.iter().enumerate() {
            if manager.place == Place::Down {
                continue;
            }
            let alone = protocol.canonical(&protocol.alone(state, i));
            if asked.contains(&alone) {
                continue;
            }
            let living = alone.managers.iter().position(|m| m.place != Place::Down).unwrap();
            let ticks = protocol.ticks_to_own(&alone, living);
            slowest = slowest.max(ticks.unwrap_or_else(|| panic!("it never owns: {alone:?}")));
            asked.insert(alone);
        }
    }
    println!("  from {} states of one manager alone: at most {slowest} ticks", asked.len());
    slowest
}

#[test]
fn two_managers_never_believe_at_once_and_each_alone_comes_to_own_the_space() {
    let protocol = Protocol { faults: Some(1), ..TWO };
    let found = holds("two managers, one fault", protocol, EVERYTHING);
    // A look each tick: the longest silence that is waited out, and the look that finds it so.
    assert_eq!(slowest(protocol, &found), protocol.times.longest() + 1);
}

#[test]
fn no_call_leaves_after_a_higher_generation_or_without_an_intent_before_it() {
    let protocol = Protocol { calls: Calls::Made, ..TWO };
    holds("two managers with calls", protocol, EVERYTHING);
}

/// Two managers that wait for a third to fall silent: in so many steps they can take over from it, and from
/// each other.
const THREE: Protocol = Protocol { managers: 3, begins: Begins::Owned, faults: Some(1), ..TWO };
const THREE_DEEP: u32 = 18;

#[test]
fn three_managers_keep_the_laws_as_far_as_the_search_goes() {
    let deepest = std::env::var("VCYCLE_PROTOCOL_DEPTH");
    let deepest = deepest.map_or(THREE_DEEP, |depth| depth.parse().unwrap());
    holds("three managers, one fault", THREE, deepest);
}

#[test]
fn the_search_of_three_managers_goes_far_enough_to_find_what_is_wrong() {
    for bent in [Bent::NoMargin, Bent::NoFirstLook, Bent::ReleaseWithoutEnd] {
        let found = searched(&format!("three, {bent:?}"), Protocol { bent, ..THREE }, THREE_DEEP);
        assert_eq!(found.counterexample.unwrap().law, TWO_BELIEVE, "{bent:?}");
    }
}

#[test]
#[ignore = "minutes: searches farther"]
fn three_managers_keep_the_laws_without_faults() {
    let protocol = Protocol { managers: 3, ..TWO };
    holds("three managers", protocol, EVERYTHING);
}

#[test]
#[ignore = "minutes: searches farther"]
fn two_managers_keep_the_laws_under_any_number_of_faults() {
    let protocol = Protocol { faults: None, ..TWO };
    let found = holds("two managers, any number of faults", protocol, EVERYTHING);
    assert_eq!(slowest(protocol, &found), protocol.times.longest() + 1);
}

#[test]
#[ignore = "minutes: searches farther"]
fn calls_keep_the_laws_under_any_number_of_faults() {
    let protocol = Protocol { calls: Calls::Made, faults: None, ..TWO };
    holds("two managers with calls, any number of faults", protocol, EVERYTHING);
}

#[test]
#[ignore = "minutes: searches farther"]
fn calls_that_wait_as_long_as_they_may_keep_the_laws() {
    let protocol = Protocol { times: WITH_PATIENCE, calls: Calls::Made, faults: Some(1), ..TWO };
    holds(
        "two managers with calls that wait for a tenth of the TTL, one fault",
        protocol,
        EVERYTHING,
    );
}

#[test]
#[ignore = "minutes: searches farther"]
fn managers_that_are_stopped_between_any_two_steps_keep_the_laws() {
    let protocol = Protocol { stops: Stops::Everywhere, faults: None, ..TWO };
    holds("two managers stopped anywhere, any number of faults", protocol, EVERYTHING);
}

#[test]
#[ignore = "minutes: searches farther"]
fn looks_that_are_three_times_as_old_keep_the_laws() {
    let times = Times { stale: 3, ..SHORT };
    let protocol = Protocol { times, faults: Some(1), ..TWO };
    holds("two managers, looks three ticks old, one fault", protocol, EVERYTHING);
}

/// The model must find what comes of a step that is done wrongly.
fn bites(bent: Bent, protocol: Protocol, law: &str) {
    let name = format!("{bent:?}");
    let found = searched(&name, Protocol { bent, ..protocol }, EVERYTHING);
    let counterexample = found.counterexample.unwrap_or_else(|| panic!("{name} breaks no law"));
    println!("{}", counterexample.told());
    assert_eq!(counterexample.law, law);
}

#[test]
fn without_a_second_look_after_the_claim_there_are_two_owners() {
    bites(Bent::NoSecondLook, TWO, TWO_BELIEVE);
}

#[test]
fn the_look_of_the_first_renewal_is_no_second_look_since_its_write_may_fail() {
    bites(Bent::OnlyTheFirstRenewalLooks, Protocol { faults: Some(1), ..TWO }, TWO_BELIEVE);
}

#[test]
fn judging_by_the_clock_of_another_host_makes_two_owners() {
    bites(Bent::ClockOfAnother(2), TWO, TWO_BELIEVE);
}

#[test]
fn acting_without_a_margin_makes_two_owners() {
    bites(Bent::NoMargin, TWO, TWO_BELIEVE);
}

#[test]
fn not_counting_silence_from_the_first_look_makes_two_owners() {
    bites(Bent::NoFirstLook, TWO, TWO_BELIEVE);
}

#[test]
fn counting_silence_until_the_answer_of_a_look_makes_two_owners() {
    let protocol = Protocol { stops: Stops::Everywhere, ..TWO };
    bites(Bent::SilenceToTheAnswer, protocol, TWO_BELIEVE);
}

#[test]
fn a_release_that_does_not_end_the_right_to_act_makes_two_owners() {
    bites(Bent::ReleaseWithoutEnd, TWO, TWO_BELIEVE);
}

#[test]
fn a_call_without_a_look_at_the_clock_leaves_too_late() {
    let times = Times { patience: 1, ..SHORT };
    let protocol = Protocol { calls: Calls::Made, times, ..TWO };
    bites(Bent::CallWithoutClock, protocol, LATE_CALL);
}

#[test]
fn a_call_that_waits_for_the_whole_margin_leaves_too_late() {
    let times = Times { patience: 1, ..SHORT };
    bites(Bent::Nothing, Protocol { calls: Calls::Made, times, ..TWO }, LATE_CALL);
}
