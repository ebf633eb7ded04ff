//! The demo's picture as a pure function of what is known: the board, the spool, the time. Knows
//! nothing of terminals but their size.

use std::fmt::Write;

use super::super::output::{BAD, BOLD, FAINT, GOOD, WARN, age, percent, styled};
use super::spool::SpoolCounts;
use crate::model::{Board, Decision, MachineRow, MachinetypeRow, SpaceSnapshot, Timestamp};

/// What a picture shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// Now.
    pub(super) now: Timestamp,
    /// When the demo began.
    pub(super) began: Timestamp,
    /// What it is doing now.
    pub(super) stage: Stage,
    /// What the manager shows.
    pub(super) board: &'a Board,
    /// The jobs.
    pub(super) spool: SpoolCounts,
}

/// The demo's stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Jobs are being done.
    Working,
    /// All jobs are done; the space is drained.
    Draining,
    /// The work was cut short; the space is drained.
    Interrupted,
}

impl Stage {
    fn words(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Draining => "all results are in; draining the space",
            Self::Interrupted => "interrupted; draining the space",
        }
    }
}

/// Widest picture: beyond it the eye has to travel.
const WIDEST: usize = 110;

/// The picture, one string a line, none wider than `width`, at most `height` lines.
pub(super) fn picture(scene: &Scene<'_>, width: u16, height: u16) -> Vec<String> {
    let width = usize::from(width).clamp(20, WIDEST);
    let mut lines = vec![heading(scene), jobs_line(scene, width), String::new()];
    for space in scene.board.spaces.values() {
        lines.extend(space_lines(space, width));
        lines.push(String::new());
        let room = usize::from(height).saturating_sub(lines.len() + 1);
        let decisions = (room / 3).min(8);
        lines.extend(machine_lines(space, scene.now, room.saturating_sub(decisions + 2)));
        lines.push(String::new());
        lines.extend(decision_lines(&space.decisions, decisions));
    }
    for (space, why) in &scene.board.idle_spaces {
        lines.push(format!("{space}: {why}"));
    }
    lines.truncate(usize::from(height).saturating_sub(1).max(1));
    lines.iter().map(|line| cut(line, width)).collect()
}

/// One line about what stands now, for where there is no terminal.
pub(super) fn progress_line(scene: &Scene<'_>) -> String {
    let mut line = format!(
        "{:>4} {} of {} jobs done",
        age(scene.now.since(scene.began)),
        scene.spool.done,
        scene.spool.total()
    );
    for space in scene.board.spaces.values() {
        for row in &space.machinetypes {
            let phases = row.phases;
            let machines = phases.intended + phases.starting + phases.running;
            let _ = write!(line, "; {} {machines} ({})", row.name, row.reason);
        }
    }
    line
}

fn heading(scene: &Scene<'_>) -> String {
    format!(
        "{} {}  {}",
        styled(BOLD, "vcycle demo"),
        age(scene.now.since(scene.began)),
        styled(FAINT, scene.stage.words())
    )
}

fn jobs_line(scene: &Scene<'_>, width: usize) -> String {
    let SpoolCounts { waiting, running, done } = scene.spool;
    let total = scene.spool.total();
    let room = width.saturating_sub(60).clamp(10, 40);
    let full = (room * done).checked_div(total).unwrap_or(0);
    format!(
        "jobs {}{}  {done} done, {running} running, {waiting} waiting",
        styled(GOOD, "█".repeat(full)),
        styled(FAINT, "░".repeat(room - full)),
    )
}

/// Shares against targets, and the one reason of each machinetype.
fn space_lines(space: &SpaceSnapshot, width: usize) -> Vec<String> {
    let limit = space.processors_limit.map_or(String::new(), |limit| format!(" of {limit}"));
    let mut lines = vec![format!(
        "{}  {}{limit} processors in use",
        styled(BOLD, &space.space),
        space.processors
    )];
    for alarm in &space.alarms {
        lines.push(format!("{} {alarm}", styled(BAD, "alarm:")));
    }
    let bar = (width / 4).clamp(8, 24);
    lines.extend(space.machinetypes.iter().map(|row| machinetype_line(row, bar)));
    lines
}

fn machinetype_line(row: &MachinetypeRow, bar: usize) -> String {
    format!(
        "{:<9} {} {:>4} of target {:>4}  {}",
        row.name,
        share_bar(row.share, row.target, bar),
        percent(row.share),
        percent(row.target),
        short_times(&row.why)
    )
}

/// A bar as wide as the share, with a mark where the target is.
fn share_bar(share: f64, target: f64, width: usize) -> String {
    let column = |fraction: f64| {
        // Between 0 and the width, so the conversion cannot lose anything that shows.
        (fraction.clamp(0.0, 1.0) * width as f64).round() as usize
    };
    let (full, mark) = (column(share), column(target).min(width.saturating_sub(1)));
    let mut bar = String::new();
    for at in 0..width {
        bar.push_str(&match (at == mark, at < full) {
            (true, _) => styled(WARN, "┃"),
            (false, true) => styled(GOOD, "█"),
            (false, false) => styled(FAINT, "░"),
        });
    }
    bar
}

