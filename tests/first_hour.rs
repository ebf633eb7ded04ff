//! `docs/SPENDING.md`, done word for word with the real program: its files are written, its commands are run, and what they
//! answer is held against what stands there. An answer is asked for again until it is the one of the page, as a person would
//! look again; names, times and ages may differ.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Answer, processes_of, root, vcycle, wait_for, wait_until};

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Lines for a shell, run once.
    Shell(String),
    /// A command and what it answers, at last.
    Transcript { command: String, answer: String, pause: Pause },
}

/// Whether it is answered within seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    Seconds,
    TwoMinutes,
}

/// The fenced blocks of a page that are to be done: `sh`, `console`, and `console two minutes`.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (number, block) in page.split("\n```").enumerate().filter(|(number, _)| number % 2 == 1) {
        let (kind, text) = block.split_once('\n').unwrap_or_else(|| panic!("block {number}"));
        match kind {
            "sh" => steps.push(Step::Shell(text.to_owned())),
            "console" => steps.extend(transcripts(text, Pause::Seconds)),
            "console two minutes" => steps.extend(transcripts(text, Pause::TwoMinutes)),
            _ => {}
        }
    }
    steps
}

fn transcripts(text: &str, pause: Pause) -> impl Iterator<Item = Step> + '_ {
    let text = text.strip_prefix("$ ").expect("a transcript begins with a command");
    text.split("\n$ ").map(move |one| {
        let (command, answer) = one.split_once('\n').unwrap_or((one, ""));
        Step::Transcript { command: command.to_owned(), answer: answer.to_owned(), pause }
    })
}

/// What must be equal of an answer: widths of columns, names of machines, times and ages are not.
fn essence(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word =
            |place: usize| match (place.checked_sub(1).map(|before| words[before]), words[place]) {
                (Some("user"), _) => "USER".to_owned(),
                // Where a grant lands depends on the hours that are left of it.
                _ if words.get(place + 1..place + 3) == Some(&["all", "spent"]) => "SUM".to_owned(),
                (_, word) => sort_of_word(word),
            };
        (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
    };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

fn sort_of_word(word: &str) -> String {
    let core = word.trim_matches(|c| "():;,".contains(c));
    let first = core.split(',').next().unwrap_or_default();
    let stand_in = if core.starts_with("vcycle-dune-") {
        "MACHINE"
    } else if is_time(first) {
        return word.replacen(first, "TIME", 1);
    } else if is_age(core) {
        "AGE"
    } else {
        return word.to_owned();
    };
    word.replacen(core, stand_in, 1)
}

fn is_time(word: &str) -> bool {
    let day = word.split('T').next().unwrap_or_default();
    let parts: Vec<&str> = day.split('-').collect();
    let is_number = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    parts.len() == 3 && parts[0].len() == 4 && parts.iter().all(is_number)
}

/// `7s`, `2h59m`, `89d03h`.
fn is_age(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd'])
        && word.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c))
}

/// A folder in which the page is tried. The manager that it starts ends with it.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn shell(&self, lines: &str) -> Answer {
        let program = Path::new(vcycle().get_program()).parent().unwrap().display().to_string();
        Command::new("bash")
            .args(["-euc", lines])
            .current_dir(self.dir.path())
            .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()))
            .env("LIBRARY", root().join("vm-library"))
            .envs([("LC_ALL", "C"), ("NO_COLOR", "1")])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    fn carry_out(&self, step: &Step) {
        match step {
            Step::Shell(lines) => {
                let done = self.shell(lines);
                assert_eq!(done.code, Some(0), "{lines}\n{done:?}");
            }
            Step::Transcript { command, answer, pause } => {
                let longest = match pause {
                    Pause::Seconds => Duration::from_secs(60),
                    Pause::TwoMinutes => Duration::from_secs(200),
                };
                wait_until(command, longest, || {
                    let seen = self.shell(&format!("{{ {command}\n}} 2>&1")).stdout;
                    let is_it = essence(&seen) == essence(answer);
                    is_it.then_some(()).ok_or_else(|| format!("{seen}\nbut on the page\n{answer}"))
                });
            }
        }
    }

    fn manager(&self) -> Option<i32> {
        std::fs::read_to_string(self.dir.path().join("run.pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let living = processes_of(self.dir.path());
        for process in self.manager().into_iter().filter(|process| living.contains(process)) {
            let process = nix::unistd::Pid::from_raw(process);
            let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// Does the page, but for the answers that take longer than these pauses.
fn try_the_page(pauses: &[Pause]) {
    let steps = steps(&read("docs/SPENDING.md"));
    let told = |step: &&Step| matches!(step, Step::Transcript { .. });
    assert!(steps.iter().filter(told).count() > 12, "the page has lost its transcripts");
    let desk = Desk::new();
    for step in &steps {
        match step {
            Step::Transcript { pause, .. } if !pauses.contains(pause) => {}
            Step::Shell(_) | Step::Transcript { .. } => desk.carry_out(step),
        }
    }
    wait_for("the end of the manager", Duration::from_secs(30), || {
        processes_of(desk.dir.path()).is_empty().then_some(())
    });
    // What the other page says of checking the ledger, on the ledger of this hour.
    let checks = self::steps(&read("docs/MONEY.md"));
    assert!(!checks.is_empty(), "the page has lost its checks");
    checks.iter().for_each(|step| desk.carry_out(step));
    let entry = desk.shell("sed -i 's/\"desk\"/\"disk\"/' state/ledger/log/0000000001.json");
    assert_eq!(entry.code, Some(0), "{entry:?}");
    let Some(Step::Transcript { command, .. }) = checks.iter().find(told) else {
        panic!("no check answers anything")
    };
    let answer = desk.shell(command);
    assert!(answer.stdout.contains("does not"), "a changed entry must be seen: {answer:?}");
}

#[test]
fn a_spend_managers_first_hour_goes_as_the_page_says() {
    try_the_page(&[Pause::Seconds]);
}

#[test]
#[ignore = "two minutes, in which the files must stand"]
fn the_first_hour_goes_as_the_page_says_with_its_two_minutes() {
    try_the_page(&[Pause::Seconds, Pause::TwoMinutes]);
}

#[test]
fn an_answer_that_differs_in_more_than_names_and_times_is_another() {
    let page = "CAP   LEFT  SINCE\nyear  2.00  3s ago\nby user 0 at 2026-11-21T20:43:13.035Z)";
    let same =
        "CAP  LEFT    SINCE\nyear  2.00  12m03s ago\nby user 1000 at 2027-01-01T00:00:00Z)\n";
    assert_eq!(essence(page), essence(same));
    for (from, to) in [("2.00", "2.01"), ("year", "month"), (" ago", ""), ("\nby", "\n\nby")] {
        assert_ne!(essence(page), essence(&page.replace(from, to)), "{from} is {to}");
    }
    let lines = "```sh\na\n```\n\n```console\n$ b\nc\n\nd\n$ e\n```\n```toml\nf = 1\n```\n";
    let pause = Pause::Seconds;
    let told = |command: &str, answer: &str| Step::Transcript {
        command: command.to_owned(),
        answer: answer.to_owned(),
        pause,
    };
    let wanted = [Step::Shell("a".to_owned()), told("b", "c\n\nd"), told("e", "")];
    assert_eq!(steps(&format!("\n{lines}")), wanted);
}
