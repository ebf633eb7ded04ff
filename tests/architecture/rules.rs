//! The rules themselves. Each takes a parsed file and gives the violations it finds, one line each.

use crate::source::SourceFile;

/// The most production lines of a file (the house plan: 400; 600 needs a decision note).
pub(crate) const LONGEST_FILE: usize = 400;

/// Which top modules each top module may import. The order is the reading order.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("library", &["model", "config"]),
    ("plan", &["model", "config", "library"]),
    ("cooperate", &["model"]),
    ("store", &["model"]),
    ("observe", &["model", "plan", "store"]),
    ("act", &["model", "library", "plan", "store"]),
    ("cycle", &["model", "config", "library", "plan", "store", "observe", "act"]),
    (
        "driver",
        &["model", "config", "library", "plan", "cooperate", "store", "observe", "act", "cycle"],
    ),
    ("telemetry", &["model"]),
    ("reload", &["model", "config", "library"]),
    ("server", &["model", "config", "library", "store", "telemetry"]),
    ("systemd", &["model"]),
    (
        "cli",
        &[
            "model",
            "config",
            "library",
            "plan",
            "store",
            "observe",
            "act",
            "cycle",
            "driver",
            "telemetry",
            "reload",
            "server",
            "systemd",
        ],
    ),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Modules that may hold a provider which can act; `act` uses it, the others only pass it on.
const MAY_HOLD_ACT: &[&str] = &["act", "cycle", "driver", "cli"];

/// Modules that may read a cloud.
const MAY_OBSERVE: &[&str] = &["observe", "act", "cycle", "driver", "cli"];

