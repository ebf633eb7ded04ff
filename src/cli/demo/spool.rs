//! The demo's jobs: makes them, counts them, and checks their results by computing the same in
//! this process. What the machines do with them is in `vm-library/batch`.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The spool folder of the demo.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    root: PathBuf,
    jobs: u32,
}

/// Where the jobs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SpoolCounts {
    /// Not taken yet.
    pub(super) waiting: usize,
    /// Taken by a machine.
    pub(super) running: usize,
    /// With a result.
    pub(super) done: usize,
}

impl SpoolCounts {
    /// All of them.
    pub(super) fn total(self) -> usize {
        self.waiting + self.running + self.done
    }
}

/// A result that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrongResult {
    /// The job.
    pub(super) job: String,
    /// What is wrong.
    pub(super) why: String,
    /// Whether there is a result at all.
    pub(super) done: bool,
}

impl Spool {
    /// Makes the folder with so many jobs in it.
    pub(super) fn create(root: &Path, jobs: u32) -> io::Result<Self> {
        for folder in ["new", "running", "results"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        for job in 0..jobs {
            std::fs::write(root.join("new").join(format!("{}.job", name(job))), script(job))?;
        }
        Ok(Self { root: root.to_owned(), jobs })
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Counts the jobs. One that moves while we count may be missed or counted twice: for people.
    pub(super) fn counts(&self) -> io::Result<SpoolCounts> {
        let count = |folder: &str, suffix: &str| -> io::Result<usize> {
            let mut found = 0;
            for entry in std::fs::read_dir(self.root.join(folder))? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                found += usize::from(name.ends_with(suffix) && !name.starts_with('.'));
            }
            Ok(found)
        };
        Ok(SpoolCounts {
            waiting: count("new", ".job")?,
            running: count("running", ".job")?,
            done: count("results", ".result")?,
        })
    }

    /// Whether every job has a result.
    pub(super) fn is_done(&self) -> bool {
        (0..self.jobs).all(|job| self.result_file(job).exists())
    }

    /// Compares every result with our own calculation.
    pub(super) fn check(&self) -> Vec<WrongResult> {
        (0..self.jobs).filter_map(|job| self.check_one(job)).collect()
    }

    fn check_one(&self, job: u32) -> Option<WrongResult> {
        let wrong = |why: String| Some(WrongResult { job: name(job), why, done: true });
        let text = match std::fs::read_to_string(self.result_file(job)) {
            Ok(text) => text,
            Err(error) => {
                let why = format!("no result: {error}");
                return Some(WrongResult { job: name(job), why, done: false });
            }
        };
        let Some((head, output)) = text.split_once("\n\n") else {
            return wrong("the result has no head".to_owned());
        };
        if !head.lines().any(|line| line == "exit: 0") {
            return wrong(format!("the job failed: {}", head.lines().next().unwrap_or("?")));
        }
        let expected = digest(job);
        if output.split_whitespace().next() == Some(expected.as_str()) {
            None
        } else {
            wrong(format!("got {:?} instead of {expected}", output.trim()))
        }
    }

    fn result_file(&self, job: u32) -> PathBuf {
        self.root.join("results").join(format!("{}.result", name(job)))
    }
}

fn name(job: u32) -> String {
    format!("job-{job:04}")
}

/// The last number of a job's sequence: different for each, and some work for all.
fn last_number(job: u32) -> u32 {
    20_000 + 977 * job
}

/// What a machine runs: two seconds or so, so that there is something to watch.
fn script(job: u32) -> String {
    format!("sleep 1.7\nseq 1 {} | sha256sum\n", last_number(job))
}

/// The same, computed here.
fn digest(job: u32) -> String {
    let mut hash = Sha256::new();
    for number in 1..=last_number(job) {
        hash.update(format!("{number}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(spool: &Spool, job: u32, text: &str) {
        std::fs::write(spool.result_file(job), text).unwrap();
    }

    #[test]
    fn only_the_right_answer_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(dir.path(), 4).unwrap();
        assert_eq!(spool.counts().unwrap(), SpoolCounts { waiting: 4, running: 0, done: 0 });
        assert!(!spool.is_done());
        answer(&spool, 0, &format!("exit: 0\nmachine: m\n\n{}  -\n", digest(0)));
        answer(&spool, 1, &format!("exit: 1\nmachine: m\n\n{}  -\n", digest(1)));
        answer(&spool, 2, &format!("exit: 0\nmachine: m\n\n{}  -\n", digest(1)));
        let wrong: Vec<_> = spool.check().into_iter().map(|wrong| wrong.job).collect();
        assert_eq!(wrong, ["job-0001", "job-0002", "job-0003"]);
    }

    #[test]
    fn our_calculation_is_the_one_of_coreutils() {
        // seq 1 20000 | sha256sum
        let output = std::process::Command::new("bash")
            .args(["-c", "seq 1 20000 | sha256sum"])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(&digest(0)));
    }
}
