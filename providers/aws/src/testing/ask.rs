//! A request as it came, taken apart once.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

use super::params::Params;

/// A service, all at one address: a request says which it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Machines and what belongs to them.
    Ec2,
    /// Who the caller is.
    Sts,
    /// Queues.
    Sqs,
    /// Limits of the account.
    Quotas,
}

impl Service {
    /// Its word in signatures and in policies.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::Sqs => "sqs",
            Self::Quotas => "servicequotas",
        }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) service: Service,
    pub(crate) action: String,
    /// Parameters of the Query protocol; empty for the others.
    pub(crate) params: Params,
    /// Body of the JSON protocols; null for the others.
    pub(crate) json: Value,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a request means: a header of the JSON protocols, or version and action in the form.
fn meaning(headers: &HeaderMap, params: &Params) -> Option<(Service, String)> {
    if let Some(target) = headers.get("x-amz-target") {
        let (service, action) = target.to_str().ok()?.split_once('.')?;
        let service = match service {
            "AmazonSQS" => Service::Sqs,
            "ServiceQuotasV20190624" => Service::Quotas,
            _ => return None,
        };
        return Some((service, action.to_owned()));
    }
    let service = match params.get("Version")? {
        "2016-11-15" => Service::Ec2,
        "2011-06-15" => Service::Sts,
        _ => return None,
    };
    Some((service, params.get("Action")?.to_owned()))
}

impl Ask {
    /// Takes a request apart; `None`: it means no service that is here.
    pub(crate) fn new(parts: &Parts, body: Bytes) -> Option<Self> {
        let is_json = parts.headers.contains_key("x-amz-target");
        let params = if is_json { Params::default() } else { Params::parse(&body) };
        let json = if is_json { serde_json::from_slice(&body).ok()? } else { Value::Null };
        let (service, action) = meaning(&parts.headers, &params)?;
        Some(Self {
            service,
            action,
            params,
            json,
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers.clone(),
            body,
        })
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The permissions that a policy must give for this (Service Authorization Reference, and for tags in a
    /// launch "Grant permission to tag resources during creation").
    pub(crate) fn permissions(&self) -> Vec<String> {
        let own = format!("{}:{}", self.service.word(), self.action);
        let mut all = vec![own];
        if self.service == Service::Ec2
            && self.params.words().any(|word| word == "TagSpecification")
        {
            all.push("ec2:CreateTags".to_owned());
        }
        if self.params.words().any(|word| word == "IamInstanceProfile") {
            all.push("iam:PassRole".to_owned());
        }
        if self.params.get("ImageId").is_some_and(|image| image.starts_with("resolve:ssm:")) {
            all.push("ssm:GetParameters".to_owned());
        }
        // Anybody may ask who he is, and a web identity has no policy yet.
        all.retain(|one| one != "sts:GetCallerIdentity" && one != "sts:AssumeRoleWithWebIdentity");
        all
    }

    /// Whether this changes something, as far as a client can mean to.
    pub(crate) fn changes(&self) -> bool {
        match self.service {
            Service::Ec2 => !self.action.starts_with("Describe") && !self.action.starts_with("Get"),
            Service::Sqs => self.action.starts_with("Delete"),
            Service::Sts | Service::Quotas => false,
        }
    }

    /// Parameters for the ledger: without secrets.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        match &self.json {
            Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
            }
            _ => self.params.shown(),
        }
    }
}
