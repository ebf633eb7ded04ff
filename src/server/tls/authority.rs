//! Our own small certificate authority, for sites that give the HTTPS listener no certificate.
//!
//! VMs get its certificate in their `user_data` and trust nothing else. Its key is made once for a
//! deployment and lies in the state directory, so that machines made before a restart, or by
//! another manager of the deployment, still trust whoever answers them. The certificate of the
//! listener itself is made at each start and again when half of its time is over.

use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use crate::model::Timestamp;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
/// How long the authority lives: longer than any deployment keeps one state directory.
const AUTHORITY_DAYS: u32 = 20 * 365;
/// How long a listener's certificate lives; some clients refuse more than 398 days.
const LISTENER_DAYS: u32 = 397;
/// How far the clock of a freshly booted VM may be behind.
const BEHIND_DAYS: u32 = 30;

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// What lies in the state directory is not what we write there.
    #[error(
        "the stored authority has no {part}; restore it, or remove it and replace all running machines"
    )]
    Incomplete {
        /// Which part.
        part: &'static str,
    },
    /// Making a key or certificate failed.
    #[error("making a certificate failed: {0}")]
    Make(#[from] rcgen::Error),
}

/// A certificate authority with its key.
pub(crate) struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate for the listener, with its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) renew: Timestamp,
}

impl Authority {
    /// Makes a new one: the PEM text of its key and certificate, to be stored where only we can
    /// read it, and given to [`Authority::from_pem`].
    pub(crate) fn generate(now: Timestamp) -> Result<String, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = params(&key)?;
        set_validity(&mut params, now, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key)?;
        Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
    }

    /// Reads what [`Authority::generate`] made.
    pub(crate) fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let key = section(text, "PRIVATE KEY")
            .ok_or(AuthorityError::Incomplete { part: "private key" })?;
        let certificate = section(text, "CERTIFICATE")
            .ok_or(AuthorityError::Incomplete { part: "certificate" })?;
        let key = KeyPair::from_pem(key)?;
        let params = params(&key)?;
        Ok(Self { certificate_pem: certificate.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// The certificate that VMs must trust.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a host name or address, which also holds for this host itself.
    pub(crate) fn issue(&self, host: &str, now: Timestamp) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut names = vec![host.to_owned()];
        for local in ["localhost", "127.0.0.1", "::1"] {
            if local != host {
                names.push(local.to_owned());
            }
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "vcycle manager");
        set_validity(&mut params, now, LISTENER_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            renew: now + DAY * (LISTENER_DAYS / 2),
        })
    }
}

/// The authority's own parameters. Its name follows from its key, so that two deployments never
/// have one name, and so that the issuer can be made again from the key alone.
fn params(key: &KeyPair) -> Result<CertificateParams, AuthorityError> {
    let digest = Sha256::digest(key.subject_public_key_info());
    let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("vcycle authority {short}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A PEM section with its borders.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let end_marker = format!("-----END {label}-----\n");
    let length = text[start..].find(&end_marker)? + end_marker.len();
    Some(&text[start..start + length])
}

/// The day of a time: year, month, day, as `rcgen` wants it.
fn day(time: Timestamp) -> (i32, u8, u8) {
    let date = jiff::Timestamp::from_millisecond(time.as_millis())
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(TimeZone::UTC)
        .date();
    let small = |number: i8| u8::try_from(number).expect("months and days are 1 to 31");
    (date.year().into(), small(date.month()), small(date.day()))
}

/// Valid from some time ago, as a freshly booted VM may be behind, until `days` from now.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: u32) {
    let (year, month, date) = day(now - DAY * BEHIND_DAYS);
    params.not_before = rcgen::date_time_ymd(year, month, date);
    let (year, month, date) = day(now + DAY * days);
    params.not_after = rcgen::date_time_ymd(year, month, date);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_read_again_issues_under_the_same_name_and_certificate() {
        let now = Timestamp::from_secs(1_800_000_000);
        let stored = Authority::generate(now).unwrap();
        let (first, second) =
            (Authority::from_pem(&stored).unwrap(), Authority::from_pem(&stored).unwrap());
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        assert!(!first.certificate_pem().contains("PRIVATE"));
        let issuer = |authority: &Authority| {
            let issued = authority.issue("a.example", now).unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(&issued.chain[0]).unwrap();
            certificate.issuer().to_string()
        };
        assert_eq!(issuer(&first), issuer(&second));
        let other = Authority::from_pem(&Authority::generate(now).unwrap()).unwrap();
        assert_ne!(issuer(&first), issuer(&other), "two deployments never share a name");
    }

    #[test]
    fn half_an_authority_is_refused_with_its_missing_part() {
        let now = Timestamp::from_secs(1_800_000_000);
        let stored = Authority::generate(now).unwrap();
        let (key, certificate) = stored.split_once("-----BEGIN CERTIFICATE").unwrap();
        for (text, part) in [
            (key.to_owned(), "certificate"),
            (format!("-----BEGIN CERTIFICATE{certificate}"), "private key"),
            (String::new(), "private key"),
        ] {
            let error = Authority::from_pem(&text).err().unwrap();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn our_own_certificate_is_renewed_long_before_it_expires() {
        let now = Timestamp::from_secs(1_800_000_000);
        let authority = Authority::from_pem(&Authority::generate(now).unwrap()).unwrap();
        let issued = authority.issue("192.0.2.1", now).unwrap();
        assert_eq!(issued.renew, now + DAY * 198);
    }
}
