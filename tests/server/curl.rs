//! `curl` plays a VM: every command of `docs/HTTP.md` is run, and its output compared with the page.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::site::{Choices, SPACE, Site};

/// One command of the page with the output that the page promises.
#[derive(Debug, Default)]
struct Example {
    command: String,
    output: String,
}

/// All `$` lines in fences of the kind `console`, each with the lines up to the next.
fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    found.push(Example { command: command.to_owned(), ..Example::default() });
                }
                None => {
                    let example = found.last_mut().expect("a fence begins with a command");
                    example.output.push_str(line);
                    example.output.push('\n');
                }
            },
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_can_play_a_vm_as_the_page_says() {
    let installed = Command::new("curl").arg("--version").output().await;
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let mut choices = Choices::default();
    choices.limits.request_time = Duration::from_secs(3);
    choices.limits.file_bytes = 10 << 20;
    let site = Site::with(choices).await;
    let (vm, other) = (site.machine("dune").await, site.machine("dune").await);
    let proof = site.ownership.proof().unwrap();
    let list = "1800000000 vcycle-dune-baaaaaaaaa 192.0.2.7\n";
    site.store.save_heartbeat_list(&proof, &"dune".parse().unwrap(), list).await.unwrap();
    let work = tempfile::TempDir::new().unwrap();
    let ca = work.path().join("ca.pem");
    std::fs::write(&ca, site.running.ca_pem.as_deref().unwrap()).unwrap();

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HTTP.md");
    let examples = examples(&std::fs::read_to_string(page).unwrap());
    assert!(examples.len() > 30, "found only {} commands", examples.len());
    for Example { command, output } in examples {
        let script = format!("vm() {{ curl -sS --cacert \"$CA\" \"$@\"; }}\n{command}");
        let base = site.https("");
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(work.path())
            .env("BASE", &base)
            .env("HTTP", site.http(""))
            .env("ADMIN", site.admin(""))
            .env("SPACE", SPACE)
            .env("MACHINE", vm.name.as_str())
            .env("OTHER", other.name.as_str())
            .env("TOKEN", &vm.token)
            .env("CA", &ca)
            .env("M", format!("{base}/machines/{SPACE}/{}", vm.name))
            .env("CODE", "%{http_code}\\n")
            .env("SLOWER", "5")
            .env("LC_ALL", "C")
            .env("no_proxy", "*")
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(said, output, "$ {command}\n{complaints}");
    }
    assert_eq!(site.output(&vm, "job.log").unwrap(), b"all went well\n");
    assert_eq!(site.output(&vm, "shutdown_message").unwrap(), b"200 Success");
    assert_eq!(site.output(&vm, "log"), None, "nothing that was refused was kept");
    assert_eq!(std::fs::read_dir(site.outputs(&other)).unwrap().count(), 0);
}
