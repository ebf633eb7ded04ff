//! `[server]`.

use std::net::SocketAddr;

use super::load::Host;
use super::problem::{Finding, Problem, Wrong};
use super::reader::Reader;
use super::source::{Place, Placed};
use super::types::{HttpsConfig, ServerConfig, ServerLimits, TlsIdentity};
use super::{defaults, values};

/// Reads `[server]`; every key has a default.
pub(super) fn read_server(root: &Reader<'_>, empty: &Reader<'_>, host: &Host) -> ServerConfig {
    let section = root.table("server");
    let server = section.as_ref().unwrap_or(empty);
    let https_host = read_https_host(server, host);
    let https_section = server.table("https");
    let https_from = https_section.as_ref().unwrap_or(empty);
    let (https, https_listen) = read_https(https_from);
    let http_listen = server.listen("http_listen");
    let admin_listen = server.get_or("admin_listen", values::listen, defaults::ADMIN_LISTEN);
    if !admin_listen.value.ip().is_loopback() {
        let wrong = Wrong::new(
            "status and metrics are open to other hosts, without a password",
            "a loopback address, unless a firewall stands before it",
        );
        server.problems().add(Problem::at_value(&admin_listen, wrong).as_warning());
    }
    let mut listeners = vec![&https_listen, &admin_listen];
    listeners.extend(http_listen.as_ref());
    refuse_same_address(server, &listeners);
    let limits_section = server.table("limits");
    let limits = read_limits(limits_section.as_ref().unwrap_or(empty));
    for section in [https_section, limits_section, section].into_iter().flatten() {
        section.finish();
    }
    ServerConfig {
        https_host,
        https,
        http_listen: http_listen.map(|address| address.value),
        admin_listen: admin_listen.value,
        limits,
    }
}

fn read_https_host(server: &Reader<'_>, host: &Host) -> String {
    if let Some(written) = server.get("https_host", values::host) {
        return written.value;
    }
    if server.has("https_host").is_none() && !values::is_host(&host.name) {
        server.absence(Wrong::new(
            format!("`https_host` is missing, and {:?} is not a host name", host.name),
            "`https_host`: the name by which machines reach this host",
        ));
    }
    host.name.clone()
}

fn read_https(https: &Reader<'_>) -> (HttpsConfig, Placed<SocketAddr>) {
    let listen = https.get_or("listen", values::listen, defaults::HTTPS_LISTEN);
    let port = https.get("port", values::port).map(|port| port.value);
    let certificate = https.path_of("certificate");
    let key = https.path_of("key");
    let client_ca = https.path_of("client_ca").map(|path| path.value);
    let lonely = |place: &Place, missing: &str| {
        let wrong = Wrong::new(
            format!("`{missing}` is missing beside it"),
            "`certificate` and `key` together, or neither for a self-signed certificate",
        );
        let problem = Problem::at_place(place, https.path(), wrong);
        https.problems().add(problem.found_by(Finding::Absence));
    };
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            TlsIdentity::Files { certificate: certificate.value, key: key.value }
        }
        (Some(certificate), None) if https.has("key").is_none() => {
            lonely(&certificate.place, "key");
            TlsIdentity::SelfSigned
        }
        (None, Some(key)) if https.has("certificate").is_none() => {
            lonely(&key.place, "certificate");
            TlsIdentity::SelfSigned
        }
        (None | Some(_), None) | (None, Some(_)) => TlsIdentity::SelfSigned,
    };
    (HttpsConfig { listen: listen.value, port, identity, client_ca }, listen)
}

/// Two listeners cannot have one port (0 is "any free one", and never the same twice).
fn refuse_same_address(server: &Reader<'_>, listeners: &[&Placed<SocketAddr>]) {
    for (i, first) in listeners.iter().enumerate() {
        for second in &listeners[i + 1..] {
            let (a, b) = (first.value, second.value);
            let meet = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
            if a.port() == b.port() && a.port() != 0 && meet {
                let wrong = Wrong::new(
                    format!("port {} is used by {} too", a.port(), first.key),
                    "another port",
                );
                let problem = Problem::at_value(second, wrong);
                server.problems().add(problem);
            }
        }
    }
}

fn read_limits(limits: &Reader<'_>) -> ServerLimits {
    let file = limits.get_or("file_bytes", values::size, defaults::FILE_BYTES);
    let machine = limits.get_or("machine_bytes", values::size, defaults::MACHINE_BYTES);
    let time = |key, default| limits.get_or(key, values::duration_above_zero, default).value;
    if file.value > machine.value {
        let right = "`file_bytes` not above `machine_bytes`";
        let wrong = Wrong::new("one file may be larger than all files of its machine", right);
        limits.problems().add(Problem::at_value(&file, wrong));
    }
    ServerLimits {
        file_bytes: file.value,
        machine_bytes: machine.value,
        request_time: time("request_time", defaults::REQUEST_TIME),
        header_time: time("header_time", defaults::HEADER_TIME),
        connections_per_address: limits
            .get_or("connections_per_address", values::positive, defaults::CONNECTIONS_PER_ADDRESS)
            .value,
    }
}
