//! From the typed command to the file that carries it out; from what came of it to the exit code.

use std::process::ExitCode;

use clap::Parser;

use super::error::CliError;
use super::{
    Cli, Command, check, completions, delete, demo, drain, explain, handover, library, machines,
    man, managers, plan, prices, run, simulate, spend, status, supervisor,
};

/// The whole program but for `main`. Exit codes: 0 done, 1 failed, 2 usage or configuration.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match carry_out(cli) {
        Ok(code) => code,
        Err(CliError::OutputClosed) => CliError::OutputClosed.exit_code(),
        Err(CliError::Problems(problems)) => {
            anstream::eprintln!("{problems}");
            ExitCode::from(2)
        }
        Err(error @ (CliError::Failed(_) | CliError::Usage(_))) => {
            anstream::eprintln!("{}: {error}", super::output::styled(super::output::BAD, "vcycle"));
            error.exit_code()
        }
    }
}

fn carry_out(cli: Cli) -> Result<ExitCode, CliError> {
    let Cli { config, command } = cli;
    let config = config.as_path();
    let done = match command {
        // Before any runtime: it must not have threads or open files.
        Command::LocalSupervisor(args) => return Ok(supervisor::run(&args)),
        Command::Run(args) => on_many_threads(run::run(config, &args)),
        Command::Demo(args) => return on_many_threads(demo::run(&args)),
        Command::Check(args) => return on_one_thread(check::run(config, &args)),
        Command::Plan(args) => on_one_thread(plan::run(config, &args)),
        Command::Status(args) => on_one_thread(status::run(config, &args)),
        Command::Machines(args) => on_one_thread(machines::run(config, &args)),
        Command::Explain(args) => on_one_thread(explain::run(config, &args)),
        Command::Drain(args) => on_one_thread(drain::run(config, &args)),
        Command::Delete(args) => on_one_thread(delete::run(config, &args)),
        Command::Handover(args) => on_one_thread(handover::run(config, &args)),
        Command::Managers(args) => on_one_thread(managers::run(config, &args)),
        Command::Prices(command) => return on_one_thread(prices::run(config, &command)),
        Command::Spend(args) => on_one_thread(spend::run(config, &args)),
        Command::Library(command) => return library::run(config, &command),
        Command::Simulate(args) => simulate::run(config, &args),
        Command::Completions { shell } => completions::run(shell),
        Command::Man => man::run(),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn on_one_thread<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    on(&mut tokio::runtime::Builder::new_current_thread(), work)
}

fn on_many_threads<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    on(&mut tokio::runtime::Builder::new_multi_thread(), work)
}

fn on<T>(
    builder: &mut tokio::runtime::Builder,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("cannot start the runtime", &error))?;
    let done = runtime.block_on(work);
    // A blocked read of a dead shared directory must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    done
}
