//! A state directory that gives no answer. A mount that hangs fails no call, so nothing else would notice: each
//! call is waited for as long as it takes, and its silence is told.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::board::News;
use crate::model::SpaceName;
use crate::store::{Lost, Ownership};

/// Listens for answers in the name of one space.
pub(super) struct Listener<'a> {
    pub(super) space: &'a SpaceName,
    pub(super) news: &'a mpsc::Sender<News>,
}

impl Listener<'_> {
    /// Waits for work that needs the state directory. Its silence is told whenever it has lasted for another
    /// `patience`.
    pub(super) async fn answer<T>(&self, patience: Duration, work: impl Future<Output = T>) -> T {
        let (mut work, begun) = (pin!(work), Instant::now());
        let mut told = false;
        loop {
            if let Ok(answer) = timeout(patience, &mut work).await {
                if told {
                    self.tell(None).await;
                }
                return answer;
            }
            told = true;
            self.tell(Some(silence_of(begun.elapsed()))).await;
        }
    }

    /// Renews until the ownership is over. Gives also the silence of the state directory, if it is over for that.
    pub(super) async fn renew_for_ever(&self, ownership: &Ownership) -> (Lost, Option<String>) {
        loop {
            sleep(ownership.renew_every()).await;
            if let Err(over) = self.renew(ownership).await {
                return over;
            }
        }
    }

    /// A renewal that is not answered is abandoned when the ownership has expired: should it still be written,
    /// it changes nothing.
    async fn renew(&self, ownership: &Ownership) -> Result<(), (Lost, Option<String>)> {
        let (mut renewal, begun) = (pin!(ownership.renew()), Instant::now());
        let mut told = false;
        loop {
            if let Ok(result) = timeout(ownership.renew_every(), &mut renewal).await {
                if told {
                    self.tell(None).await;
                }
                return result.map_err(|lost| (lost, None));
            }
            let silence = silence_of(begun.elapsed());
            ownership.proof().map_err(|fenced| (Lost(fenced), Some(silence.clone())))?;
            told = true;
            self.tell(Some(silence)).await;
        }
    }

    /// The space is not ours any more, and why.
    pub(super) async fn lost(&self, why: String, silence: String) {
        let space = self.space.clone();
        // The receiver only ends with the process.
        let _ = self.news.send(News::Idle { space, why, store_problem: Some(silence) }).await;
    }

    async fn tell(&self, silence: Option<String>) {
        if let Some(silence) = &silence {
            tracing::warn!(space = %self.space, "{silence}");
        }
        let news = News::Silence { space: self.space.clone(), store_problem: silence };
        let _ = self.news.send(news).await;
    }
}

fn silence_of(time: Duration) -> String {
    format!("no answer for {} s: does its file server answer?", time.as_secs())
}
