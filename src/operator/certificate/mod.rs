//! The adapter's serving certificate: made, renewed and made known, without a moment in which a
//! caller sees one that it does not believe.
//!
//! In: one Secret (by name, created empty by the chart) and our `APIService` objects. Out: the same,
//! written by the operator that leads. `settling` says when a bundle is known, `plan` decides, `change` makes the new contents, `issue`
//! the keys, `keeper` reads and writes. An `APIService` of somebody else is never touched.
//!
//! A renewal goes in this order: (1) a new authority and a certificate of it are put aside in the
//! Secret, and the authority joins the old one in every `caBundle`; (2) once the API servers have
//! had time to read that, the certificate takes over, and adapters read it as the kubelet renews
//! their files. The old authority stays in the bundle until the renewal after, so that an adapter
//! that is late is believed too. An authority's own key is thrown away when it has signed its one
//! certificate: nothing else can ever be signed with it.

mod change;
mod inspect;
mod issue;
mod keeper;
mod plan;
mod settling;
mod stored;

use std::time::Duration;

use crate::adapter::Served;
use crate::adapter::ownership::ServiceName;

pub use keeper::CertificateMetrics;
pub(super) use keeper::Keeper;

/// How long a certificate is valid.
const LIFE: Duration = Duration::from_hours(90 * 24);
/// How old it gets before the next one is made: a month is left to notice that this fails.
const RENEWAL: Duration = Duration::from_hours(60 * 24);
/// Clocks of API servers may be behind by so much.
const BACKDATED: Duration = Duration::from_hours(1);
/// How long API servers have to read a changed bundle, which they watch, once it is published.
const SETTLE: Duration = Duration::from_secs(30);

/// What is certified, and where that is kept.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The adapter's Service.
    pub service: ServiceName,
    /// The Secret, in the Service's namespace.
    pub secret: String,
    /// What the adapter answers for: the API server has to believe it in these groups.
    pub served: Served,
}

impl Serving {
    /// The names that the certificate is for. The API server asks by the first.
    fn names(&self) -> Vec<String> {
        let host = format!("{}.{}.svc", self.service.name, self.service.namespace);
        let long = format!("{host}.cluster.local");
        vec![host, long]
    }
}
