//! `vcycle local-supervisor`: hands over to the local provider.

use std::process::ExitCode;

use super::SupervisorArgs;

/// Runs one stage of a machine's supervisor.
#[cfg(feature = "local")]
pub(crate) fn run(args: &SupervisorArgs) -> ExitCode {
    vcycle_local::supervisor::main(&args.args)
}

/// This build has no local provider.
#[cfg(not(feature = "local"))]
pub(crate) fn run(_: &SupervisorArgs) -> ExitCode {
    ExitCode::from(2)
}
