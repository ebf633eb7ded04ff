//! Requests: their headers and limits, pages, versions, and what a broken exchange leaves open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vcycle_api::ErrorKind;

use super::capture;
use super::tiny::{Says, Seen, Tiny, hour, open};
use crate::session::{Arrived, Call, Failure, Microversion, Service};

fn servers() -> Call<'static> {
    Call::get(Service::Compute, "/servers", "list servers")
}

fn create() -> Call<'static> {
    Call::post(Service::Compute, "/servers", json!({"server": {}}), "create server")
}

/// A cloud that logs everybody in and answers the rest with `answers`.
async fn cloud(answers: impl Fn(&Seen) -> Says + Send + Sync + 'static) -> Tiny {
    Tiny::start(move |seen| if seen.is_login() { hour() } else { answers(seen) }).await
}

#[tokio::test]
async fn a_call_carries_its_query_its_microversion_and_its_type() {
    let tiny = cloud(|_| Says::json(200, &json!({"a": 1})).with("x-openstack-request-id", "req-7"));
    let tiny = tiny.await;
    let session = open(&[&tiny.url], |_| {}).session;
    let call = servers().with_query("name", "^a b$").with_query("tags", "x,y");
    let reply = session.call::<Value>(call.at(Microversion(2, 52))).await.unwrap();
    assert_eq!((reply.status, reply.request_id.as_deref()), (200, Some("req-7")));
    assert_eq!(reply.body, json!({"a": 1}));
    let seen = tiny.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/compute/v2.1/servers"));
    assert_eq!(seen.query, "name=%5Ea+b%24&tags=x%2Cy");
    assert_eq!(seen.header("openstack-api-version"), "compute 2.52");
    assert_eq!(seen.header("x-openstack-nova-api-version"), "2.52");
    let patch = "application/openstack-images-v2.1-json-patch";
    let call = Call::put(Service::Image, "/images/i", json!([]), "change image");
    session.send(call.with_content_type(patch)).await.unwrap();
    let seen = tiny.seen().pop().unwrap();
    assert_eq!((seen.path.as_str(), seen.header("content-type")), ("/image/v2/images/i", patch));
    assert_eq!(seen.header("openstack-api-version"), "");
}

