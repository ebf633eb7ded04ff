//! What a file is, by its first bytes. Pure.
//!
//! Glance takes our word for the format, and hypervisors then read the image by it, so the word must
//! be right. The magic numbers are those of the formats' own specifications; they are also what
//! `qemu-img` looks for. What has none of them is `raw`.

/// How many bytes from the start tell a format: an ISO 9660 file system has its mark at 32,769.
pub(crate) const HEAD_BYTES: usize = 33 * 1024;

/// Why a file cannot become an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoImage {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Glance takes it, and no machine boots from it.
    #[error("it is compressed ({0}); unpack it first")]
    Compressed(&'static str),
    /// A login page in place of a file is the usual cause.
    #[error("it is a web page, not an image; does the server want a login?")]
    WebPage,
    /// Nova refuses those, as they could read files of the host.
    #[error(
        "it is a qcow2 that needs another file (a backing file); make it whole with `qemu-img convert`"
    )]
    BackingFile,
}

/// The `disk_format` of Glance for a file that begins so.
pub(crate) fn disk_format(head: &[u8]) -> Result<&'static str, NoImage> {
    if head.is_empty() {
        return Err(NoImage::Empty);
    }
    for (magic, name) in COMPRESSED {
        if head.starts_with(magic) {
            return Err(NoImage::Compressed(name));
        }
    }
    if is_web_page(head) {
        return Err(NoImage::WebPage);
    }
    if head.starts_with(b"QFI\xfb") {
        // Bytes 8 to 15: where the name of the backing file is; 0 when there is none.
        let backing = head.get(8..16).is_some_and(|offset| offset.iter().any(|byte| *byte != 0));
        return if backing { Err(NoImage::BackingFile) } else { Ok("qcow2") };
    }
    let found = FORMATS
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    Ok(found.map_or("raw", |(_, _, name)| name))
}

const COMPRESSED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
];

/// Place, magic, Glance's word.
const FORMATS: [(usize, &[u8], &str); 6] = [
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
    (0x8001, b"CD001", "iso"),
];

fn is_web_page(head: &[u8]) -> bool {
    let start: Vec<u8> = head
        .iter()
        .skip_while(|byte| byte.is_ascii_whitespace())
        .take(14)
        .map(u8::to_ascii_lowercase)
        .collect();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(at: usize, magic: &[u8]) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        head[at..at + magic.len()].copy_from_slice(magic);
        head
    }

    #[test]
    fn formats_are_told_by_their_magic_and_the_rest_is_raw() {
        assert_eq!(disk_format(&with(0, b"QFI\xfb\0\0\0\x03")), Ok("qcow2"));
        assert_eq!(disk_format(&with(0, b"KDMV")), Ok("vmdk"));
        assert_eq!(disk_format(b"# Disk DescriptorFile\nversion=1"), Ok("vmdk"));
        assert_eq!(disk_format(&with(0, b"vhdxfile")), Ok("vhdx"));
        assert_eq!(disk_format(&with(0, b"conectix")), Ok("vhd"));
        assert_eq!(disk_format(&with(64, &[0x7f, 0x10, 0xda, 0xbe])), Ok("vdi"));
        assert_eq!(disk_format(&with(0x8001, b"CD001")), Ok("iso"));
        assert_eq!(disk_format(&with(510, b"\x55\xaa")), Ok("raw"));
        assert_eq!(disk_format(b"x"), Ok("raw"));
    }

    #[test]
    fn what_no_machine_could_boot_from_is_refused() {
        assert_eq!(disk_format(b""), Err(NoImage::Empty));
        assert_eq!(disk_format(b"\x1f\x8b\x08"), Err(NoImage::Compressed("gzip")));
        assert_eq!(disk_format(b"\xfd7zXZ\0\0"), Err(NoImage::Compressed("xz")));
        assert_eq!(disk_format(b" \n<!DOCTYPE HTML>"), Err(NoImage::WebPage));
        assert_eq!(disk_format(b"<html><head>"), Err(NoImage::WebPage));
        let backed = with(0, b"QFI\xfb\0\0\0\x03\0\0\0\0\0\0\x02\0");
        assert_eq!(disk_format(&backed), Err(NoImage::BackingFile));
    }
}
