//! Getting a token and keeping it: one login at a time, renewed before its end, with a second
//! credential for when the first is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use vcycle_api::{Clock, Timestamp};

use super::catalog::{self, Endpoints};
use super::token::{Document, Named, Token};
use super::{Failure, auth, http};
use crate::clouds::{Auth, Cloud};

/// A token is renewed this long before its end, so that no call finds it ended on its way.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Keystone answers a login in well under a second; nobody waits longer for it than this.
const LOGIN_TIME: Duration = Duration::from_secs(30);
/// When a renewal fails and the old token still lives: the pause until the next attempt.
const PAUSE: Duration = Duration::from_secs(30);

/// One credential, ready to be used.
pub(super) struct Door {
    pub(super) cloud: Cloud,
    pub(super) client: Client,
}

/// What a login gave.
pub(super) struct Access {
    /// Which of the credentials it was.
    pub(super) door: usize,
    /// Why the first credential was refused, when this is the second.
    pub(super) first_refused: Option<String>,
    pub(super) endpoints: Endpoints,
    pub(super) project: Named,
    pub(super) token: Token,
    pub(super) expires: Timestamp,
    /// Whether its end is that of the credential: two logins gave the same end.
    pub(super) capped: bool,
    issued: Option<Timestamp>,
    secret: SecretString,
    /// On our monotonic clock: no clock of the cloud is compared with ours.
    renew_at: Duration,
    ends_at: Duration,
}

impl Access {
    /// The token as the value of a header that no log shows.
    pub(super) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(self.secret.expose_secret())
            .expect("the token came out of a header");
        value.set_sensitive(true);
        value
    }
}

/// The credentials of a session and the token they gave.
pub(super) struct Keys {
    doors: Vec<Door>,
    clock: Arc<dyn Clock>,
    state: tokio::sync::Mutex<State>,
    /// Logins that have ended. Who waited while one failed takes its failure, and makes none.
    finished: AtomicU64,
    time: Duration,
}

/// Project and region: together they tell which machines are seen.
struct Home {
    project: String,
    region: Option<String>,
}

#[derive(Default)]
struct State {
    access: Option<Arc<Access>>,
    /// The credential that worked last.
    active: usize,
    failed: Option<Failure>,
    /// Where the first login led to. Every later one must lead there too: elsewhere every machine of ours
    /// would look gone.
    home: Option<Home>,
    first_refused: Option<String>,
    /// The end of the token before, and when that was made.
    previous: Option<(Timestamp, Option<Timestamp>)>,
    not_before: Duration,
}

impl Keys {
    pub(super) fn new(doors: Vec<Door>, clock: Arc<dyn Clock>, time: Duration) -> Self {
        let state = tokio::sync::Mutex::default();
        Self { doors, clock, state, finished: AtomicU64::new(0), time: time.min(LOGIN_TIME) }
    }

    /// The credential of an access.
    pub(super) fn door(&self, access: &Access) -> &Door {
        &self.doors[access.door]
    }

