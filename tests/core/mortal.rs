//! A process that dies, or whose line breaks, at a counted operation. Every write to the state directory and
//! every call of the cloud that acts passes through here. A dead process does nothing more: its calls never
//! come back.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::{Notify, watch};
use vcycle::model::Timestamp;
use vcycle::store::{Mode, NewFile, PutOutcome, SharedFs, StatePath};
use vcycle_api::{ErrorKind, Listing, ProviderError};

use vcycle_api::testing::{Call, Line};

/// What happens at the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The process dies before it.
    DieBefore,
    /// The process dies after it took effect.
    DieAfter,
    /// It gets lost, and the process is told of a failure.
    Lose,
    /// It takes effect, and the process is told of a failure.
    LoseReply,
}

/// All of them.
pub const STRIKES: [Strike; 4] =
    [Strike::DieBefore, Strike::DieAfter, Strike::Lose, Strike::LoseReply];

/// The fate of one process.
#[derive(Debug, Default)]
pub struct Fate {
    count: AtomicU64,
    at: AtomicU64,
    strike: std::sync::Mutex<Option<Strike>>,
    struck: AtomicBool,
    dead: AtomicBool,
    died: Notify,
    looks: std::sync::Mutex<Vec<String>>,
    writes: std::sync::Mutex<Vec<String>>,
    shown: std::sync::Mutex<Option<usize>>,
    refused: std::sync::Mutex<Option<(&'static str, ErrorKind)>>,
    refusals: AtomicU64,
    stalled: watch::Sender<bool>,
}

impl Fate {
    /// Nothing will happen to it.
    pub fn kind() -> Arc<Self> {
        Arc::default()
    }

    /// From now on the operation with this number (from 1) is struck.
    pub fn decree(&self, number: u64, strike: Strike) {
        self.at.store(self.count() + number, Ordering::SeqCst);
        *self.strike.lock().unwrap() = Some(strike);
    }

    /// Operations so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether the operation has been reached.
    pub fn struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// What it has looked at in the state directory since it was asked last, without those of ownership.
    pub fn looks(&self) -> Vec<String> {
        self.all_looks().into_iter().filter(|path| !path.contains("/owner")).collect()
    }

    /// The same with those of ownership.
    pub fn all_looks(&self) -> Vec<String> {
        std::mem::take(&mut *self.looks.lock().unwrap())
    }

    /// What it has written since it was asked last.
    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut *self.writes.lock().unwrap())
    }

    fn looked(&self, path: &impl ToString) {
        self.looks.lock().unwrap().push(path.to_string());
    }

    fn wrote(&self, path: &impl ToString) {
        self.writes.lock().unwrap().push(path.to_string());
    }

    /// From now on the state directory gives no answer.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// It answers again, also what was asked meanwhile.
    pub fn go_on(&self) {
        self.stalled.send_replace(false);
    }

    async fn answered(&self) {
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }

    /// From now on listings show only this many machines, and claim to be complete; `None`: all.
    pub fn show(&self, machines: Option<usize>) {
        *self.shown.lock().unwrap() = machines;
    }

    /// From now on the cloud refuses this call (`create`, `delete`, ...) in this way; `None`: no more.
    pub fn refuse(&self, call: Option<(&'static str, ErrorKind)>) {
        *self.refused.lock().unwrap() = call;
    }

    /// How often it was refused since it was asked last.
    pub fn refusals(&self) -> u64 {
        self.refusals.swap(0, Ordering::SeqCst)
    }

    /// Waits for its death.
    pub async fn death(&self) {
        while !self.dead.load(Ordering::SeqCst) {
            self.died.notified().await;
        }
    }

    /// It dies now, wherever it is.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    async fn die<T>(&self) -> T {
        self.kill();
        pending().await
    }

    async fn pass<T>(&self, operation: impl Future<Output = T> + Send, lost: T) -> T
    where
        T: Send,
    {
        if self.dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let strike = *self.strike.lock().unwrap();
        let Some(strike) = strike.filter(|_| number == self.at.load(Ordering::SeqCst)) else {
            return operation.await;
        };
        self.struck.store(true, Ordering::SeqCst);
        match strike {
            Strike::DieBefore => self.die().await,
            Strike::DieAfter => {
                operation.await;
                self.die().await
            }
            Strike::Lose => lost,
            Strike::LoseReply => {
                operation.await;
                lost
            }
        }
    }
}

/// The state directory as a mortal process sees it.
pub struct MortalFs {
    inner: Arc<dyn SharedFs>,
    fate: Arc<Fate>,
}

impl MortalFs {
    pub fn new(inner: Arc<dyn SharedFs>, fate: Arc<Fate>) -> Self {
        Self { inner, fate }
    }
}

fn eio<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(5))
}

#[async_trait]
impl SharedFs for MortalFs {
    async fn must_be_mounted(&self) -> io::Result<()> {
        self.fate.answered().await;
        self.inner.must_be_mounted().await
    }
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        self.fate.looked(path);
        self.fate.answered().await;
        self.inner.read(path).await
    }
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.fate.wrote(path);
        self.fate.answered().await;
        self.fate.pass(self.inner.write(path, content, mode), eio()).await
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
        self.fate.wrote(path);
        self.fate.answered().await;
        self.fate.pass(self.inner.put_if_absent(path, content, mode), eio()).await
    }
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        self.fate.looked(dir);
        self.fate.answered().await;
        self.inner.list(dir).await
    }
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        self.fate.looked(&format!("times of {}", paths.len()));
        self.fate.answered().await;
        self.inner.modified(paths).await
    }
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        self.fate.looked(&format!("sizes of {}", paths.len()));
        self.fate.answered().await;
        self.inner.sizes(paths).await
    }
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        self.fate.wrote(dir);
        self.fate.answered().await;
        self.fate.pass(self.inner.make_dir(dir), eio()).await
    }
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        self.fate.wrote(from);
        self.fate.answered().await;
        self.fate.pass(self.inner.rename(from, to), eio()).await
    }
    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.fate.wrote(path);
        self.fate.answered().await;
        self.fate.pass(self.inner.remove(path), eio()).await
    }
    async fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        self.fate.looked(dir);
        self.fate.answered().await;
        self.inner.sweep(dir).await
    }
}

/// The line from a mortal process to the cloud.
impl Line for Fate {
    fn act<'a, T: Send + 'a>(&'a self, operation: &'static str, call: Call<'a, T>) -> Call<'a, T> {
        let refused = self.refused.lock().unwrap().clone().filter(|(what, _)| *what == operation);
        if let Some((_, kind)) = refused {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            let refusal = ProviderError::new(kind, operation, "refused by the test");
            return async move { Err(refusal) }.boxed();
        }
        let broken = ProviderError::new(ErrorKind::Ambiguous, operation, "the connection broke");
        self.pass(call, Err(broken)).boxed()
    }

    fn listed(&self, listing: Listing) -> Listing {
        match (listing, *self.shown.lock().unwrap()) {
            (Listing::Complete(mut all), Some(most)) => {
                all.truncate(most);
                Listing::Complete(all)
            }
            (listing, _) => listing,
        }
    }
}
