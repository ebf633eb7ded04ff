//! `vcycle simulate`: a budget spent in virtual time, on communities and clouds as files describe them, and with `--site` the
//! configuration. Asks no cloud, changes nothing but the picture that it is asked for.

pub(crate) mod args;
mod picture;
mod report;
mod scale;
mod site;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use vcycle_money::bills::Day;
use vcycle_money::simulate::{Outcome, Progress, Scenario, simulate};

use args::SimulateArgs;
use site::Site;

use super::error::CliError;
use super::output::{self, Screen};
use crate::config::{Collector, TextFile, plain, validate_scenario};

/// Columns of the bar.
const BAR: usize = 30;

/// Carries the command out.
pub(crate) fn run(config: &Path, args: &SimulateArgs) -> Result<(), CliError> {
    let scenario = scenario(config, args)?;
    let is_watched = std::io::stderr().is_terminal();
    let mut show = |progress: Progress| {
        if is_watched {
            draw(&bar(progress));
        }
    };
    let outcome = simulate(&scenario, &mut show);
    if is_watched {
        draw("");
    }
    let outcome = outcome.map_err(|error| CliError::Usage(error.to_string()))?;
    if let Some(file) = &args.svg {
        write_picture(file, &scenario.budget.name.to_string(), &outcome)?;
    }
    let text = if args.read.json {
        output::json(&report::json(&scenario, &outcome))?
    } else {
        report::text(&scenario, &outcome, Screen::of_stdout())
    };
    output::print(&text)
}

/// What the files say, the site, and the command line.
fn scenario(config: &Path, args: &SimulateArgs) -> Result<Scenario, CliError> {
    let mut files = args.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let site = if args.site { Some(Site::load(config)?) } else { None };
    let world = site.as_ref().map(Site::world).transpose()?;
    if let Some(site) = &site {
        let plans = site.plans(&files)?;
        files.extend(plans);
    }
    let problems = Collector::default();
    let scenario = validate_scenario(&files, (args.budget.as_deref(), world.as_ref()), &problems);
    let (result, warnings) = problems.into_parts();
    result.map_err(|problems| CliError::Problems(problems.to_string()))?;
    let mut scenario = scenario.expect("a scenario without problems is complete");
    for warning in warnings {
        anstream::eprintln!("{warning}\n");
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let budget = &mut scenario.budget;
    budget.from = args.from.map_or(budget.from, Day::begin);
    budget.to = args.to.map_or(budget.to, |last| last.next().unwrap_or(last).begin());
    Ok(scenario)
}

/// A file that was named on the command line.
pub(in crate::cli) fn read(file: &Path) -> Result<TextFile, CliError> {
    let failed = |error: &std::io::Error| {
        CliError::Usage(format!("{} cannot be read: {}", file.display(), plain(error)))
    };
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let absolute = std::path::absolute(file).map_err(|error| failed(&error))?;
    let folder = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    Ok(TextFile { name: file.to_owned(), folder, text })
}

fn write_picture(file: &Path, name: &str, outcome: &Outcome) -> Result<(), CliError> {
    std::fs::write(file, picture::svg(name, outcome))
        .map_err(|error| CliError::failed(format!("cannot write {}", file.display()), &error))
}

/// One line that is drawn over and over.
fn draw(line: &str) {
    let mut terminal = std::io::stderr().lock();
    // Nobody misses a bar on a terminal that has gone away.
    let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
}

fn bar(progress: Progress) -> String {
    let (done, whole) =
        (progress.at.since(progress.from), progress.to.since(progress.from).as_secs_f64());
    let part = (done.as_secs_f64() / whole).clamp(0.0, 1.0);
    let full = (part * BAR as f64).round() as usize;
    let day = output::clock_time(progress.at);
    format!(
        "[{}{}] {:>3.0}%  {}  {} machines made",
        "=".repeat(full),
        " ".repeat(BAR - full),
        part * 100.0,
        &day[..day.len().min(10)],
        progress.machines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn the_bar_shows_the_day_and_how_far_it_is() {
        let at = |day: i64| Timestamp::from_secs(1_575_158_400 + day * 86_400);
        let progress = Progress { at: at(61), from: at(0), to: at(122), machines: 1234 };
        let half = format!("[{}{}]", "=".repeat(15), " ".repeat(15));
        assert_eq!(bar(progress), format!("{half}  50%  2020-01-31  1234 machines made"));
    }
}
