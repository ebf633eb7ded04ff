//! What a machine's folder says, as the state that a cloud would show. `state_of` is pure.
//!
//! The order in which the facts are read matters, because a supervisor may begin or end between
//! two of them. `started` is read before the locks are asked and `ended` after: so a machine that had
//! started, has no supervisor and has no end is truly one that lost its supervisor.

use std::io;

use vcycle_api::{InstanceState, Timestamp};

use crate::folder::{Folder, Life};
use crate::lock::{self, Role};
use crate::records::{Cause, Ended, Spec, Started};

/// Everything that decides the state of a machine.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) start_by: Timestamp,
    pub(crate) started: Option<Started>,
    pub(crate) supervised: bool,
    pub(crate) guarded: bool,
    pub(crate) ended: Option<Ended>,
    pub(crate) life: Life,
}

impl Facts {
    /// Reads them. `now` must have been taken before the call. `None`: the folder is no machine (any more).
    pub(crate) fn read(folder: &Folder, spec: &Spec, now: Timestamp) -> io::Result<Option<Self>> {
        let started = folder.started()?;
        let supervised = lock::is_held(&folder.lock(), Role::Supervisor)?;
        let guarded = lock::is_held(&folder.lock(), Role::Guard)?;
        let ended = folder.ended()?;
        let Some(life) = folder.life()? else { return Ok(None) };
        let start_by = spec.start_by();
        Ok(Some(Self { now, start_by, started, supervised, guarded, ended, life }))
    }
}

/// The state of a machine; `None`: it exists no more.
pub(crate) fn state_of(facts: &Facts) -> Option<InstanceState> {
    let Facts { now, start_by, started, supervised, guarded, ended, life } = facts;
    match life {
        Life::Gone => return None,
        Life::Unwanted => return Some(InstanceState::Deleting),
        Life::Wanted => {}
    }
    if let Some(ended) = ended {
        return Some(ended_state(&ended.cause));
    }
    let fault =
        |fault: &str| Some(InstanceState::Failed { refusal: None, fault: fault.to_owned() });
    match (started, supervised) {
        (Some(_), true) => Some(InstanceState::Running),
        (Some(_), false) if *guarded => fault("its supervisor died; what it left is being ended"),
        (Some(_), false) => fault("its supervisor died"),
        (None, true) => Some(InstanceState::Pending),
        // A supervisor that begins later than this refuses to, so the answer cannot change back.
        (None, false) if now <= start_by => Some(InstanceState::Pending),
        (None, false) => fault("its supervisor did not start in time"),
    }
}

fn ended_state(cause: &Cause) -> InstanceState {
    let fault = match cause {
        Cause::Exited { code: _ } | Cause::Signalled { signal: _ } => {
            return InstanceState::Stopped;
        }
        Cause::Deadline | Cause::Asked => return InstanceState::Stopped,
        Cause::Memory { used, limit } => format!("it used {used} MB of its {limit} MB of memory"),
        Cause::Terminated => "its supervisor was told to end (is the host going down?)".to_owned(),
        Cause::SupervisorDied { how } => format!("its supervisor died: {how}"),
        Cause::NotStarted { why } => format!("it could not be started: {why}"),
    };
    InstanceState::Failed { refusal: None, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            now: Timestamp::from_secs(100),
            start_by: Timestamp::from_secs(110),
            started: None,
            supervised: false,
            guarded: false,
            ended: None,
            life: Life::Wanted,
        }
    }

    fn started() -> Option<Started> {
        let (at, boot) = (Timestamp::from_secs(99), String::new());
        Some(Started { at, supervisor: 1, ticks: 1, boot, bound_to: Vec::new() })
    }

    fn ended(cause: Cause) -> Option<Ended> {
        Some(Ended { at: Timestamp::from_secs(100), cause })
    }

    fn word(facts: &Facts) -> &'static str {
        match state_of(facts) {
            None => "absent",
            Some(InstanceState::Pending) => "pending",
            Some(InstanceState::Running) => "running",
            Some(InstanceState::Stopped) => "stopped",
            Some(InstanceState::Failed { refusal: _, fault: _ }) => "failed",
            Some(InstanceState::Deleting) => "deleting",
            Some(other) => panic!("local never says {other:?}"),
        }
    }

    #[test]
    fn each_set_of_facts_has_its_state() {
        let late = Timestamp::from_secs(111);
        let base = facts();
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut facts = base.clone();
            change(&mut facts);
            facts
        };
        let table = [
            (with(&|_| ()), "pending"),
            (with(&|f| f.guarded = true), "pending"),
            (with(&|f| f.supervised = true), "pending"),
            (with(&|f| f.now = late), "failed"),
            (with(&|f| (f.now, f.guarded) = (late, true)), "failed"),
            (with(&|f| (f.now, f.supervised) = (late, true)), "pending"),
            (with(&|f| (f.started, f.supervised) = (started(), true)), "running"),
            (with(&|f| f.started = started()), "failed"),
            (with(&|f| (f.started, f.guarded) = (started(), true)), "failed"),
            (with(&|f| f.ended = ended(Cause::Exited { code: 1 })), "stopped"),
            (with(&|f| f.ended = ended(Cause::Signalled { signal: "SIGHUP".into() })), "stopped"),
            (with(&|f| f.ended = ended(Cause::Deadline)), "stopped"),
            (with(&|f| f.ended = ended(Cause::Terminated)), "failed"),
            (with(&|f| f.ended = ended(Cause::NotStarted { why: "x".into() })), "failed"),
            (with(&|f| f.ended = ended(Cause::SupervisorDied { how: "x".into() })), "failed"),
            (with(&|f| f.life = Life::Unwanted), "deleting"),
            (with(&|f| (f.life, f.ended) = (Life::Unwanted, ended(Cause::Asked))), "deleting"),
            (with(&|f| f.life = Life::Gone), "absent"),
            (with(&|f| (f.life, f.supervised) = (Life::Gone, true)), "absent"),
        ];
        for (facts, expected) in &table {
            assert_eq!(word(facts), *expected, "{facts:?}");
        }
    }
}
