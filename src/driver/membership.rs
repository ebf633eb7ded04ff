//! This manager among the others: shows itself, looks who else lives, and tells the tasks of the spaces.
//! Nothing rests on it but who takes which space first; a state directory that hangs delays only this.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};
use vcycle_api::Clock;

use super::board::News;
use super::{Farewell, Shared};
use crate::cooperate::{Member, Members, Sign};
use crate::library::Setup;
use crate::model::{Board, Doors, ManagerName, Timestamp};
use crate::store::{IdleSpace, ManagerInfo, StoreError};

/// How many times within the TTL the others are looked at: a clean stop is to be followed within two seconds.
const LOOKS_PER_TTL: u32 = 15;
/// Looks are never further apart.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// How many times within the TTL this manager shows that it lives, and looks for new ones.
const SIGNS_PER_TTL: u32 = 3;

/// What is known of the others.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Whether there was a look at all.
    pub(super) has_looked: bool,
    /// Who lives, this manager included.
    pub(super) live: BTreeMap<ManagerName, Member>,
    /// Changes when somebody has given a space back: it is worth a look.
    pub(super) given_back: u64,
}

impl View {
    /// Where machines are heard at `now`, a reading of the clock on which the others were judged. A manager of
    /// which there was one sign only may be dead: its door counts as just opened, and so proves nothing.
    pub(super) fn doors(&self, ours: &str, clock: &dyn Clock) -> Doors {
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let mut doors = BTreeMap::from([(ours.to_owned(), Timestamp::from_millis(0))]);
        for member in self.live.values() {
            let steady =
                member.steady_since.map_or(Duration::ZERO, |s| monotonic.saturating_sub(s));
            let since = wall - steady;
            let door = doors.entry(member.base_url.clone()).or_insert(since);
            *door = since.min(*door);
        }
        Doors::Open(doors)
    }
}

/// The task.
pub(super) struct Membership {
    shared: Arc<Shared>,
    info: ManagerInfo,
    setup: watch::Receiver<Arc<Setup>>,
    board: watch::Receiver<Arc<Board>>,
    view: watch::Sender<View>,
    members: Members,
    ttl: Duration,
    /// The others' files as last read.
    others: BTreeMap<ManagerName, ManagerInfo>,
    /// Another process writes our own file.
    has_twin: bool,
    /// The state directory did not take or give what we wanted the last time.
    fails: bool,
    news: mpsc::Sender<News>,
}

