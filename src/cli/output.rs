//! How answers look: tables that fit the terminal, JSON, colour, ages. Pure but for [`print`] and
//! [`Screen::of_stdout`].
//!
//! Text is always made with ANSI styles; the stream decides whether they get out (only on a
//! terminal, never with `NO_COLOR`).

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width,
};
use serde::Serialize;
use vcycle_api::Verdict;

use super::ReadArgs;
use super::error::CliError;
use crate::model::Timestamp;

/// What a text is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Screen {
    /// Columns and lines; `None`: not a terminal, so nothing is cut or wrapped.
    pub(crate) size: Option<(u16, u16)>,
}

impl Screen {
    /// Standard output as it is now.
    pub(crate) fn of_stdout() -> Self {
        let size = terminal_size::terminal_size_of(std::io::stdout()).map(|(w, h)| (w.0, h.0));
        Self { size: size.filter(|(width, height)| *width > 0 && *height > 0) }
    }

    /// Columns.
    pub(crate) fn width(self) -> Option<u16> {
        self.size.map(|(width, _)| width)
    }
}

/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// Side remarks.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What needs a human.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Wraps a text into a style.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The columns with sentences or lists, by their headings. All others have names and numbers, which
/// people copy: they never break.
const WRAPPED: [&str; 10] = [
    "IF THIS GOES ON",
    "NOTE",
    "WHY",
    "REASON",
    "DECISION",
    "OUTCOME",
    "SPACES",
    "DESCRIPTION",
    "HOW THEY ENDED",
    "WHAT TO WRITE",
];
/// Blanks between two columns.
const COLUMN_GAP: u16 = 2;
/// Columns of a wrapped column at least.
const NARROWEST: u16 = 12;

/// A table without lines, headed, arranged to the width of the screen.
pub(crate) fn table(screen: Screen, headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).enforce_styling();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = screen.width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(headings.iter().map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    table.style_text_only();
    for (column, heading) in table.column_iter_mut().zip(headings) {
        column.set_padding((0, COLUMN_GAP));
        column.set_constraint(if WRAPPED.contains(&heading.trim()) {
            ColumnConstraint::LowerBoundary(Width::Fixed(NARROWEST))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    table
}

/// Leaves out the columns that have nothing to say: no text, or only `-`, in all rows.
pub(crate) fn hide_empty_columns(table: &mut Table) {
    for index in 0..table.column_count() {
        let empty = table
            .column_cells_iter(index)
            .all(|cell| cell.is_none_or(|cell| matches!(cell.content().as_str(), "" | "-")));
        if empty {
            hide_column(table, index);
        }
    }
}

/// Leaves a column out.
pub(crate) fn hide_column(table: &mut Table, index: usize) {
    if let Some(column) = table.column_mut(index) {
        column.set_constraint(ColumnConstraint::Hidden);
    }
}

/// Columns that a table takes when nothing is broken, without some of its columns.
pub(crate) fn natural_width(table: &Table, without: &[usize]) -> usize {
    let widths = table.column_max_content_widths();
    let shown = widths.iter().enumerate().filter(|(index, _)| {
        let is_hidden = table.column(*index).is_some_and(comfy_table::Column::is_hidden);
        !is_hidden && !without.contains(index)
    });
    shown.map(|(_, width)| usize::from(*width) + usize::from(COLUMN_GAP)).sum()
}

/// Leaves out columns, the least important first, until the rest fits the screen. Those with sentences may wrap.
pub(crate) fn fit(table: &mut Table, screen: Screen, less_important: &[usize]) {
    let Some(width) = screen.width().map(usize::from) else { return };
    let needed = |table: &Table| {
        let widths = table.column_max_content_widths();
        let shown = widths.iter().enumerate().filter_map(|(index, width)| {
            let column = table.column(index).filter(|column| !column.is_hidden())?;
            let wraps = matches!(column.constraint(), Some(ColumnConstraint::LowerBoundary(_)));
            Some(if wraps { NARROWEST } else { *width })
        });
        let columns: usize = shown.map(|width| usize::from(width + COLUMN_GAP)).sum();
        // No blanks stand behind the last one.
        columns.saturating_sub(usize::from(COLUMN_GAP))
    };
    for index in less_important {
        if needed(table) > width {
            hide_column(table, *index);
        }
    }
}

/// A table whose rows are lines of their own, with a text below each of them.
pub(crate) fn with_notes<'a>(
    table: &Table,
    width: usize,
    notes: impl Iterator<Item = Option<&'a str>>,
) -> String {
    let mut text = String::new();
    let lines = table_text(table);
    // Without a wrapped column each row is one line, below the headings.
    for (line, note) in lines.lines().zip(std::iter::once(None).chain(notes)) {
        text.push_str(line);
        text.push('\n');
        for part in
            wrapped(note.unwrap_or(""), width.saturating_sub(NOTE_INDENT).max(NARROWEST_NOTE))
        {
            text.push_str(&format!("{:NOTE_INDENT$}{part}\n", ""));
        }
    }
    text
}

/// Blanks before a note below its row.
const NOTE_INDENT: usize = 4;
/// A note has at least so many columns.
pub(crate) const NARROWEST_NOTE: usize = 24;

/// Sentences as wide as the screen, without a newline at the end. `hang`: blanks before all lines but the first.
pub(crate) fn prose(screen: Screen, text: &str, hang: usize) -> String {
    match screen.width().map(usize::from) {
        Some(width) if text.chars().count() > width => {
            let lines = wrapped(text, width.saturating_sub(hang).max(NARROWEST_NOTE));
            lines.join(&format!("\n{:hang$}", ""))
        }
        _ => text.to_owned(),
    }
}

/// What needs a human, in front of an answer.
pub(crate) fn alarm(screen: Screen, what: &str) -> String {
    let text = prose(screen, &format!("{ALARM} {what}"), 0);
    format!("{}{}\n\n", styled(BAD, ALARM), text.strip_prefix(ALARM).unwrap_or(&text))
}

const ALARM: &str = "alarm:";

/// A text in lines of at most `width` characters, broken at blanks where there are some.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(width.max(1)) {
            let piece: String = piece.iter().collect();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(&piece);
                }
                _ => lines.push(piece),
            }
        }
    }
    lines
}

