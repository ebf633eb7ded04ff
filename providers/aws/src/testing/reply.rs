//! Answers, and refusals in each service's own form.

use serde_json::{Value, json};

use super::ask::Service;
use super::words::Xml;

/// Namespace of EC2's answers.
pub(crate) const EC2: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// Namespace of the answers of STS.
pub(crate) const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An answer: status, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Code of the error, for the books.
    pub(crate) code: Option<String>,
}

/// What a service says, before its request has a number.
#[derive(Debug)]
pub(crate) enum Said {
    /// Elements of `ACTIONResponse`.
    Xml(Xml),
    /// A JSON object.
    Json(Value),
}

/// A good answer, or a refusal.
pub(crate) type Answer = Result<Said, Refusal>;

/// An error as a service gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Code, for example `InvalidAMIID.NotFound`.
    pub code: String,
    /// Message for people.
    pub message: String,
}

impl Refusal {
    /// An error.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// 503: too many requests (API reference, "Throttle requests to the Amazon EC2 API").
    pub fn throttled() -> Self {
        Self::new(503, "RequestLimitExceeded", "Request limit exceeded.")
    }

    /// 500: something in EC2 is broken.
    pub fn internal() -> Self {
        Self::new(500, "InternalError", "An internal error has occurred")
    }

    /// 503: EC2 is overloaded or down.
    pub fn unavailable() -> Self {
        let message = "The service is unavailable. Please try again shortly.";
        Self::new(503, "Unavailable", message)
    }

    /// 400: the client's clock is wrong, or its session has ended.
    pub fn expired() -> Self {
        Self::new(400, "RequestExpired", "Request has expired.")
    }

    /// 401: no such key, or a wrong signature.
    pub fn auth_failure() -> Self {
        let message = "AWS was not able to validate the provided access credentials";
        Self::new(401, "AuthFailure", message)
    }

    /// 500: no capacity for this type in this zone.
    pub fn no_capacity(flavour: &str, zone: &str) -> Self {
        let message = format!(
            "We currently do not have sufficient {flavour} capacity in the Availability Zone you \
             requested ({zone}). Our system will be working on provisioning additional capacity. You \
             can currently get {flavour} capacity by not specifying an Availability Zone in your \
             request or choosing another one."
        );
        Self::new(500, "InsufficientInstanceCapacity", message)
    }

    /// 400: this and no other limit of processors is passed.
    pub fn vcpu_limit(limit: u32) -> Self {
        let message = format!(
            "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for \
             the instance bucket that the specified instance type belongs to. Please visit \
             http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        );
        Self::new(400, "VcpuLimitExceeded", message)
    }

    /// 400: the same for spot.
    pub fn spot_limit() -> Self {
        Self::new(400, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValue", message)
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterCombination", message)
    }

    pub(crate) fn missing(key: &str) -> Self {
        let message = format!("The request must contain the parameter {key}");
        Self::new(400, "MissingParameter", message)
    }

    /// 412: the answer to a dry run that may be done.
    pub(crate) fn dry_run() -> Self {
        let message = "Request would have succeeded, but DryRun flag is set.";
        Self::new(412, "DryRunOperation", message)
    }

    /// In the form of the service that says it.
    pub(crate) fn reply(&self, service: Service, request: &str) -> Reply {
        let Self { status, code, message } = self;
        let mut xml = Xml::default();
        let (kind, body) = match service {
            Service::Ec2 => {
                xml.inside("Errors", |xml| {
                    xml.inside("Error", |xml| {
                        xml.text("Code", code);
                        xml.text("Message", message);
                    });
                });
                xml.text("RequestID", request);
                ("text/xml;charset=UTF-8", xml.document("Response", ""))
            }
            Service::Sts => {
                xml.inside("Error", |xml| {
                    xml.text("Type", if *status < 500 { "Sender" } else { "Receiver" });
                    xml.text("Code", code);
                    xml.text("Message", message);
                });
                xml.text("RequestId", request);
                ("text/xml", xml.document("ErrorResponse", STS))
            }
            Service::Sqs => {
                let kind = format!("com.amazonaws.sqs#{code}");
                let body = json!({ "__type": kind, "message": message });
                ("application/x-amz-json-1.0", body.to_string().into_bytes())
            }
            Service::Quotas => {
                let body = json!({ "__type": code, "Message": message });
                ("application/x-amz-json-1.1", body.to_string().into_bytes())
            }
        };
        let headers = vec![("Content-Type", kind.to_owned())];
        let code = Some(code.clone());
        Reply { status: *status, headers, body, code }.with("x-amzn-RequestId", request)
    }
}

impl Reply {
    /// A page of something in front of the service.
    pub(crate) fn page(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1>\nThe proxy says no.\n</body></html>\n");
        let headers = vec![("Content-Type", "text/html".to_owned())];
        Self { status, headers, body: body.into_bytes(), code: None }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Said {
    /// In the form of the service that says it.
    pub(crate) fn reply(self, service: Service, action: &str, request: &str) -> Reply {
        let (kind, body) = match (self, service) {
            (Self::Xml(inner), Service::Sts) => {
                let mut xml = Xml::default();
                xml.append(&format!("{action}Result"), &inner);
                xml.inside("ResponseMetadata", |xml| xml.text("RequestId", request));
                ("text/xml", xml.document(&format!("{action}Response"), STS))
            }
            (Self::Xml(inner), _) => {
                let mut xml = Xml::default();
                xml.text("requestId", request);
                xml.extend(&inner);
                ("text/xml;charset=UTF-8", xml.document(&format!("{action}Response"), EC2))
            }
            (Self::Json(value), Service::Quotas) => {
                ("application/x-amz-json-1.1", value.to_string().into_bytes())
            }
            (Self::Json(value), _) => {
                ("application/x-amz-json-1.0", value.to_string().into_bytes())
            }
        };
        let headers = vec![("Content-Type", kind.to_owned())];
        Reply { status: 200, headers, body, code: None }.with("x-amzn-RequestId", request)
    }
}
