//! Machine/Job Features and heartbeat lists, over both listeners (FIELD.md 1.1 to 1.4).

use reqwest::{Method, header, redirect};

use crate::site::{
    SPACE, Site, answer, assert_empty_error, raw_tls, read_to_end, space, status, writing_methods,
};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn each_key_is_a_file_of_plain_text_on_both_listeners() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for url in [site.https("").clone(), site.http("")] {
        for (path, value) in [
            ("machinefeatures/total_cpu", "8"),
            ("machinefeatures/hs06", "80.0"),
            ("jobfeatures/allocated_cpu", "8"),
            ("jobfeatures/grace_secs_job", "600"),
        ] {
            let response =
                site.client().get(format!("{url}{}", vm.path(path))).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            assert_eq!(response.text().await.unwrap(), value, "just the value, nothing around it");
        }
    }
}

#[tokio::test]
async fn a_folder_without_its_slash_redirects_to_the_listing() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for folder in ["machinefeatures", "jobfeatures"] {
        let response = site.client().get(site.https(&vm.path(folder))).send().await.unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()[header::LOCATION], vm.path(&format!("{folder}/")).as_str());

        let following = site.builder().redirect(redirect::Policy::limited(3)).build().unwrap();
        let response = following.get(site.https(&vm.path(folder))).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.url().path().ends_with(&format!("/{folder}/")));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
    let listing = answer(site.client().get(site.https(&vm.path("machinefeatures/")))).await.1;
    snapbox::assert_data_eq!(
        listing,
        snapbox::str![[r#"
<!DOCTYPE html>
<html><body><ul>
<li><a href="hs06">hs06</a></li>
<li><a href="total_cpu">total_cpu</a></li>
</ul></body></html>

"#]]
    );
}

#[tokio::test]
async fn every_link_of_a_listing_can_be_read() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for folder in ["machinefeatures/", "jobfeatures/"] {
        let listing = answer(site.client().get(site.https(&vm.path(folder)))).await.1;
        let links: Vec<&str> =
            listing.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links.len(), 2, "{listing}");
        for link in links {
            let url = reqwest::Url::parse(&site.https(&vm.path(folder))).unwrap().join(link);
            assert_eq!(status(site.client().get(url.unwrap())).await, 200, "{link}");
        }
    }
}

#[tokio::test]
async fn a_key_that_appears_later_is_seen_at_once() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let url = site.https(&vm.path("jobfeatures/shutdowntime_job"));
    assert_empty_error(site.client().get(&url).send().await.unwrap(), 404).await;
    let proof = site.ownership.proof().unwrap();
    site.store.set_job_feature(&proof, &vm.name, "shutdowntime_job", "1800000000").await.unwrap();
    assert_eq!(answer(site.client().get(&url)).await.1, "1800000000");
}

#[tokio::test]
async fn what_is_unknown_is_404_without_a_body() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let unknown = [
        vm.path("machinefeatures/no_such_key"),
        vm.path("machinefeatures/total_cpu/"),
        vm.path("machinefeatures//"),
        vm.path("jobfeatures/total_cpu"),
        vm.path(""),
        vm.path("user_data"),
        vm.path("record.json"),
        vm.path("joboutputs"),
        vm.path("joboutputs/"),
        format!("/machines/{SPACE}/vcycle-dune-zzzzzzzzzz/machinefeatures"),
        format!("/machines/{SPACE}/vcycle-dune-zzzzzzzzzz/machinefeatures/"),
        format!("/machines/{SPACE}/vcycle-dune-zzzzzzzzzz/machinefeatures/total_cpu"),
        format!("/machines/b.example/{}/machinefeatures/", vm.name),
        format!("/machines/{SPACE}"),
        format!("/machines/{SPACE}/"),
        "/machines".to_owned(),
        "/machines/".to_owned(),
        "/".to_owned(),
        "/metrics".to_owned(),
        "/healthz".to_owned(),
        "/api/v1/status".to_owned(),
        "/favicon.ico".to_owned(),
    ];
    for path in unknown {
        for url in [site.https(&path), site.http(&path)] {
            assert_empty_error(site.client().get(&url).send().await.unwrap(), 404).await;
        }
    }
}

