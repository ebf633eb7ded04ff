//! What a service says in the body of a refusal. Each has its own shape; what proxies say has none.
//!
//! Nova quotes the request back when it does not like it, `user_data` and all, so every message is
//! scrubbed here before anybody can log it.

use std::time::Duration;

use serde_json::Value;
use vcycle_api::Timestamp;

use super::http::Answer;

/// The content of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The service's word; empty when the body is no fault of a service.
    pub(super) code_text: String,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

/// Reads an answer that is no success.
pub(super) fn parse(answer: &Answer, now: Timestamp) -> Fault {
    let json = serde_json::from_slice::<Value>(&answer.body).unwrap_or(Value::Null);
    let (code_text, message) = words(&json).unwrap_or_else(|| (String::new(), plain(answer)));
    let told = json.as_object().and_then(|object| object.values().find_map(retry_after_of_body));
    let retry_after = answer.header("retry-after").and_then(|text| retry_after(text, answer, now));
    Fault { code_text, message: scrub(&message), retry_after: retry_after.or(told) }
}

/// Word and message of a fault, in the shapes of Keystone, Nova and Cinder, Neutron, Glance, Blazar.
fn words(json: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(error) = json.get("error").filter(|error| error.is_object()) {
        return Some((text(&error["title"])?, text(&error["message"])?));
    }
    if let Some(error) = json.get("NeutronError") {
        let word = text(&error["type"]).unwrap_or_else(|| "NeutronError".to_owned());
        return Some((word, text(&error["message"]).or_else(|| text(error))?));
    }
    if let Some(message) = json.get("error_message") {
        return Some(("reservationError".to_owned(), text(message)?));
    }
    if let Some(message) = json.get("message").and_then(Value::as_str) {
        return Some(framework(text(&json["title"]).unwrap_or_default(), message));
    }
    let object = json.as_object()?;
    let (word, fault) = object.iter().find(|(_, fault)| fault.get("message").is_some())?;
    Some((word.clone(), text(&fault["message"])?))
}

/// The web framework's own answer. Glance lets its messages out this way; Nova's, of a path that
/// it has not, says nothing of any thing.
fn framework(title: String, message: &str) -> (String, String) {
    let message = strip_tags(message);
    let of_a_path = message.starts_with("The resource could not be found");
    (if of_a_path { String::new() } else { title }, message)
}

/// A body of no shape, as a line for people. Old versions of Glance answer in HTML.
fn plain(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let text = strip_tags(&body);
    match (text.is_empty(), answer.header("location")) {
        (_, Some(to)) => format!("the address has moved to {to}"),
        (true, None) => "an answer without a word".to_owned(),
        (false, None) => text,
    }
}

fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars().take(4000) {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            _ if inside => {}
            c => out.push(c),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). A date is compared with the
/// cloud's own clock when it tells it.
fn retry_after(text: &str, answer: &Answer, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let now = answer.header("date").and_then(http_date).unwrap_or(now);
    Some(http_date(text)?.since(now))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

/// Nova's faults of limits have `retryAfter`, as a number or a text.
fn retry_after_of_body(fault: &Value) -> Option<Duration> {
    let value = fault.get("retryAfter")?;
    let seconds = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(Duration::from_secs(seconds))
}

/// Runs this long are no words or ids of OpenStack (the longest, a UUID, has 36).
const LONGEST_WORD: usize = 40;
/// The most of a message that people are shown.
const LONGEST_MESSAGE: usize = 400;

/// Takes out what looks like encoded data, and the middle of what is too long: the cause of a
/// refused body stands at the end, behind the body.
fn scrub(message: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in message.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || "+/=_-".contains(c) {
            run.push(c);
            continue;
        }
        out.push_str(if is_data(&run) { "[...]" } else { &run });
        run.clear();
        out.push(c);
    }
    let out = out.trim_end();
    let length = out.chars().count();
    if length <= LONGEST_MESSAGE {
        return out.to_owned();
    }
    let head: String = out.chars().take(LONGEST_MESSAGE / 2).collect();
    let tail: String = out.chars().skip(length - LONGEST_MESSAGE / 2).collect();
    format!("{head} [...] {tail}")
}

/// Paths of OpenStack may be long, too, but are in small letters.
fn is_data(run: &str) -> bool {
    run.len() >= LONGEST_WORD && run.contains(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Answer { status, headers: map, body: body.as_bytes().to_vec() }
    }

    fn parsed(body: &str) -> (String, String) {
        let fault = parse(&answer(400, &[], body), Timestamp::from_secs(0));
        (fault.code_text, fault.message)
    }

    #[test]
    fn each_service_has_its_shape() {
        for (body, word, message) in [
            (r#"{"forbidden": {"code": 403, "message": "no"}}"#, "forbidden", "no"),
            (
                r#"{"error": {"code": 404, "title": "Not Found", "message": "no"}}"#,
                "Not Found",
                "no",
            ),
            (
                r#"{"NeutronError": {"type": "OverQuota", "message": "no", "detail": ""}}"#,
                "OverQuota",
                "no",
            ),
            (r#"{"NeutronError": "no"}"#, "NeutronError", "no"),
            (
                r#"{"message": "No image<br /><br />\n", "code": "404 Not Found", "title": "Not Found"}"#,
                "Not Found",
                "No image",
            ),
            (r#"{"error_message": "no", "error_code": 404}"#, "reservationError", "no"),
            ("<html><h1>503</h1>\n<p>No server</p></html>", "", "503 No server"),
            (r#"{"unknown": 1}"#, "", r#"{"unknown": 1}"#),
            ("", "", "an answer without a word"),
        ] {
            assert_eq!(parsed(body), (word.to_owned(), message.to_owned()), "{body}");
        }
    }

    #[test]
    fn when_to_come_again_is_told_in_three_ways() {
        let now = Timestamp::from_secs(0);
        let after = |headers: &[(&'static str, &str)], body: &str| {
            parse(&answer(429, headers, body), now).retry_after.map(|after| after.as_secs())
        };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let clock = "Wed, 21 Oct 2015 07:27:30 GMT";
        assert_eq!(after(&[("retry-after", "17")], ""), Some(17));
        assert_eq!(after(&[("retry-after", date), ("date", clock)], ""), Some(30));
        assert_eq!(after(&[("retry-after", clock), ("date", date)], ""), Some(0));
        assert_eq!(after(&[("retry-after", "soon")], ""), None);
        let body = r#"{"overLimit": {"code": 413, "message": "slow", "retryAfter": "54"}}"#;
        assert_eq!(after(&[], body), Some(54));
        assert_eq!(after(&[("retry-after", "3")], body), Some(3));
        assert_eq!(after(&[], r#"{"overLimit": {"message": "slow", "retryAfter": 5}}"#), Some(5));
    }

    #[test]
    fn encoded_data_is_taken_out_and_paths_and_ids_are_left() {
        let id = "aba07ad8-9080-4ca8-b8f1-f9d0b40ea332";
        let path = format!("no /v3/users/3e634dc8b95e4ce5880d76e54096ed69/servers/{id}");
        assert_eq!(scrub(&path), path);
        let secret = "I2Nsb3VkLWNvbmZpZwp3cml0ZV9maWxlczoKLSBwYXRoOiAvZXRjL2pvYm91dHB1dHMK";
        assert_eq!(scrub(&format!("bad '{secret}'. x")), "bad '[...]'. x");
    }
}
