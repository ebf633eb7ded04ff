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
use super::world::World;

/// Who is being served, and by which world.
pub(crate) type Shared = http::Shared<World>;

/// Serves one request.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (parts, incoming) = request.into_parts();
    let body = incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let Some(ask) = Ask::new(&parts, body) else {
        return Ok(response(Reply::page(404), Outgoing::whole));
    };
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
    let carried_out = |heard: bool, age: Duration| {
        let mut world = shared.world();
        let reply = world.answer(ask, age);
        world.note(ask, heard.then_some(&reply));
        reply
    };
    let fresh = Duration::ZERO;
    let reply = match trouble {
        None => carried_out(true, fresh),
        Some(Trouble::LoseRequest) => {
            shared.world().note(ask, None);
            return Err(BrokenOff);
        }
        Some(Trouble::LoseReply) => {
            carried_out(false, fresh);
            return Err(BrokenOff);
        }
        Some(Trouble::CutReply) => return Ok(response(carried_out(false, fresh), Outgoing::cut)),
        Some(Trouble::Refuse(refusal)) => {
            let mut world = shared.world();
            let reply = refusal.reply(ask.service, &world.ids.uuid());
            world.note(ask, Some(&reply));
            reply
        }
        Some(Trouble::RefuseAfter(refusal)) => {
            carried_out(false, fresh);
            refusal.reply(ask.service, &shared.world().ids.uuid())
        }
        Some(Trouble::Page(status)) => {
            let reply = Reply::page(status);
            shared.world().note(ask, Some(&reply));
            reply
        }
        Some(Trouble::Slow(time)) => {
            let reply = carried_out(true, fresh);
            tokio::time::sleep(time).await;
            reply
        }
        Some(Trouble::Stale(age)) => carried_out(true, age),
    };
    Ok(response(reply, Outgoing::whole))
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status).header("Server", "AmazonEC2");
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
