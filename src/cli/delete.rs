//! `vcycle delete MACHINE`: leaves a request for the owner of the machine's space, which deletes
//! it in its next cycle. To let it end its work first, drain it.

use std::path::Path;

use super::DeleteArgs;
use super::confirm::{YesFlag, ask};
use super::drain::{leave, space_of};
use super::error::CliError;
use super::output::print;
use super::site::StateSource;
use super::target::Target;
use crate::model::RequestWhat;

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &DeleteArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.change.state_dir.as_deref())?;
    source.must_be_in_use().await?;
    let overview = source.overview(&[]).await?;
    let view = space_of(&overview, &Target::Machine(args.machine.clone()))?;
    let consent = ask(
        &format!(
            "machine {} of space {} is deleted now; its work is lost (`vcycle drain` lets it end)",
            args.machine, view.space
        ),
        YesFlag::from(&args.change),
    )?;
    let what = RequestWhat::DeleteMachine { machine: args.machine.clone() };
    let id = leave(&source, &view.space, what, &consent).await?;
    print(&format!("asked the owner of {} (request {})\n", view.space, id.0))
}