#[tokio::test]
async fn a_stream_is_sent_as_it_is() {
    let tiny = cloud(|seen| {
        assert_eq!(seen.body, json!({"streamed": true}));
        Says::text(204, "")
    })
    .await;
    let session = open(&[&tiny.url], |_| {}).session;
    let chunks = ["{\"streamed\"", ": true}"].map(|c| Ok::<_, std::io::Error>(c.to_owned()));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let call = Call::new(Service::Image, reqwest::Method::PUT, "/images/i/file", "upload image");
    let call = call.with_content_type("application/octet-stream");
    let reply = session.stream_put(call, body).await.unwrap();
    assert_eq!(reply.status, 204);
    assert_eq!(tiny.seen()[1].header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let inside = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let counts = Arc::clone(&inside);
    // Each request waits for a second one: fewer than two at once would never end.
    let app = axum::Router::new().fallback(move || {
        let (counts, both) = (Arc::clone(&counts), Arc::clone(&both));
        async move {
            let now = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
            counts.1.fetch_max(now, Ordering::SeqCst);
            both.wait().await;
            counts.0.fetch_sub(1, Ordering::SeqCst);
            "{}"
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let tiny = with_compute_at(address).await;
    let session = open(&[&tiny.url], |s| s.requests_at_once = 2).session;
    let calls = (0..8).map(|_| session.send(servers()));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(inside.1.load(Ordering::SeqCst), 2);
}

/// A Keystone whose catalogue has Nova at another address.
async fn with_compute_at(address: String) -> Tiny {
    Tiny::start(move |_| {
        let mut says = hour();
        says.body = says.body.replace("http://HERE/compute", &address);
        says
    })
    .await
}

/// What three kinds of call make of the same failure.
fn kinds(failure: &Failure) -> [ErrorKind; 3] {
    let of = |f: fn(Failure) -> vcycle_api::ProviderError| f(failure.clone()).kind;
    [of(Failure::of_read), of(Failure::of_create), of(Failure::of_delete)]
}

#[tokio::test]
async fn a_connection_that_is_refused_sent_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let tiny = with_compute_at(address).await;
    let session = open(&[&tiny.url], |_| {}).session;
    let failure = session.send(create()).await.expect_err("nobody is there");
    assert_eq!(failure.arrived, Arrived::Never);
    assert_eq!(kinds(&failure), [const { ErrorKind::Unavailable }; 3]);
    assert!(failure.message.contains("refused"), "{failure}");
}

/// A Nova that reads the request, answers with `reply`, and hangs up.
async fn hangs_up(reply: &'static str) -> (Tiny, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"{\"server\":{}}") {
                let mut chunk = [0; 1024];
                match socket.read(&mut chunk).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&chunk[..count]),
                }
            }
            seen.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
            socket.write_all(reply.as_bytes()).await.ok();
        }
    });
    (with_compute_at(address).await, got)
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_the_outcome_open_and_nothing_is_sent_again() {
    for reply in [
        "",
        "HTTP/1.1 202 Accepted\r\ncontent-length: 500\r\n\r\n{\"server\": {\"id\"",
        "HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\n<html",
        "nonsense\r\n\r\n",
    ] {
        let (tiny, got) = hangs_up(reply).await;
        let session = open(&[&tiny.url], |_| {}).session;
        let failure = session.call::<Value>(create()).await.expect_err("the reply is lost");
        assert_eq!(failure.arrived, Arrived::Perhaps, "{reply:?}");
        let expected = [ErrorKind::Unavailable, ErrorKind::Ambiguous, ErrorKind::Unavailable];
        assert_eq!(kinds(&failure), expected, "{reply:?}");
        let requests = got.lock().unwrap().matches("POST ").count();
        assert_eq!(requests, 1, "{reply:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_outcome_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let tiny = with_compute_at(address).await;
    let session = open(&[&tiny.url], |s| s.request_time = Duration::from_millis(300)).session;
    let failure = session.send(create()).await.expect_err("nobody answers");
    assert_eq!(failure.arrived, Arrived::Perhaps);
    assert_eq!(failure.of_create().kind, ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_our_token() {
    let other = cloud(|_| Says::json(200, &json!({}))).await;
    let to = format!("{}/compute/v2.1/servers", other.url);
    let tiny = cloud(move |_| Says::text(302, "").with("location", &to)).await;
    let session = open(&[&tiny.url], |_| {}).session;
    let failure = session.send(servers()).await.expect_err("moved");
    assert!(failure.message.starts_with("the address has moved to "), "{failure}");
    assert_eq!(failure.of_read().kind, ErrorKind::Unavailable);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn pages_are_read_to_the_end_in_their_order() {
    let names =
        ["127-servers-detail-page-1", "128-servers-detail-page-2", "129-servers-detail-page-3"];
    let pages = names.map(|name| capture(&format!("2026.2/{name}")));
    let expected: Vec<Value> = pages
        .iter()
        .flat_map(|page| page["response"]["body"]["servers"].as_array().unwrap().clone())
        .collect();
    let tiny = cloud(move |seen| {
        let wanted = |page: &&Value| {
            let url = page["request"]["url"].as_str().unwrap();
            url.ends_with(&format!("?{}", seen.query))
        };
        Says::json(200, &pages.iter().find(wanted).unwrap()["response"]["body"])
    })
    .await;
    let session = open(&[&tiny.url], |_| {}).session;
    let call = Call::get(Service::Compute, "/servers/detail", "list servers");
    let all = session.pages::<Value>(call.with_query("limit", "3"), "servers").await.unwrap();
    assert_eq!(all, expected);
    assert!(all.len() > 3);
}

#[tokio::test]
async fn a_page_that_fails_fails_the_whole_and_pages_without_end_do_end() {
    let link = json!([{"rel": "next", "href": "http://x/servers?marker=m"}]);
    let page = json!({"servers": [1], "servers_links": link});
    let first = page.clone();
    let broken = cloud(move |seen| match seen.query.as_str() {
        "" => Says::json(200, &first),
        _ => Says::text(500, "oops"),
    })
    .await;
    let session = open(&[&broken.url], |_| {}).session;
    let failure = session.pages::<u32>(servers(), "servers").await.expect_err("page 2 fails");
    assert_eq!(failure.status, Some(500));
    let endless = cloud(move |_| Says::json(200, &page)).await;
    let session = open(&[&endless.url], |_| {}).session;
    let failure = session.pages::<u32>(servers(), "servers").await.expect_err("no end");
    assert_eq!(failure.message, "the pages do not come to an end");
    assert_eq!(endless.seen().len(), 3);
}

#[tokio::test]
async fn the_microversions_of_a_real_nova_are_asked_once_and_again_after_a_406() {
    let versions = capture("2026.2/028-compute-v21")["response"]["body"].clone();
    let tiny = cloud(move |seen| match seen.path.as_str() {
        "/compute/v2.1/" => Says::json(200, &versions),
        _ => Says::json(406, &json!({"computeFault": {"code": 406, "message": "too new"}})),
    })
    .await;
    let session = open(&[&tiny.url], |_| {}).session;
    for _ in 0..3 {
        let range = session.microversions(Service::Compute).await.unwrap();
        assert_eq!((range.min, range.max), (Microversion(2, 1), Microversion(2, 104)));
    }
    assert_eq!(tiny.seen().len(), 2);
    session.send(servers().at(Microversion(2, 999))).await.expect_err("too new");
    session.microversions(Service::Compute).await.unwrap();
    assert_eq!(tiny.seen().len(), 4);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_request_ids_and_no_secrets() {
    let log = Log::default();
    // With one subscriber alone, what another thread says first is decided by that thread, which has none.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let tiny = cloud(|seen| match seen.method.as_str() {
        "GET" => Says::refused_by_keystone(),
        _ => Says::json(202, &json!({"server": {"adminPass": "hunter2"}}))
            .with("x-openstack-request-id", "req-8"),
    })
    .await;
    let session = open(&[&tiny.url], |_| {}).session;
    let secret = json!({"server": {"user_data": "c2VjcmV0"}});
    let call = Call::post(Service::Compute, "/servers", secret, "create server");
    session.call::<Vec<String>>(call).await.expect_err("another shape");
    session.send(servers()).await.expect_err("refused");
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("req-8") && text.contains("create server"), "{text}");
    for secret in ["token-1", "secret-0", "hunter2", "c2VjcmV0"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(!format!("{session:?}").contains("secret-0"));
}
