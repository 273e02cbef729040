//! Who is asking, and may they? As `k8s.io/apiserver` decides it for every aggregated server.
//!
//! In: the certificates of the handshake and the headers. Out: an `Identity`, or a refusal.
//! Headers that name a user are believed only behind the front proxy's own certificate.

mod certificate;
mod front_proxy;
mod gatekeeper;
pub mod identity;
pub mod review;
pub mod trust;
pub(super) mod watch;

pub(super) use gatekeeper::Gatekeeper;
