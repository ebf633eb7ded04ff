//! A text that was read, and places in it. Decides what of a text may be shown to people: values
//! of options can be secrets, so they never appear in a message.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file, as it was read. Shared by all places in it.
pub struct Source {
    name: PathBuf,
    folder: PathBuf,
    text: String,
    shown: String,
}

impl Source {
    /// `name` is shown to people; relative paths inside the file start from `folder`, which should
    /// be absolute. `hidden` are the parts of the text that may hold secrets.
    pub fn new(name: &Path, folder: &Path, text: String, hidden: &[Range<usize>]) -> Self {
        let shown = masked(&text, hidden);
        Self { name: name.to_owned(), folder: folder.to_owned(), text, shown }
    }

    /// The name of the file for people.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with what may be secret covered; as long as the text, byte for byte.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A path as written in this file, made absolute (if the folder is).
    pub fn absolute(&self, written: &Path) -> PathBuf {
        self.folder.join(written)
    }

    /// The folder from which relative paths in this file start, for people.
    pub fn shown_folder(&self) -> &Path {
        let parent = self.name.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name.display())
    }
}

/// Covers every character of the hidden ranges; keeps lines and byte offsets.
pub(super) fn masked(text: &str, hidden: &[Range<usize>]) -> String {
    if hidden.is_empty() {
        return text.to_owned();
    }
    let covered = |at: usize| hidden.iter().any(|range| range.contains(&at));
    text.char_indices()
        .flat_map(|(at, c)| {
            let cover = covered(at) && c != '\n' && c != '\r';
            let times = if cover { c.len_utf8() } else { 1 };
            std::iter::repeat_n(if cover { '*' } else { c }, times)
        })
        .collect()
}

/// A part of a file.
#[derive(Clone)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// The beginning of a file.
    pub fn top_of(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), span: 0..0 }
    }

    /// Line and column of its first character, counted from 1, columns in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.source.text[..floor_char(&self.source.text, self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The nearest character boundary at or before `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.source.name.display())
    }
}

/// A value, where it was written, and the path of its key.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where the value was written.
    pub place: Place,
    /// The key, from the root of the file, for example `space.x.processors_limit`.
    pub key: String,
}

impl<T> Placed<T> {
    /// The same place and key with another value.
    pub fn with<U>(&self, value: U) -> Placed<U> {
        Placed { value, place: self.place.clone(), key: self.key.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, span: Range<usize>) -> Place {
        let source = Source::new(Path::new("f.toml"), Path::new("/d"), text.to_owned(), &[]);
        Place { source: Arc::new(source), span }
    }

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        assert_eq!(place("a = 1\nb = 2\n", 0..1).line_and_column(), (1, 1));
        assert_eq!(place("a = 1\nb = 2\n", 10..11).line_and_column(), (2, 5));
        assert_eq!(place("é = 1", 5..6).line_and_column(), (1, 5));
        assert_eq!(place("é", 1..1).line_and_column(), (1, 1));
        assert_eq!(place("", 99..100).to_string(), "f.toml:1:1");
    }

    #[test]
    fn masking_keeps_every_offset() {
        let text = "a = 'sécret'\nb = 2";
        let source = Source::new(Path::new("f"), Path::new("/"), text.to_owned(), &[5..12, 17..17]);
        assert_eq!(source.shown().len(), text.len());
        assert_eq!(source.shown(), "a = '*******'\nb = 2");
    }
}
