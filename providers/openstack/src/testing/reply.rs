//! Answers, and refusals in each service's own form.

use serde_json::{Value, json};

/// An answer: status, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// A good answer, or a refusal; both go over the wire.
pub(crate) type Answer = Result<Reply, Reply>;

const JSON: &str = "application/json";

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type", JSON.to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// Nothing but a status.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }
}

/// A refusal by Keystone, or by its middleware in front of another service.
pub(crate) fn keystone(code: u16, title: &str, message: &str) -> Reply {
    let error = json!({ "error": { "code": code, "title": title, "message": message } });
    Reply::json(code, &error)
}

/// 401 of Keystone and of its middleware: the same words for every cause.
pub(crate) fn unauthorized(base: &str) -> Reply {
    let message = "The request you have made requires authentication.";
    let challenge = format!("Keystone uri=\"{base}/identity/v3\"");
    keystone(401, "Unauthorized", message).with("WWW-Authenticate", challenge)
}

/// A refusal by Nova or Cinder, under its name for the status (`nova/api/openstack/wsgi.py`, `Fault`).
pub(crate) fn fault(code: u16, message: impl Into<String>) -> Reply {
    let name = match code {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    let message: String = message.into();
    let body = json!({ name: { "code": code, "message": message } });
    Reply::json(code, &body).with("Content-Type", "application/json; charset=UTF-8")
}

/// A refusal by WebOb in front of a service: Nova for paths that it does not have, Glance always.
pub(crate) fn webob(code: u16, title: &str, message: &str) -> Reply {
    let message = format!("{message}<br /><br />\n\n\n");
    let code_text = format!("{code} {title}");
    Reply::json(code, &json!({ "message": message, "code": code_text, "title": title }))
}

/// 404 of a path that no service has.
pub(crate) fn no_such_path() -> Reply {
    webob(404, "Not Found", "The resource could not be found.")
}

/// A refusal by Neutron.
pub(crate) fn neutron(code: u16, kind: &str, message: &str) -> Reply {
    let error = json!({ "type": kind, "message": message, "detail": "" });
    Reply::json(code, &json!({ "NeutronError": error }))
}

/// A refusal by Blazar.
pub(crate) fn blazar(code: u16, message: &str) -> Reply {
    let error = json!({ "error_code": code, "error_message": message, "error_name": null });
    Reply::json(code, &error)
}
