//! Whether a directory lies where something should be mounted and is not. A courtesy to who starts
//! the manager before the mount: an empty mount point looks like an empty state directory. Pure.

use std::path::{Path, PathBuf};

/// The deepest mount point of `fstab` that holds `root`, if `mountinfo` does not have it.
pub(super) fn missing_mount(fstab: &str, mountinfo: &str, root: &Path) -> Option<PathBuf> {
    let wanted = fstab
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|field| PathBuf::from(unescape(field)))
        .filter(|point| point != Path::new("/") && point.is_absolute() && root.starts_with(point))
        .max_by_key(|point| point.components().count())?;
    let mounted = mountinfo
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4))
        .any(|field| Path::new(&unescape(field)) == wanted);
    (!mounted).then_some(wanted)
}

/// Both files write blanks and backslashes as three octal digits: `\040`.
fn unescape(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                text.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &str = "# /dev/x /srv/old nfs\n/dev/sda1 / ext4 defaults 0 1\nnas:/v /srv nfs hard 0 0\n\
                         nas:/w /srv/my\\040state nfs4 hard,noauto 0 0\nnone swap swap sw 0 0\n";
    const MOUNTED: &str =
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 0:40 / /srv rw - nfs nas:/v rw\n";

    #[test]
    fn a_listed_mount_point_that_is_not_mounted_is_found() {
        let missing = |root: &str, info: &str| missing_mount(FSTAB, info, Path::new(root));
        assert_eq!(missing("/srv/vcycle", MOUNTED), None);
        assert_eq!(missing("/srv/vcycle", ""), Some("/srv".into()));
        assert_eq!(missing("/srv/my state/a", MOUNTED), Some("/srv/my state".into()));
        let both = format!("{MOUNTED}41 40 0:41 / /srv/my\\040state rw - nfs nas:/w rw\n");
        assert_eq!(missing("/srv/my state/a", &both), None);
        for elsewhere in ["/var/lib/vcycle", "/srv2", "/srv/old/x"] {
            assert_eq!(missing(elsewhere, MOUNTED), None, "{elsewhere}");
        }
    }
}