#[tokio::test]
async fn names_that_are_not_names_are_404_even_when_a_file_would_be_there() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let name = vm.name.as_str();
    let long = "a".repeat(5000);
    // As no client would send them: just as they stand here.
    for path in [
        format!("/machines/{SPACE}/{name}/machinefeatures/../record.json"),
        format!("/machines/{SPACE}/{name}/machinefeatures/%2e%2e/record.json"),
        format!("/machines/{SPACE}/{name}/machinefeatures/%2e%2e%2frecord.json"),
        format!("/machines/{SPACE}/{name}/machinefeatures/..%2Frecord.json"),
        format!("/machines/{SPACE}/{name}/machinefeatures/%00"),
        format!("/machines/{SPACE}/{name}/machinefeatures/%ff%fe"),
        format!("/machines/{SPACE}/{name}/machinefeatures/total_cpu%00"),
        format!("/machines/{SPACE}/{name}/machinefeatures/{long}"),
        format!("/machines/{SPACE}/../{SPACE}/{name}/machinefeatures/total_cpu"),
        format!("/machines/../machines/{SPACE}/{name}/machinefeatures/total_cpu"),
        format!("/machines/%2e%2e/{name}/machinefeatures/total_cpu"),
        format!("/machines/{}/{name}/machinefeatures/total_cpu", SPACE.to_uppercase()),
        format!("/machines/{SPACE}/{}/machinefeatures/total_cpu", name.to_uppercase()),
        format!("/machines/{SPACE}%2f{name}/x/machinefeatures/total_cpu"),
        format!("/machines/{SPACE}//{name}/machinefeatures/total_cpu"),
        format!("//machines/{SPACE}/{name}/machinefeatures/total_cpu"),
        format!("/machines/{long}/{name}/machinefeatures/total_cpu"),
        format!("/heartbeatlists/{SPACE}/%2e%2e"),
        format!("/heartbeatlists/{SPACE}/.."),
        "/../../../../etc/passwd".to_owned(),
        "/machines/../../../../etc/passwd".to_owned(),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = site.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "no body: {path}: {answer}");
    }
    // A percent-encoded letter is that letter.
    let encoded = format!("/machines/{SPACE}/{name}/machinefeatures/total%5Fcpu");
    assert_eq!(answer(site.client().get(site.https(&encoded))).await.1, "8");
}

#[tokio::test]
async fn the_plain_listener_speaks_http_without_tls() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    let mut stream = tokio::net::TcpStream::connect(site.running.http_addr.unwrap()).await.unwrap();
    let path = vm.path("machinefeatures/total_cpu");
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\n8"), "{answer}");
    // And the other way round nothing is given away.
    let mut tls = raw_tls(site.running.https_addr, site.running.ca_pem.as_deref().unwrap()).await;
    tls.write_all(request.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut tls).await.ends_with("\r\n\r\n8"));
}

#[tokio::test]
async fn head_says_what_get_would_without_the_body() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for (path, expected) in [
        (vm.path("machinefeatures/total_cpu"), 200),
        (vm.path("machinefeatures/"), 200),
        (vm.path("machinefeatures"), 302),
        (vm.path("machinefeatures/nothing"), 404),
    ] {
        for url in [site.https(&path), site.http(&path)] {
            let response = site.client().head(&url).send().await.unwrap();
            assert_eq!(response.status(), expected, "{url}");
            if path.ends_with("total_cpu") {
                assert_eq!(response.headers()[header::CONTENT_LENGTH], "1");
            }
            assert_eq!(response.bytes().await.unwrap(), "");
        }
    }
}

#[tokio::test]
async fn other_methods_are_405_and_say_what_is_allowed() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    for path in [
        vm.path("machinefeatures"),
        vm.path("machinefeatures/"),
        vm.path("machinefeatures/total_cpu"),
        vm.path("jobfeatures/allocated_cpu"),
        format!("/heartbeatlists/{SPACE}/dune"),
    ] {
        for method in writing_methods() {
            for url in [site.https(&path), site.http(&path)] {
                let request = site.client().request(method.clone(), &url).bearer_auth(&vm.token);
                let response = request.send().await.unwrap();
                assert_eq!(response.headers()[header::ALLOW], "GET,HEAD", "{method} {url}");
                assert_empty_error(response, 405).await;
            }
        }
    }
    let output = site.https(&vm.path("joboutputs/log"));
    for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
        let request = site.client().request(method, &output).bearer_auth(&vm.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[header::ALLOW], "PUT");
        assert_empty_error(response, 405).await;
    }
}

#[tokio::test]
async fn a_heartbeat_list_is_text_and_its_folder_cannot_be_listed() {
    let site = Site::new().await;
    let list = "1800000000 vcycle-dune-aaaaaaaaaa 192.0.2.7\n";
    let proof = site.ownership.proof().unwrap();
    let dune = "dune".parse().unwrap();
    site.store.save_heartbeat_list(&proof, &dune, list).await.unwrap();
    for base in [site.https("/heartbeatlists"), site.http("/heartbeatlists")] {
        let response = site.client().get(format!("{base}/{SPACE}/dune")).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(response.text().await.unwrap(), list);
        for hidden in ["", "/", &format!("/{SPACE}"), &format!("/{SPACE}/")] {
            let response = site.client().get(format!("{base}{hidden}")).send().await.unwrap();
            assert_empty_error(response, 404).await;
        }
        for unknown in [format!("/{SPACE}/lhcb"), "/b.example/dune".to_owned()] {
            let response = site.client().get(format!("{base}{unknown}")).send().await.unwrap();
            assert_empty_error(response, 404).await;
        }
    }
}

#[tokio::test]
async fn an_archived_machine_is_unknown() {
    let site = Site::new().await;
    let vm = site.machine("dune").await;
    site.store.archive(&site.ownership.proof().unwrap(), &vm.name).await.unwrap();
    for path in ["machinefeatures", "machinefeatures/", "machinefeatures/total_cpu"] {
        let response = site.client().get(site.https(&vm.path(path))).send().await.unwrap();
        assert_empty_error(response, 404).await;
    }
    assert_eq!(site.store.record(&space(), &vm.name).await.unwrap(), None);
}
