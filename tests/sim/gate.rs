//! The gate through which everything goes that a process does to the state directory: before and after it takes
//! effect the process may die, be paused, or wait.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;
use vcycle::model::Timestamp;
use vcycle::store::testing::{FaultyFs, MemoryFs, Rates};
use vcycle::store::{Mode, NewFile, PutOutcome, SharedFs, StatePath};

use super::host::Process;
use super::purse::CAPS_FILE;
use super::weather::{SPACES, Sleep};

/// What strikes a process at one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    DieBefore,
    DieAfter,
    /// The request is on its way, and arrives.
    DieInFlight,
    PauseBefore(u64, Sleep),
    PauseAfter(u64, Sleep),
}

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing (or makes a directory that is there already).
    Look,
    /// Has an effect: operations of this kind are counted.
    Act,
}

/// A file server that is overloaded writes much at a time: at whole numbers of these milliseconds.
const BURST: u64 = 5_000;

/// What is wrong with one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hitch {
    /// It never arrives.
    Lost,
    /// It has taken effect, and nobody hears of it.
    ReplyLost,
    /// It waits for so many milliseconds before it.
    Late(u64),
}

/// One process in one space: a stream of chances of its own, and what is in store for it.
pub struct Line {
    state: Mutex<LineState>,
    /// Where spaces share a ledger: the time of its own, in milliseconds of [`ROUND`].
    slot: Option<u64>,
}

/// No two lines do anything within the same millisecond when all have slots: the order of what tasks of a runtime do within
/// one is not fixed by a seed, and who comes first to the ledger matters to the other. It divides all pauses of managers.
pub const ROUND: u64 = 25;

struct LineState {
    dice: ChaCha8Rng,
    acts: u64,
    blow: Option<(u64, Blow)>,
}

/// What the dice say of one operation.
struct Draw {
    blow: Option<Blow>,
    before: u64,
    after: u64,
}

impl Line {
    /// The blow falls at the act with this number.
    pub fn new(dice: ChaCha8Rng, blow: Option<(u64, Blow)>, slot: Option<u64>) -> Self {
        Self { state: Mutex::new(LineState { dice, acts: 0, blow }), slot }
    }

    /// A number below `most`.
    pub fn draw(&self, most: u64) -> u64 {
        self.state.lock().unwrap().dice.random_range(0..most)
    }

    fn next(&self, kind: Kind, calm: bool) -> Draw {
        let mut state = self.state.lock().unwrap();
        let mut draw = Draw { blow: None, before: state.dice.random_range(0..4), after: 0 };
        match state.dice.random_range(0..1000) {
            _ if calm => {}
            0..10 => draw.before = state.dice.random_range(0..1_500),
            10..20 => draw.after = state.dice.random_range(0..1_500),
            20..21 => draw.before = state.dice.random_range(0..10_000),
            21..22 => draw.after = state.dice.random_range(0..10_000),
            _ => {}
        }
        if kind == Kind::Act {
            state.acts += 1;
            let acts = state.acts;
            draw.blow = state.blow.filter(|(at, _)| *at == acts && !calm).map(|(_, blow)| blow);
        }
        draw
    }

    /// Lets one operation through, or not.
    pub async fn pass<T>(
        &self,
        process: &Process,
        kind: Kind,
        operation: impl Future<Output = T> + Send,
    ) -> T {
        process.running().await;
        let draw = self.next(kind, process.world.is_calm());
        if let Some(blow) = draw.blow {
            process.world.trace.note(process.who(None), || format!("is struck: {blow:?}"));
        }
        if let Some(Blow::PauseBefore(millis, sleep)) = draw.blow {
            process.pause(millis, sleep);
        }
        if draw.before > 0 {
            sleep(Duration::from_millis(draw.before)).await;
        }
        process.running().await;
        self.turn(process).await;
        if matches!(draw.blow, Some(Blow::DieBefore | Blow::DieInFlight)) {
            return process.die().await;
        }
        let result = operation.await;
        match draw.blow {
            Some(Blow::DieAfter) => return process.die().await,
            Some(Blow::PauseAfter(millis, sleep)) => process.pause(millis, sleep),
            Some(Blow::DieBefore | Blow::DieInFlight | Blow::PauseBefore(..)) | None => {}
        }
        if draw.after > 0 {
            sleep(Duration::from_millis(draw.after)).await;
        }
        process.running().await;
        self.turn(process).await;
        result
    }

    /// Waits for the time that is its own.
    async fn turn(&self, process: &Process) {
        let Some(slot) = self.slot else { return };
        let now = process.world.trace.now();
        let wait = (ROUND + slot - now % ROUND) % ROUND;
        if wait > 0 {
            sleep(Duration::from_millis(wait)).await;
        }
    }

