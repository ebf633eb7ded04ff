//! May this request write into this machine's outputs? Pure, and the only place where that is decided.
//!
//! Either way is enough: the machine's own bearer token, of which the record holds only the SHA-256,
//! or a verified client certificate with a subject that the machinetype admits (`https_x509dn`).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::peer::ClientCertificate;

/// What the `Authorization` header holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearer<'a> {
    /// There is no header.
    None,
    /// A bearer token.
    Token(&'a [u8]),
    /// Something else, or more than one header.
    Unusable,
}

impl std::fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Token(_) => "[secret]",
            Self::Unusable => "unusable",
        })
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may.
    Allowed,
    /// It showed nothing at all.
    NoCredentials,
    /// It showed something, and that does not open this machine.
    Refused,
}

/// Reads the header. The word `Bearer` is not case-sensitive (RFC 9110 section 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Bearer<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Bearer::None };
    if values.next().is_some() {
        return Bearer::Unusable;
    }
    let Some((scheme, rest)) = value.as_bytes().split_at_checked(6) else {
        return Bearer::Unusable;
    };
    let token = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"Bearer") && rest.starts_with(b" ") && !token.is_empty() {
        Bearer::Token(token)
    } else {
        Bearer::Unusable
    }
}

/// Decides.
pub(super) fn may_write(
    bearer: Bearer<'_>,
    certificate: &ClientCertificate,
    token_sha256: &str,
    admitted_dns: &[String],
) -> Verdict {
    let by_token = match bearer {
        Bearer::Token(token) => token_matches(token, token_sha256),
        Bearer::None | Bearer::Unusable => false,
    };
    let by_certificate = match certificate {
        ClientCertificate::Subject(dn) => {
            admitted_dns.iter().any(|admitted| dn.admitted_by(admitted))
        }
        ClientCertificate::None | ClientCertificate::Unreadable => false,
    };
    if by_token || by_certificate {
        Verdict::Allowed
    } else if bearer == Bearer::None && *certificate == ClientCertificate::None {
        Verdict::NoCredentials
    } else {
        Verdict::Refused
    }
}

/// Compares digests, in a time that does not depend on where they differ. A record without a
/// well-formed digest matches nothing.
fn token_matches(token: &[u8], expected_hex: &str) -> bool {
    let Some(expected) = digest_from_hex(expected_hex) else { return false };
    let presented: [u8; 32] = Sha256::digest(token).into();
    presented.ct_eq(&expected).into()
}

fn digest_from_hex(hex: &str) -> Option<[u8; 32]> {
    let bytes = hex.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut digest = [0; 32];
    for (place, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn sha256(token: &str) -> String {
        Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_the_token_of_the_record_opens_the_machine() {
        let allowed = |token: &str, record: &str| {
            may_write(Bearer::Token(token.as_bytes()), &ClientCertificate::None, record, &[])
        };
        assert_eq!(allowed("mine", &sha256("mine")), Verdict::Allowed);
        assert_eq!(allowed("mine", &sha256("mine").to_uppercase()), Verdict::Allowed);
        assert_eq!(allowed("yours", &sha256("mine")), Verdict::Refused);
        for broken in ["", "00", "zz", &"0".repeat(63), &"g".repeat(64), &sha256("mine")[1..]] {
            assert_eq!(allowed("mine", broken), Verdict::Refused, "{broken:?}");
            assert_eq!(allowed("", broken), Verdict::Refused, "{broken:?}");
        }
    }

    #[test]
    fn nothing_shown_differs_from_something_wrong() {
        let none = ClientCertificate::None;
        assert_eq!(may_write(Bearer::None, &none, "", &[]), Verdict::NoCredentials);
        assert_eq!(may_write(Bearer::Unusable, &none, "", &[]), Verdict::Refused);
        let unreadable = ClientCertificate::Unreadable;
        let all = ["/".to_owned(), String::new()];
        assert_eq!(may_write(Bearer::None, &unreadable, "", &all), Verdict::Refused);
    }

    #[test]
    fn a_bearer_header_is_read_as_its_standard_says() {
        assert_eq!(bearer(&headers(&[])), Bearer::None);
        assert_eq!(bearer(&headers(&["Bearer abc"])), Bearer::Token(b"abc"));
        assert_eq!(bearer(&headers(&["bearer  abc "])), Bearer::Token(b"abc"));
        for unusable in ["", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"] {
            assert_eq!(bearer(&headers(&[unusable])), Bearer::Unusable, "{unusable:?}");
        }
        assert_eq!(bearer(&headers(&["Bearer a", "Bearer b"])), Bearer::Unusable);
    }
}