/// A table as text: no blanks at line ends, one newline at the end.
pub(crate) fn table_text(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A cell with a number: to the right.
pub(crate) fn number(value: impl std::fmt::Display) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// The cell of a verdict, in its colour.
pub(crate) fn verdict_cell(verdict: Verdict) -> Cell {
    let cell = Cell::new(verdict.word());
    match verdict {
        Verdict::Works => cell.fg(Color::Green),
        Verdict::Fails => cell.fg(Color::Red),
        Verdict::Unknown => cell.fg(Color::Yellow),
    }
}

/// The cell of a phase, in its colour.
pub(crate) fn phase_cell(phase: &str) -> Cell {
    let cell = Cell::new(phase);
    match phase {
        "running" => cell.fg(Color::Green),
        "intended" | "starting" => cell.fg(Color::Cyan),
        "deleting" => cell.fg(Color::Yellow),
        // "ended", and words of a newer manager
        _ => cell.fg(Color::DarkGrey),
    }
}

/// A fraction as a percentage.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.0}%", fraction * 100.0)
}

/// A duration in the two largest units that say something: `12s`, `3m`, `2h05m`, `4d03h`.
pub(crate) fn age(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    match secs {
        0..60 => format!("{secs}s"),
        60..600 => format!("{minutes}m{:02}s", secs % 60),
        600..3600 => format!("{minutes}m"),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        86_400.. => format!("{days}d{:02}h", hours % 24),
    }
}

/// How long ago, or in how long.
pub(crate) fn from_now(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        format!("in {}", age(time.since(now)))
    } else {
        format!("{} ago", age(now.since(time)))
    }
}

/// A point in time for people: to the second, in UTC.
pub(crate) fn clock_time(time: Timestamp) -> String {
    Timestamp::from_secs(time.as_secs()).to_string().replace(".000Z", "Z")
}