    /// Whether the next act is one that is on its way when the process dies; asked again, it is not.
    pub fn dies_in_flight(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let next = state.acts + 1;
        state.blow.take_if(|blow| *blow == (next, Blow::DieInFlight)).is_some()
    }
}

/// The state directory as a process sees it.
pub struct GatedFs {
    process: Arc<Process>,
    /// By space; then what belongs to none; then the ledger and the caps, when no space has to do with them.
    lines: Vec<(Arc<Line>, FaultyFs)>,
    /// The last space that each task had to do with: what it then does to the ledger is that space's.
    spaces: Mutex<HashMap<tokio::task::Id, usize>>,
}

impl GatedFs {
    /// With a line for each space, one for what managers do beside them, and one for the money of all.
    pub fn new(process: Arc<Process>, disk: &MemoryFs, lines: Vec<Arc<Line>>) -> Self {
        let rates =
            if process.world.is_calm() { Rates::default() } else { process.world.shape.disk };
        let with_disk = |(space, line): (usize, Arc<Line>)| {
            let watched = WatchedFs { disk: disk.clone(), process: process.clone(), space };
            let seed = line.draw(u64::MAX);
            (line, FaultyFs::seeded(Arc::new(watched), seed, rates))
        };
        let lines = lines.into_iter().enumerate().map(with_disk).collect();
        Self { process, lines, spaces: Mutex::default() }
    }

    /// Its faults by chance are over.
    pub fn calm(&self) {
        for (_, disk) in &self.lines {
            disk.set_rates(Rates::default());
            disk.thaw();
        }
    }

    /// The caches of its host, by space: to be made old and true again.
    pub fn caches(&self) -> Vec<FaultyFs> {
        self.lines.iter().map(|(_, disk)| disk.clone()).collect()
    }

    fn of(&self, path: &StatePath) -> &(Arc<Line>, FaultyFs) {
        let (none, money) = (self.lines.len() - 2, self.lines.len() - 1);
        let space = space_of(path.relative()).map(|space| space.min(none));
        let is_money = ["ledger", "caps.d"].iter().any(|dir| path.relative().starts_with(dir));
        let mut spaces = self.spaces.lock().unwrap();
        let space = match (tokio::task::try_id(), space) {
            (Some(task), Some(space)) => {
                spaces.insert(task, space);
                space
            }
            (Some(task), None) if is_money => spaces.get(&task).copied().unwrap_or(money),
            (Some(_) | None, space) => space.unwrap_or(none),
        };
        &self.lines[space]
    }

