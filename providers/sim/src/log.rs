//! The append-only log of a simulated cloud, and the bill that follows from it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use vcycle_api::{InstanceId, Money, OfferingId, Price, Processors, Tags, Timestamp};

use crate::EndCause;

/// Something that changed the cloud, or tried to.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// When, on the cloud's clock.
    pub at: Timestamp,
    /// What.
    pub event: LogEvent,
}

/// What happened. Calls carry the number of the client that made them.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEvent {
    /// A create was accepted. The generation under which it was made is in the tags.
    Created {
        /// Who called.
        client: u32,
        /// The machine.
        instance: InstanceId,
        /// Its identity.
        tags: Box<Tags>,
        /// What it is made of.
        offering: OfferingId,
        /// Its size.
        processors: Processors,
        /// Its price.
        price: Price,
    },
    /// A create was answered with the machine that its intent has already.
    CreatedAlready {
        /// Who called.
        client: u32,
        /// The machine.
        instance: InstanceId,
        /// The identity in the call.
        tags: Box<Tags>,
    },
    /// A create was refused.
    CreateRefused {
        /// Who called.
        client: u32,
        /// The identity in the call.
        tags: Box<Tags>,
        /// [`vcycle_api::ErrorKind::word`].
        kind: &'static str,
    },
    /// A delete arrived.
    DeleteAsked {
        /// Who called.
        client: u32,
        /// The id in the call.
        instance: InstanceId,
        /// The identity of the machine, if there is one and it has one.
        tags: Option<Box<Tags>>,
    },
    /// Somebody else made a machine.
    StrangerMade {
        /// The machine.
        instance: InstanceId,
        /// Its size.
        processors: Processors,
    },
    /// A machine got power: it costs from now on.
    PoweredOn {
        /// Which.
        instance: InstanceId,
    },
    /// A machine lost its power, or failed to get any: it costs no more.
    PoweredOff {
        /// Which.
        instance: InstanceId,
        /// Why.
        cause: EndCause,
    },
    /// A machine exists no more.
    Removed {
        /// Which.
        instance: InstanceId,
    },
}

/// What one machine has cost so far.
struct Meter<'a> {
    hourly: &'a Money,
    on: Option<Timestamp>,
    used: Option<Duration>,
}

/// The true cost of all machines of the log until then, by currency. Of machines that clients made:
/// strangers pay for themselves. Each machine's amount is rounded up to a whole millionth.
pub(crate) fn bill(
    log: &[LogEntry],
    until: Timestamp,
    minimum_charge: Duration,
) -> BTreeMap<String, Money> {
    let mut meters: HashMap<&InstanceId, Meter<'_>> = HashMap::new();
    for entry in log.iter().take_while(|entry| entry.at <= until) {
        match &entry.event {
            LogEvent::Created { instance, price: Price::PerHour(hourly), .. } => {
                meters.insert(instance, Meter { hourly, on: None, used: None });
            }
            LogEvent::PoweredOn { instance } => {
                if let Some(meter) = meters.get_mut(instance) {
                    meter.on = Some(entry.at);
                }
            }
            LogEvent::PoweredOff { instance, cause: _ } => {
                if let Some(meter) = meters.get_mut(instance) {
                    meter.used = meter.on.map(|on| entry.at.since(on));
                }
            }
            LogEvent::Created { price: Price::Unmetered | Price::Unknown, .. }
            | LogEvent::CreatedAlready { .. }
            | LogEvent::CreateRefused { .. }
            | LogEvent::DeleteAsked { .. }
            | LogEvent::StrangerMade { .. }
            | LogEvent::Removed { .. } => {}
        }
    }
    let mut bill: BTreeMap<String, Money> = BTreeMap::new();
    for Meter { hourly, on, used } in meters.into_values() {
        let Some(on) = on else { continue };
        let time = used.unwrap_or_else(|| until.since(on)).max(minimum_charge);
        let currency = &hourly.currency;
        let sum = bill
            .entry(currency.clone())
            .or_insert_with(|| Money { micros: 0, currency: currency.clone() });
        sum.micros = sum.micros.saturating_add(cost(hourly.micros, time));
    }
    bill
}

fn cost(hourly_micros: i64, time: Duration) -> i64 {
    const HOUR_MILLIS: u128 = 3_600_000;
    let micros = u128::from(hourly_micros.unsigned_abs()) * time.as_millis();
    i64::try_from(micros.div_ceil(HOUR_MILLIS)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_costs_the_hourly_price_and_a_bit_more_is_rounded_up() {
        assert_eq!(cost(20_000, Duration::from_secs(3600)), 20_000);
        assert_eq!(cost(20_000, Duration::from_millis(1)), 1);
        assert_eq!(cost(20_000, Duration::ZERO), 0);
    }
}
