//! Findings of the login: which credential, where it leads, what it may, how long it lasts.

use std::time::Duration;

use vcycle_api::{Finding, Timestamp};

use super::words::{off, told};
use crate::session::{Arrived, Failure, Whoami};

/// A credential that ends sooner is worth a word: the first of the warnings that the daemon gives.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// A credential that ends sooner has to be replaced now.
const NOW: Duration = Duration::from_secs(3 * 86_400);

/// Nobody could log in: nothing else can be told.
pub(super) fn refused(failure: &Failure) -> Finding {
    let what_to_do = match (failure.status, failure.arrived) {
        (Some(401 | 404), _) => {
            "its id, name or secret is wrong, or it has expired or was deleted: make a new application \
             credential on the site's web page and put it into clouds.yaml"
        }
        (Some(403), _) => "the user may not use this project: ask the site",
        (Some(_), _) => "the site's identity service has a fault: ask the site if it lasts",
        (None, Arrived::Never) => {
            "is auth_url right, may this host reach it, and does it trust its certificate (cacert)?"
        }
        (None, Arrived::Certainly | Arrived::Perhaps) => "no answer: try again, then ask the site",
    };
    Finding::fails("login", format!("{}; {what_to_do}", told(failure)))
}

/// What the login gave.
pub(super) fn accepted(who: &Whoami, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![login(who)];
    findings.extend(who.first_refused.iter().map(|why| {
        let detail = format!("{why}; the second is in use: replace the first");
        Finding::fails("first credential", detail)
    }));
    findings.extend(who.credential_expires.map(|ends| credential(ends, now)));
    findings.extend(who.notices.iter().map(|notice| Finding::unknown("credential", notice)));
    findings
}

fn login(who: &Whoami) -> Finding {
    let Whoami { credential, project, user, region, roles, .. } = who;
    let region = region.as_ref().map_or_else(String::new, |region| format!(", region {region}"));
    let detail = format!(
        "{credential}: project '{project}'{region}, user {user}, roles {}",
        if roles.is_empty() { "not told".to_owned() } else { roles.join(", ") }
    );
    // The role that reads everything and makes nothing is called so since Keystone's default roles.
    if roles.iter().all(|role| role == "reader") && !roles.is_empty() {
        return Finding::fails("login", format!("{detail}; machines need the role member"));
    }
    Finding::works("login", detail)
}

fn credential(ends: Timestamp, now: Timestamp) -> Finding {
    let when = off(ends, now);
    let left = ends.since(now);
    let renew = "make a second one and name it as fallback_cloud, or replace it";
    if left <= NOW {
        Finding::fails("credential", format!("it ends {when} ({ends}): {renew}"))
    } else if left <= SOON {
        Finding::works("credential", format!("it ends {when} ({ends}): {renew} soon"))
    } else {
        Finding::works("credential", format!("it ends {when}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcycle_api::Verdict;

    fn who() -> Whoami {
        Whoami {
            credential: "cloud 'iris' of /etc/openstack/clouds.yaml".to_owned(),
            first_refused: None,
            project: "vcycle test".to_owned(),
            project_id: "p".to_owned(),
            user: "ann".to_owned(),
            user_id: "u".to_owned(),
            region: Some("RegionOne".to_owned()),
            roles: vec!["reader".to_owned(), "member".to_owned()],
            token_expires: Timestamp::from_secs(5000),
            credential_expires: None,
            notices: Vec::new(),
            files: Vec::new(),
        }
    }

    #[test]
    fn a_login_tells_where_it_leads() {
        let findings = accepted(&who(), Timestamp::from_secs(0));
        assert_eq!(
            findings,
            [Finding::works(
                "login",
                "cloud 'iris' of /etc/openstack/clouds.yaml: project 'vcycle test', region RegionOne, \
             user ann, roles reader, member"
            )]
        );
    }

    #[test]
    fn a_login_that_may_only_read_fails() {
        let reader = Whoami { roles: vec!["reader".to_owned()], ..who() };
        assert_eq!(login(&reader).verdict, Verdict::Fails);
    }

    #[test]
    fn a_credential_that_ends_in_days_fails_and_one_that_ends_in_weeks_is_worth_a_word() {
        let now = Timestamp::from_secs(0);
        let in_days = |days: i64| credential(Timestamp::from_secs(days * 86_400), now);
        assert_eq!(in_days(2).verdict, Verdict::Fails);
        assert_eq!(in_days(20).verdict, Verdict::Works);
        assert!(in_days(20).detail.contains("fallback_cloud"));
        assert_eq!(in_days(100), Finding::works("credential", "it ends in 100 days"));
    }

    #[test]
    fn a_refused_login_says_what_to_do() {
        let failure = |status, arrived| Failure {
            operation: "log in",
            arrived,
            status,
            code_text: String::new(),
            message: "no".to_owned(),
            request_id: None,
            retry_after: None,
        };
        let detail = |status, arrived| refused(&failure(status, arrived)).detail;
        assert!(
            detail(Some(401), Arrived::Certainly).contains("make a new application credential")
        );
        assert!(detail(None, Arrived::Never).contains("auth_url"));
        assert!(detail(None, Arrived::Perhaps).contains("try again"));
    }
}
