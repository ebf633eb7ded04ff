//! Tokens: when they are asked for, kept, renewed and given up, and by which credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::ErrorKind;

use super::capture;
use super::tiny::{Says, Seen, Tiny, hour, open, token};
use crate::clouds::{Auth, CredentialId, Domain, Project, User};
use crate::session::{Arrived, Call, Service, auth};

fn servers() -> Call<'static> {
    Call::get(Service::Compute, "/servers", "list servers")
}

fn password_of(seen: &Seen) -> String {
    let password = &seen.body["auth"]["identity"]["password"]["user"]["password"];
    password.as_str().unwrap_or_default().to_owned()
}

#[test]
fn logins_are_those_that_keystone_accepted() {
    let default = || Domain::Id("default".into());
    let password = Auth::Password {
        user: User::Name("site-a-user".into(), default()),
        password: "site-a-secret".into(),
        project: Some(Project::Name("site-a".into(), default())),
    };
    assert_eq!(auth::body(&password), capture("2026.2/003-auth-password")["request"]["body"]);
    let accepted = &capture("2026.2/004-auth-appcred")["request"]["body"];
    let sent = &accepted["auth"]["identity"]["application_credential"];
    let credential = Auth::ApplicationCredential {
        credential: CredentialId::Id(sent["id"].as_str().unwrap().into()),
        secret: sent["secret"].as_str().unwrap().into(),
    };
    assert_eq!(auth::body(&credential), *accepted);
}

#[test]
fn logins_by_other_names_have_their_documented_shape() {
    let user = User::Name("u".into(), Domain::Name("D".into()));
    let named = Auth::ApplicationCredential {
        credential: CredentialId::Name("vms".into(), user),
        secret: "s".into(),
    };
    let credential =
        json!({"name": "vms", "user": {"name": "u", "domain": {"name": "D"}}, "secret": "s"});
    let identity = json!({
        "methods": ["application_credential"], "application_credential": credential,
    });
    assert_eq!(auth::body(&named), json!({"auth": {"identity": identity}}));
    let token = Auth::Token { token: "t".into(), project: Some(Project::Id("p1".into())) };
    let identity = json!({"methods": ["token"], "token": {"id": "t"}});
    let expected = json!({"auth": {"identity": identity, "scope": {"project": {"id": "p1"}}}});
    assert_eq!(auth::body(&token), expected);
}

#[tokio::test]
async fn many_calls_at_once_make_one_login() {
    let cloud =
        Tiny::start(|seen| if seen.is_login() { hour() } else { Says::json(200, &json!({})) })
            .await;
    let setup = open(&[&cloud.url], |_| {});
    let calls = (0..20).map(|_| setup.session.call::<Value>(servers()));
    let replies = futures::future::join_all(calls).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(cloud.logins(), 1);
    assert!(cloud.seen()[1..].iter().all(|seen| seen.header("x-auth-token") == "token-1"));
}

