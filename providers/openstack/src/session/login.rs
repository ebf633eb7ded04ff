//! Getting a token and keeping it: one login at a time, renewed before its end, with a second
//! credential for when the first is refused. Files are read again before each login, so that a
//! credential can be exchanged while we run.

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
use crate::clouds::{self, Auth, Cloud, Places};
use crate::{Credential, OpenError};

/// A token is renewed this long before its end, so that no call finds it ended on its way.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Keystone answers a login in well under a second; nobody waits longer for it than this.
const LOGIN_TIME: Duration = Duration::from_secs(30);
/// When a renewal fails and the old token still lives: the pause until the next attempt.
const PAUSE: Duration = Duration::from_secs(30);
/// After a refusal nobody asks Keystone again for so long: it may lock out who errs often.
const REFUSAL_PAUSE: Duration = Duration::from_secs(60);
/// What was read this lately need not be read again.
const FRESH: Duration = Duration::from_secs(10);

/// One credential, ready to be used.
pub(super) struct Door {
    pub(super) cloud: Cloud,
    pub(super) client: Client,
    read_at: Duration,
}

impl Door {
    fn open(
        credential: &Credential,
        places: &Places,
        time: Duration,
        now: Duration,
    ) -> Result<Arc<Self>, OpenError> {
        let cloud = clouds::read(credential, places)?;
        let client = http::client(&cloud, time)?;
        tracing::debug!(credential = %cloud.origin, files = ?cloud.files, "credential read");
        Ok(Arc::new(Self { cloud, client, read_at: now }))
    }
}

/// What a login gave.
pub(super) struct Access {
    /// The credential that it was made with.
    pub(super) door: Arc<Door>,
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
    /// Whether the credential is itself a token, which ends with this one.
    pub(super) fn is_from_token(&self) -> bool {
        matches!(self.door.cloud.auth, Auth::Token { .. })
    }

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
    credentials: Vec<Credential>,
    places: Places,
    clock: Arc<dyn Clock>,
    state: tokio::sync::Mutex<State>,
    /// Logins that have ended. Who waited while one failed takes its failure, and makes none.
    finished: AtomicU64,
    time: Duration,
}

#[derive(Default)]
struct State {
    doors: Vec<Arc<Door>>,
    access: Option<Arc<Access>>,
    /// The credential that worked last.
    active: usize,
    failed: Option<Failure>,
    /// Project and region of the first login. Another credential must lead to the same: in others
    /// every machine of ours would look gone.
    tenancy: Option<(String, Option<String>)>,
    first_refused: Option<String>,
    /// The end of the token before, and when that was made.
    previous: Option<(Timestamp, Option<Timestamp>)>,
    /// No renewal, or no login after a refusal, before this time.
    not_before: Duration,
}

impl Keys {
    /// Reads all credentials, so that what is wrong with one is found before it is needed.
    pub(super) fn open(
        credentials: &[Credential],
        places: Places,
        clock: Arc<dyn Clock>,
        time: Duration,
    ) -> Result<Self, OpenError> {
        if credentials.is_empty() {
            return Err(OpenError::NoCredential);
        }
        let now = clock.monotonic();
        let doors = credentials.iter().map(|one| Door::open(one, &places, time, now));
        let doors = doors.collect::<Result<Vec<_>, _>>()?;
        for notice in doors.iter().flat_map(|door| &door.cloud.notices) {
            tracing::warn!("{notice}");
        }
        let state = tokio::sync::Mutex::new(State { doors, ..State::default() });
        let (credentials, finished) = (credentials.to_vec(), AtomicU64::new(0));
        Ok(Self { credentials, places, clock, state, finished, time })
    }

    /// Where the credentials are, for people.
    pub(super) fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// All credentials as they were read last, for people.
    pub(super) async fn doors(&self) -> Vec<Arc<Door>> {
        self.state.lock().await.doors.clone()
    }