/// Imports and paths against an arrow.
pub(crate) fn against_the_arrows(file: &SourceFile) -> Vec<String> {
    let module = file.module();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{}: module `{module}` has no arrows: add it to docs/ARCHITECTURE.md and here",
            file.path
        )];
    };
    let mut found = Vec::new();
    for path in &file.paths {
        let words: Vec<&str> = path.split("::").collect();
        let against = match words.as_slice() {
            ["crate", to, ..] if ARROWS.iter().any(|(name, _)| name == to) => {
                *to != module && !allowed.contains(to)
            }
            ["vcycle", to, ..] if module == "main" => !allowed.contains(to),
            [provider, ..] if ["vcycle_local", "vcycle_sim"].contains(provider) => module != "cli",
            ["vcycle_api", .., "Act"] => !MAY_HOLD_ACT.contains(&module),
            ["vcycle_api", .., "Observe"] => !MAY_OBSERVE.contains(&module),
            _ => false,
        };
        if against {
            found.push(format!("{}: {path}", file.path));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn must_be_pure(file: &SourceFile) -> bool {
    // Of the library only what reads files, and what is made of it for people, may touch the world.
    let reads_files = ["library/load.rs", "library/catalogue.rs"].contains(&file.path.as_str());
    ["model", "plan"].contains(&file.module()) || file.module() == "library" && !reads_files
}

/// Hash maps and sets with the default hasher where all must be pure: their order differs from run to run.
pub(crate) fn random_order(file: &SourceFile) -> Vec<String> {
    if !["model", "plan"].contains(&file.module()) {
        return Vec::new();
    }
    let mut found: Vec<String> =
        file.random_hashes.iter().map(|what| format!("{}: {what}", file.path)).collect();
    let states = file.paths.iter().filter(|path| path.ends_with("RandomState"));
    found.extend(states.map(|path| format!("{}: {path}", file.path)));
    found.sort();
    found.dedup();
    found
}

/// Whatever needs a clock, randomness, the file system, the network or async, where all is pure.
pub(crate) fn impure(file: &SourceFile) -> Vec<String> {
    if !must_be_pure(file) {
        return Vec::new();
    }
    const BANNED: &[&str] = &[
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::process",
        "std::env",
        "std::thread",
        "std::io",
        "std::time::SystemTime",
        "std::time::Instant",
        "tokio",
        "futures",
        "async_trait",
        "reqwest",
        "hyper",
        "axum",
        "notify",
        "tempfile",
        "nix",
        "fs2",
        "rand::rng",
        "rand::random",
        "rand::thread_rng",
        "rand::rngs",
        "jiff::Timestamp::now",
        "jiff::Zoned::now",
        "uuid",
        "vcycle_api::Clock",
        "vcycle_api::SystemClock",
        "crate::model::Clock",
        "SystemTime::now",
        "Instant::now",
    ];
    let mut found: Vec<String> = file
        .paths
        .iter()
        .filter(|path| {
            BANNED.iter().any(|b| {
                path == b
                    || path.starts_with(&format!("{b}::"))
                    || (b.ends_with("Tcp") || b.ends_with("Udp")) && path.starts_with(b)
            })
        })
        .map(|path| format!("{}: {path}", file.path))
        .collect();
    if file.asyncs > 0 {
        found.push(format!("{}: async", file.path));
    }
    found.sort();
    found.dedup();
    found
}

/// File names of the state directory, and joins on its root, outside `store`.
pub(crate) fn state_paths(file: &SourceFile) -> Vec<String> {
    const NAMES: &[&str] = &[
        "record.json",
        "plan.json",
        "deployment.json",
        "authority.pem",
        "spaces",
        "managers",
        "requests",
        "owner",
        "current",
        "deleted",
        "heartbeatlists",
    ];
    if file.module() == "store" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for text in &file.texts {
        // The spaces that a price list or a cap is for: a key, not a path.
        let is_key = text == "spaces" && file.path.starts_with("config/spending/");
        let hit = NAMES.contains(&text.as_str()) && !is_key;
        if hit || text.contains("/record.json") || text.contains("/joboutputs/shutdown_message") {
            found.push(format!("{}: {text:?}", file.path));
        }
    }
    // `config/load.rs` reads STATE/conf.d: configuration that managers share, not state.
    if file.path != "config/load.rs"
        && file.calls.iter().any(|(on, method)| on == "state_dir" && method == "join")
    {
        found.push(format!("{}: state_dir.join", file.path));
    }
    found
}

/// Calls of the changing half of a provider outside `act`. By name, whatever the receiver is: no
/// other method in the house may be called so (but `create` of `OpenOptions` in `store`).
pub(crate) fn mutating_calls(file: &SourceFile) -> Vec<String> {
    const MUTATING: &[&str] = &["create", "delete", "resolve", "delete_side_resource", "prepare"];
    if file.module() == "act" || file.path.starts_with("store/fs") {
        return Vec::new();
    }
    let calls = file.calls.iter().map(|(on, method)| (format!("{on}.{method}()"), method.clone()));
    let paths = file.paths.iter().filter_map(|path| {
        let (on, method) = path.rsplit_once("::")?;
        (on.ends_with("Act")).then(|| (path.clone(), method.to_owned()))
    });
    calls
        .chain(paths)
        .filter(|(_, method)| MUTATING.contains(&method.as_str()))
        .map(|(call, _)| format!("{}: {call}", file.path))
        .collect()
}

/// Files over the limit.
pub(crate) fn too_long(file: &SourceFile) -> Vec<String> {
    if file.production_lines > LONGEST_FILE {
        vec![format!(
            "{}: {} production lines, at most {LONGEST_FILE}",
            file.path, file.production_lines
        )]
    } else {
        Vec::new()
    }
}

/// Dependencies of a provider crate on anything of ours but the contract.
pub(crate) fn provider_dependencies(name: &str, manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut found = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(toml::Value::Table(dependencies)) = manifest.get(section) else { continue };
        for dependency in dependencies.keys().filter(|d| d.starts_with("vcycle")) {
            // Itself: so a crate's tests have its own features.
            let is_own = *dependency == format!("vcycle-{name}");
            if !is_own && (dependency != "vcycle-api" || name == "api") {
                found.push(format!("providers/{name}/Cargo.toml [{section}]: {dependency}"));
            }
        }
    }
    found
}
