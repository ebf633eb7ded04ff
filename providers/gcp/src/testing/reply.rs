//! Answers, and refusals in the form of Google's APIs.

use serde_json::{Value, json};

/// An answer: status, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// The body of a good answer, or a refusal; both go over the wire.
pub(crate) type Answer = Result<Value, Reply>;

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json; charset=UTF-8", body.to_string())
    }

    /// Any other.
    pub(crate) fn text(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: body.into().into_bytes() }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A refusal by Compute Engine: as libcloud's recorded ones, `global_images_not_found.json` and the like.
pub(crate) fn refusal(code: u16, reason: &str, message: impl Into<String>) -> Reply {
    of_domain(code, "global", reason, message)
}

/// A refusal whose `domain` is another than `global`.
pub(crate) fn of_domain(
    code: u16,
    domain: &str,
    reason: &str,
    message: impl Into<String>,
) -> Reply {
    let message: String = message.into();
    let one = json!({ "domain": domain, "reason": reason, "message": message });
    let error = json!({ "code": code, "errors": [one], "message": message });
    Reply::json(code, &json!({ "error": error }))
}

/// 404 of a resource, `projects/P/...`.
pub(crate) fn not_found(resource: &str) -> Reply {
    refusal(404, "notFound", format!("The resource '{resource}' was not found"))
}

/// 409 of a resource.
pub(crate) fn already_exists(resource: &str) -> Reply {
    refusal(409, "alreadyExists", format!("The resource '{resource}' already exists"))
}

/// 400 of a value.
pub(crate) fn invalid(field: &str, given: &str, why: &str) -> Reply {
    refusal(400, "invalid", format!("Invalid value for field '{field}': '{given}'. {why}"))
}

/// 412 of a fingerprint that is not the current one.
pub(crate) fn fingerprint(what: &str) -> Reply {
    let message = format!("{what} fingerprint either invalid or resource {what} have changed");
    refusal(412, "conditionNotMet", message)
}

/// 403 of what the caller's roles do not allow.
pub(crate) fn forbidden(permission: &str, resource: &str) -> Reply {
    let message = format!("Required '{permission}' permission for '{resource}'");
    refusal(403, "forbidden", message)
}

/// 401 of a missing, ended or unknown token.
pub(crate) fn unauthorized() -> Reply {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
                   cookie or other valid authentication credential.";
    let reply = of_domain(401, "global", "authError", message);
    reply.with("WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"")
}

/// 403 of a rate per minute (cloud.google.com/compute/api-quota): not 429.
pub(crate) fn too_many(group: &str) -> Reply {
    let message = format!(
        "Quota exceeded for quota metric '{group}' and limit '{group} per minute' of service \
         'compute.googleapis.com'"
    );
    of_domain(403, "usageLimits", "rateLimitExceeded", message)
}

/// A path that is none of the API.
pub(crate) fn no_such_path() -> Reply {
    Reply::text(
        404,
        "text/html; charset=UTF-8",
        "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>",
    )
}