impl Membership {
    pub(super) fn new(
        shared: Arc<Shared>,
        address: Option<SocketAddr>,
        setup: watch::Receiver<Arc<Setup>>,
        board: watch::Receiver<Arc<Board>>,
    ) -> Self {
        let ttl = setup.borrow().config.site.ownership_ttl;
        let info = ManagerInfo {
            format: 1,
            name: shared.home.manager.clone(),
            version: shared.home.version.clone(),
            started: shared.clock.now(),
            counter: 0,
            spaces: Vec::new(),
            address,
            base_url: shared.home.base_url.clone(),
            host: shared.home.hostname.clone(),
            run: shared.run.clone(),
            serves: None,
            given_back: 0,
            config: None,
            idle: BTreeMap::new(),
            stopped: None,
            ttl_secs: ttl.as_secs(),
        };
        let (view, members) = (watch::Sender::default(), Members::new(ttl));
        let (news, others) = (shared.news.clone(), BTreeMap::new());
        let (has_twin, fails) = (false, false);
        Self { shared, info, setup, board, view, members, ttl, others, has_twin, fails, news }
    }

    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Until `stopped`; then says farewell.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<Option<Farewell>>) {
        let look_every = (self.ttl / LOOKS_PER_TTL).min(LOOK_AT_LEAST_EVERY);
        let sign_every = self.ttl / SIGNS_PER_TTL;
        let mut given_back = self.shared.given_back.subscribe();
        let mut due = Instant::now();
        loop {
            let is_due = Instant::now() >= due;
            if is_due {
                due = Instant::now() + sign_every;
            }
            let worked = async {
                let is_news = given_back.has_changed().unwrap_or(false) || self.told() != self.info;
                if is_due || is_news {
                    let count = *given_back.borrow_and_update();
                    self.show(count).await?;
                }
                if is_due { self.look_for_all().await } else { self.look_at_known().await }
            };
            let failure = worked.await.err();
            // Said once: looks are a second apart.
            if let Some(problem) = failure.as_ref().filter(|_| !self.fails) {
                warn!(%problem, "cannot look at the other managers, or not be seen by them");
            }
            self.fails = failure.is_some();
            self.publish();
            tokio::select! {
                biased;
                _ = stopped.changed() => break,
                _ = given_back.changed() => given_back.mark_changed(),
                () = sleep(look_every) => {}
            }
        }
        self.say_farewell().await;
    }

    /// After the spaces were given back: nobody has to wait for our silence.
    async fn say_farewell(&mut self) {
        self.info.stopped = Some(self.shared.clock.now());
        let given_back = *self.shared.given_back.borrow();
        if let Err(problem) = self.show(given_back).await {
            warn!(%problem, "could not say farewell; the others find out by our silence");
        }
    }

    async fn show(&mut self, given_back: u64) -> Result<(), StoreError> {
        let store = self.shared.store.clone();
        if self.info.counter > 0
            && let Some(there) = store.manager(&self.info.name).await?
        {
            self.tell_twin(there.run != self.info.run).await;
        }
        self.info.counter += 1;
        self.info.given_back = given_back;
        self.info = self.told();
        store.save_manager(&self.info).await
    }

    /// What this manager tells now; the last word tells of no space.
    fn told(&self) -> ManagerInfo {
        let board = self.board.borrow();
        let idle = board.idle_spaces.iter().map(|(space, why)| {
            let since = board.idle_since(space);
            (space.clone(), IdleSpace { since, why: why.clone() })
        });
        let ended = self.info.stopped.is_some();
        let setup = self.setup.borrow();
        ManagerInfo {
            spaces: if ended { Vec::new() } else { board.spaces.keys().cloned().collect() },
            config: Some(board.config.clone()),
            idle: if ended { BTreeMap::new() } else { idle.collect() },
            serves: Some(setup.spaces.keys().cloned().collect()),
            ..self.info.clone()
        }
    }

    async fn look_for_all(&mut self) -> Result<(), StoreError> {
        let all = self.shared.store.managers().await?;
        self.take_in(all);
        Ok(())
    }

    async fn look_at_known(&mut self) -> Result<(), StoreError> {
        let now = self.shared.clock.monotonic();
        let live = self.members.live(now);
        let mut seen = Vec::new();
        for name in live.keys().filter(|name| **name != self.info.name) {
            seen.extend(self.shared.store.manager(name).await?);
        }
        self.take_in(seen);
        Ok(())
    }

    fn take_in(&mut self, seen: Vec<ManagerInfo>) {
        let now = self.shared.clock.monotonic();
        self.members.look(now, seen.iter().map(|info| (info.name.clone(), sign(info))));
        for info in seen.into_iter().filter(|info| info.name != self.info.name) {
            self.others.insert(info.name.clone(), info);
        }
    }

    fn publish(&self) {
        let live = self.members.live(self.shared.clock.monotonic());
        let given_back = self.others.values().map(given_back).fold(0, u64::wrapping_add);
        self.view.send_if_modified(|view| {
            let is_news = !view.has_looked || view.live != live || view.given_back != given_back;
            *view = View { has_looked: true, live, given_back };
            is_news
        });
    }

    /// Tells when another manager of our name comes or goes.
    async fn tell_twin(&mut self, has_twin: bool) {
        if std::mem::replace(&mut self.has_twin, has_twin) == has_twin {
            return;
        }
        let name = &self.info.name;
        let trouble = has_twin.then(|| {
            format!(
                "another manager runs under the name {name} on this state directory: give each its own \
                 `site.manager`; the spaces are safe, but who works on which changes without need"
            )
        });
        if let Some(trouble) = &trouble {
            error!("{trouble}");
        }
        // The receiver only ends with the process.
        let _ = self.news.send(News::Twin { trouble }).await;
    }
}

/// A number that changes whenever a manager gives something back, or has stopped.
fn given_back(info: &ManagerInfo) -> u64 {
    info.given_back.wrapping_mul(2).wrapping_add(u64::from(info.stopped.is_some()))
}

fn sign(info: &ManagerInfo) -> Sign {
    Sign {
        run: info.run.clone(),
        counter: info.counter,
        is_leaving: info.stopped.is_some(),
        serves: info.serves.clone(),
        base_url: info.base_url.clone(),
    }
}
