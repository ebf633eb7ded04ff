//! Connections: reads a request, lets its trouble befall it, answers or breaks off.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use vcycle_api::testing::http::{self, BrokenOff, Outgoing, Served};

use super::ask::Ask;
use super::reply::Reply;
use super::trouble::Trouble;
use super::world::{Heard, World};

/// Between two looks of `wait`.
const LOOK: Duration = Duration::from_millis(20);

/// Who is being served, and by which world.
pub(crate) type Shared = http::Shared<World>;

/// Serves one request.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (parts, incoming) = request.into_parts();
    let mut ask = Ask::new(&parts);
    ask.body = incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let (delay, trouble) = {
        let mut world = shared.world();
        (world.troubles.delay, world.troubles.take(&ask))
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    befallen(&shared, &ask, trouble).await
}

async fn befallen(shared: &Shared, ask: &Ask, trouble: Option<Trouble>) -> Served {
    match trouble {
        None => Ok(response(waited(shared, ask).await, Outgoing::whole)),
        Some(Trouble::LoseRequest) => {
            shared.world().note_only(ask, None);
            Err(BrokenOff)
        }
        Some(Trouble::LoseReply) => {
            shared.world().answer(ask, Heard::No);
            Err(BrokenOff)
        }
        Some(Trouble::CutReply) => {
            let reply = shared.world().answer(ask, Heard::No);
            Ok(response(reply, Outgoing::cut))
        }
        Some(Trouble::Refuse(refusal)) => {
            shared.world().note_only(ask, Some(refusal.status));
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::Mask(refusal)) => {
            shared.world().answer(ask, Heard::No);
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::Slow(time)) => {
            let reply = shared.world().answer(ask, Heard::Yes);
            tokio::time::sleep(time).await;
            Ok(response(reply, Outgoing::whole))
        }
    }
}

/// The answer; that of `wait` when the operation is done or the time is over.
async fn waited(shared: &Shared, ask: &Ask) -> Reply {
    let mut reply = shared.world().answer(ask, Heard::Yes);
    if ask.path.last().map(String::as_str) != Some("wait") {
        return reply;
    }
    let mut left = shared.world().site.times.wait;
    while !left.is_zero() && String::from_utf8_lossy(&reply.body).contains("\"status\":\"RUNNING\"")
    {
        tokio::time::sleep(LOOK).await;
        left = left.saturating_sub(LOOK);
        reply = shared.world().look(ask);
    }
    reply
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
