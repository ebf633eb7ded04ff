//! From a TOML value to money, parts of a whole, days and labels.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use vcycle_money::{Amount, Currency, InvalidLabel, Money, Permille};

use crate::config::problem::Wrong;
use crate::config::tree::Value;
use crate::config::values::{self, Read};
use crate::model::Timestamp;

/// A currency.
pub(super) fn currency(value: &Value) -> Read<Currency> {
    const RIGHT: &str = "the three capital letters of ISO 4217, for example \"GBP\"";
    let text = values::text(value)?;
    text.parse().map_err(|_| Wrong::new(format!("{text:?} is no currency"), RIGHT))
}

/// An amount with its currency.
pub(super) fn money(value: &Value) -> Read<Money> {
    const RIGHT: &str = "an amount and its currency in quotes, for example \"50000 GBP\", with at most nine decimals";
    match value {
        Value::Text(text) => {
            text.parse().map_err(|_| Wrong::new(format!("{text:?} is no such amount"), RIGHT))
        }
        other => Err(Wrong::new(format!("{} where an amount is wanted", other.kind()), RIGHT)),
    }
}

/// An amount of the currency of the list, or of another that stands behind it.
pub(super) fn price(value: &Value, currency: Option<Currency>) -> Read<Money> {
    const RIGHT: &str = "an amount in quotes, for example \"0.4704\", with at most nine decimals: numbers without quotes lose some";
    let Value::Text(text) = value else {
        return Err(Wrong::new(format!("{} where a price is wanted", value.kind()), RIGHT));
    };
    let wrong = || Wrong::new(format!("{text:?} is no price"), RIGHT);
    if text.contains(' ') {
        return text.parse().map_err(|_| wrong());
    }
    let amount: Amount = text.parse().map_err(|_| wrong())?;
    let currency = currency.ok_or_else(|| {
        Wrong::new(
            format!("{text:?} has no currency, and the list names none"),
            "`currency` in [list]",
        )
    })?;
    Ok(Money { amount, currency })
}

/// A part of a whole, from nothing to all, in tenths of a percent.
pub(super) fn permille(value: &Value) -> Read<Permille> {
    const RIGHT: &str = "a percentage in quotes from \"0%\" to \"100%\", with one decimal at most";
    let Value::Text(text) = value else {
        return Err(Wrong::new(format!("{} where something else is wanted", value.kind()), RIGHT));
    };
    let tenths = || {
        let digits = text.trim().strip_suffix('%')?.trim_end();
        let (whole, tenth) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let one_digit = tenth.len() == 1 && is_number(tenth) && is_number(whole);
        let tenths = one_digit.then(|| format!("{whole}{tenth}").parse::<u16>().ok())??;
        (tenths <= 1000).then_some(Permille(tenths))
    };
    tenths().ok_or_else(|| Wrong::new(format!("{text:?} is not such a percentage"), RIGHT))
}

/// A time, or a day, which begins at midnight UTC.
pub(super) fn day_or_time(value: &Value) -> Read<Timestamp> {
    const RIGHT: &str = "a day such as 2026-11-20 (it begins at midnight UTC), or a time with an offset such as \
                         2026-11-20T12:00:00Z";
    let (Value::Text(text) | Value::Time(text)) = value else {
        return Err(Wrong::new(format!("{} where a day is wanted", value.kind()), RIGHT));
    };
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2026-11-20".len());
    let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let time = midnight.map(|zoned| zoned.timestamp()).or_else(|| text.parse().ok());
    time.map(|time| Timestamp::from_millis(time.as_millisecond()))
        .ok_or_else(|| Wrong::new(format!("{text:?} is neither a day nor a time"), RIGHT))
}

/// A time at which an hour begins: sums are kept by the hour.
pub(super) fn hour(value: &Value) -> Read<Timestamp> {
    let time = day_or_time(value)?;
    if time.as_millis().rem_euclid(3_600_000) == 0 {
        Ok(time)
    } else {
        Err(Wrong::new("not at the beginning of an hour", "a time such as 2027-04-01T00:00:00Z"))
    }
}

/// A time in whole seconds.
pub(super) fn seconds(value: &Value) -> Read<Duration> {
    let time = values::duration(value)?;
    if time.subsec_millis() == 0 {
        Ok(time)
    } else {
        Err(Wrong::new("parts of a second", "whole seconds, for example \"60s\""))
    }
}

/// A label of money's own kinds.
pub(super) fn label<T: FromStr<Err = InvalidLabel>>(value: &Value) -> Read<T> {
    values::text(value)?.parse().map_err(|error: InvalidLabel| {
        Wrong::new(format!("{:?} is not a valid {}", error.text, error.kind), error.rule)
    })
}

/// A set, written as a list: at least one, each once.
pub(super) fn set<T: Ord>(value: &Value, item: fn(&Value) -> Read<T>) -> Read<BTreeSet<T>> {
    const RIGHT: &str = "a list with each once; without the key all are meant";
    let items = values::list(value, item)?;
    let (written, set) = (items.len(), items.into_iter().collect::<BTreeSet<T>>());
    match (set.is_empty(), set.len() == written) {
        (true, _) => Err(Wrong::new("an empty list", RIGHT)),
        (false, false) => Err(Wrong::new("the same twice", RIGHT)),
        (false, true) => Ok(set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn percentages_are_exact() {
        for (written, tenths) in
            [("80%", 800), ("80 %", 800), ("7.5%", 75), ("0%", 0), ("100.0%", 1000)]
        {
            assert_eq!(permille(&text(written)), Ok(Permille(tenths)), "{written}");
        }
        for bad in ["", "%", "80", "-1%", "100.1%", "7.55%", "1e1%", ".5%", "5.%", "999999%"] {
            assert!(permille(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_utc() {
        let midnight = Timestamp::from_secs(1_795_132_800);
        for written in ["2026-11-20", "2026-11-20T00:00:00Z", "2026-11-20T01:00:00+01:00"] {
            assert_eq!(day_or_time(&text(written)), Ok(midnight), "{written}");
        }
        for bad in ["2026-11", "20.11.2026", "2026-11-20T00:00:00", "soon", ""] {
            assert!(day_or_time(&text(bad)).is_err(), "{bad}");
        }
        assert!(hour(&text("2026-11-20T00:30:00Z")).is_err());
    }

    #[test]
    fn prices_are_texts_and_take_the_currency_of_their_list() {
        let usd = Some(Currency::USD);
        assert_eq!(price(&text("0.4704"), usd).unwrap().to_string(), "0.4704 USD");
        assert_eq!(price(&text("0.4 EUR"), usd).unwrap().currency, Currency::EUR);
        assert!(price(&Value::Number(0.4704), usd).is_err());
        assert!(price(&text("0.4704"), None).is_err());
        assert!(price(&text("$0.47"), usd).is_err());
    }
}
