//! The subject of a client certificate in the slash form of the grid (`/DC=uk/CN=host1`), and
//! whether it is admitted by a configured DN: equal, or beginning with it at a component boundary.
//!
//! The boundary is that of the certificate's own components, not of the slashes in the text: a
//! value may hold a slash (`CN=host/a.example`), and `/CN=host` must not admit that one either.

use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// A subject: its components in the order of the certificate, each as `TYPE=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlashDn(Vec<String>);

impl SlashDn {
    /// The subject of a certificate. `None` when it has no unambiguous slash form: a value that is
    /// not printable text, or that itself looks like a further component.
    pub(crate) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Self::of_name(certificate.subject())
    }

    fn of_name(name: &X509Name<'_>) -> Option<Self> {
        let mut components = Vec::new();
        for attribute in name.iter_attributes() {
            let value = attribute.as_str().ok()?;
            if value.chars().any(char::is_control) || holds_a_component(value) {
                return None;
            }
            let kind = attribute.attr_type().to_id_string();
            components.push(format!("{}={value}", abbreviation(&kind)));
        }
        (!components.is_empty()).then_some(Self(components))
    }

    /// Whether the configured DN is this one, or a beginning of it that ends where a component ends.
    pub(crate) fn admitted_by(&self, configured: &str) -> bool {
        let configured = configured.strip_suffix('/').unwrap_or(configured);
        let mut beginning = String::new();
        self.0.iter().any(|component| {
            beginning.push('/');
            beginning.push_str(component);
            beginning == configured
        })
    }
}

impl std::fmt::Display for SlashDn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|component| write!(f, "/{component}"))
    }
}

/// Whether a value could be read as more than one component: `x/CN=y`.
fn holds_a_component(value: &str) -> bool {
    value.split('/').skip(1).any(|part| {
        part.split_once('=').is_some_and(|(kind, _)| {
            !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        })
    })
}

/// The names that OpenSSL and the grid use (RFC 4514, RFC 4519); others stay dotted numbers.
fn abbreviation(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn dn(parts: &[(DnType, &str)]) -> Option<SlashDn> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        SlashDn::of_certificate(certificate.der())
    }

    fn dc() -> DnType {
        DnType::from_oid(&[0, 9, 2342, 19200300, 100, 1, 25])
    }

    #[test]
    fn a_subject_is_shown_in_slash_form_in_the_order_of_the_certificate() {
        let dn = dn(&[
            (DnType::CountryName, "UK"),
            (dc(), "example"),
            (DnType::OrganizationName, "eScience"),
            (DnType::OrganizationalUnitName, "Manchester"),
            (DnType::CommonName, "host1"),
        ]);
        assert_eq!(dn.unwrap().to_string(), "/C=UK/DC=example/O=eScience/OU=Manchester/CN=host1");
    }

    #[test]
    fn trap_7_12_a_configured_dn_admits_only_at_a_component_boundary() {
        let host1 = dn(&[(dc(), "uk"), (DnType::CommonName, "host1")]).unwrap();
        let host10 = dn(&[(dc(), "uk"), (DnType::CommonName, "host10")]).unwrap();
        assert!(host1.admitted_by("/DC=uk/CN=host1"));
        assert!(!host10.admitted_by("/DC=uk/CN=host1"));
        assert!(host1.admitted_by("/DC=uk") && host10.admitted_by("/DC=uk"));
        assert!(host1.admitted_by("/DC=uk/"), "a slash at the end changes nothing");
        for wrong in ["", "/", "/DC=u", "/DC=uk/CN=host1/CN=more", "DC=uk", "/dc=uk", "/CN=host1"] {
            assert!(!host1.admitted_by(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_slash_inside_a_value_is_no_boundary() {
        let service = dn(&[(DnType::CommonName, "host/a.example")]).unwrap();
        assert!(service.admitted_by("/CN=host/a.example"));
        assert!(!service.admitted_by("/CN=host"));
    }

    #[test]
    fn a_value_that_looks_like_a_component_has_no_slash_form() {
        assert_eq!(dn(&[(DnType::OrganizationName, "x/CN=host1")]), None);
        assert_eq!(dn(&[(DnType::CommonName, "a\nb")]), None);
        assert_eq!(dn(&[]), None);
    }
}
