//! Whether anything of the demo still runs: asked of the kernel, not of the manager.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Processes that have to do with a folder: it is in their environment, their arguments, or is
/// where they are. Each as `PID NAME`. This process is left out.
pub(super) fn processes_of(folder: &Path) -> Vec<String> {
    let needle = folder.as_os_str().as_bytes();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let proc = process.path();
        // Files of a process that has just ended, or is another user's, are no match.
        let holds = |file: &str| {
            std::fs::read(proc.join(file)).is_ok_and(|content| contains(&content, needle))
        };
        let is_there =
            std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.as_path().starts_with(folder));
        if is_there || holds("environ") || holds("cmdline") {
            let word = std::fs::read_to_string(proc.join("comm")).unwrap_or_default();
            found.push(format!("{pid} {}", word.trim()));
        }
    }
    found
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_in_the_folder_is_found_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        assert!(processes_of(&folder).is_empty());
        let mut child =
            std::process::Command::new("sleep").arg("600").current_dir(&folder).spawn().unwrap();
        let found = processes_of(&folder);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(processes_of(&folder).is_empty());
    }
}
