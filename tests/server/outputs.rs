//! PUT into joboutputs: who may, what is kept, and what every refusal looks like.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, header};
use vcycle::model::{DeleteReason, Deletion, Evidence, Gone, Rejection, Timestamp};

use crate::site::{SPACE, Site, assert_empty_error, changed, space, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_machine_puts_its_outputs_with_its_token() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let response = site.put(&vm, "heartbeat", &vm.token).body("0.1 0.2").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), "");
    assert_eq!(site.output(&vm, "heartbeat").unwrap(), b"0.1 0.2");
    assert_eq!(status(site.put(&vm, "heartbeat", &vm.token).body("new")).await, 200);
    assert_eq!(site.output(&vm, "heartbeat").unwrap(), b"new", "the newest replaces the older");
    assert_eq!(status(site.put(&vm, "empty", &vm.token)).await, 200);
    assert_eq!(site.output(&vm, "empty").unwrap(), b"");
}

#[tokio::test]
async fn without_credentials_401_and_with_wrong_ones_403() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let url = site.https(&vm.path("joboutputs/log"));
    let response = site.client().put(&url).body("x").send().await.unwrap();
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    assert_empty_error(response, 401).await;
    let almost = vm.token[1..].to_owned();
    for wrong in ["", " ", "wrong", &almost, &format!("{}x", vm.token), &"x".repeat(8000)] {
        let response = site.put(&vm, "log", wrong).body("x").send().await.unwrap();
        assert_empty_error(response, 403).await;
    }
    for header in ["Basic eDp5", "Bearer", &format!("Token {}", vm.token), &vm.token] {
        let request = site.client().put(&url).header(header::AUTHORIZATION, header);
        assert_empty_error(request.body("x").send().await.unwrap(), 403).await;
    }
    let record = site.store.record(&space(), &vm.name).await.unwrap().unwrap();
    let hash = site.put(&vm, "log", &record.outputs_token_sha256).body("x").send().await.unwrap();
    assert_empty_error(hash, 403).await;
    assert_eq!(site.output(&vm, "log"), None, "nothing was written by any of them");
}

#[tokio::test]
async fn the_token_of_one_machine_never_opens_another() {
    let site = Site::new().await;
    let (mine, yours) = (site.machine("dune").await, site.machine("dune").await);
    let response = site.put(&yours, "log", &mine.token).body("x").send().await.unwrap();
    assert_empty_error(response, 403).await;
    // Nor by a path that leads there from its own folder.
    for path in [
        format!("/machines/{SPACE}/{}/joboutputs/../../{}/joboutputs/log", mine.name, yours.name),
        format!(
            "/machines/{SPACE}/{}/joboutputs/..%2f..%2f{}%2fjoboutputs%2flog",
            mine.name, yours.name
        ),
        format!("/machines/{SPACE}/{}/../{}/joboutputs/log", mine.name, yours.name),
        format!("/machines/{SPACE}/{}%2f..%2f{}/joboutputs/log", mine.name, yours.name),
    ] {
        let answer = site.raw(&raw_put(&path, &mine.token, "x")).await;
        let refused = answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 ");
        assert!(refused && answer.contains("content-length: 0\r\n"), "{path}: {answer}");
    }
    assert_eq!(site.output(&yours, "log"), None);
    assert_eq!(std::fs::read_dir(site.outputs(&yours)).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(site.outputs(&mine)).unwrap().count(), 0);
}

