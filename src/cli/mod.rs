//! What people type: the definitions of all commands and options. What a command does is in the
//! file of its name; `dispatch` connects the two. `docs/CLI.md` is the reference for people.

mod check;
mod completions;
mod confirm;
mod delete;
mod demo;
mod dispatch;
mod drain;
mod error;
mod explain;
mod handover;
mod library;
mod machines;
mod man;
mod manager;
mod managers;
mod online;
mod output;
mod plan;
mod prices;
mod providers;
mod run;
mod simulate;
mod site;
mod spend;
mod status;
mod supervisor;
mod target;
mod when;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::{MachinetypeName, ManagerName, SpaceName};

pub use dispatch::main;

/// Fills spaces on clouds with working VMs.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "vcycle", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file; `conf.d/*.toml` beside it and in the state directory are read after it
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/vcycle/vcycle.toml",
        help_heading = "Global options"
    )]
    pub config: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the manager until it is told to stop (SIGTERM, SIGINT); SIGHUP reloads at once
    Run(RunArgs),
    /// Check configuration, library and files; report every problem with file, line and key
    Check(CheckArgs),
    /// Look at the clouds and print what would be done now, and why; changes nothing
    Plan(PlanArgs),
    /// Show spaces and machinetypes: targets, shares, machines, and the reason for each
    Status(StatusArgs),
    /// List machines
    Machines(MachinesArgs),
    /// Tell why a space or machinetype is as it is: the one reason now, and its history
    Explain(ExplainArgs),
    /// Tell machines to end by a time, and make no more of them until the drain is cancelled
    Drain(DrainArgs),
    /// Delete one machine now
    Delete(DeleteArgs),
    /// Give a space to another manager, for maintenance of the one that has it
    Handover(HandoverArgs),
    /// List the managers that share the state directory, and who owns which space
    Managers(StateArgs),
    /// Show what was spent, how fast, what is reserved, and where it leads; compare it with bills
    Spend(Box<spend::args::SpendArgs>),
    /// Look at VM definitions
    #[command(subcommand)]
    Library(LibraryCommand),
    /// Look at what machines cost by the price lists
    #[command(subcommand)]
    Prices(prices::args::PricesCommand),
    /// Spend a budget in virtual time, on communities and clouds as files describe them
    Simulate(simulate::args::SimulateArgs),
    /// Show everything at work on this very machine, in under a minute or two, then clean up
    Demo(DemoArgs),
    /// The process that looks after one machine of the local provider
    #[command(hide = true)]
    LocalSupervisor(SupervisorArgs),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff); all commands in one page
    Man,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// To the journal when started by systemd, else plain
    Auto,
    /// To the systemd journal, with fields
    Journal,
    /// Lines for people, to standard error
    Plain,
    /// One JSON object a line, to standard error
    Json,
}

/// `vcycle run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where the log goes; what it holds is set by RUST_LOG (default: info)
    #[arg(long, value_enum, default_value_t = LogFormat::Auto)]
    pub log: LogFormat,
}

/// Options of every command that only reads.
#[derive(Debug, Clone, Copy, Args)]
pub struct ReadArgs {
    /// Print JSON; its form is stable and documented in docs/CLI.md
    #[arg(long)]
    pub json: bool,
}

/// `vcycle check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Ask the clouds too: login, quota, and what each machinetype needs; changes nothing
    #[arg(long)]
    pub online: bool,

    /// With --online, only these spaces; default: all of the configuration
    #[arg(value_name = "SPACE", requires = "online")]
    pub spaces: Vec<SpaceName>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Options of the commands that read the state directory. They work on any host that mounts it,
/// also while no manager runs.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// State directory; default: the one that the configuration names
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `vcycle plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only these spaces; default: all of the configuration
    #[arg(value_name = "SPACE")]
    pub spaces: Vec<SpaceName>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `vcycle status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only these spaces; default: all
    #[arg(value_name = "SPACE")]
    pub spaces: Vec<SpaceName>,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `vcycle machines`.
