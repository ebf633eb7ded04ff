//! Standard output and error of a machine, kept in two files of bounded size: the newest output is
//! always there, and a machine cannot fill the disk with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::folder::Folder;

/// A log that moves to `console.log.1` when it has half of the bytes that both may have.
pub(super) struct Console {
    folder: Folder,
    file: File,
    written: u64,
    half: u64,
}

impl Console {
    pub(super) fn new(folder: &Folder, bytes: u64) -> io::Result<Self> {
        let file = open(folder)?;
        Ok(Self { folder: folder.clone(), file, written: 0, half: (bytes / 2).max(1) })
    }

    /// Copies until the last writer is gone. Output that cannot be written is dropped: a full disk
    /// must not stop the machine.
    pub(super) async fn copy(mut self, mut from: Receiver) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => {
                    if let Err(error) = self.write(&buffer[..bytes]) {
                        eprintln!("writing the console: {error}");
                    }
                }
            }
        }
    }

    fn write(&mut self, mut output: &[u8]) -> io::Result<()> {
        while !output.is_empty() {
            if self.written >= self.half {
                std::fs::rename(self.folder.console(), self.folder.older_console())?;
                self.file = open(&self.folder)?;
                self.written = 0;
            }
            let room = usize::try_from(self.half - self.written).unwrap_or(usize::MAX);
            let (now, later) = output.split_at(output.len().min(room));
            self.file.write_all(now)?;
            self.written += now.len() as u64;
            output = later;
        }
        Ok(())
    }
}

fn open(folder: &Folder) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(folder.console())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_keeps_the_newest_output_within_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let mut console = Console::new(&folder, 20).unwrap();
        for line in ["0123456789abc", "defghij", "klmnopq"] {
            console.write(line.as_bytes()).unwrap();
        }
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(folder.older_console()), "abcdefghij");
        assert_eq!(read(folder.console()), "klmnopq");
    }
}
