//! SQS, in its JSON protocol: one queue, into which a rule of EventBridge puts events about machines.

use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::reply::{Answer, Refusal, Said};
use super::world::World;

/// A message.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    sent: Timestamp,
    /// Hidden until then.
    visible: Timestamp,
    /// How often it was received; the last receipt has this number.
    received: u32,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: Vec<Message>,
}

impl Queue {
    pub(crate) fn send(&mut self, id: String, body: String, now: Timestamp) {
        self.messages.push(Message { id, body, sent: now, visible: now, received: 0 });
    }

    /// How many messages it holds, hidden ones too.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}

/// How long a received message is hidden, unless the call says otherwise ("Amazon SQS visibility timeout").
const HIDDEN: u64 = 30;

/// The address of the queue.
pub(crate) fn address(world: &World) -> String {
    format!("{}/{}/{}", world.base, world.site.account, world.site.queue)
}

/// Answers a call of SQS.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let body = &ask.json;
    if ask.action == "GetQueueUrl" {
        if body["QueueName"] != world.site.queue.as_str() {
            return Err(no_queue());
        }
        return Ok(Said::Json(json!({ "QueueUrl": address(world) })));
    }
    // The host of an address may be any of SQS's own: account and name count.
    let own = format!("/{}/{}", world.site.account, world.site.queue);
    if !body["QueueUrl"].as_str().is_some_and(|url| url.ends_with(&own)) {
        return Err(no_queue());
    }
    match ask.action.as_str() {
        "ReceiveMessage" => receive(world, body),
        "DeleteMessage" => delete(world, &body["ReceiptHandle"]),
        "DeleteMessageBatch" => Ok(delete_batch(world, body)),
        "GetQueueAttributes" => Ok(attributes(world)),
        other => {
            let message = format!("The action {other} is not valid for this endpoint.");
            Err(Refusal::new(400, "InvalidAction", message))
        }
    }
}

fn no_queue() -> Refusal {
    Refusal::new(400, "QueueDoesNotExist", "The specified queue does not exist.")
}

fn receive(world: &mut World, body: &Value) -> Answer {
    let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    if !(1..=10).contains(&most) {
        let message = format!(
            "Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and \
             10, if provided."
        );
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    let hidden = Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(HIDDEN));
    let now = world.now();
    let visible = world.queue.messages.iter_mut().filter(|message| message.visible <= now);
    let most = usize::try_from(most).unwrap_or(10);
    let received: Vec<Value> = visible
        .take(most)
        .map(|message| {
            message.visible = now + hidden;
            message.received += 1;
            json!({
                "MessageId": message.id,
                "ReceiptHandle": format!("{}#{}", message.id, message.received),
                "Body": message.body,
                "Attributes": {
                    "SentTimestamp": message.sent.as_millis().to_string(),
                    "ApproximateReceiveCount": message.received.to_string(),
                },
            })
        })
        .collect();
    // An empty answer has no such field.
    Ok(Said::Json(if received.is_empty() { json!({}) } else { json!({ "Messages": received }) }))
}

/// Whether this is a receipt. A message that is gone has had one, too.
fn remove(world: &mut World, receipt: &Value) -> bool {
    let Some((id, _)) = receipt.as_str().and_then(|receipt| receipt.split_once('#')) else {
        return false;
    };
    world.queue.messages.retain(|message| message.id != id);
    true
}

fn delete(world: &mut World, receipt: &Value) -> Answer {
    if !remove(world, receipt) {
        let message = "The input receipt handle is invalid.";
        return Err(Refusal::new(400, "ReceiptHandleIsInvalid", message));
    }
    Ok(Said::Json(json!({})))
}

fn delete_batch(world: &mut World, body: &Value) -> Said {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for entry in body["Entries"].as_array().into_iter().flatten() {
        let id = &entry["Id"];
        if remove(world, &entry["ReceiptHandle"]) {
            done.push(json!({ "Id": id }));
        } else {
            let code = "ReceiptHandleIsInvalid";
            failed.push(json!({ "Id": id, "Code": code, "SenderFault": true }));
        }
    }
    Said::Json(json!({ "Successful": done, "Failed": failed }))
}

fn attributes(world: &World) -> Said {
    let (region, account, name) = (&world.site.region, &world.site.account, &world.site.queue);
    Said::Json(json!({ "Attributes": {
        "QueueArn": format!("arn:aws:sqs:{region}:{account}:{name}"),
        "ApproximateNumberOfMessages": world.queue.len().to_string(),
        "VisibilityTimeout": HIDDEN.to_string(),
    }}))
}
