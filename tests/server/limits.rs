//! Limits of time and of connections: nobody can use up the server, and nobody waits for ever.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vcycle::config::ServerLimits;
use vcycle::server::start;

use crate::site::{Choices, Site, answer, eventually, read_to_end, status};

fn limits(change: impl FnOnce(&mut ServerLimits)) -> Choices {
    let mut choices = Choices::default();
    change(&mut choices.limits);
    choices
}

/// Waits for the other side to close; the test fails if it does not.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    tokio::time::timeout(Duration::from_secs(20), read_to_end(stream))
        .await
        .expect("was not closed")
}

#[tokio::test]
async fn a_slow_upload_is_cut_off_at_the_request_time() {
    let site = Site::with(limits(|limits| limits.request_time = Duration::from_millis(300))).await;
    let vm = site.machine("dune").await;
    let mut stream = site.raw_tls().await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n",
        vm.path("joboutputs/log"),
        vm.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"a beginning").await.unwrap();
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(site.output(&vm, "log"), None);
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("quick")).await, 200);
}

#[tokio::test]
async fn a_slow_header_is_cut_off() {
    let site = Site::with(limits(|limits| limits.header_time = Duration::from_millis(300))).await;
    for beginning in ["", "G", "GET /machines/x HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut stream = site.raw_tls().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let answer = closed(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{beginning:?}: {answer}");
        let mut plain = TcpStream::connect(site.running.http_addr.unwrap()).await.unwrap();
        plain.write_all(beginning.as_bytes()).await.unwrap();
        closed(&mut plain).await;
    }
}

#[tokio::test]
async fn a_slow_tls_handshake_is_cut_off() {
    let site = Site::with(limits(|limits| limits.header_time = Duration::from_millis(300))).await;
    for beginning in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] {
        let mut stream = TcpStream::connect(site.running.https_addr).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        assert_eq!(closed(&mut stream).await, "");
    }
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_no_answer_and_does_no_harm() {
    let site = Site::new().await;
    let mut stream = TcpStream::connect(site.running.https_addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"));
    let vm = site.machine("dune").await;
    assert_eq!(status(site.client().get(site.https(&vm.path("jobfeatures/")))).await, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let site = Site::with(limits(|limits| limits.header_time = Duration::from_millis(300))).await;
    let vm = site.machine("dune").await;
    let mut stream = site.raw_tls().await;
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", vm.path("machinefeatures/hs06"));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(closed(&mut stream).await.ends_with("\r\n\r\n80.0"));
}

#[tokio::test]
async fn a_connection_does_not_live_for_ever_however_busy_it_is() {
    let site = Site::with(limits(|limits| limits.request_time = Duration::from_millis(100))).await;
    let vm = site.machine("dune").await;
    let path = vm.path("machinefeatures/hs06");
    let mut stream = TcpStream::connect(site.running.http_addr.unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answered = 0;
    let busy = async {
        let mut part = [0; 4096];
        while stream.write_all(request.as_bytes()).await.is_ok() {
            match stream.read(&mut part).await {
                Ok(1..) => answered += 1,
                Ok(0) | Err(_) => return,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), busy).await.expect("was not closed");
    assert!(answered > 1, "it was in use until then");
}

#[tokio::test]
async fn an_address_over_its_limit_is_turned_away_until_it_closes_one() {
    let site = Site::with(limits(|limits| limits.connections_per_address = 3)).await;
    let vm = site.machine("dune").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(site.raw_tls().await);
    }
    // The fourth is closed at once, on either listener: they share the limit.
    for address in [site.running.https_addr, site.running.http_addr.unwrap()] {
        let mut fourth = TcpStream::connect(address).await.unwrap();
        let _ = fourth.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(closed(&mut fourth).await, "");
    }
    // People are not shut out by VMs.
    let metrics = answer(site.client().get(site.admin("/metrics"))).await.1;
    let refused = "vcycle_http_turned_away_total{listener=\"https\",why=\"address-limit\"} 1";
    assert!(metrics.contains(refused), "{metrics}");
    open.pop();
    let url = site.https(&vm.path("machinefeatures/hs06"));
    eventually("a place is free again", || async {
        site.client().get(&url).send().await.is_ok_and(|response| response.status() == 200)
    })
    .await;
}

#[tokio::test]
async fn another_address_is_not_starved_by_a_flood_of_one() {
    let mut choices = limits(|limits| limits.connections_per_address = 2);
    choices.limits.header_time = Duration::from_secs(600);
    let site = Site::with(choices).await;
    let vm = site.machine("dune").await;
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(TcpStream::connect(site.running.https_addr).await.unwrap());
    }
    let other = std::net::IpAddr::from([127, 0, 0, 2]);
    let client = site.builder().local_address(other).build().unwrap();
    let request = client.get(site.https(&vm.path("machinefeatures/hs06")));
    assert_eq!(answer(request).await.1, "80.0");
    drop(flood);
}

#[tokio::test]
async fn one_machine_cannot_have_more_than_eight_uploads_under_way() {
    let site = Site::new().await;
    let (vm, other) = (site.machine("dune").await, site.machine("dune").await);
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 10\r\n\
         Expect: 100-continue\r\n\r\n",
        vm.path("joboutputs/slow"),
        vm.token
    );
    let mut under_way = Vec::new();
    for _ in 0..8 {
        let mut stream = site.raw_tls().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 "));
        under_way.push(stream);
    }
    let ninth = site.put(&vm, "log", &vm.token).body("x").send().await.unwrap();
    assert_eq!(ninth.status(), 503);
    assert_eq!(ninth.headers()["retry-after"], "10");
    assert_eq!(ninth.bytes().await.unwrap(), "");
    assert_eq!(status(site.put(&other, "log", &other.token).body("x")).await, 200);
    drop(under_way);
    eventually("the places are free again", || async {
        status(site.put(&vm, "log", &vm.token).body("x")).await == 200
    })
    .await;
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let site = Site::new().await;
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(site.running.http_addr.unwrap()).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await;
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
    assert!(!answer.contains(" 404 "), "{answer}");
}

#[tokio::test]
async fn stopping_lets_a_request_finish_and_then_refuses_connections() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let mut stream = site.raw_tls().await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n",
        vm.path("joboutputs/log"),
        vm.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    let output = site.outputs(&vm).join("log");
    let address = site.running.https_addr;
    let stopping = tokio::spawn(site.running.shutdown());
    eventually("nothing listens any more", || async { TcpStream::connect(address).await.is_err() })
        .await;
    stream.write_all(b"hello").await.unwrap();
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    tokio::time::timeout(Duration::from_secs(20), stopping).await.unwrap().unwrap();
    assert_eq!(std::fs::read(output).unwrap(), b"hello");
}

#[tokio::test]
async fn a_taken_port_is_said_clearly() {
    let site = Site::new().await;
    let setup = site.setup.borrow().clone();
    let mut config = setup.config.server.clone();
    config.admin_listen = site.running.admin_addr;
    let error = start(vcycle::server::ServerSetup {
        config,
        store: site.store.clone(),
        board: site.board.subscribe(),
        setup: site.setup.subscribe(),
        clock: std::sync::Arc::new(vcycle_api::SystemClock::new()),
        wake: std::sync::Arc::new(|_| {}),
        metrics: std::sync::Arc::default(),
    })
    .await
    .unwrap_err();
    let expected = format!(
        "cannot listen on {} for people and metrics: Address already in use (os error 98); \
         stop what uses the port, or set another [server] admin_listen",
        site.running.admin_addr
    );
    assert_eq!(error.to_string(), expected);
}
