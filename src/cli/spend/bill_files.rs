//! The files of a bill as they are read: each is one, and each is given once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::error::CliError;

/// A file as it is read, and what is known of it afterwards.
pub(super) struct BillFile {
    pub(super) input: Box<dyn BufRead>,
    pub(super) content: Content,
}

/// What was read of a file until now.
#[derive(Clone, Default)]
pub(super) struct Content(Rc<RefCell<Hashed>>);

#[derive(Clone, Default)]
struct Hashed {
    bytes: u64,
    hasher: DefaultHasher,
}

impl Content {
    fn take(&self, bytes: &[u8]) {
        let mut hashed = self.0.borrow_mut();
        hashed.bytes += bytes.len() as u64;
        hashed.hasher.write(bytes);
    }

    /// How much it is, and its hash.
    fn print(&self) -> (u64, u64) {
        let hashed = self.0.borrow();
        (hashed.bytes, hashed.hasher.finish())
    }
}

/// Takes note of all that is read.
struct Noted<R> {
    input: R,
    content: Content,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(into)?;
        self.content.take(&into[..count]);
        Ok(count)
    }
}

/// As much is read at once.
const BUFFER: usize = 1 << 20;

/// Opens a file; `-`: standard input.
pub(super) fn open(path: &Path) -> Result<BillFile, CliError> {
    fn noted(input: impl Read + 'static) -> BillFile {
        let content = Content::default();
        let noted = Noted { input, content: content.clone() };
        BillFile { input: Box::new(BufReader::with_capacity(BUFFER, noted)), content }
    }
    if is_standard_input(path) {
        return Ok(noted(std::io::stdin().lock()));
    }
    if path.is_dir() {
        return Err(CliError::Usage(format!(
            "{} is a directory: give the files of the bill that are in it",
            path.display()
        )));
    }
    let file = File::open(path)
        .map_err(|error| CliError::failed(format!("cannot read {}", path.display()), &error))?;
    Ok(noted(file))
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Fails when a file is named twice.
pub(super) fn must_be_named_once(files: &[PathBuf]) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    for path in files {
        // What cannot be found is told when it is opened.
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        let place = if is_standard_input(path) { path.clone() } else { place };
        if !known.insert(place) {
            let path = path.display();
            return Err(CliError::Usage(format!(
                "{path} is given twice, and its lines would be booked twice: give each file once"
            )));
        }
    }
    Ok(())
}

/// The files of which lines were read.
#[derive(Default)]
pub(super) struct Given<'a>(Vec<(&'a Path, (u64, u64))>);

impl<'a> Given<'a> {
    /// Fails when a file is a copy of one before it.
    pub(super) fn must_be_new(&self, path: &Path, content: &Content) -> Result<(), CliError> {
        let print = content.print();
        match self.0.iter().find(|(_, known)| *known == print) {
            None => Ok(()),
            Some((before, _)) => Err(CliError::Usage(format!(
                "{} and {} have the same content, and their lines would be booked twice: give one of them",
                before.display(),
                path.display()
            ))),
        }
    }

    /// Takes a file that has lines. Of those without any, an export in parts may have several.
    pub(super) fn add(&mut self, path: &'a Path, content: &Content) {
        self.0.push((path, content.print()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_the_same_in_whatever_pieces_it_is_read() {
        let text: Vec<u8> = (0..1000_u16).map(|number| (number % 251) as u8).collect();
        let print = |piece: usize| {
            let content = Content::default();
            text.chunks(piece).for_each(|bytes| content.take(bytes));
            content.print()
        };
        for piece in [1, 3, 8, 13, 999, 1000] {
            assert_eq!(print(piece), print(64));
        }
        let other = Content::default();
        other.take(&text[1..]);
        assert_ne!(other.print(), print(64));
    }
}
