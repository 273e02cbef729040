//! What a certificate says. Pure.

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::stored::Pair;
use crate::runtime::tls;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What matters of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) names: Vec<String>,
}

/// The facts of the first certificate in a PEM text; none when there is none that can be read.
pub(super) fn facts(pem: &str) -> Option<Facts> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let time = |time: i64| Timestamp::from_second(time).ok();
    let alternatives = certificate.subject_alternative_name().ok()?;
    let names = alternatives.map_or_else(Vec::new, |names| {
        let names = names.value.general_names.iter();
        names.filter_map(dns_name).collect()
    });
    Some(Facts {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_before: time(certificate.validity().not_before.timestamp())?,
        not_after: time(certificate.validity().not_after.timestamp())?,
        names,
    })
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

/// Whether certificate and key belong together.
pub(super) fn fits(pair: &Pair) -> bool {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
    match (chain, key) {
        (Ok(chain), Ok(key)) => CertifiedKey::from_der(chain, key, &tls::provider()).is_ok(),
        _ => false,
    }
}

/// The certificates of a bundle, one text each.
pub(super) fn split(bundle: &str) -> Vec<String> {
    bundle
        .split_inclusive(END)
        .filter_map(|part| {
            part.find(BEGIN)
                .map(|begin| format!("{}\n", &part[begin..]))
        })
        .collect()
}