    /// Waits for the mount; it may answer with an error.
    async fn mount(&self) -> io::Result<()> {
        let host = &self.process.host;
        self.process.wait_for(&host.store_hangs).await;
        if host.store_fails.load(Ordering::SeqCst) > self.process.world.trace.now() {
            sleep(Duration::from_millis(300)).await;
            self.process.running().await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    async fn pass<T>(
        &self,
        (kind, path): (Kind, &StatePath),
        operation: impl Future<Output = io::Result<T>> + Send,
    ) -> io::Result<T> {
        self.mount().await?;
        let line = self.of(path).0.clone();
        let hitch = self.hitch((kind, path), &line);
        if let Some(Hitch::Late(millis)) = hitch {
            sleep(Duration::from_millis(millis)).await;
            line.turn(&self.process).await;
        }
        let failed = || Err(io::ErrorKind::TimedOut.into());
        if hitch == Some(Hitch::Lost) {
            return failed();
        }
        let result = line.pass(&self.process, kind, operation).await;
        let result = if hitch == Some(Hitch::ReplyLost) { failed() } else { result };
        // The reply comes through the mount, too.
        self.process.wait_for(&self.process.host.store_hangs).await;
        self.of(path).0.turn(&self.process).await;
        result
    }

    /// What is wrong with an operation on a ledger that is frail.
    fn hitch(&self, (kind, path): (Kind, &StatePath), line: &Line) -> Option<Hitch> {
        let world = &self.process.world;
        let is_frail = world.shape.purse.as_ref().is_some_and(|purse| purse.frail);
        let now = world.trace.now();
        let is_night = world.shape.refusal.as_ref().is_some_and(|day| day.is_between_bouts(now));
        if !is_frail || is_night || world.is_calm() || !path.relative().starts_with("ledger") {
            return None;
        }
        match line.draw(100) {
            0..2 => Some(Hitch::Lost),
            2..4 => Some(Hitch::ReplyLost),
            4..10 => Some(Hitch::Late(line.draw(3_000))),
            // So that of those who have read the same state several write at once.
            10..60 if kind == Kind::Act => Some(Hitch::Late(BURST - now % BURST)),
            _ => None,
        }
    }

    /// A record is about to be written: its writer has just proven that it may. The place of a record that was
    /// never written is another matter: who takes it, and when, harms nobody.
    fn record_is_written(&self, path: &StatePath, content: &[u8]) {
        if content.starts_with(b"swept by ") {
            return;
        }
        let path = path.relative();
        let is_record =
            path.ends_with("record.json") && path.iter().nth(2) == Some("current".as_ref());
        if let Some(space) = space_of(path).filter(|_| is_record) {
            self.process.world.judge().acts(&self.process, space, "writes a record");
        }
    }
}

/// The position of the space that a path belongs to.
pub fn space_of(path: &Path) -> Option<usize> {
    let mut parts = path.components();
    if parts.next() != Some(Component::Normal("spaces".as_ref())) {
        return None;
    }
    let Some(Component::Normal(name)) = parts.next() else { return None };
    SPACES.iter().position(|space| name == *space)
}

#[async_trait]
impl SharedFs for GatedFs {
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        let content = self.pass((Kind::Look, path), self.of(path).1.read(path)).await;
        let as_of = self.process.host.caps_as_of.load(Ordering::SeqCst);
        if as_of > 0 && path.relative() == Path::new(CAPS_FILE) {
            let old = self.process.world.caps_at(as_of);
            return old.map(String::into_bytes).ok_or(io::ErrorKind::NotFound.into());
        }
        content
    }
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.record_is_written(path, content);
        self.pass((Kind::Act, path), self.of(path).1.write(path, content, mode)).await
    }
    /// One by one: a process can die between any two.
    async fn write_many(&self, files: &[NewFile]) -> io::Result<()> {
        for file in files {
            self.write(&file.path, &file.content, file.mode).await?;
        }
        Ok(())
    }
    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        self.record_is_written(path, content);
        self.pass((Kind::Act, path), self.of(path).1.put_if_absent(path, content, mode)).await
    }
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        self.pass((Kind::Look, dir), self.of(dir).1.list(dir)).await
    }
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        let Some(first) = paths.first() else { return Ok(Vec::new()) };
        self.pass((Kind::Look, first), self.of(first).1.modified(paths)).await
    }
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        let Some(first) = paths.first() else { return Ok(Vec::new()) };
        self.pass((Kind::Look, first), self.of(first).1.sizes(paths)).await
    }
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        self.pass((Kind::Look, dir), self.of(dir).1.make_dir(dir)).await
    }
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        self.pass((Kind::Act, from), self.of(from).1.rename(from, to)).await
    }
    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.pass((Kind::Act, path), self.of(path).1.remove(path)).await
    }
    async fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        self.pass((Kind::Look, dir), self.of(dir).1.sweep(dir)).await
    }
}

/// The blocks of the ledger are named by a random number that no seed fixes.
fn without_chance(path: &StatePath) -> String {
    let text = path.to_string();
    match text.strip_prefix("ledger/log/").and_then(|rest| rest.split_once('/')) {
        Some((block, rest)) => {
            let block = block.split('-').next().unwrap_or_default();
            format!("ledger/log/{block}/{rest}")
        }
        None => text.split_once("ledger/log/").map_or(text.clone(), |(before, block)| {
            format!("{before}ledger/log/{}", block.split('-').next().unwrap_or_default())
        }),
    }
}

/// The bottom: what really takes effect is told to the judge.
struct WatchedFs {
    disk: MemoryFs,
    process: Arc<Process>,
    space: usize,
}

impl WatchedFs {
    fn note(&self, what: &str, path: &StatePath) {
        let who = self.process.who(Some(self.space));
        self.process.world.trace.note(who, || format!("{what} {}", without_chance(path)));
    }

    /// Looks are too many to be shown unless somebody asks.
    fn looked(&self, what: &str, path: &StatePath) {
        if self.process.world.trace.shows_looks {
            self.note(what, path);
        }
    }
}

#[async_trait]
impl SharedFs for WatchedFs {
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        self.looked("read", path);
        self.disk.read(path).await
    }
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.disk.write(path, content, mode).await?;
        self.note("wrote", path);
        self.process.world.judge().written(&self.process, path.relative(), content);
        Ok(())
    }
    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        let outcome = self.disk.put_if_absent(path, content, mode).await?;
        self.note(if outcome == PutOutcome::Ours { "made" } else { "did not make" }, path);
        if outcome == PutOutcome::Ours {
            self.process.world.judge().written(&self.process, path.relative(), content);
        }
        Ok(outcome)
    }
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        self.looked("listed", dir);
        self.disk.list(dir).await
    }
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        self.disk.modified(paths).await
    }
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        self.disk.sizes(paths).await
    }
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        self.disk.make_dir(dir).await
    }
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        self.disk.rename(from, to).await?;
        self.note("moved", from);
        self.process.world.archived(&self.process, from.relative());
        Ok(())
    }
    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.disk.remove(path).await?;
        self.note("removed", path);
        Ok(())
    }
    async fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        self.disk.sweep(dir).await
    }
}
