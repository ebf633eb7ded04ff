//! Exports in several files. Each of them looks like a whole bill: AWS and BigQuery number them (`report-00001.csv`,
//! `export-000000000000.json`), and put lines into them in no order of time. One that is left out shows in nothing but the
//! numbers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A number is of that many digits at least, and begins with a zero: dates are shorter, or do not.
const DIGITS: usize = 5;

/// The files that belong to those that were given and were not, as far as names tell.
pub(super) fn left_out(files: &[PathBuf], exists: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let given: BTreeSet<&Path> = files.iter().map(PathBuf::as_path).collect();
    let beside = |path: &PathBuf| {
        let Some(part) = Part::of(path) else { return Vec::new() };
        // There is one before the second one at least, wherever it is.
        let before = part.with(part.number.checked_sub(1));
        let before = before.filter(|path| part.number > 1 || exists(path));
        let after = part.with(part.number.checked_add(1)).filter(|path| exists(path));
        [before, after].into_iter().flatten().collect()
    };
    let all: BTreeSet<PathBuf> = files.iter().flat_map(beside).collect();
    all.into_iter().filter(|path| !given.contains(path.as_path())).collect()
}

/// A file by its number.
struct Part<'a> {
    path: &'a Path,
    before: &'a str,
    number: u64,
    digits: usize,
    after: &'a str,
}

impl<'a> Part<'a> {
    /// By the last digits of the name that are a number of a part.
    fn of(path: &'a Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let is_digit = |letter: char| letter.is_ascii_digit();
        let stem = name.find('.').unwrap_or(name.len());
        let end = name[..stem].rfind(is_digit)? + 1;
        let begin = name[..end]
            .rfind(|letter| !is_digit(letter))
            .map_or(0, |at| at + name[at..].chars().next().map_or(0, char::len_utf8));
        let text = &name[begin..end];
        let is_number = text.len() >= DIGITS && text.starts_with('0');
        let number = is_number.then(|| text.parse().ok()).flatten()?;
        let (before, after) = (&name[..begin], &name[end..]);
        Some(Self { path, before, number, digits: text.len(), after })
    }

    fn with(&self, number: Option<u64>) -> Option<PathBuf> {
        let (number, digits) = (number?, self.digits);
        let name = format!("{}{number:0digits$}{}", self.before, self.after);
        Some(self.path.with_file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out_of(given: &[&str], there: &[&str]) -> Vec<String> {
        let given: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
        let found = left_out(&given, |path| there.iter().any(|known| Path::new(known) == path));
        found.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_file_that_was_left_out_of_an_export_is_found_by_its_number() {
        let (first, second) = ("in/report-00001.csv", "in/report-00002.csv");
        assert_eq!(left_out_of(&[first], &[first, second]), [second]);
        assert_eq!(left_out_of(&[second], &[first, second]), [first]);
        assert_eq!(left_out_of(&[second], &[second]), [first], "wherever it is");
        assert_eq!(left_out_of(&[first, second], &[first, second]), [""; 0]);
        let [zero, one] = ["e-000000000000.json", "e-000000000001.json"];
        assert_eq!(left_out_of(&[one], &[zero, one]), [zero]);
        assert_eq!(left_out_of(&[zero, one], &[zero, one]), [""; 0]);
    }

    #[test]
    fn one_file_alone_and_files_by_dates_are_whole() {
        for alone in
            ["report-00001.csv", "e-000000000000.json", "-", "export.csv", "00.csv", "ü00.csv"]
        {
            assert_eq!(left_out_of(&[alone], &[alone]), [""; 0], "{alone}");
        }
        let months = ["bill-2026-10.csv", "bill-2026-11.csv", "20261101.csv", "20261102.csv"];
        for month in months {
            assert_eq!(left_out_of(&[month], &months), [""; 0], "{month}");
        }
    }
}
