//! The decision: certificate, headers and token → a caller; caller and question → yes or no.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::certificate::subject;
use super::front_proxy;
use super::identity::Identity;
use super::review::{Access, ReviewError, Reviewer};
use super::trust::Trust;
use crate::adapter::cache::Cache;
use crate::adapter::metrics::{AdapterMetrics, ReviewResult};
use crate::adapter::refusal::Refusal;
use crate::runtime::clock::Clock;
use crate::runtime::tls::server::PeerCertificates;

/// How long a verdict is used again, whichever it is.
const KEEP: Duration = Duration::from_secs(10);
/// One question to the API server.
const LIMIT: Duration = Duration::from_millis(600);
/// Verdicts in memory.
const VERDICTS: usize = 4096;
/// Bytes of a token; a service account's has about a thousand.
const TOKEN: usize = 16 * 1024;

/// Decides about every request.
#[derive(Debug)]
pub(in crate::adapter) struct Gatekeeper {
    trust: watch::Receiver<Arc<Trust>>,
    reviewer: Arc<dyn Reviewer>,
    clock: Clock,
    metrics: AdapterMetrics,
    /// By the hash of the token: no token stays in memory.
    callers: Cache<[u8; 32], Result<Option<Identity>, ReviewError>>,
    verdicts: Cache<(Identity, Access), Result<bool, ReviewError>>,
}

impl Gatekeeper {
    pub(in crate::adapter) fn new(
        trust: watch::Receiver<Arc<Trust>>,
        reviewer: Arc<dyn Reviewer>,
        clock: Clock,
        metrics: AdapterMetrics,
    ) -> Self {
        Self {
            trust,
            reviewer,
            clock,
            metrics,
            callers: Cache::new(VERDICTS),
            verdicts: Cache::new(VERDICTS),
        }
    }

    /// Who is asking: the caller that the front proxy names, else the user of a client
    /// certificate, else whose token it is.
    pub(in crate::adapter) async fn identify(
        &self,
        peer: &PeerCertificates,
        headers: &HeaderMap,
    ) -> Result<Identity, Refusal> {
        if let Some(caller) = self.by_certificate(&peer.0, headers) {
            return Ok(caller.authenticated());
        }
        match bearer(headers) {
            Some(token) => self.by_token(token).await.map(Identity::authenticated),
            None => Err(Refusal::Unauthorized),
        }
    }

    fn by_certificate(
        &self,
        chain: &[CertificateDer<'static>],
        headers: &HeaderMap,
    ) -> Option<Identity> {
        let subject = subject(chain.first()?)?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(self.clock.now_ms()));
        let trust = Arc::clone(&self.trust.borrow());
        if let Some(names) = trust.front_proxy_headers(chain, &subject.common_name, now)
            && let Some(caller) = front_proxy::identity(names, headers)
        {
            return Some(caller);
        }
        trust.is_client(chain, now).then(|| Identity {
            user: subject.common_name,
            groups: subject.organizations,
            ..Identity::default()
        })
    }

    async fn by_token(&self, token: &str) -> Result<Identity, Refusal> {
        let key: [u8; 32] = Sha256::digest(token).into();
        let ask = async {
            let asked = in_time(self.reviewer.identify(token)).await;
            self.count(asked.as_ref().map(Option::is_some));
            let keep = keep(&asked);
            (asked, keep)
        };
        match self.callers.get(key, ask).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => Err(Refusal::Unauthorized),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Whether a caller may read a metric.
    pub(in crate::adapter) async fn authorize(
        &self,
        caller: Identity,
        access: Access,
    ) -> Result<(), Refusal> {
        if caller.is_master() {
            return Ok(());
        }
        let key = (caller.clone(), access.clone());
        let ask = async {
            let asked = in_time(self.reviewer.may(&caller, &access)).await;
            self.count(asked.as_ref().copied());
            let keep = keep(&asked);
            (asked, keep)
        };
        match self.verdicts.get(key, ask).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(forbidden(&caller, &access)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn count(&self, verdict: Result<bool, &ReviewError>) {
        self.metrics.review(match verdict {
            Ok(true) => ReviewResult::Allowed,
            Ok(false) => ReviewResult::Denied,
            Err(_) => ReviewResult::Failed,
        });
    }
}

async fn in_time<T>(
    review: impl Future<Output = Result<T, ReviewError>>,
) -> Result<T, ReviewError> {
    tokio::time::timeout(LIMIT, review)
        .await
        .unwrap_or(Err(ReviewError::OutOfTime))
}

/// A failure is no verdict: the next caller asks again.
fn keep<T>(asked: &Result<T, ReviewError>) -> Duration {
    if asked.is_ok() { KEEP } else { Duration::ZERO }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    (is_token && token.len() <= TOKEN).then_some(token)
}

fn forbidden(caller: &Identity, access: &Access) -> Refusal {
    let Access {
        resource,
        subresource,
        group,
        namespace,
        ..
    } = access;
    Refusal::Forbidden(format!(
        "{resource}.{group} {:?} is forbidden: User {:?} cannot {} resource \
         \"{resource}/{subresource}\" in API group {group:?} in the namespace {namespace:?}",
        access.name, caller.user, access.verb,
    ))
}

fn unavailable(error: &ReviewError) -> Refusal {
    tracing::error!(error = %error, "cannot decide about a caller");
    Refusal::Unavailable(format!("cannot decide who is asking: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_scheme_is_spelled_like() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer ", None),
            ("Bearer", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), expected, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
