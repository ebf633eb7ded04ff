//! Notices that spot instances will be taken back, from an SQS queue to which EventBridge sends the event "EC2 Spot
//! Instance Interruption Warning" (user guide, "Spot Instance interruption notices"), two minutes ahead.
//!
//! At least once: a message is removed from the queue by the call after the one that gave it out, so that a manager that
//! dies in between leaves it for the next. The core must bear a notice twice. A message of an instance that is not
//! ours is left for whom it concerns, and removed when it is too old to be of use to anybody.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use serde::Deserialize;
use vcycle_api::{ErrorKind, InstanceId, Interruption, ProviderError, Timestamp};

use crate::account::Account;

const RECEIVE: &str = "read interruptions";
const REMOVE: &str = "remove a notice";

/// Messages in one request: the most that SQS gives.
const BATCH: i32 = 10;

/// Requests of one call: what is left comes with the next.
const MOST_BATCHES: usize = 20;

/// How long SQS hides a message from others once it was given: longer than a cycle, so that we do not get it
/// again before we have removed it.
const HIDDEN: i32 = 120;

/// When a notice is of no use any more: the listing tells what has become of its instance.
const STALE: Duration = Duration::from_secs(600);

/// A notice comes two minutes ahead.
const AHEAD: Duration = Duration::from_secs(120);

/// Receipts of messages that were given out, by the id of the message: they can be removed.
pub(crate) type Notices = HashMap<String, String>;

/// An event as EventBridge writes it.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    kind: String,
    time: Option<String>,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "instance-id")]
    instance: Option<String>,
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is given out, and removed afterwards.
    Give(Interruption),
    /// It is of use to nobody.
    Remove,
    /// It may be of use to somebody else.
    Leave,
}

/// Notices of ours that were not given out before, or whose removal failed; and what the last listing showed to have been
/// taken back while nobody looked.
pub(crate) async fn interruptions(account: &Account) -> Result<Vec<Interruption>, ProviderError> {
    let mut all = account.watch.taken_back();
    all.extend(from_queue(account).await?);
    Ok(all)
}

async fn from_queue(account: &Account) -> Result<Vec<Interruption>, ProviderError> {
    // Who only looks must not hide a notice from the manager that acts on it.
    let (Some(queue), Some(_)) = (&account.settings.interruption_queue, account.deployment.get())
    else {
        return Ok(Vec::new());
    };
    let mut notices = account.notices.lock().await;
    for (message, receipt) in std::mem::take(&mut *notices) {
        remove(account, queue, &message, &receipt).await;
    }
    let mut given = Vec::new();
    for _ in 0..MOST_BATCHES {
        let messages = receive(account, queue).await?;
        let is_last = messages.len() < BATCH as usize;
        for message in messages {
            let verdict =
                judge(&message, account.clock.now(), |id| account.watch.known(id).is_some());
            let (Some(id), Some(receipt)) = (message.message_id, message.receipt_handle) else {
                continue;
            };
            match verdict {
                Verdict::Give(notice) => {
                    given.push(notice);
                    notices.insert(id, receipt);
                }
                Verdict::Remove => remove(account, queue, &id, &receipt).await,
                Verdict::Leave => {}
            }
        }
        if is_last {
            break;
        }
    }
    Ok(given)
}

async fn receive(account: &Account, queue: &str) -> Result<Vec<Message>, ProviderError> {
    let asked = account.session.call(RECEIVE, |clients| {
        let request = clients.sqs.receive_message().queue_url(queue);
        request.max_number_of_messages(BATCH).wait_time_seconds(0).visibility_timeout(HIDDEN).send()
    });
    let answer = asked.await.map_err(|failure| about_the_queue(queue, failure.of_read()))?;
    Ok(answer.messages.unwrap_or_default())
}

/// A queue that is not there, or that we may not read, is a mistake of the configuration and stops no space.
fn about_the_queue(queue: &str, error: ProviderError) -> ProviderError {
    let kind = match error.kind {
        ErrorKind::NotFound | ErrorKind::Ambiguous | ErrorKind::QuotaExceeded => {
            ErrorKind::Unavailable
        }
        ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => error.kind,
    };
    ProviderError { kind, message: format!("{queue}: {}", error.message), ..error }
}

/// Where it fails the message comes again.
async fn remove(account: &Account, queue: &str, message: &str, receipt: &str) {
    let asked = account.session.call(REMOVE, |clients| {
        clients.sqs.delete_message().queue_url(queue).receipt_handle(receipt).send()
    });
    if let Err(failure) = asked.await {
        tracing::debug!(message, error = %failure.of_delete(), "a notice stays in the queue");
    }
}

fn judge(message: &Message, now: Timestamp, is_ours: impl Fn(&InstanceId) -> bool) -> Verdict {
    let event = message.body().and_then(|body| serde_json::from_str::<Event>(body).ok());
    let Some(event) = event.filter(|event| event.kind.contains("Interruption Warning")) else {
        return Verdict::Remove;
    };
    let sent = event.time.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let sent = sent.map(|at| Timestamp::from_millis(at.as_millisecond()));
    if sent.is_none_or(|sent| now.since(sent) >= STALE) {
        return Verdict::Remove;
    }
    let instance = event.detail.instance.and_then(|id| InstanceId::parse(&id).ok());
    match instance {
        Some(instance) if is_ours(&instance) => {
            Verdict::Give(Interruption { instance, at: sent.map(|sent| sent + AHEAD) })
        }
        Some(_) => Verdict::Leave,
        None => Verdict::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message {
        Message::builder().message_id("1").receipt_handle("r").body(body).build()
    }

    fn warning(instance: &str, time: &str) -> Message {
        message(&format!(
            r#"{{"version": "0", "id": "12345678-1234-1234-1234-123456789012",
            "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
            "account": "123456789012", "time": "{time}", "region": "eu-west-2",
            "resources": ["arn:aws:ec2:eu-west-2a:instance/{instance}"],
            "detail": {{"instance-id": "{instance}", "instance-action": "terminate"}}}}"#
        ))
    }

    fn judged(message: &Message) -> Verdict {
        let now = "2026-11-21T12:01:00Z".parse::<jiff::Timestamp>().unwrap();
        judge(message, Timestamp::from_millis(now.as_millisecond()), |id| id.as_str() == "i-1")
    }

    #[test]
    fn a_warning_of_ours_is_given_out_with_the_time_of_the_end() {
        let end: jiff::Timestamp = "2026-11-21T12:02:30Z".parse().unwrap();
        let notice = Interruption {
            instance: InstanceId::parse("i-1").unwrap(),
            at: Some(Timestamp::from_millis(end.as_millisecond())),
        };
        assert_eq!(judged(&warning("i-1", "2026-11-21T12:00:30Z")), Verdict::Give(notice));
    }

    #[test]
    fn what_concerns_others_is_left_and_what_concerns_nobody_is_removed() {
        assert_eq!(judged(&warning("i-2", "2026-11-21T12:00:30Z")), Verdict::Leave);
        for useless in [
            warning("i-1", "2026-11-21T11:51:00Z"),
            warning("i-2", "2026-11-21T11:51:00Z"),
            warning("", "2026-11-21T12:00:30Z"),
            warning("i-1", "soon"),
            message("hello"),
            message(r#"{"detail-type": "EC2 Instance Rebalance Recommendation", "detail": {}}"#),
        ] {
            assert_eq!(judged(&useless), Verdict::Remove, "{:?}", useless.body());
        }
    }
}
