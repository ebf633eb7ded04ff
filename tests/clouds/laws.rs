//! What must hold, as functions over the books of a double. Each gives what is wrong, one line for each machine, so
//! that a failed day tells everything at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle::model::{IntentToken, Processors, Timestamp};

use super::books::{Books, Made, Why};

/// Intents with more than one machine (invariant 3).
pub fn made_twice(books: &Books) -> Vec<String> {
    let mut first: BTreeMap<IntentToken, &str> = BTreeMap::new();
    let mut broken = Vec::new();
    for (made, tags) in books.ours().filter(|(made, _)| made.was_made()) {
        if let Some(before) = first.insert(tags.intent, &made.id) {
            broken.push(format!("{} was made twice: {before} and {}", tags.machine, made.id));
        }
    }
    broken
}

/// Machines of whose intent there is no record: nobody would ever end them, or know what they cost (invariant 3).
pub fn unknown(books: &Books, known: &BTreeSet<IntentToken>) -> Vec<String> {
    let strange = books.ours().filter(|(_, tags)| !known.contains(&tags.intent));
    strange.map(|(made, tags)| format!("nobody knows of {} ({})", tags.machine, made.id)).collect()
}

/// Machines that had power later than their hard end, give or take what a guest needs to shut down (invariant 9).
pub fn overdue(books: &Books, now: Timestamp, grace: Duration) -> Vec<String> {
    let late = books.ours().filter_map(|(made, tags)| {
        made.began?;
        let until = made.stopped.or(made.ended).unwrap_or(now);
        let over = until.since(tags.deadline);
        (until > tags.deadline + grace)
            .then(|| format!("{} ({}) outlived its hard end by {over:?}", tags.machine, made.id))
    });
    late.collect()
}

/// Moments at which more was there than the limit allows (invariant 4). What was accepted counts from then on.
pub fn above_limit(books: &Books, limit: Processors) -> Vec<String> {
    let mut steps: Vec<(Timestamp, i64, &Made)> = Vec::new();
    for made in books.machines.iter().filter(|made| made.was_made()) {
        steps.push((made.accepted, i64::from(made.processors.0), made));
        if let Some(ended) = made.stopped.or(made.ended) {
            steps.push((ended, -i64::from(made.processors.0), made));
        }
    }
    // At one moment what ends makes room for what begins.
    steps.sort_by_key(|(at, change, _)| (*at, *change));
    let (mut used, mut broken) = (0, Vec::new());
    for (at, change, made) in steps {
        used += change;
        if change > 0 && used > i64::from(limit.0) {
            broken.push(format!("{used} processors of {limit} at {at}, with {}", made.id));
        }
    }
    broken
}

/// What is still there though nothing should be: machines of ours, and whatever machines had.
pub fn left_over(books: &Books) -> Vec<String> {
    let machines = books.ours().filter(|(made, _)| made.is_there());
    let machines = machines.map(|(made, tags)| format!("{} ({}) is there", tags.machine, made.id));
    machines.chain(books.sides.iter().map(|side| format!("{side} is there"))).collect()
}

/// Machines of others that we ended (invariant 6).
pub fn strangers_ended(books: &Books) -> Vec<String> {
    let foreign = books.machines.iter().filter(|made| made.tags().is_none());
    let ended = foreign.filter(|made| made.why == Why::Asked);
    ended.map(|made| format!("{}, which is not ours, was ended", made.id)).collect()
}

/// Holds a list of faults to be empty.
pub fn none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

#[cfg(test)]
mod tests {
    use vcycle::model::{
        DeploymentId, Generation, Identity, MachineName, MachinetypeName, SpaceName, Tags,
    };

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    /// A machine of two processors that ran from then until then, and whose hard end was at 1000.
    fn made(number: u64, began: i64, ended: Option<i64>) -> Made {
        let machinetype = MachinetypeName::parse("batch").unwrap();
        let tags = Tags {
            deployment: DeploymentId::compose(1),
            space: SpaceName::parse("a.example").unwrap(),
            machine: MachineName::compose(&machinetype, number),
            machinetype,
            intent: IntentToken::compose(number.into()),
            generation: Generation(1),
            deadline: at(1000),
        };
        Made {
            id: format!("i-{number}"),
            identity: Identity::Vcycle(tags),
            processors: Processors(2),
            is_spot: false,
            accepted: at(began),
            began: Some(at(began)),
            stopped: ended.map(at),
            ended: ended.map(at),
            why: if ended.is_some() { Why::Asked } else { Why::Lives },
        }
    }

    fn books(machines: Vec<Made>) -> Books {
        Books { machines, sides: Vec::new() }
    }

    #[test]
    fn two_machines_of_one_intent_are_found_and_a_refused_one_is_none() {
        let twice = books(vec![made(1, 0, Some(5)), made(1, 10, None)]);
        assert_eq!(made_twice(&twice).len(), 1);
        let refused = Made { why: Why::NeverMade, ..made(1, 0, Some(5)) };
        assert_eq!(made_twice(&books(vec![refused, made(1, 10, None)])), [""; 0]);
    }

    #[test]
    fn a_machine_without_a_record_is_found() {
        let known = BTreeSet::from([IntentToken::compose(1)]);
        assert_eq!(unknown(&books(vec![made(1, 0, None), made(2, 0, Some(1))]), &known).len(), 1);
    }

    #[test]
    fn a_machine_that_outlived_its_hard_end_is_found_whether_it_ended_or_not() {
        let grace = Duration::from_secs(60);
        let in_time = books(vec![made(1, 0, Some(1060)), made(2, 0, Some(10))]);
        assert_eq!(overdue(&in_time, at(2000), grace), [""; 0]);
        let late = books(vec![made(1, 0, Some(1061)), made(2, 0, None)]);
        assert_eq!(overdue(&late, at(2000), grace).len(), 2);
    }

    #[test]
    fn the_limit_may_be_reached_at_any_moment_and_not_passed() {
        let reached = vec![made(1, 0, Some(100)), made(2, 0, None), made(3, 100, None)];
        assert_eq!(above_limit(&books(reached.clone()), Processors(4)), [""; 0]);
        assert_eq!(above_limit(&books(reached), Processors(3)).len(), 2);
        assert_eq!(
            above_limit(&books(vec![made(1, 0, Some(101)), made(2, 100, None)]), Processors(2))
                .len(),
            1
        );
    }

    #[test]
    fn what_is_left_over_is_found_and_strangers_are_not_ours_to_end() {
        let stranger = |why| Made { identity: Identity::Foreign, why, ..made(9, 0, None) };
        let mut left = books(vec![made(1, 0, None), made(2, 0, Some(5)), stranger(Why::Lives)]);
        left.sides.push("vol-1".into());
        assert_eq!(left_over(&left).len(), 2);
        assert_eq!(strangers_ended(&left), [""; 0]);
        assert_eq!(strangers_ended(&books(vec![stranger(Why::Asked)])).len(), 1);
    }
}
