//! Connections: reads a request, lets its trouble befall it, answers or breaks off.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};
use vcycle_api::testing::http::{self, BrokenOff, Outgoing, Served};

use super::ask::Ask;
use super::glance;
use super::nova;
use super::reply::Reply;
use super::trouble::{On, Trouble};
use super::world::World;

/// Who is being served, and by which world.
pub(crate) type Shared = http::Shared<World>;

/// Serves one request.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (parts, incoming) = request.into_parts();
    let Some(mut ask) = Ask::new(&parts, Bytes::new()) else {
        return Ok(response(World::nowhere(), Outgoing::whole));
    };
    ask.body = match On::Upload.fits(&ask) {
        true => upload(&shared, &ask, incoming).await?,
        false => incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes(),
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
    let carried_out = |heard: bool| {
        let mut world = shared.world();
        let reply = world.answer(ask);
        world.note(ask, heard.then_some(reply.status));
        reply
    };
    match trouble {
        None => Ok(response(carried_out(true), Outgoing::whole)),
        Some(Trouble::LoseRequest) => {
            shared.world().note(ask, None);
            Err(BrokenOff)
        }
        Some(Trouble::LoseReply) => {
            carried_out(false);
            Err(BrokenOff)
        }
        Some(Trouble::CutReply) => Ok(response(carried_out(false), Outgoing::cut)),
        Some(Trouble::Refuse(refusal)) => {
            shared.world().note(ask, Some(refusal.status));
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::RepeatRequest) => {
            shared.world().note(ask, Some(400));
            Ok(response(nova::repeating(ask), Outgoing::whole))
        }
        Some(Trouble::MarkerVanishes) => {
            if let Some(marker) = ask.param("marker") {
                nova::vanish(&mut shared.world(), marker);
            }
            Ok(response(carried_out(true), Outgoing::whole))
        }
        Some(Trouble::Slow(time)) => {
            let reply = carried_out(true);
            tokio::time::sleep(time).await;
            Ok(response(reply, Outgoing::whole))
        }
    }
}

/// Reads the content of an image. While it comes, the image is `saving`; when the connection ends early,
/// Glance sets it back to `queued`.
async fn upload(shared: &Shared, ask: &Ask, mut incoming: Incoming) -> Result<Bytes, BrokenOff> {
    glance::saving(&mut shared.world(), ask);
    let limit = shared.world().images.cut_after.take();
    let mut content = Vec::new();
    while !incoming.is_end_stream() {
        let frame = match incoming.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(given_up(shared, ask)),
            None => break,
        };
        content.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
        if limit.is_some_and(|limit| content.len() > limit) {
            return Err(given_up(shared, ask));
        }
    }
    Ok(content.into())
}

fn given_up(shared: &Shared, ask: &Ask) -> BrokenOff {
    let mut world = shared.world();
    glance::queued_again(&mut world, ask);
    world.note(ask, None);
    BrokenOff
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
