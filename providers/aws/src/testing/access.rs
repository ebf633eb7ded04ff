//! Who may do what: access keys, sessions of roles, signatures, and a policy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vcycle_api::{Clock, SystemClock, Timestamp};

use super::ask::{Ask, Service};
use super::reply::Refusal;
use super::sigv4::Claim;
use super::site::Site;
use super::words::fits;

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) key: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// A session of a role.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) role: String,
    pub(crate) name: String,
    /// On the host's clock.
    pub(crate) expires: Timestamp,
}

/// Keys, sessions and the policy.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) sessions: BTreeMap<String, Session>,
    /// Access keys that are refused.
    pub(crate) refused: BTreeSet<String>,
    /// Everybody is refused.
    pub(crate) closed: bool,
    /// Patterns of what is allowed and what is denied; `None`: all is allowed.
    policy: Option<(Vec<String>, Vec<String>)>,
}

/// A refusal in the words of each service (API references, "Common errors").
fn refusal(service: Service, why: Why) -> Refusal {
    let unknown = "The security token included in the request is invalid.";
    let wrong = "The request signature we calculated does not match the signature you provided.";
    match (service, why) {
        (Service::Ec2, Why::UnknownKey | Why::WrongSignature | Why::Unsigned) => {
            Refusal::auth_failure()
        }
        (Service::Ec2, Why::Expired) => Refusal::expired(),
        (Service::Sts | Service::Sqs, Why::UnknownKey) => {
            Refusal::new(403, "InvalidClientTokenId", unknown)
        }
        (Service::Sts | Service::Sqs, Why::WrongSignature) => {
            Refusal::new(403, "SignatureDoesNotMatch", wrong)
        }
        (Service::Sts | Service::Sqs, Why::Expired) => {
            let message = "The security token included in the request is expired";
            Refusal::new(403, "ExpiredToken", message)
        }
        (Service::Sts | Service::Sqs, Why::Unsigned) => Refusal::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        (Service::Quotas, Why::UnknownKey) => {
            Refusal::new(400, "UnrecognizedClientException", unknown)
        }
        (Service::Quotas, Why::WrongSignature) => {
            Refusal::new(400, "InvalidSignatureException", wrong)
        }
        (Service::Quotas, Why::Expired) => {
            let message = "The security token included in the request is expired";
            Refusal::new(400, "ExpiredTokenException", message)
        }
        (Service::Quotas, Why::Unsigned) => {
            let message = "Request is missing Authentication Token";
            Refusal::new(400, "MissingAuthenticationTokenException", message)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    UnknownKey,
    WrongSignature,
    Expired,
    Unsigned,
}

impl Access {
    pub(crate) fn new(_: &Site) -> Self {
        Self::default()
    }

    /// Who asks, if he may.
    pub(crate) fn caller(
        &self,
        site: &Site,
        ask: &Ask,
        host: &SystemClock,
    ) -> Result<Caller, Refusal> {
        if ask.action == "AssumeRoleWithWebIdentity" {
            let nobody = String::new;
            return Ok(Caller { key: nobody(), arn: nobody(), user_id: nobody() });
        }
        let caller = self.identified(site, ask, host).map_err(|why| refusal(ask.service, why))?;
        match ask.permissions().iter().find(|permission| !self.allows(permission)) {
            Some(permission) => Err(denied(ask.service, &caller, permission)),
            None => Ok(caller),
        }
    }

    fn identified(&self, site: &Site, ask: &Ask, host: &SystemClock) -> Result<Caller, Why> {
        let claim = Claim::of(ask).ok_or(Why::Unsigned)?;
        if self.closed || self.refused.contains(&claim.key) {
            return Err(Why::UnknownKey);
        }
        let account = &site.account;
        let (secret, caller) = match self.sessions.get(&claim.key) {
            Some(session) => {
                if ask.header("x-amz-security-token") != Some(session.token.as_str()) {
                    return Err(Why::UnknownKey);
                }
                if session.expires <= host.now() {
                    return Err(Why::Expired);
                }
                let (role, name) = (&session.role, &session.name);
                let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{name}");
                let user_id = format!("AROAFAKEFAKEFAKEFAKE:{name}");
                (&session.secret, Caller { key: claim.key.clone(), arn, user_id })
            }
            None => {
                let key =
                    site.keys.iter().find(|key| key.id == claim.key).ok_or(Why::UnknownKey)?;
                let arn = format!("arn:aws:iam::{account}:user/{}", key.user);
                let user_id = "AIDAFAKEFAKEFAKEFAKE".to_owned();
                (&key.secret, Caller { key: claim.key.clone(), arn, user_id })
            }
        };
        let scoped = claim.service == ask.service.word() && claim.region == site.region;
        if !scoped || !claim.is_of(secret, ask) {
            return Err(Why::WrongSignature);
        }
        Ok(caller)
    }

    /// Allows what this IAM policy allows, and nothing else, from now on. Actions alone count: resources and
    /// conditions are taken as met.
    pub(crate) fn allow_only(&mut self, policy: &Value) {
        let words = |value: &Value| -> Vec<String> {
            match value {
                Value::String(one) => vec![one.clone()],
                Value::Array(all) => {
                    all.iter().filter_map(|v| v.as_str()).map(str::to_owned).collect()
                }
                _ => Vec::new(),
            }
        };
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        for statement in policy["Statement"].as_array().into_iter().flatten() {
            let patterns = words(&statement["Action"]);
            if statement["Effect"] == "Allow" {
                allowed.extend(patterns);
            } else if statement["Condition"].is_null() {
                denied.extend(patterns);
            }
        }
        self.policy = Some((allowed, denied));
    }

    pub(crate) fn allows(&self, permission: &str) -> bool {
        let Some((allowed, denied)) = &self.policy else { return true };
        // Names of actions are not case sensitive (IAM User Guide, "Action").
        let permission = permission.to_lowercase();
        let any = |patterns: &[String]| {
            patterns.iter().any(|pattern| fits(&pattern.to_lowercase(), &permission))
        };
        any(allowed) && !any(denied)
    }
}

fn denied(service: Service, caller: &Caller, permission: &str) -> Refusal {
    let arn = &caller.arn;
    match service {
        Service::Ec2 => {
            let message = format!(
                "You are not authorized to perform this operation. User: {arn} is not authorized to \
                 perform: {permission} because no identity-based policy allows the {permission} action. \
                 Encoded authorization failure message: bm90IHJlYWwK"
            );
            Refusal::new(403, "UnauthorizedOperation", message)
        }
        Service::Sts | Service::Sqs => {
            let message = format!("User: {arn} is not authorized to perform: {permission}");
            Refusal::new(403, "AccessDenied", message)
        }
        Service::Quotas => {
            let message = format!("User: {arn} is not authorized to perform: {permission}");
            Refusal::new(400, "AccessDeniedException", message)
        }
    }
}
