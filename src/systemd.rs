//! What systemd is told of the daemon: READY, STATUS, WATCHDOG, RELOADING, STOPPING
//! (`sd_notify(3)`). Without systemd nothing happens. Decides nothing about machines.

use std::time::Duration;

use tokio::sync::watch;

use crate::model::{Board, Phase};

/// Tells systemd of the daemon's life.
#[derive(Debug, Clone, Copy)]
pub struct Systemd(());

impl Systemd {
    /// The service manager that started us, if one did.
    pub fn from_environment() -> Self {
        Self(())
    }

    /// The first board is out: units that wait for us may start.
    pub fn ready(self, board: &Board) {
        self.tell(&[
            sd_notify::NotifyState::Ready,
            sd_notify::NotifyState::Status(&status_line(board)),
        ]);
    }

    /// One line for `systemctl status`.
    pub fn status(self, board: &Board) {
        self.tell(&[sd_notify::NotifyState::Status(&status_line(board))]);
    }

    /// The configuration is being read again; [`Systemd::ready`] must follow.
    pub fn reloading(self) {
        match sd_notify::NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[sd_notify::NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot tell systemd of the reload"),
        }
    }

    /// The daemon ends; machines stay.
    pub fn stopping(self) {
        self.tell(&[
            sd_notify::NotifyState::Stopping,
            sd_notify::NotifyState::Status("stopping; machines stay"),
        ]);
    }

    /// How often systemd wants to hear that we live: half of `WatchdogSec`. `None`: never.
    pub fn watchdog_period(self) -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    /// Says that the daemon lives. To be called only on proof of it.
    pub fn alive(self) {
        self.tell(&[sd_notify::NotifyState::Watchdog]);
    }

    fn tell(self, what: &[sd_notify::NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(what) {
            tracing::warn!(%error, "cannot tell systemd");
        }
    }
}

/// `3 spaces, 57 machines, 1 alarm`
pub fn status_line(board: &Board) -> String {
    let spaces = board.spaces.len() + board.idle_spaces.len();
    let gone = Phase::Gone { since: crate::model::Timestamp::default() }.word();
    let machines: usize = board
        .spaces
        .values()
        .map(|space| space.machines.iter().filter(|row| row.phase != gone).count())
        .sum();
    let waiting = board.waiting_spaces().count();
    let alarms: usize = board.spaces.values().map(|space| space.alarms.len()).sum::<usize>()
        + waiting
        + usize::from(board.store_problem.is_some())
        + usize::from(board.config.refused.is_some());
    let mut line = format!("{}, {}", count(spaces, "space"), count(machines, "machine"));
    if alarms > 0 {
        line.push_str(", ");
        line.push_str(&count(alarms, "alarm"));
    }
    if waiting > 0 {
        line.push_str(", ");
        line.push_str(&count(waiting, "space"));
        line.push_str(" waiting");
    }
    if let Some(problem) = &board.store_problem {
        line.push_str("; state directory: ");
        line.push_str(problem);
    } else if board.config.refused.is_some() {
        line.push_str("; newer configuration refused");
    }
    line
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Keeps the STATUS line in step with the board until the board is closed.
pub async fn follow_board(systemd: Systemd, mut board: watch::Receiver<std::sync::Arc<Board>>) {
    let mut last = String::new();
    loop {
        let line = status_line(&board.borrow_and_update());
        if line != last {
            systemd.status(&board.borrow());
            last = line;
        }
        if board.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConfigStatus, Timestamp};
    use std::collections::BTreeMap;

    fn board() -> Board {
        Board {
            manager: "vm12".parse().unwrap(),
            version: "0.1.0".into(),
            started: Timestamp::default(),
            config: ConfigStatus {
                loaded: Timestamp::default(),
                digest: "0123456789ab".into(),
                refused: None,
            },
            store_problem: None,
            spaces: BTreeMap::new(),
            idle_spaces: BTreeMap::from([(
                "iris.example".parse().unwrap(),
                "owned by b (generation 2)".into(),
            )]),
            idle_since: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            spending: None,
        }
    }

    #[test]
    fn the_status_line_counts_spaces_machines_and_alarms() {
        assert_eq!(status_line(&board()), "1 space, 0 machines");
        let mut troubled = board();
        troubled.config.refused = Some("vcycle.toml:3:1: unknown key".into());
        assert_eq!(
            status_line(&troubled),
            "1 space, 0 machines, 1 alarm; newer configuration refused"
        );
        let mut waiting = board();
        let why = "its provider cannot be used: permission denied";
        waiting.idle_spaces.insert("b.example".parse().unwrap(), why.into());
        assert_eq!(status_line(&waiting), "2 spaces, 0 machines, 1 alarm, 1 space waiting");
        troubled.store_problem = Some("no space left on device".into());
        assert_eq!(
            status_line(&troubled),
            "1 space, 0 machines, 2 alarms; state directory: no space left on device"
        );
    }
}
