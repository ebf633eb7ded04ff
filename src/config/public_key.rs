//! The public key of root: the text of a key, or the file that has it. Pure.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::Wrong;
use super::values::Read;

/// `root_public_key` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// None, also where the entry has one.
    None,
    /// The key.
    Text(String),
    /// The file that has it.
    File(PathBuf),
}

/// How the first word of a key begins, in the form of `authorized_keys` (sshd(8)).
const KINDS: [&str; 3] = ["ssh-", "ecdsa-", "sk-"];

/// A key, or the path of a file; what it is relative to is the caller's.
pub(super) fn read(written: &str) -> Read<PublicKey> {
    const RIGHT: &str =
        "the text of a public key (\"ssh-ed25519 AAAA...\"), or the path of its file";
    let is_line = !written.chars().any(char::is_control);
    let is_key = KINDS.iter().any(|kind| written.starts_with(kind)) && written.contains(' ');
    let key = match (written, is_key) {
        ("", _) => Some(PublicKey::None),
        (text, true) => key_of(text).map(PublicKey::Text),
        (path, false) => Some(PublicKey::File(path.into())),
    };
    key.filter(|_| is_line).ok_or_else(|| Wrong::new("not a public key", RIGHT))
}

impl PublicKey {
    /// The same with a relative path made absolute.
    pub(super) fn resolved(self, absolute: impl FnOnce(&Path) -> PathBuf) -> Self {
        match self {
            Self::File(path) => Self::File(absolute(&path)),
            Self::None | Self::Text(_) => self,
        }
    }
}

/// The first key of a text such as a `.pub` file; `None`: there is none, or the first is broken.
pub fn key_of(text: &str) -> Option<String> {
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
    let is_kind = KINDS.iter().any(|known| kind.starts_with(known));
    // The blob begins with the length of its kind and the kind (RFC 4253, section 6.6).
    let length = blob.get(..4).map(|bytes| bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
    let names_itself = length == Some(kind.len()) && blob[4..].starts_with(kind.as_bytes());
    let is_plain = !line.chars().any(char::is_control);
    (is_kind && names_itself && is_plain).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpptfWmlKrOl8+5VDJWEnKnR8W4P7teEcWevVbyjiFu root key of the site";

    fn written(text: &str) -> Read<PublicKey> {
        read(text)
    }

    #[test]
    fn a_key_is_told_from_a_path() {
        assert_eq!(written(KEY).unwrap(), PublicKey::Text(KEY.to_owned()));
        assert_eq!(written("").unwrap(), PublicKey::None);
        for path in ["/etc/vcycle/root.pub", "keys/ssh-root.pub", "ssh-ed25519.pub"] {
            assert_eq!(written(path).unwrap(), PublicKey::File(path.into()));
        }
        for broken in ["ssh-ed25519 AAAA root@example", "ssh-rsa not/base64!", "a\nb"] {
            assert!(written(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_file_gives_its_first_key_and_nothing_else() {
        let file = format!("# of the site\n\n{KEY}\nssh-rsa AAAA other\n");
        assert_eq!(key_of(&file).as_deref(), Some(KEY));
        assert_eq!(key_of("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n"), None);
        // The kind outside must be the one inside.
        assert_eq!(key_of(&KEY.replace("ssh-ed25519 ", "ssh-rsa ")), None);
        assert_eq!(key_of(""), None);
    }
}
