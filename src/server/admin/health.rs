//! Whether the manager does its work: what a load balancer or a watchdog asks.

use std::time::Duration;

use crate::model::{Board, Timestamp};

/// A space that had no cycle for this many periods is stuck.
const PERIODS: u32 = 10;
/// But a cycle may always take this long: clouds are slow.
const AT_LEAST: Duration = Duration::from_secs(600);

/// What is wrong, a line each. A refused configuration or an alarm in a space is not: the manager
/// works, and metrics and status show it.
pub(super) fn problems(board: &Board, cycle: Duration, now: Timestamp) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(why) = &board.store_problem {
        problems.push(format!("the state directory cannot be used: {why}"));
    }
    let longest = (cycle * PERIODS).max(AT_LEAST);
    for (name, snapshot) in &board.spaces {
        let age = now.since(snapshot.at);
        if age > longest {
            problems.push(format!("space {name} had no cycle for {} s", age.as_secs()));
        }
    }
    // A space may be new, or change hands: each has its own grace. One that was taken out of the
    // configuration is no fault of the manager's.
    let waiting = board
        .waiting_spaces()
        .filter(|(_, why)| !why.starts_with(Board::ABANDONED))
        .filter(|(name, _)| now.since(board.idle_since(name)) > cycle * PERIODS);
    problems.extend(waiting.map(|(name, why)| format!("space {name} is not worked on: {why}")));
    problems
}
