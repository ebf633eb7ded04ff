//! Words that several findings share. Pure.

use vcycle_api::{Finding, Timestamp};

use crate::session::Failure;

/// What a service answered, with the number by which its operators find the request.
pub(super) fn told(failure: &Failure) -> String {
    match &failure.request_id {
        Some(id) => format!("{}: {} [request {id}]", failure.operation, failure.message),
        None => format!("{}: {}", failure.operation, failure.message),
    }
}

/// A question that was not answered says nothing of what was asked.
pub(super) fn unanswered(subject: &str, failure: &Failure) -> Finding {
    Finding::unknown(subject, told(failure))
}

/// How far off a time is: `in 40 days`, `in 3 hours`, `ended`.
pub(super) fn off(time: Timestamp, now: Timestamp) -> String {
    let hours = time.since(now).as_secs() / 3600;
    match hours {
        _ if time <= now => "ended".to_owned(),
        0 => "in less than an hour".to_owned(),
        1..48 => format!("in {hours} hours"),
        _ => format!("in {} days", hours / 24),
    }
}

/// Some names, not more than fit on a line.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.len() {
        0 => "none".to_owned(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

/// The names that a wrong one is nearest to; all of a few when none is near.
pub(super) fn nearest(wrong: &str, names: &[String]) -> String {
    let lower = wrong.to_lowercase();
    let mut near: Vec<(usize, &String)> = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= 2.max(wrong.chars().count() / 3) || name.to_lowercase().contains(&lower)
        })
        .collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(3).map(|(_, name)| name.clone()).collect();
    if near.is_empty() {
        format!("there are: {}", some(names))
    } else {
        format!("near: {}", some(&near))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_ones() {
        let flavours = names(&["m1.small", "m1.large", "l3.c8", "l3.c16", "gpu"]);
        assert_eq!(nearest("M1.large", &flavours), "near: m1.large");
        assert_eq!(nearest("c16", &flavours), "near: l3.c16");
        assert_eq!(
            nearest("nothing-like-it", &flavours),
            "there are: m1.small, m1.large, l3.c8, l3.c16, gpu"
        );
        assert_eq!(nearest("x", &[]), "there are: none");
    }

    #[test]
    fn only_some_of_many_names_are_shown() {
        let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert_eq!(some(&many), "0, 1, 2, 3, 4, 5 and 3 more");
    }

    #[test]
    fn how_far_off_a_time_is_is_told_in_days_or_hours() {
        let now = Timestamp::from_secs(1_000_000);
        let at = |hours: i64| off(Timestamp::from_secs(1_000_000 + hours * 3600 + 60), now);
        assert_eq!(
            [at(-1), at(0), at(47), at(48)],
            ["ended", "in less than an hour", "in 47 hours", "in 2 days"]
        );
    }
}