fn machine_lines(space: &SpaceSnapshot, now: Timestamp, room: usize) -> Vec<String> {
    if room == 0 {
        return Vec::new();
    }
    let mut rows: Vec<&MachineRow> = space.machines.iter().collect();
    rows.sort_by_key(|row| (row.intended, row.name.clone()));
    let shown = if rows.len() > room { room - 1 } else { rows.len() };
    let mut lines: Vec<String> = rows
        .iter()
        .take(shown)
        .map(|row| {
            let phase = match row.phase.as_str() {
                "running" => styled(GOOD, format!("{:<9}", row.phase)),
                other => styled(WARN, format!("{other:<9}")),
            };
            let beat = row
                .heartbeat
                .map_or(String::new(), |beat| format!(", heartbeat {} ago", age(now.since(beat))));
            let note = row.note.as_deref().map_or(String::new(), |note| format!(", {note}"));
            format!(
                "{:<29} {phase} for {:>5}{}",
                row.name,
                age(now.since(row.since)),
                styled(FAINT, format!("{beat}{note}"))
            )
        })
        .collect();
    if shown < rows.len() {
        lines.push(styled(FAINT, format!("and {} more machines", rows.len() - shown)));
    }
    lines
}

fn decision_lines(decisions: &[Decision], room: usize) -> Vec<String> {
    decisions.iter().take(room).map(decision_line).collect()
}

/// What was done, why, and what came of it.
pub(super) fn decision_line(decision: &Decision) -> String {
    let time = time_of_day(decision.at);
    let outcome = match decision.outcome.as_str() {
        "done" => String::new(),
        other => format!(" [{other}]"),
    };
    format!("{} {}{}", styled(FAINT, time), short_times(&decision.text), styled(WARN, outcome))
}

/// Hours, minutes and seconds in UTC.
fn time_of_day(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

/// The same text with its times shortened to the time of day: the demo is over within minutes.
fn short_times(text: &str) -> String {
    let short = |word: &str| {
        let time = word.trim_end_matches([',', ';', ':', '.']);
        let rest = &word[time.len()..];
        match time.parse::<jiff::Timestamp>() {
            Ok(at) => time_of_day(Timestamp::from_millis(at.as_millisecond())) + rest,
            Err(_) => word.to_owned(),
        }
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

/// Cuts a styled line to so many visible characters; the styles stay whole.
fn cut(line: &str, width: usize) -> String {
    let mut text = String::new();
    let mut visible = 0;
    let mut in_style = false;
    for c in line.chars() {
        if c == '\u{1b}' {
            in_style = true;
        }
        if in_style {
            text.push(c);
            in_style = c != 'm';
            continue;
        }
        if c.is_control() {
            continue;
        }
        visible += 1;
        if visible < width {
            text.push(c);
        } else if visible == width {
            text.push('…');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::site::sample;
    use super::*;

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    fn scene(board: &Board) -> Scene<'_> {
        let now = sample::overview().now;
        Scene {
            now,
            began: now - std::time::Duration::from_secs(30),
            stage: Stage::Working,
            board,
            spool: SpoolCounts { waiting: 20, running: 4, done: 36 },
        }
    }

    #[test]
    fn the_picture_has_shares_machines_jobs_and_decisions() {
        let board = sample::board();
        let text = plain(&picture(&scene(&board), 100, 40)).join("\n");
        for word in [
            "36 done, 4 running, 20 waiting",
            "batch",
            "of target  60%",
            "vcycle-batch-aaaaaaaaaa",
            "running",
            "create vcycle-batch-aaaaaaaaaa",
        ] {
            assert!(text.contains(word), "{word}\n{text}");
        }
    }

    #[test]
    fn the_picture_fits_every_terminal() {
        let board = sample::board();
        for (width, height) in [(20, 5), (40, 10), (80, 24), (200, 60)] {
            let lines = plain(&picture(&scene(&board), width, height));
            assert!(lines.len() < usize::from(height), "{width}x{height}");
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{width}x{height}: {widest}");
        }
    }

    #[test]
    fn times_are_shortened_and_all_else_stays() {
        assert_eq!(
            short_times("until 2026-11-21T03:47:32.767Z, after 300 No more work"),
            "until 03:47:32, after 300 No more work"
        );
        assert_eq!(short_times(""), "");
    }

    #[test]
    fn a_bar_shows_share_and_target() {
        let bar = share_bar(0.5, 0.75, 8);
        assert_eq!(anstream::adapter::strip_str(&bar).to_string(), "████░░┃░");
        let over = share_bar(1.0, 1.0, 4);
        assert_eq!(anstream::adapter::strip_str(&over).to_string(), "███┃");
    }

    #[test]
    fn a_cut_line_keeps_its_styles_whole() {
        let line = styled(GOOD, "abcdef");
        let short = cut(&line, 4);
        assert_eq!(anstream::adapter::strip_str(&short).to_string(), "abc…");
        assert!(short.ends_with("\u{1b}[0m"), "{short:?}");
    }
}
