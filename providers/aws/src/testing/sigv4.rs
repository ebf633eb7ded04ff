//! Signatures: who signed a request, and whether it is the request that was signed.
//!
//! After "Create a signed AWS API request" (IAM User Guide), written anew here: the check must not be
//! the signer's own code.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::ask::Ask;

/// What the header `Authorization` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) key: String,
    date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    signed: Vec<String>,
    signature: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

impl Claim {
    /// Reads the header; `None`: there is none, or of another scheme.
    pub(crate) fn of(ask: &Ask) -> Option<Self> {
        let rest = ask.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let part = |name: &str| {
            let mut parts = rest.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = part("Credential")?.split('/');
        let (key, date) = (scope.next()?.to_owned(), scope.next()?.to_owned());
        let (region, service) = (scope.next()?.to_owned(), scope.next()?.to_owned());
        let signed = part("SignedHeaders")?.split(';').map(str::to_owned).collect();
        let signature = part("Signature")?.to_owned();
        Some(Self { key, date, region, service, signed, signature })
    }

    /// Whether the holder of this secret has signed this request.
    pub(crate) fn is_of(&self, secret: &str, ask: &Ask) -> bool {
        let Some(time) = ask.header("x-amz-date").filter(|time| time.starts_with(&self.date))
        else {
            return false;
        };
        if !self.signed.iter().any(|name| name == "host") {
            return false;
        }
        let mut key = mac(format!("AWS4{secret}").as_bytes(), &self.date);
        for part in [self.region.as_str(), &self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        let canonical = hex(&Sha256::digest(self.canonical(ask)));
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        hex(&mac(&key, &text)) == self.signature
    }

    fn canonical(&self, ask: &Ask) -> String {
        let headers: String = self
            .signed
            .iter()
            .map(|name| {
                let values = ask.headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
                let words = values.map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "));
                format!("{name}:{}\n", words.collect::<Vec<_>>().join(","))
            })
            .collect();
        let mut query: Vec<&str> = ask.query.split('&').filter(|part| !part.is_empty()).collect();
        query.sort_unstable();
        let payload = hex(&Sha256::digest(&ask.body));
        let (method, path, query) = (&ask.method, &ask.path, query.join("&"));
        format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", self.signed.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use hyper::body::Bytes;

    /// Key, secret and date are those of Amazon's test suite for signers; the signature was computed by
    /// botocore 1.44.
    fn signed(body: &'static str) -> Ask {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ec2/aws4_request, \
                             SignedHeaders=content-type;host;x-amz-date, Signature=f2966ab61640d849ad7a014e8af20fdb36a5816630ffd4441c85c01b5886c940";
        let (parts, ()) = Request::post("/")
            .header("host", "example.amazonaws.com")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization)
            .body(())
            .unwrap()
            .into_parts();
        Ask::new(&parts, Bytes::from_static(body.as_bytes())).unwrap()
    }

    const BODY: &str = "Action=DescribeInstances&Version=2016-11-15";

    #[test]
    fn only_the_request_that_was_signed_passes() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let ask = signed(BODY);
        let claim = Claim::of(&ask).unwrap();
        assert_eq!((claim.region.as_str(), claim.service.as_str()), ("us-east-1", "ec2"));
        assert!(claim.is_of(secret, &ask));
        assert!(!claim.is_of("another secret", &ask));
        assert!(!claim.is_of(secret, &signed("Action=DescribeVolumes&Version=2016-11-15")));
        let elsewhere = Claim { region: "eu-west-2".into(), ..claim };
        assert!(!elsewhere.is_of(secret, &ask));
    }
}