#[derive(Debug, Args)]
pub struct MachinesArgs {
    /// Only machines of this space
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceName>,

    /// Only machines of this machinetype
    #[arg(long, value_name = "MACHINETYPE")]
    pub machinetype: Option<MachinetypeName>,

    /// Only machines in this phase
    #[arg(long, value_parser = ["intended", "starting", "running", "ended", "deleting"])]
    pub phase: Option<String>,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `vcycle explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// What to explain
    #[arg(value_name = "SPACE[/MACHINETYPE]")]
    pub target: target::Explained,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Options of the commands that change something.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Do it without asking; needed when standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,

    /// State directory; default: the one that the configuration names
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `vcycle drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// What to drain: a space, SPACE/MACHINETYPE, or the name of a machine
    #[arg(value_name = "SPACE|SPACE/MACHINETYPE|MACHINE")]
    pub target: target::Target,

    /// When the machines must have ended, which they can read: a duration such as 2h, or a time
    /// such as 2026-03-31T18:00:00Z; default: when the last of them would end anyway
    #[arg(long, value_name = "2h|TIME", conflicts_with = "cancel")]
    pub by: Option<when::When>,

    /// Take the drains of this target back; machines that were told already keep their time
    #[arg(long)]
    pub cancel: bool,

    /// How to agree.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `vcycle handover`.
#[derive(Debug, Args)]
pub struct HandoverArgs {
    /// The space
    #[arg(value_name = "SPACE")]
    pub space: SpaceName,

    /// The manager that is to have it; default: the best placed of the others
    #[arg(long, value_name = "MANAGER")]
    pub to: Option<ManagerName>,

    /// For how long it keeps the space, even if another is placed better
    #[arg(long = "for", value_name = "1h", default_value = "1h")]
    pub keep: handover::Keep,

    /// How to agree.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `vcycle delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The machine
    #[arg(value_name = "MACHINE")]
    pub machine: crate::model::MachineName,

    /// How to agree.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `vcycle library ...`.
#[derive(Debug, Subcommand)]
pub enum LibraryCommand {
    /// List the entries that can be used
    List(LibraryArgs),
    /// Show an entry: what it is, its defaults and its options
    Show {
        /// The entry
        entry: crate::model::EntryName,
        /// Where to look.
        #[command(flatten)]
        library: LibraryArgs,
    },
    /// Check one entry, or all
    Check {
        /// The entry; default: all
        entry: Option<crate::model::EntryName>,
        /// Where to look.
        #[command(flatten)]
        library: LibraryArgs,
    },
    /// Print exactly what a VM of an entry would get as user_data
    Render(RenderArgs),
}

/// Where library commands look.
#[derive(Debug, Args)]
pub struct LibraryArgs {
    /// Folder with entries, instead of those of the configuration; may be given several times
    #[arg(long, value_name = "DIR")]
    pub path: Vec<PathBuf>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `vcycle library render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The entry
    #[arg(value_name = "ENTRY")]
    pub entry: crate::model::EntryName,

    /// The space whose settings are used
    #[arg(long)]
    pub space: SpaceName,

    /// The machinetype, where several of the space use the entry
    #[arg(long)]
    pub machinetype: Option<MachinetypeName>,

    /// Show secret options too; they are masked otherwise
    #[arg(long)]
    pub reveal_secrets: bool,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `vcycle demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many jobs to put into the spool
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub jobs: u32,

    /// Keep the temporary folder: configuration, state directory, spool, logs
    #[arg(long)]
    pub keep: bool,

    /// Print only the summary, as JSON
    #[arg(long)]
    pub json: bool,
}

/// `vcycle local-supervisor`: the local provider makes these arguments and reads them.
#[derive(Debug, Args)]
pub struct SupervisorArgs {
    /// As the local provider gave them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<std::ffi::OsString>,
}
