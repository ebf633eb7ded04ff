//! Where the demo shows itself: a picture redrawn in place on a terminal, lines elsewhere, nothing
//! with `--json`.

use std::io::Write;

use super::super::output::Screen;
use super::view::{Scene, decision_line, picture, progress_line};
use crate::model::{Decision, Timestamp};

/// How the demo shows itself.
pub(super) enum Show {
    /// On a terminal.
    Live(Live),
    /// Anywhere else.
    Lines(Lines),
    /// Only the summary at the end.
    Nothing,
}

impl Show {
    /// What suits standard output.
    pub(super) fn for_stdout() -> Self {
        match Screen::of_stdout().size {
            Some(_) => Self::Live(Live { drawn: 0 }),
            None => {
                Self::Lines(Lines { last: String::new(), next: Timestamp::default(), told: None })
            }
        }
    }

    /// Shows what stands now. A screen that cannot be written to is no reason to stop.
    pub(super) fn update(&mut self, scene: &Scene<'_>) {
        match self {
            Self::Live(live) => live.draw(scene),
            Self::Lines(lines) => lines.write(scene),
            Self::Nothing => {}
        }
    }

    /// Takes the picture away, so that the summary stands alone.
    pub(super) fn end(&mut self) {
        if let Self::Live(live) = self {
            live.clear();
        }
    }
}

/// A picture that is redrawn where it stands.
pub(super) struct Live {
    drawn: usize,
}

impl Live {
    fn draw(&mut self, scene: &Scene<'_>) {
        let Some((width, height)) = Screen::of_stdout().size else { return };
        let lines = picture(scene, width, height);
        let mut frame = self.back_to_top();
        for line in &lines {
            frame.push_str(line);
            // To the end of the line: nothing of the picture before shows through.
            frame.push_str("\u{1b}[K\n");
        }
        frame.push_str("\u{1b}[J");
        self.drawn = lines.len();
        emit(&frame);
    }

    fn clear(&mut self) {
        let frame = self.back_to_top() + "\u{1b}[J";
        self.drawn = 0;
        emit(&frame);
    }

    fn back_to_top(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\u{1b}[{}A\r", self.drawn) }
    }
}

/// Lines for a log: each decision once, and now and then how it stands.
pub(super) struct Lines {
    last: String,
    next: Timestamp,
    told: Option<Decision>,
}

/// Between two lines about how it stands.
const EVERY: std::time::Duration = std::time::Duration::from_secs(3);

impl Lines {
    fn write(&mut self, scene: &Scene<'_>) {
        let mut text = String::new();
        for space in scene.board.spaces.values() {
            let new = space.decisions.iter().take_while(|d| Some(*d) != self.told.as_ref());
            let mut new: Vec<&Decision> = new.collect();
            new.reverse();
            for decision in new {
                text.push_str(&decision_line(decision));
                text.push('\n');
            }
            self.told = space.decisions.first().cloned().or(self.told.take());
        }
        let line = progress_line(scene);
        if scene.now >= self.next && line != self.last {
            self.next = scene.now + EVERY;
            text.push_str(&line);
            text.push('\n');
            self.last = line;
        }
        emit(&text);
    }
}

fn emit(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