#[tokio::test]
async fn names_that_are_not_file_names_are_400_and_deeper_paths_404() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let long = "a".repeat(101);
    for bad in ["..", ".", ".hidden", "%2e%2e", "a%2fb", "a%00b", "a%20b", "a%0ab", &long, "%c3%a9"]
    {
        let path = vm.path(&format!("joboutputs/{bad}"));
        let answer = site.raw(&raw_put(&path, &vm.token, "x")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
    }
    for deeper in ["a/b", "../record.json", "", "%ff"] {
        let path = vm.path(&format!("joboutputs/{deeper}"));
        let answer = site.raw(&raw_put(&path, &vm.token, "x")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{deeper}: {answer}");
    }
    assert_eq!(std::fs::read_dir(site.outputs(&vm)).unwrap().count(), 0);
    assert_eq!(status(site.put(&vm, &"a".repeat(100), &vm.token).body("x")).await, 200);
    // Whoever has no right to write is told so first, and learns nothing about names.
    let response = site.put(&vm, "a%2fb", "wrong").body("x").send().await.unwrap();
    assert_empty_error(response, 403).await;
}

#[tokio::test]
async fn an_unknown_machine_is_404_whatever_is_shown() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for (space, machine) in
        [(SPACE, "vcycle-dune-zzzzzzzzzz"), ("b.example", vm.name.as_str()), (SPACE, "x")]
    {
        let url = site.https(&format!("/machines/{space}/{machine}/joboutputs/log"));
        for request in [site.client().put(&url), site.client().put(&url).bearer_auth(&vm.token)] {
            assert_empty_error(request.body("x").send().await.unwrap(), 404).await;
        }
    }
}

#[tokio::test]
async fn the_token_dies_with_the_machine() {
    let site = Site::new().await;
    let at = Timestamp::from_secs(1_800_000_100);
    let gone = site.machine("dune").await;
    site.change(&gone, |record| {
        record.gone = Some(Gone { at, evidence: Evidence::NotFound });
    })
    .await;
    let rejected = site.machine("dune").await;
    site.change(&rejected, |record| {
        record.rejected = Some(Rejection { at, kind: "quota".into(), message: String::new() });
    })
    .await;
    let archived = site.machine("dune").await;
    assert_eq!(status(site.put(&archived, "log", &archived.token).body("x")).await, 200);
    site.store.archive(&site.ownership.proof().unwrap(), &archived.name).await.unwrap();
    for dead in [gone, rejected, archived] {
        let response = site.put(&dead, "log", &dead.token).body("y").send().await.unwrap();
        assert_empty_error(response, 404).await;
    }
}

#[tokio::test]
async fn a_machine_that_is_being_deleted_may_still_send_its_logs() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let at = Timestamp::from_secs(1_800_000_100);
    site.change(&vm, |record| {
        let reason = DeleteReason::MaxWallclock;
        record.deletion = Some(Deletion { reason, since: at, attempts: 1, last: at });
    })
    .await;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("x")).await, 200);
}

#[tokio::test]
async fn a_put_over_plain_http_is_refused_with_the_right_token_too() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let url = site.http(&vm.path("joboutputs/log"));
    let response = site.client().put(&url).bearer_auth(&vm.token).body("x").send().await.unwrap();
    assert_empty_error(response, 403).await;
    assert_eq!(site.output(&vm, "log"), None);
    let response = site.client().get(&url).send().await.unwrap();
    assert_empty_error(response, 405).await;
}

#[tokio::test]
async fn outputs_cannot_be_read_back() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("secret")).await, 200);
    for (method, path, expected) in [
        (Method::GET, "joboutputs/log", 405),
        (Method::HEAD, "joboutputs/log", 405),
        (Method::GET, "joboutputs", 404),
        (Method::GET, "joboutputs/", 404),
        (Method::GET, "machinefeatures/log", 404),
    ] {
        let request = site.client().request(method, site.https(&vm.path(path)));
        let response = request.bearer_auth(&vm.token).send().await.unwrap();
        assert_empty_error(response, expected).await;
    }
}

#[tokio::test]
async fn last_words_wake_the_driver_and_other_files_do_not() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    assert_eq!(status(site.put(&vm, "heartbeat", &vm.token).body("x")).await, 200);
    let refused = status(site.put(&vm, "shutdown_message", "wrong").body("200 ok")).await;
    assert_eq!(refused, 403);
    assert!(site.wakes.lock().unwrap().is_empty());
    let request = site.put(&vm, "shutdown_message", &vm.token).body("300 Nothing to do");
    assert_eq!(status(request).await, 200);
    assert_eq!(*site.wakes.lock().unwrap(), [space()]);
    let message = site.store.shutdown_message(&space(), &vm.name).await.unwrap();
    assert_eq!(message.as_deref(), Some("300 Nothing to do"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_413_and_the_limit_itself_is_not() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let limit = 1 << 20;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body(vec![b'x'; limit])).await, 200);
    assert_eq!(site.output(&vm, "log").unwrap().len(), limit);
    let response = site.put(&vm, "log2", &vm.token).body(vec![b'x'; limit + 1]).send().await;
    assert_empty_error(response.unwrap(), 413).await;
    assert_eq!(site.output(&vm, "log2"), None);
}

