//! `local`: the embedded default provider. A machine is a group of processes on this host.
//!
//! # What it is for
//!
//! The demo, tests of entries and of configurations, and small sites that fill a host of their own. Nothing has to
//! be installed or paid for: `vcycle` itself runs the machines.
//!
//! # What it is not
//!
//! **There is no isolation from the host.** A machine is a script that runs as the user of `vcycle`, with that
//! user's rights on this host: it can read that user's files (`vcycle`'s state and the secrets in it too),
//! use the host's network, see other machines and kill them. Give it only scripts that you
//! would run yourself. Use a cloud for everything else. A machine that tries to escape being stopped
//! (one process with an empty environment, in a session of its own, after both its
//! supervisor and its guard were killed) can.
//!
//! # How it behaves
//!
//! - `user_data` is a script of at most 1 MiB that begins with `#!`. It runs in a directory of its own (`HOME` and
//!   `TMPDIR` are in it) with a clean environment: `PATH`, `HOME`, `LANG`, `TMPDIR`, `VCYCLE_INSTANCE`, and what
//!   the manager gives (`MACHINEFEATURES`, `JOBFEATURES`, `JOBOUTPUTS`). Standard input is empty; output
//!   goes to `console.log`, of which the newest megabyte is kept.
//! - The machine ends when the script ends, at its hard end (the deadline tag) even when no manager runs any
//!   more, when it is deleted, or when its processes together hold more memory than it was given.
//!   It ends as a whole: what the script started is asked to end (SIGTERM), and after the
//!   grace killed, wherever it has hidden.
//! - Flavours are `local-1`, `local-2`, `local-4`, ...: so many processors, with their part of the
//!   memory. The quota is the host's processors and memory, or what the settings say. With more
//!   processors than the host has, machines share them; else each is bound to as many as it has.
//! - Each machine has a supervisor, which does not depend on the manager: machines survive
//!   a manager's restart, upgrade or death. Under systemd this needs `KillMode=process` in the
//!   manager's unit; otherwise systemd kills the machines with the manager.
//! - A supervisor that is killed makes a failed machine; its guard ends what the machine had running.
//! - `DIR/machines/local-INTENT/` holds all there is to know of a machine. Removing that folder by hand ends
//!   the machine. After a machine's end its console stays there for an hour.
//! - `DIR` must be on a disk of this host, never in the shared directory. Several managers on the
//!   host may use one `DIR`; each counts the machines of the others and leaves them alone.

mod admit;
mod folder;
mod launch;
mod lock;
mod machines;
mod procs;
mod provider;
mod records;
mod script;
mod settings;
mod state;
pub mod supervisor;

pub use admit::USER_DATA_LIMIT;
pub use provider::{Local, OpenError};
pub use settings::{Settings, SupervisorCommand};