    /// A token that lives, from before or from a new login.
    pub(super) async fn access(&self, operation: &'static str) -> Result<Arc<Access>, Failure> {
        let seen = self.finished.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let now = self.clock.monotonic();
        let old = state.access.clone().filter(|access| now < access.ends_at);
        if let Some(access) = &old {
            let waits = state.failed.is_none() && now < state.not_before;
            if now < access.renew_at || waits {
                return Ok(Arc::clone(access));
            }
        }
        if let Some(failure) = &state.failed
            && (self.finished.load(Ordering::SeqCst) != seen || now < state.not_before)
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
            (Err(failure), Some(old)) if !failure.needs_people() => {
                tracing::warn!(error = %failure, "cannot renew the token; using the old one");
                (state.failed, state.not_before) = (None, now + PAUSE);
                Ok(old)
            }
            (Err(failure), _) => {
                let pause = if failure.needs_people() { REFUSAL_PAUSE } else { Duration::ZERO };
                (state.failed, state.not_before) = (Some(failure.clone()), now + pause);
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

    /// Tries the credential that worked last, then the others.
    async fn login(
        &self,
        state: &mut State,
        operation: &'static str,
    ) -> Result<Arc<Access>, Failure> {
        let count = self.credentials.len();
        let mut refused: Option<Failure> = None;
        let active = state.active;
        for door in (0..count).map(|step| (active + step) % count) {
            self.read_again(state, door).await;
            let whose = &Arc::clone(&state.doors[door]).cloud.origin;
            match self.login_at(state, door).await {
                Ok(access) => {
                    let access = Arc::new(access);
                    let region = access.endpoints.region.clone();
                    if active != door {
                        tracing::warn!(credential = %whose, "the other credential is used from now on");
                    }
                    state.active = door;
                    state.tenancy.get_or_insert_with(|| (access.project.id.clone(), region));
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

    /// Takes what the files say now. What cannot be read changes nothing: a file may be on its way.
    async fn read_again(&self, state: &mut State, door: usize) {
        let now = self.clock.monotonic();
        if now.saturating_sub(state.doors[door].read_at) < FRESH {
            return;
        }
        let (credential, places) = (self.credentials[door].clone(), self.places.clone());
        let time = self.time;
        let read = move || Door::open(&credential, &places, time, now);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(read)) => state.doors[door] = read,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read the credential again; using what was read");
            }
            Err(_) => tracing::error!("reading a credential panicked; using what was read"),
        }
    }

    async fn login_at(&self, state: &State, door: usize) -> Result<Access, Failure> {
        const OPERATION: &str = "log in";
        let Door { cloud, client, .. } = &*state.doors[door];
        let started = self.clock.monotonic();
        let url = format!("{}/auth/tokens", cloud.auth_url);
        let request =
            client.post(url).timeout(self.time.min(LOGIN_TIME)).json(&auth::body(&cloud.auth));
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
        let cloud = &state.doors[door].cloud;
        let Some(project) = token.project.clone() else {
            let keys = "the login has no project: project_name or project_id is missing";
            return Err(wrong(keys.to_owned()));
        };
        let endpoints = catalog::choose(cloud, &token.catalog, &project.id).map_err(wrong)?;
        let here = (project.id.clone(), endpoints.region.clone());
        if let Some((first, region)) = state.tenancy.as_ref().filter(|first| **first != here) {
            let place = |region: &Option<String>| region.clone().unwrap_or_default();
            return Err(wrong(format!(
                "it leads to project {} ({}) in region '{}', the login before it to {first} in '{}'",
                project.name,
                project.id,
                place(&endpoints.region),
                place(region)
            )));
        }
        let Some(expires) = token.expires() else {
            return Err(Failure::perhaps("log in", "Keystone gave a token without an end"));
        };
        let issued = token.issued();
        let capped = state.previous.is_some_and(|(end, made)| end == expires && made != issued);
        let first_refused = state.first_refused.clone().filter(|_| door != 0);
        Ok(Access {
            door: Arc::clone(&state.doors[door]),
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