#[tokio::test]
async fn twenty_mebibytes_are_413_before_they_are_sent() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let mut stream = site.raw_tls().await;
    let head = raw_head(&vm.path("joboutputs/log"), &vm.token, "Content-Length: 20971520\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Not a byte of the body was sent, and the answer is there.
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_still_sees_the_413() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for version in ["Content-Length: 20971520\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = site.raw_tls().await;
        let head = raw_head(&vm.path("joboutputs/log"), &vm.token, version);
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            if version.starts_with("Transfer") {
                stream.write_all(b"100000\r\n").await.unwrap();
                stream.write_all(&chunk).await.unwrap();
                stream.write_all(b"\r\n").await.unwrap();
            } else {
                stream.write_all(&chunk).await.unwrap();
            }
        }
        let answer = read_head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{version}: {answer}");
    }
    assert_eq!(site.output(&vm, "log"), None);
}

#[tokio::test]
async fn a_chunked_body_without_a_length_is_kept_or_cut_at_the_limit() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let body = |chunks: usize| {
        let chunk = || Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]);
        reqwest::Body::wrap_stream(futures::stream::iter((0..chunks).map(move |_| chunk())))
    };
    assert_eq!(status(site.put(&vm, "log", &vm.token).body(body(16))).await, 200);
    assert_eq!(site.output(&vm, "log").unwrap().len(), 1 << 20);
    let response = site.put(&vm, "more", &vm.token).body(body(17)).send().await.unwrap();
    assert_empty_error(response, 413).await;
    assert_eq!(site.output(&vm, "more"), None);
}

#[tokio::test]
async fn a_machine_has_a_limit_for_all_its_files_and_only_for_its_own() {
    let site = Site::new().await;
    let (vm, other) = (site.machine("dune").await, site.machine("dune").await);
    let megabyte = || vec![b'x'; 1 << 20];
    assert_eq!(status(site.put(&vm, "a", &vm.token).body(megabyte())).await, 200);
    assert_eq!(status(site.put(&vm, "b", &vm.token).body(megabyte())).await, 200);
    let response = site.put(&vm, "c", &vm.token).body("x").send().await.unwrap();
    assert_empty_error(response, 413).await;
    assert_eq!(site.output(&vm, "c"), None);
    assert_eq!(
        status(site.put(&vm, "b", &vm.token).body("small")).await,
        200,
        "what a file replaces does not count"
    );
    assert_eq!(status(site.put(&vm, "c", &vm.token).body("x")).await, 200);
    assert_eq!(status(site.put(&other, "a", &other.token).body(megabyte())).await, 200);
}

#[tokio::test]
async fn a_changed_limit_holds_for_the_next_request() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    assert_eq!(status(site.put(&vm, "a", &vm.token).body("12345")).await, 200);
    let smaller = changed(&site.setup.borrow(), |config| config.server.limits.file_bytes = 4);
    site.setup.send_replace(smaller);
    assert_eq!(status(site.put(&vm, "a", &vm.token).body("12345")).await, 413);
    assert_eq!(status(site.put(&vm, "a", &vm.token).body("1234")).await, 200);
}

#[tokio::test]
async fn trap_7_12_two_puts_of_one_file_never_mix_and_readers_never_see_a_part() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let size = 300_000;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body(vec![b'0'; size])).await, 200);
    let file = site.outputs(&vm).join("log");
    let reader = tokio::task::spawn_blocking(move || {
        for _ in 0..2000 {
            let content = std::fs::read(&file).unwrap();
            assert_eq!(content.len(), size, "a reader saw a part");
            assert!(content.iter().all(|byte| *byte == content[0]), "two uploads were mixed");
        }
    });
    let writers = (1..=8_u8).map(|writer| {
        let (site, vm) = (&site, &vm);
        async move {
            for _ in 0..4 {
                let body = vec![b'0' + writer; size];
                assert_eq!(status(site.put(vm, "log", &vm.token).body(body)).await, 200);
            }
        }
    });
    join_all(writers).await;
    reader.await.unwrap();
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_old_file() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("whole")).await, 200);
    let mut stream = site.raw_tls().await;
    let head = raw_head(&vm.path("joboutputs/log"), &vm.token, "Content-Length: 100\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"only a part").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    assert_eq!(site.output(&vm, "log").unwrap(), b"whole");
}

