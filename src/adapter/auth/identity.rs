//! A caller.

use std::collections::BTreeMap;

const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const MASTERS: &str = "system:masters";
const ANONYMOUS: &str = "system:anonymous";

/// A caller as Kubernetes knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// The user's unique id, where it is known.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// What else an authenticator told, by its key.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// With the group of everybody who is known: the front proxy leaves it out for its own
    /// requests (`AuthenticatedGroupAdder` in `k8s.io/apiserver`).
    pub(super) fn authenticated(mut self) -> Self {
        let told = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.user != ANONYMOUS && !self.groups.iter().any(told) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    /// Whether everything is allowed, without a question to the API server.
    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}