#[tokio::test]
async fn those_who_wait_for_a_login_that_fails_make_none_of_their_own() {
    let cloud = Tiny::start(|_| Says::text(503, "down")).await;
    let setup = open(&[&cloud.url], |_| {});
    let calls = (0..20).map(|_| setup.session.call::<Value>(servers()));
    let replies = futures::future::join_all(calls).await;
    assert!(replies.iter().all(Result::is_err));
    assert_eq!(cloud.logins(), 1);
    let again = setup.session.call::<Value>(servers()).await.expect_err("it is still down");
    assert_eq!((again.arrived, again.operation), (Arrived::Never, "list servers"));
    assert_eq!(cloud.logins(), 2, "a later call tries again");
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_its_end_whatever_clock_the_cloud_has() {
    let cloud =
        Tiny::start(|seen| if seen.is_login() { hour() } else { Says::json(200, &json!({})) })
            .await;
    let setup = open(&[&cloud.url], |_| {});
    for (advance, logins) in [(0, 1), (3299, 1), (1, 2), (3299, 2)] {
        setup.clock.advance(Duration::from_secs(advance));
        setup.session.send(servers()).await.unwrap();
        assert_eq!(cloud.logins(), logins, "after {advance} more seconds");
    }
}

#[tokio::test]
async fn a_short_token_does_not_mean_a_login_for_each_call() {
    let cloud = Tiny::start(|seen| {
        if seen.is_login() { token("t", "p1", 60) } else { Says::json(200, &json!({})) }
    })
    .await;
    let setup = open(&[&cloud.url], |_| {});
    for (advance, logins) in [(0, 1), (44, 1), (1, 2)] {
        setup.clock.advance(Duration::from_secs(advance));
        setup.session.send(servers()).await.unwrap();
        assert_eq!(cloud.logins(), logins, "after {advance} more seconds");
    }
}

#[tokio::test]
async fn while_keystone_is_away_the_old_token_is_used_to_its_end() {
    let keystone = Arc::new(AtomicU16::new(201));
    let state = Arc::clone(&keystone);
    let cloud = Tiny::start(move |seen| match (seen.is_login(), state.load(Ordering::SeqCst)) {
        (true, 201) => hour(),
        (true, status) => Says::text(status, "down"),
        (false, _) => Says::json(200, &json!({})),
    })
    .await;
    let setup = open(&[&cloud.url], |_| {});
    setup.session.send(servers()).await.unwrap();
    keystone.store(503, Ordering::SeqCst);
    setup.clock.advance(Duration::from_secs(3400));
    setup.session.send(servers()).await.unwrap();
    setup.session.send(servers()).await.unwrap();
    assert_eq!(cloud.logins(), 2, "a renewal that failed is not tried again for each call");
    setup.clock.advance(Duration::from_secs(200));
    let failure = setup.session.send(servers()).await.expect_err("the token has ended");
    assert_eq!(failure.of_create().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_token_that_is_refused_early_is_replaced_once() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let cloud = Tiny::start(move |seen| {
        if seen.is_login() {
            let number = count.fetch_add(1, Ordering::SeqCst);
            return token(&format!("token-{number}"), "p1", 3600);
        }
        match seen.header("x-auth-token") {
            "token-0" => Says::refused_by_keystone(),
            _ => Says::json(202, &json!({})),
        }
    })
    .await;
    let setup = open(&[&cloud.url], |_| {});
    let create = Call::post(Service::Compute, "/servers", json!({"server": {}}), "create server");
    setup.session.send(create).await.unwrap();
    let steps: Vec<_> = cloud.seen().iter().map(|seen| seen.path.clone()).collect();
    let (login, servers) = ("/v3/auth/tokens", "/compute/v2.1/servers");
    assert_eq!(steps, [login, servers, login, servers]);
    assert_eq!(cloud.seen()[3].body, json!({"server": {}}));
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_a_failed_login_and_made_nothing() {
    let cloud =
        Tiny::start(|seen| if seen.is_login() { hour() } else { Says::refused_by_keystone() })
            .await;
    let setup = open(&[&cloud.url], |_| {});
    let create = Call::post(Service::Compute, "/servers", json!({}), "create server");
    let failure = setup.session.send(create).await.expect_err("refused");
    assert_eq!(failure.of_create().kind, ErrorKind::AuthFailed);
    assert_eq!(cloud.seen().len(), 4);
}

/// Nova passes on a 401 that it got from another service; by then a server may exist.
#[tokio::test]
async fn a_create_that_nova_itself_answers_with_401_is_not_sent_again() {
    let cloud =
        Tiny::start(|seen| if seen.is_login() { hour() } else { Says::text(401, "Unauthorized") })
            .await;
    let setup = open(&[&cloud.url], |_| {});
    let create = Call::post(Service::Compute, "/servers", json!({}), "create server");
    let failure = setup.session.send(create).await.expect_err("refused");
    assert_eq!(failure.of_create().kind, ErrorKind::Ambiguous);
    assert_eq!(cloud.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_credential_is_followed_by_the_second_which_then_stays() {
    let cloud = Tiny::start(|seen| match (seen.is_login(), password_of(seen).as_str()) {
        (true, "secret-1") => hour(),
        (true, _) => Says::json(
            401,
            &json!({"error": {"code": 401, "title": "Unauthorized", "message": "expired"}}),
        ),
        (false, _) => Says::json(200, &json!({})),
    })
    .await;
    let setup = open(&[&cloud.url, &cloud.url], |_| {});
    setup.session.send(servers()).await.unwrap();
    setup.clock.advance(Duration::from_secs(3500));
    setup.session.send(servers()).await.unwrap();
    let logins: Vec<_> = cloud.seen().iter().filter(|s| s.is_login()).map(password_of).collect();
    assert_eq!(logins, ["secret-0", "secret-1", "secret-1"]);
    let whoami = setup.session.whoami().await.unwrap();
    assert!(whoami.credential.starts_with("cloud 'c1' of "), "{}", whoami.credential);
    let refused = whoami.first_refused.unwrap();
    assert!(refused.contains("cloud 'c0' of ") && refused.ends_with("expired"), "{refused}");
}

#[tokio::test]
async fn two_refused_credentials_are_one_failed_login_that_tells_of_both() {
    let cloud = Tiny::start(|_| Says::refused_by_keystone()).await;
    let setup = open(&[&cloud.url, &cloud.url], |_| {});
    let failure = setup.session.send(servers()).await.expect_err("refused");
    let error = failure.of_create();
    assert_eq!(error.kind, ErrorKind::AuthFailed);
    assert!(error.message.contains("'c0'") && error.message.contains("'c1'"), "{error}");
    assert!(!error.message.contains("secret-"), "{error}");
}

#[tokio::test]
async fn a_keystone_that_is_away_is_no_reason_for_the_second_credential() {
    let cloud = Tiny::start(|_| Says::text(404, "<h1>404</h1> no such page")).await;
    let setup = open(&[&cloud.url, &cloud.url], |_| {});
    let failure = setup.session.send(servers()).await.expect_err("away");
    assert_eq!(failure.clone().of_create().kind, ErrorKind::Unavailable);
    assert_eq!(failure.of_read().kind, ErrorKind::Unavailable);
    assert_eq!(cloud.logins(), 1);
}

/// In another project all our machines would look gone, and be made again.
#[tokio::test]
async fn a_second_credential_never_leads_into_another_project() {
    let first = Arc::new(AtomicU16::new(201));
    let state = Arc::clone(&first);
    let cloud = Tiny::start(move |seen| match (seen.is_login(), password_of(seen).as_str()) {
        (true, "secret-1") => token("token-2", "p2", 3600),
        (true, _) if state.load(Ordering::SeqCst) == 201 => hour(),
        (true, _) => Says::refused_by_keystone(),
        (false, _) => Says::json(200, &json!({})),
    })
    .await;
    let setup = open(&[&cloud.url, &cloud.url], |_| {});
    setup.session.send(servers()).await.unwrap();
    first.store(401, Ordering::SeqCst);
    setup.clock.advance(Duration::from_secs(3600));
    let failure = setup.session.send(servers()).await.expect_err("another project");
    assert!(failure.message.contains("'p2-name' (p2), the other credential to p1"), "{failure}");
    assert_eq!(failure.of_read().kind, ErrorKind::AuthFailed);
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_once_though_both_credentials_are_in_it() {
    use std::os::unix::fs::PermissionsExt;
    let cloud = Tiny::start(|_| hour()).await;
    let (settings, folder) = super::tiny::settings(&[&cloud.url, &cloud.url]);
    let file = folder.path().join("clouds.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let clock = Arc::new(vcycle_api::ManualClock::at(vcycle_api::Timestamp::from_secs(1)));
    let session = crate::session::Session::open(&settings, clock).unwrap();
    let who = session.whoami().await.unwrap();
    let expected = format!("{} holds a secret and every user can read it", file.display());
    assert_eq!(who.notices, [expected]);
}

/// The same project, but machines of another region.
#[tokio::test]
async fn a_second_credential_never_leads_into_another_region() {
    let first = Arc::new(AtomicU16::new(201));
    let state = Arc::clone(&first);
    let cloud = Tiny::start(move |seen| {
        if !seen.is_login() {
            return Says::json(200, &json!({}));
        }
        if password_of(seen) == "secret-0" && state.load(Ordering::SeqCst) != 201 {
            return Says::refused_by_keystone();
        }
        let mut says = hour();
        let region = if password_of(seen) == "secret-0" { "R" } else { "S" };
        says.body = says.body.replace("\"region\":\"R\"", &format!("\"region\":\"{region}\""));
        says
    })
    .await;
    let setup = open(&[&cloud.url, &cloud.url], |_| {});
    setup.session.send(servers()).await.unwrap();
    first.store(401, Ordering::SeqCst);
    setup.clock.advance(Duration::from_secs(3600));
    let failure = setup.session.send(servers()).await.expect_err("another region");
    let words = "it leads to region 'S', the other credential to region 'R'";
    assert!(failure.message.contains(words), "{failure}");
    assert_eq!(failure.of_read().kind, ErrorKind::AuthFailed);
}

#[tokio::test]
async fn a_tenancy_is_project_and_region_as_the_token_tells_them() {
    let cloud = Tiny::start(|_| hour()).await;
    let setup = open(&[&cloud.url], |_| {});
    let tenancy = setup.session.tenancy().await.unwrap();
    assert_eq!(tenancy.id, "project p1, region R");
    assert_eq!(tenancy.name, "project 'p1-name' (p1), region R");
    setup.session.tenancy().await.unwrap();
    assert_eq!(cloud.seen().len(), 1, "it costs a login, and then nothing");
}

#[tokio::test]
async fn several_regions_without_a_chosen_one_are_listed() {
    let login = |regions: &'static [&'static str]| {
        move |seen: &Seen| {
            if !seen.is_login() {
                return Says::json(200, &json!({}));
            }
            let mut says = hour();
            let mut body: Value = serde_json::from_str(&says.body).unwrap();
            let endpoint = |r: &&str| {
                let url = format!("http://HERE/{r}/v2.1");
                json!({"interface": "public", "region": r, "url": url})
            };
            let endpoints: Vec<_> = regions.iter().map(endpoint).collect();
            body["token"]["catalog"][0]["endpoints"] = json!(endpoints);
            says.body = body.to_string();
            says
        }
    };
    let cloud = Tiny::start(login(&["R1", "R2"])).await;
    let setup = open(&[&cloud.url], |_| {});
    let failure = setup.session.send(servers()).await.expect_err("no region");
    let text = "the catalogue has several regions (R1, R2): choose one";
    assert!(failure.message.ends_with(text), "{failure}");
    assert_eq!(failure.of_create().kind, ErrorKind::AuthFailed);
    let chosen = open(&[&cloud.url], |s| s.credentials[0].region = Some("R2".into()));
    chosen.session.send(servers()).await.unwrap();
    assert_eq!(cloud.seen().last().unwrap().path, "/R2/v2.1/servers");
    let wrong = open(&[&cloud.url], |s| s.credentials[0].region = Some("R3".into()));
    let failure = wrong.session.send(servers()).await.expect_err("no such region");
    let text = "region 'R3' is not in the catalogue (regions: R1, R2)";
    assert!(failure.message.ends_with(text), "{failure}");
}

#[tokio::test]
async fn a_service_that_the_catalogue_lacks_is_told_with_what_it_has() {
    let cloud = Tiny::start(|_| hour()).await;
    let setup = open(&[&cloud.url], |_| {});
    assert!(setup.session.offers(Service::Image).await.unwrap());
    assert!(!setup.session.offers(Service::Reservation).await.unwrap());
    let call = Call::get(Service::Reservation, "/leases", "read lease");
    let failure = setup.session.send(call).await.expect_err("no such service");
    let text = "the catalogue has no public reservation service in region 'R' \
                (it has: compute, image)";
    assert_eq!(failure.message, text);
    let internal = open(&[&cloud.url], |s| s.credentials[0].interface = Some("internal".into()));
    let failure = internal.session.send(servers()).await.expect_err("no such interface");
    assert!(failure.message.contains("(it has: compute public in R)"), "{failure}");
}

#[tokio::test]
async fn a_login_without_a_project_says_what_is_missing() {
    let unscoped = capture("2026.2/015-auth-password-unscoped");
    let body = unscoped["response"]["body"].clone();
    let cloud = Tiny::start(move |_| Says::json(201, &body).with("x-subject-token", "t")).await;
    let setup = open(&[&cloud.url], |_| {});
    let failure = setup.session.whoami().await.expect_err("no project");
    assert!(failure.message.ends_with("project_name or project_id is missing"), "{failure}");
}

/// The body of a login with an application credential, and what Keystone tells of it.
fn with_credential(life: i64, told: Says) -> impl Fn(&Seen) -> Says + Send + Sync {
    move |seen| {
        if !seen.is_login() {
            assert_eq!(seen.path, "/v3/users/u1/application_credentials/c1");
            return told.clone();
        }
        let mut says = token("t", "p1", life);
        let mut body: Value = serde_json::from_str(&says.body).unwrap();
        body["token"]["application_credential"] = json!({"id": "c1", "name": "vms"});
        says.body = body.to_string();
        says
    }
}

#[tokio::test]
async fn the_end_of_an_application_credential_is_read_where_policy_lets_us() {
    let expiring = capture("2026.2/018-appcred-create-expiring")["response"]["body"].clone();
    let cloud = Tiny::start(with_credential(3600, Says::json(200, &expiring))).await;
    let whoami = open(&[&cloud.url], |_| {}).session.whoami().await.unwrap();
    let expected = crate::session::parse_time("2026-11-21T01:34:53Z");
    assert_eq!(whoami.credential_expires, expected);
    assert_eq!((whoami.project.as_str(), whoami.region.as_deref()), ("p1-name", Some("R")));
    assert_eq!(whoami.roles, ["member"]);
    assert!(whoami.files[0].ends_with("clouds.yaml"));

    let endless = capture("2026.2/016-appcred-list")["response"]["body"].clone();
    let endless = json!({"application_credential": endless["application_credentials"][0]});
    let cloud = Tiny::start(with_credential(3600, Says::json(200, &endless))).await;
    let whoami = open(&[&cloud.url], |_| {}).session.whoami().await.unwrap();
    assert_eq!(whoami.credential_expires, None);

    let broken = Tiny::start(with_credential(3600, Says::text(500, "oops"))).await;
    let failure = open(&[&broken.url], |_| {}).session.whoami().await.expect_err("not known");
    assert_eq!(failure.of_read().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_end_that_may_not_be_read_shows_when_two_tokens_end_together() {
    let logins = Arc::new(AtomicUsize::new(0));
    let forbidden = Says::json(403, &json!({"error": {"title": "Forbidden", "message": "no"}}));
    let answers = with_credential(600, forbidden);
    let count = Arc::clone(&logins);
    let cloud = Tiny::start(move |seen| {
        let mut says = answers(seen);
        if seen.is_login() && count.fetch_add(1, Ordering::SeqCst) == 1 {
            let mut body: Value = serde_json::from_str(&says.body).unwrap();
            body["token"]["issued_at"] = json!("2001-09-09T01:54:40.000000Z");
            says.body = body.to_string();
        }
        says
    })
    .await;
    let setup = open(&[&cloud.url], |_| {});
    assert_eq!(setup.session.whoami().await.unwrap().credential_expires, None);
    setup.clock.advance(Duration::from_secs(480));
    let whoami = setup.session.whoami().await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    assert_eq!(whoami.credential_expires, Some(whoami.token_expires));
}
