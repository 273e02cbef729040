//! A verified client certificate → the user and groups that it stands for. Pure.

use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

/// The names in a certificate's subject that Kubernetes reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// CN: the user.
    pub(super) common_name: String,
    /// O, once or more: the groups.
    pub(super) organizations: Vec<String>,
}

/// The subject of a certificate in DER form; none when it has no common name.
pub(super) fn subject(der: &[u8]) -> Option<Subject> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let common_name = subject.iter_common_name().find_map(text)?;
    let organizations = subject.iter_organization().filter_map(text).collect();
    Some(Subject {
        common_name,
        organizations,
    })
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let text = attribute.as_str().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn der(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn common_name_and_organization_are_user_and_group() {
        let admin = der(&[
            (DnType::OrganizationName, "system:masters"),
            (DnType::CommonName, "kubernetes-admin"),
        ]);
        let expected = Subject {
            common_name: "kubernetes-admin".to_owned(),
            organizations: vec!["system:masters".to_owned()],
        };
        assert_eq!(subject(&admin), Some(expected));
    }

    #[test]
    fn without_a_common_name_there_is_no_user() {
        assert_eq!(subject(&der(&[(DnType::OrganizationName, "ops")])), None);
        assert_eq!(subject(&der(&[(DnType::CommonName, "")])), None);
        assert_eq!(subject(b"garbage"), None);
    }
}
