//! An authority and the one certificate that it signs.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::stored::Pair;
use super::{BACKDATED, LIFE};

/// What was made. The authority's key is not among it: nobody needs it any more.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    /// PEM.
    pub(super) authority: String,
    pub(super) pair: Pair,
}

/// Makes a certificate for `names`, valid from now on.
///
/// # Errors
/// When a name is none, or the system gives no randomness.
pub(super) fn issue(names: &[String], now: Timestamp) -> Result<Issued, rcgen::Error> {
    // The name tells authorities apart, by which a certificate finds its own.
    let name = format!("cio-adapter-ca-{:016x}", rand::random::<u64>());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name = common_name(&name);
    validity(&mut params, now);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let pair = certificate(names, now, &Issuer::new(params, key))?;
    Ok(Issued { authority, pair })
}

fn certificate(
    names: &[String],
    now: Timestamp,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = common_name("cio-adapter");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now);
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: params.signed_by(&key, issuer)?.pem(),
        key: key.serialize_pem(),
    })
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn validity(params: &mut CertificateParams, now: Timestamp) {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + (now + LIFE);
}