/// Prints an answer: as JSON, if that was asked for, else for people.
pub(crate) fn show<T: Serialize>(
    seen: &T,
    read: &ReadArgs,
    text: impl Fn(&T, Screen) -> String,
) -> Result<(), CliError> {
    if read.json { print(&json(seen)?) } else { print(&text(seen, Screen::of_stdout())) }
}

/// A value as documented JSON, for scripts.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, CliError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::failed("cannot write the answer as JSON", &error))?;
    text.push('\n');
    Ok(text)
}

/// Prints a whole answer to standard output. A reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(CliError::OutputClosed),
        Err(error) => Err(CliError::failed("cannot write to standard output", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_show_what_matters() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m01s"),
            (600, "10m"),
            (3_599, "59m"),
            (7_500, "2h05m"),
            (97_200, "1d03h"),
        ] {
            assert_eq!(age(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn a_table_fits_the_width_of_the_terminal() {
        let mut wide = table(Screen { size: Some((40, 25)) }, &["NAME", "WHY"]);
        wide.add_row(["dune", "waits until the backoff is over, because the last machine aborted"]);
        let text = anstream::adapter::strip_str(&table_text(&wide)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.lines().count() > 2, "{text}");
        let mut unbound = table(Screen::default(), &["NAME", "WHY"]);
        unbound.add_row(["dune", &"x".repeat(500)]);
        assert_eq!(table_text(&unbound).lines().count(), 2);
    }

    #[test]
    fn names_never_break_and_empty_columns_are_left_out() {
        let mut narrow = table(Screen { size: Some((40, 25)) }, &["MACHINE", "HEARTBEAT", "NOTE"]);
        narrow.add_row(["vcycle-batch-aaaaaaaaaa", "-", "deleted: it has ended"]);
        hide_empty_columns(&mut narrow);
        let text = anstream::adapter::strip_str(&table_text(&narrow)).to_string();
        assert!(text.contains("vcycle-batch-aaaaaaaaaa"), "{text}");
        assert!(!text.contains("HEARTBEAT"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn columns_are_left_out_in_their_order_until_the_rest_fits() {
        let screen = Screen { size: Some((40, 25)) };
        let mut rows = table(screen, &["CAP", "LIMIT", "SETTLED", "SINCE", "NOTE"]);
        rows.add_row([
            "a-cap-of-20-letters-",
            "50000.00",
            "1.00",
            "3h04m ago",
            "all spent in a day or two",
        ]);
        fit(&mut rows, screen, &[3, 2, 1]);
        let text = anstream::adapter::strip_str(&table_text(&rows)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(
            !text.contains("SINCE") && !text.contains("LIMIT") && text.contains("NOTE"),
            "{text}"
        );
        let wide = Screen { size: Some((80, 25)) };
        let mut rows = table(wide, &["CAP", "SINCE"]);
        rows.add_row(["a", "b"]);
        fit(&mut rows, wide, &[1]);
        assert!(table_text(&rows).contains("SINCE"));
    }

    #[test]
    fn sentences_are_wrapped_at_words_on_a_terminal_and_nowhere_else() {
        let long = "one two three four five six seven eight nine ten eleven twelve";
        let screen = Screen { size: Some((40, 25)) };
        let told = prose(screen, long, 10);
        assert_eq!(
            told,
            "one two three four five six\n          seven eight nine ten eleven\n          twelve"
        );
        assert_eq!(prose(Screen::default(), long, 10), long);
        assert_eq!(prose(screen, "  short", 2), "  short");
        let alarm = alarm(screen, long);
        let plain = anstream::adapter::strip_str(&alarm).to_string();
        assert!(plain.starts_with("alarm: one two") && plain.ends_with("twelve\n\n"), "{plain}");
        assert!(plain.lines().all(|line| line.chars().count() <= 40), "{plain}");
    }

    #[test]
    fn times_are_to_the_second() {
        assert_eq!(clock_time(Timestamp::from_millis(1_767_200_000_999)), "2025-12-31T16:53:20Z");
    }
}
