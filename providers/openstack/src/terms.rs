//! What limits a tenancy in time: a lease, a credential that expires.

use std::time::Duration;

use vcycle_api::{ProviderError, Terms};

use crate::lease;
use crate::site::Site;

/// The end of a credential is fixed when it is made (CLOUDS.md, "Application credentials"): it need
/// not be read in every cycle.
const AGE: Duration = Duration::from_secs(10 * 60);

/// The terms of the tenancy.
pub(crate) async fn terms(site: &Site) -> Result<Terms, ProviderError> {
    let whoami = site.whoami.younger_than(AGE, site.session.whoami()).await;
    let whoami = whoami.map_err(|failure| failure.of_read())?;
    let mut terms = Terms {
        credential_expires: whoami.credential_expires,
        notices: whoami.notices.clone(),
        ..Terms::default()
    };
    if let Some(refused) = &whoami.first_refused {
        let used = &whoami.credential;
        terms.notices.push(format!("{used} is in use, as the first is refused: {refused}"));
    }
    if let Some(lease) = lease::of(site).await? {
        terms.opens = Some(lease.opens);
        terms.closes = Some(lease.closes);
        terms.notices.extend(lease.notices);
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use vcycle_api::{Clock, ErrorKind, ManualClock, Timestamp};

    use super::*;
    use crate::session::parse_time;
    use crate::session::tests::tiny::{Says, Seen, Tiny, hour, settings};

    /// A cloud with Blazar, whose first credential is refused.
    async fn cloud(leases: impl Fn() -> Says + Send + Sync + 'static) -> Tiny {
        Tiny::start(move |seen: &Seen| {
            if !seen.is_login() {
                assert_eq!(seen.path, "/blazar/v1/leases");
                return leases();
            }
            let password = &seen.body["auth"]["identity"]["password"]["user"]["password"];
            if password == "secret-0" {
                return Says::refused_by_keystone();
            }
            let mut says = hour();
            let mut body: Value = serde_json::from_str(&says.body).unwrap();
            let endpoint =
                json!({"interface": "public", "region": "R", "url": "http://HERE/blazar"});
            let blazar = json!({"type": "reservation", "endpoints": [endpoint]});
            body["token"]["catalog"].as_array_mut().unwrap().push(blazar);
            body["token"]["user"]["password_expires_at"] = json!("2026-12-01T00:00:00.000000");
            says.body = body.to_string();
            says
        })
        .await
    }

    fn site(cloud: &Tiny) -> (Site, tempfile::TempDir) {
        let (mut settings, folder) = settings(&[&cloud.url, &cloud.url]);
        settings.lease = Some("autumn".to_owned());
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        (Site::open(settings, &clock).unwrap(), folder)
    }

    fn autumn() -> Says {
        let reservation = json!({"id": "r-1", "resource_type": "physical:host"});
        let lease = json!({
            "id": "l-1", "name": "autumn", "status": "ACTIVE", "degraded": true,
            "start_date": "2026-11-20T08:00:00.000000", "end_date": "2026-11-27T08:00:00.000000",
            "reservations": [reservation],
        });
        Says::json(200, &json!({"leases": [lease]}))
    }

    #[tokio::test]
    async fn the_terms_have_the_lease_the_credentials_end_and_what_people_should_know() {
        let cloud = cloud(autumn).await;
        let (site, _folder) = site(&cloud);
        let told = terms(&site).await.unwrap();
        assert_eq!(told.opens, parse_time("2026-11-20T08:00:00Z"));
        assert_eq!(told.closes, parse_time("2026-11-27T08:00:00Z"));
        assert_eq!(told.credential_expires, parse_time("2026-12-01T00:00:00Z"));
        let second = told.notices.iter().filter(|n| n.contains("as the first is refused"));
        assert_eq!(second.count(), 1, "{:?}", told.notices);
        let degraded = told.notices.iter().filter(|n| n.contains("is degraded"));
        assert_eq!(degraded.count(), 1, "{:?}", told.notices);
        let requests = cloud.seen().len();
        assert_eq!(terms(&site).await.unwrap(), told);
        assert_eq!(cloud.seen().len(), requests, "what seldom changes is not asked each time");
    }

    #[tokio::test]
    async fn a_server_of_a_lease_names_its_hosts_unless_the_settings_do() {
        let cloud = cloud(autumn).await;
        let (mut site, _folder) = site(&cloud);
        let mut body = json!({"server": {}});
        lease::add_hint(&site, &mut body).await.unwrap();
        assert_eq!(body["os:scheduler_hints"], json!({"reservation": "r-1"}));
        site.settings.hints = [("reservation".to_owned(), "own".to_owned())].into();
        let mut body = json!({"os:scheduler_hints": {"reservation": "own"}});
        lease::add_hint(&site, &mut body).await.unwrap();
        assert_eq!(body["os:scheduler_hints"], json!({"reservation": "own"}));
    }

    /// Without its end known the space must not look endless.
    #[tokio::test]
    async fn a_lease_that_cannot_be_read_is_an_error_and_not_the_lack_of_one() {
        for (says, kind) in [
            (Says::text(503, "down"), ErrorKind::Unavailable),
            (Says::json(200, &json!({"leases": []})), ErrorKind::InvalidSpec),
        ] {
            let cloud = cloud(move || says.clone()).await;
            let (site, _folder) = site(&cloud);
            assert_eq!(terms(&site).await.expect_err("not known").kind, kind);
        }
    }
}
