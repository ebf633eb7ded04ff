//! A state directory in memory, with the semantics of [`SharedFs`] and nothing else: for tests and
//! for the deterministic simulation, where several managers share one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use vcycle_api::Clock;

use super::{Mode, PutOutcome, SharedFs, Vanished};
use crate::model::Timestamp;
use crate::store::StatePath;

/// The directory. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct MemoryFs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The file server's clock.
    clock: Arc<dyn Clock>,
    tree: Mutex<Tree>,
}

#[derive(Debug, Default)]
struct Tree {
    /// By path as text, since the order of paths by their parts is slow for many machines.
    nodes: BTreeMap<OsString, Node>,
    vanished: bool,
}

#[derive(Debug, Clone)]
enum Node {
    Directory,
    File { content: Vec<u8>, mode: Mode, modified: Timestamp },
}

impl MemoryFs {
    /// An empty directory whose file server has this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock, tree: Mutex::default() }))
    }

    /// Unmounts it (or mounts it again): every operation fails with [`Vanished`] until then.
    pub fn set_vanished(&self, vanished: Vanishing) {
        self.tree().vanished = vanished == Vanishing::Away;
    }

    /// Every file with its content, for looking at the outcome of a test.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.tree().nodes.clone().into_iter();
        files
            .filter_map(|(path, node)| match node {
                Node::File { content, .. } => Some((path.into(), content)),
                Node::Directory => None,
            })
            .collect()
    }

    /// Who may read a file; `None` where there is no file.
    pub fn mode(&self, path: impl AsRef<Path>) -> Option<Mode> {
        match self.tree().nodes.get(path.as_ref().as_os_str())? {
            Node::File { mode, .. } => Some(*mode),
            Node::Directory => None,
        }
    }

    /// Puts a file from outside, as a person or a backup would, with the directories it needs.
    pub fn plant(&self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) {
        let path = path.as_ref();
        let mut tree = self.tree();
        for dir in path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()) {
            tree.nodes.insert(dir.as_os_str().to_owned(), Node::Directory);
        }
        tree.put(path, content.into(), Mode::Public, self.0.clock.now());
    }

    /// Removes whatever is at a path, as a person would.
    pub fn uproot(&self, path: impl AsRef<Path>) {
        self.tree().nodes.retain(|there, _| !Path::new(there).starts_with(path.as_ref()));
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mounted(&self) -> io::Result<MutexGuard<'_, Tree>> {
        let tree = self.tree();
        if tree.vanished {
            return Err(Vanished::error("it was unmounted".to_owned()));
        }
        Ok(tree)
    }
}

/// Whether the directory is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanishing {
    /// Unmounted.
    Away,
    /// Mounted again, as it was.
    Back,
}

impl Tree {
    /// The names right below a directory. What is deeper is passed over: below the ledger there is much.
    fn names_below(&self, dir: &Path) -> Vec<String> {
        // With its slash: `a-b` sorts between `a` and `a/c`.
        let first = dir.join("").into_os_string();
        let mut names = Vec::new();
        let mut below = self.nodes.range(first.clone()..);
        while let Some((path, _)) = below.next() {
            let Some(rest) = path.as_bytes().strip_prefix(first.as_bytes()) else { break };
            match rest.iter().position(|byte| *byte == b'/') {
                Some(end) => {
                    let mut after = first.clone();
                    after.push(OsStr::from_bytes(&rest[..end]));
                    // The character that follows the slash.
                    after.push("0");
                    below = self.nodes.range(after..);
                }
                None => names.extend(str::from_utf8(rest).ok().map(str::to_owned)),
            }
        }
        names.retain(|name| !name.starts_with('.'));
        names
    }

    fn must_have_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match parent.map(|parent| self.nodes.get(parent.as_os_str())) {
            None | Some(Some(Node::Directory)) => Ok(()),
            Some(Some(Node::File { .. })) => Err(io::ErrorKind::NotADirectory.into()),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn put(&mut self, path: &Path, content: Vec<u8>, mode: Mode, modified: Timestamp) {
        self.nodes.insert(path.as_os_str().to_owned(), Node::File { content, mode, modified });
    }
}

#[async_trait]
impl SharedFs for MemoryFs {
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        match self.mounted()?.nodes.get(path.relative().as_os_str()) {
            Some(Node::File { content, .. }) => Ok(content.clone()),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        let mut tree = self.mounted()?;
        tree.must_have_parent(path.relative())?;
        if matches!(tree.nodes.get(path.relative().as_os_str()), Some(Node::Directory)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        tree.put(path.relative(), content.to_vec(), mode, self.0.clock.now());
        Ok(())
    }

    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        let mut tree = self.mounted()?;
        tree.must_have_parent(path.relative())?;
        match tree.nodes.get(path.relative().as_os_str()) {
            Some(Node::File { content: there, .. }) if there == content => Ok(PutOutcome::Ours),
            Some(Node::File { .. }) => Ok(PutOutcome::Theirs),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => {
                tree.put(path.relative(), content.to_vec(), mode, self.0.clock.now());
                Ok(PutOutcome::Ours)
            }
        }
    }

    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        Ok(self.mounted()?.names_below(dir.relative()))
    }

    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        let tree = self.mounted()?;
        Ok(paths
            .iter()
            .map(|path| match tree.nodes.get(path.relative().as_os_str())? {
                Node::File { modified, .. } => Some(*modified),
                Node::Directory => None,
            })
            .collect())
    }

    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        let tree = self.mounted()?;
        Ok(paths
            .iter()
            .map(|path| match tree.nodes.get(path.relative().as_os_str())? {
                Node::File { content, .. } => Some(content.len() as u64),
                Node::Directory => None,
            })
            .collect())
    }

    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        let mut tree = self.mounted()?;
        let levels = dir.relative().ancestors().filter(|level| !level.as_os_str().is_empty());
        for level in levels {
            match tree.nodes.get(level.as_os_str()) {
                Some(Node::Directory) => {}
                Some(Node::File { .. }) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    tree.nodes.insert(level.as_os_str().to_owned(), Node::Directory);
                }
            }
        }
        Ok(())
    }

    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        let mut tree = self.mounted()?;
        let (from, to) = (from.relative(), to.relative());
        let is_there = |path: &Path| tree.nodes.contains_key(path.as_os_str());
        match (is_there(from), is_there(to)) {
            (false, true) => return Ok(()),
            (true, true) => return Err(io::ErrorKind::AlreadyExists.into()),
            (false, false) => return Err(io::ErrorKind::NotFound.into()),
            (true, false) => tree.must_have_parent(to)?,
        }
        let is_moved = |path: &&OsString| Path::new(path).starts_with(from);
        let moved: Vec<OsString> = tree.nodes.keys().filter(is_moved).cloned().collect();
        for path in moved {
            let node = tree.nodes.remove(&path).expect("the key was just listed");
            let rest = Path::new(&path).strip_prefix(from).expect("it starts with it");
            // `join` of nothing would add a slash at the end.
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            tree.nodes.insert(new.into_os_string(), node);
        }
        Ok(())
    }

    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.mounted()?.nodes.retain(|there, _| !Path::new(there).starts_with(path.relative()));
        Ok(())
    }
}
