//! Whose machines must end sooner than they were given time, because a cap is passed or spent.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use vcycle_api::{IntentToken, Timestamp};

use super::{Book, Open, Span, Stage};
use crate::CapName;

/// Intents whose machines are to be told to end, each with the cap that wants it.
pub type ToEnd = BTreeMap<IntentToken, CapName>;

impl Book {
    /// What must end now. Where a cap is spent, or nearly, everything that it is on; where more is settled and reserved
    /// than it allows (it was lowered, prices rose), the youngest first, until what they do not spend any more is enough.
    /// Everybody who has read the same entries comes to the same answer but for the time.
    pub fn to_end(&self, now: Timestamp) -> ToEnd {
        let mut chosen = ToEnd::new();
        for (place, standing) in self.standings(now).into_iter().enumerate() {
            let name = &standing.cap.name;
            match standing.stage {
                Stage::Open | Stage::Warned | Stage::NotGrowing => continue,
                Stage::Draining | Stage::Spent => {}
            }
            if let Some(window) = standing.window.filter(|_| standing.ends_everything()) {
                for open in self.of_cap(place, window) {
                    chosen.entry(open.reservation.intent).or_insert_with(|| name.clone());
                }
            }
            let limit = i128::from(standing.cap.limit.nanos());
            for (from, sum) in self.sums[place].since(&standing.cap, now) {
                let Some(window) = standing.cap.window.span_at(from) else { continue };
                let excess = sum.settled + sum.reserved - limit;
                self.free(place, (window, excess, now), &mut chosen);
            }
        }
        chosen
    }

    /// Chooses until so much less is spent in a window.
    fn free(
        &self,
        place: usize,
        (window, mut excess, now): (Span, i128, Timestamp),
        chosen: &mut ToEnd,
    ) {
        if excess <= 0 {
            return;
        }
        let mut open: Vec<&Open> = self.of_cap(place, window).collect();
        // Those that end anyway count first; of the others the youngest have done the least work.
        open.sort_by_key(|open| {
            let own = &open.reservation;
            (!chosen.contains_key(&own.intent), Reverse(own.from), own.intent)
        });
        for open in open {
            if excess <= 0 {
                return;
            }
            let intent = open.reservation.intent;
            chosen.entry(intent).or_insert_with(|| self.caps[place].name.clone());
            excess -= i128::from((open.worst_within(window) - open.run_up(window, now)).nanos());
        }
    }

    /// What may cost in a window of a cap.
    fn of_cap(&self, place: usize, window: Span) -> impl Iterator<Item = &Open> {
        self.reservations().filter(move |open| {
            let is_in_time = open.span().overlap(window).is_some();
            is_in_time && self.caps[place].scope.covers(&open.reservation.account)
        })
    }
}