    /// All credentials, for people.
    pub(super) fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// What the owner of the credentials should know; once, though both may be in one file.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices: Vec<String> = Vec::new();
        for notice in self.doors.iter().flat_map(|door| &door.cloud.notices) {
            if !notices.contains(notice) {
                notices.push(notice.clone());
            }
        }
        notices
    }

    /// A token that lives, from before or from a new login.
    pub(super) async fn access(&self, operation: &'static str) -> Result<Arc<Access>, Failure> {
        let seen = self.finished.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let now = self.clock.monotonic();
        let old = state.access.clone().filter(|access| now < access.ends_at);
        if let Some(access) = &old {
            if now < access.renew_at || now < state.not_before {
                return Ok(Arc::clone(access));
            }
        } else if let Some(failure) = &state.failed
            && self.finished.load(Ordering::SeqCst) != seen
        {
            return Err(Failure { operation, ..failure.clone() });
        }
        let result = self.login(&mut state, operation).await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        match (result, old) {
            (Ok(access), _) => {
                state.failed = None;
                state.access = Some(Arc::clone(&access));
                Ok(access)
            }
            // Keystone is away, but what it gave still opens every door.
            (Err(failure), Some(old)) if !failure.is_refused_credential() => {
                tracing::warn!(error = %failure, "cannot renew the token; using the old one");
                state.not_before = now + PAUSE;
                Ok(old)
            }
            (Err(failure), _) => {
                state.failed = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// A service refused this token before its time: the next call logs in anew.
    pub(super) async fn forget(&self, refused: &Arc<Access>) {
        let mut state = self.state.lock().await;
        if state.access.as_ref().is_some_and(|access| Arc::ptr_eq(access, refused)) {
            state.access = None;
        }
    }

    /// What an earlier login gave is not used again: the next call shows whether one can be had now.
    pub(super) async fn forget_all(&self) {
        self.state.lock().await.access = None;
    }

    /// Tries the credential that worked last, then the others.
    async fn login(
        &self,
        state: &mut State,
        operation: &'static str,
    ) -> Result<Arc<Access>, Failure> {
        let count = self.doors.len();
        let mut refused: Option<Failure> = None;
        for door in (0..count).map(|step| (state.active + step) % count) {
            let whose = &self.doors[door].cloud.origin;
            match self.login_at(state, door).await {
                Ok(access) => {
                    let access = Arc::new(access);
                    if state.active != door {
                        tracing::warn!(credential = %whose, "the other credential is used from now on");
                    }
                    state.active = door;
                    state.home.get_or_insert_with(|| Home {
                        project: access.project.id.clone(),
                        region: access.endpoints.region.clone(),
                    });
                    state.previous = Some((access.expires, access.issued));
                    return Ok(access);
                }
                Err(failure) => {
                    let failure = failure.of_login(operation, whose);
                    if door == 0 {
                        state.first_refused = Some(failure.message.clone());
                    }
                    if !failure.is_refused_credential() {
                        return Err(failure);
                    }
                    tracing::warn!(error = %failure.message, "credential refused");
                    refused = Some(match refused {
                        None => failure,
                        Some(first) => {
                            let message = format!("{}; {}", first.message, failure.message);
                            Failure { message, ..first }
                        }
                    });
                }
            }
        }
        Err(refused.unwrap_or_else(|| Failure::configuration(operation, "no credential")))
    }

    async fn login_at(&self, state: &State, door: usize) -> Result<Access, Failure> {
        const OPERATION: &str = "log in";
        let Door { cloud, client } = &self.doors[door];
        let started = self.clock.monotonic();
        let url = format!("{}/auth/tokens", cloud.auth_url);
        let request = client.post(url).timeout(self.time).json(&auth::body(&cloud.auth));
        let request = request.header("accept", "application/json");
        let answer = http::exchange(request, OPERATION).await?;
        let id = answer.request_id();
        tracing::debug!(status = answer.status, request_id = id, credential = %cloud.origin, "login");
        if answer.status != 201 {
            return Err(Failure::of_answer(OPERATION, &answer, self.clock.now()));
        }
        let odd = |what: &str| Failure::perhaps(OPERATION, format!("Keystone gave {what}"));
        let document: Document =
            serde_json::from_slice(&answer.body).map_err(|_| odd("a token of another shape"))?;
        let secret = answer.header("x-subject-token").ok_or_else(|| odd("no token"))?;
        let mut access = self.accept(state, door, document.token, secret)?;
        access.set_times(started);
        Ok(access)
    }

    /// Checks what the token is good for.
    fn accept(
        &self,
        state: &State,
        door: usize,
        token: Token,
        secret: &str,
    ) -> Result<Access, Failure> {
        let wrong = |message: String| Failure::configuration("log in", message);
        let cloud = &self.doors[door].cloud;
        let Some(project) = token.project.clone() else {
            let keys = "the login has no project: project_name or project_id is missing";
            return Err(wrong(keys.to_owned()));
        };
        let endpoints = catalog::choose(cloud, &token.catalog, &project.id);
        if let Some(Home { project: first, region }) = &state.home {
            if *first != project.id {
                let Named { id, name } = &project;
                return Err(wrong(format!(
                    "it leads to project '{name}' ({id}), the other credential to {first}"
                )));
            }
            if let Some(other) = endpoints.as_ref().ok().filter(|other| other.region != *region) {
                let (other, first) = (in_words(&other.region), in_words(region));
                return Err(wrong(format!("it leads to {other}, the other credential to {first}")));
            }
        }
        let endpoints = endpoints.map_err(wrong)?;
        let Some(expires) = token.expires() else {
            return Err(Failure::perhaps("log in", "Keystone gave a token without an end"));
        };
        let issued = token.issued();
        let capped = state.previous.is_some_and(|(end, made)| end == expires && made != issued);
        let first_refused = state.first_refused.clone().filter(|_| door != 0);
        Ok(Access {
            door,
            first_refused,
            endpoints,
            project,
            token,
            expires,
            capped,
            issued,
            secret: secret.into(),
            renew_at: Duration::ZERO,
            ends_at: Duration::ZERO,
        })
    }

    /// Whether the credential is its own token, which ends with it.
    pub(super) fn is_token(&self, access: &Access) -> bool {
        matches!(self.door(access).cloud.auth, Auth::Token { .. })
    }
}

fn in_words(region: &Option<String>) -> String {
    region.as_ref().map_or_else(|| "no region".to_owned(), |region| format!("region '{region}'"))
}

impl Access {
    /// Counts the token's life on our own clock, from before it was asked for. Both ends of that
    /// life are by Keystone's clock, so its error does not matter.
    fn set_times(&mut self, started: Duration) {
        let life = match self.issued {
            Some(issued) => self.expires.since(issued),
            // Nothing says how long: use it, and find out by a 401.
            None => Duration::from_secs(60 * 60),
        };
        // A short life is not all margin: a credential near its end must not mean a login for each call.
        self.renew_at = started + life.saturating_sub(MARGIN.min(life / 4));
        self.ends_at = started + life;
    }
}
