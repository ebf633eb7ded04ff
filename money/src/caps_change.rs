//! When other caps come into force. Every manager reads the same files, but on a file server one may see an old file for a
//! minute: so what is tighter counts at once, and what is wider only when files and ledger have stood for a while.

use crate::{Cap, Stages};

/// Whether files and ledger have stood as they are for long enough that no manager sees older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stood {
    /// They have.
    Long,
    /// One of them has changed lately.
    NotYet,
}

/// What somebody has seen: what was in force, and what the files want. Until it is written both may be old: its manager may have
/// been stopped, and others were not.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What was in force.
    pub in_force: &'a [Cap],
    /// What the files want.
    pub wanted: &'a [Cap],
    /// Whether both had stood.
    pub stood: Stood,
}

impl Look<'_> {
    /// The caps that must be set, if others than those that are in force when they are written must. Where others have set
    /// some meanwhile, nothing that was seen has stood.
    pub fn due(&self, in_force: &[Cap]) -> Option<Vec<Cap>> {
        let stood = if in_force == self.in_force { self.stood } else { Stood::NotYet };
        due(in_force, self.wanted, stood)
    }
}

fn due(in_force: &[Cap], wanted: &[Cap], stood: Stood) -> Option<Vec<Cap>> {
    let next = match stood {
        Stood::Long => wanted.to_vec(),
        Stood::NotYet => tighter(in_force, wanted),
    };
    (next != in_force).then_some(next)
}

/// Every cap that is in force, the new ones, and of each the lower limits.
fn tighter(in_force: &[Cap], wanted: &[Cap]) -> Vec<Cap> {
    let find = |caps: &[Cap], like: &Cap| caps.iter().find(|cap| cap.name == like.name).cloned();
    let kept = in_force.iter().map(|cap| match find(wanted, cap) {
        Some(new) if is_no_wider(&new, cap) => new,
        Some(new) => Cap {
            limit: cap.limit.min(new.limit),
            stages: earlier(cap.stages, new.stages),
            ..cap.clone()
        },
        None => cap.clone(),
    });
    let new = wanted.iter().filter(|cap| find(in_force, cap).is_none()).cloned();
    let mut caps: Vec<Cap> = kept.chain(new).collect();
    caps.sort_by(|a, b| a.name.cmp(&b.name));
    caps
}

/// Whether nothing that the old one refuses is let through by the new one. What is on other things, or counts in another
/// time, cannot be compared.
fn is_no_wider(new: &Cap, old: &Cap) -> bool {
    new.scope == old.scope
        && new.window == old.window
        && new.limit <= old.limit
        && new.stages.stop_growing <= old.stages.stop_growing
        && new.stages.drain <= old.stages.drain
}

fn earlier(a: Stages, b: Stages) -> Stages {
    Stages {
        warn: a.warn.min(b.warn),
        stop_growing: a.stop_growing.min(b.stop_growing),
        drain: a.drain.min(b.drain),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Amount, Permille, Scope, Window};

    fn cap(name: &str, limit: i64) -> Cap {
        Cap {
            name: name.parse().unwrap(),
            limit: Amount::from_units(limit),
            scope: Scope::default(),
            window: Window::Hour,
            stages: Stages::default(),
        }
    }

    #[test]
    fn a_lower_limit_and_a_new_cap_count_at_once() {
        let (old, new) = ([cap("a", 10)], [cap("a", 5), cap("b", 7)]);
        assert_eq!(due(&old, &new, Stood::NotYet), Some(new.to_vec()));
    }

    #[test]
    fn a_higher_limit_and_a_cap_that_is_taken_away_wait() {
        let (old, new) = ([cap("a", 10), cap("b", 7)], [cap("a", 50)]);
        assert_eq!(due(&old, &new, Stood::NotYet), None);
        assert_eq!(due(&old, &new, Stood::Long), Some(new.to_vec()));
    }

    #[test]
    fn of_a_cap_that_is_put_on_something_else_only_the_lower_limit_counts_at_once() {
        let elsewhere = Cap { window: Window::Month { utc_offset_hours: 0 }, ..cap("a", 5) };
        let now = due(&[cap("a", 10)], std::slice::from_ref(&elsewhere), Stood::NotYet);
        assert_eq!(now, Some(vec![cap("a", 5)]));
        let then = due(&now.unwrap(), std::slice::from_ref(&elsewhere), Stood::Long);
        assert_eq!(then, Some(vec![elsewhere]));
    }

    #[test]
    fn who_was_stopped_since_it_looked_raises_nothing_that_others_have_lowered() {
        let (wanted, lowered) = ([cap("a", 10)], [cap("a", 5)]);
        for (in_force, stood) in [(vec![], Stood::NotYet), (vec![cap("a", 7)], Stood::Long)] {
            let look = Look { in_force: &in_force, wanted: &wanted, stood };
            assert_eq!(look.due(&in_force), Some(wanted.to_vec()));
            assert_eq!(look.due(&lowered), None);
        }
    }

    fn caps() -> impl Strategy<Value = Vec<Cap>> {
        let one = (prop::sample::select(vec!["a", "b", "c"]), 1_i64..5, 0_u16..3, 0_u8..3);
        prop::collection::vec(one, 0..4).prop_map(|all| {
            let mut caps: Vec<Cap> = Vec::new();
            for (name, limit, stop, window) in all {
                let stop_growing = Permille(1000 - stop * 100);
                let window = match window {
                    0 => Window::Hour,
                    1 => Window::Day { utc_offset_hours: 0 },
                    _ => Window::Month { utc_offset_hours: 0 },
                };
                let stages = Stages { stop_growing, ..Stages::default() };
                caps.push(Cap { window, stages, ..cap(name, limit) });
            }
            caps.sort_by(|a, b| a.name.cmp(&b.name));
            caps.dedup_by(|a, b| a.name == b.name);
            caps
        })
    }

    proptest! {
        #[test]
        fn until_they_have_stood_no_cap_in_force_is_lost_or_widened(old in caps(), new in caps()) {
            let next = due(&old, &new, Stood::NotYet).unwrap_or_else(|| old.clone());
            for cap in &old {
                let kept = next.iter().find(|other| other.name == cap.name);
                prop_assert!(kept.is_some_and(|kept| is_no_wider(kept, cap)));
            }
            for cap in &new {
                let kept = next.iter().find(|other| other.name == cap.name);
                prop_assert!(kept.is_some_and(|kept| kept.limit <= cap.limit));
            }
            prop_assert_eq!(due(&next, &new, Stood::NotYet), None, "a second look changes nothing");
        }
    }
}
