//! Virtual time in which real sockets are asked. The clock of the runtime is paused, so it jumps from timer to timer
//! while nothing is to do. A paused clock knows nothing of sockets: it would jump while an answer is on its way,
//! and every request would run into its time limit. So while a call of a provider is under way ([`Time::asking`])
//! the clock does not jump but walks: a step for each millisecond in which the runtime had nothing else to do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use vcycle::model::Timestamp;
use vcycle_api::Clock;

/// Virtual time for a millisecond of real time in which nothing but a call is under way. Waits inside of
/// providers and doubles pass at this speed; a request that takes milliseconds takes a part of a second, as in a real cloud.
const STEP: Duration = Duration::from_millis(100);

/// When every world begins.
pub const START: Timestamp = Timestamp::from_secs(1_795_255_200);

/// The time of a world: of its managers, its clouds and its state directory.
#[derive(Debug)]
pub struct Time {
    begun: Instant,
    asking: Mutex<Asking>,
}

#[derive(Debug, Default)]
struct Asking {
    calls: usize,
    /// Its end ends the walk.
    walk: Option<std::sync::mpsc::Sender<()>>,
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        START + self.begun.elapsed()
    }
    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// While this lives time walks.
#[derive(Debug)]
pub struct Walk(Arc<Time>);

impl Drop for Walk {
    fn drop(&mut self) {
        let mut asking = self.0.asking.lock().unwrap();
        asking.calls -= 1;
        if asking.calls == 0 {
            asking.walk = None;
        }
    }
}

impl Time {
    /// Begins now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), asking: Mutex::default() })
    }

    /// Makes a call of a provider.
    pub async fn asking<T>(self: &Arc<Self>, call: impl Future<Output = T>) -> T {
        let _walk = self.walk();
        call.await
    }

    fn walk(self: &Arc<Self>) -> Walk {
        let mut asking = self.asking.lock().unwrap();
        asking.calls += 1;
        if asking.calls == 1 {
            asking.walk = Some(begin());
        }
        Walk(self.clone())
    }
}

/// A blocking task keeps the paused clock from jumping; this one beats time as well.
fn begin() -> std::sync::mpsc::Sender<()> {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    // Room for one: what the runtime has no time for is left out.
    let (beat, mut beats) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        while ended.recv_timeout(Duration::from_millis(1))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            // Full: the runtime is busy.
            let _ = beat.try_send(());
        }
    });
    tokio::spawn(async move {
        while let Some(()) = beats.recv().await {
            tokio::time::advance(STEP).await;
        }
    });
    end
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(test)
    }

    /// Answers each byte with the next one, after a pause of the runtime's time.
    async fn answer_after(pause: Duration) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let byte = stream.read_u8().await.unwrap();
                tokio::time::sleep(pause).await;
                stream.write_u8(byte + 1).await.unwrap();
            }
        });
        address
    }

    async fn ask(address: std::net::SocketAddr) -> u8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_u8(7).await.unwrap();
        stream.read_u8().await.unwrap()
    }

    #[test]
    fn a_call_over_a_socket_is_answered_long_before_its_time_limit_and_a_day_passes_at_once() {
        run(async {
            let (time, address) = (Time::new(), answer_after(Duration::ZERO).await);
            for _ in 0..24 {
                let call = tokio::time::timeout(Duration::from_secs(20), ask(address));
                assert_eq!(time.asking(call).await, Ok(8));
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            assert!(time.now() >= START + Duration::from_secs(86_400));
        });
    }

    #[test]
    fn pauses_inside_of_a_call_pass_and_longer_ones_than_its_limit_are_cut_off() {
        run(async {
            let (time, address) = (Time::new(), answer_after(Duration::from_secs(5)).await);
            let limit = |seconds| tokio::time::timeout(Duration::from_secs(seconds), ask(address));
            assert_eq!(time.asking(limit(20)).await, Ok(8));
            assert!(time.monotonic() >= Duration::from_secs(5), "{:?}", time.monotonic());
            assert!(time.asking(limit(2)).await.is_err());
        });
    }
}