#[tokio::test]
async fn expect_100_continue_is_honoured_after_the_checks() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let path = vm.path("joboutputs/log");
    let expect = "Content-Length: 5\r\nExpect: 100-continue\r\n";

    let mut stream = site.raw_tls().await;
    stream.write_all(raw_head(&path, &vm.token, expect).as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n"), "{answer}");
    stream.write_all(b"hello").await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(site.output(&vm, "log").unwrap(), b"hello");

    let refused = [
        (raw_head(&path, "wrong", expect), "403"),
        (raw_head(&path, &vm.token, "Content-Length: 20971520\r\nExpect: 100-continue\r\n"), "413"),
    ];
    for (head, expected) in refused {
        let mut stream = site.raw_tls().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "no 100 first: {answer}");
    }
}

#[tokio::test]
async fn a_part_of_a_file_does_not_replace_the_whole() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    assert_eq!(status(site.put(&vm, "log", &vm.token).body("whole")).await, 200);
    let part = site.put(&vm, "log", &vm.token).header(header::CONTENT_RANGE, "bytes 0-1/5");
    assert_empty_error(part.body("pa").send().await.unwrap(), 400).await;
    assert_eq!(site.output(&vm, "log").unwrap(), b"whole");
}

#[tokio::test]
async fn a_failing_state_directory_is_500_and_nothing_is_half_written() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    // A directory in the place of the file: even root cannot write there.
    std::fs::create_dir(site.outputs(&vm).join("log")).unwrap();
    let response = site.put(&vm, "log", &vm.token).body("x").send().await.unwrap();
    assert_empty_error(response, 500).await;
    // A record that cannot be understood stands for a machine that nobody may write into.
    let record = site.outputs(&vm).parent().unwrap().join("record.json");
    std::fs::write(record, "{ not json").unwrap();
    let response = site.put(&vm, "other", &vm.token).body("x").send().await.unwrap();
    assert_empty_error(response, 500).await;
    assert_eq!(site.output(&vm, "other"), None);
}

#[tokio::test]
async fn uploads_work_over_http_2_and_1_1() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let url = site.https(&vm.path("joboutputs/log"));
    let two = site.client().put(&url).bearer_auth(&vm.token).body("2").send().await.unwrap();
    assert_eq!((two.version(), two.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    let client = site.builder().http1_only().build().unwrap();
    let one = client.put(&url).bearer_auth(&vm.token).body("1").send().await.unwrap();
    assert_eq!((one.version(), one.status().as_u16()), (reqwest::Version::HTTP_11, 200));
    assert_eq!(site.output(&vm, "log").unwrap(), b"1");
}

fn raw_put(path: &str, token: &str, body: &str) -> String {
    let length = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
    raw_head(path, token, &length) + body
}

fn raw_head(path: &str, token: &str, more: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

#[tokio::test]
async fn every_early_answer_reaches_a_client_that_sends_first() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for (path, expected) in [
        (vm.path("joboutputs/log"), 401),
        (vm.path("joboutputs/a/b"), 404),
        (vm.path("machinefeatures/total_cpu"), 405),
        ("/".to_owned(), 404),
    ] {
        let body = vec![b'x'; 4 << 20];
        for client in [site.client(), site.builder().http1_only().build().unwrap()] {
            let response = client.put(site.https(&path)).body(body.clone()).send().await.unwrap();
            assert_empty_error(response, expected).await;
        }
        let response = site.client().put(site.http(&path)).body(body).send().await.unwrap();
        assert!([403, 404, 405].contains(&response.status().as_u16()));
    }
}

/// One answer's status line and header.
async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                break;
            }
            head.push(byte[0]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    String::from_utf8(head).unwrap()
}
