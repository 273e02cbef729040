//! What can go wrong in a reconcile, and the one place that says what kind it is.

use std::time::Duration;

use kube::runtime::controller::Action;

use super::validate::Refusal;
use crate::runtime::backoff::Backoff;

/// The wait after a failed reconcile doubles from the first to the second.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_mins(2),
};

/// An event's note holds 1 KiB.
pub(super) const MOST_CHARACTERS: usize = 700;

/// Why a reconcile ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The stored resource is not a `CioPipeline` that this version understands.
    #[error("cannot read the resource: {0}")]
    ReadResource(String),
    /// Reading what there is failed.
    #[error("failed to read {what}: {source}")]
    Read {
        /// The kind that was read.
        what: &'static str,
        /// The API server's word.
        source: kube::Error,
    },
    /// Writing what there should be failed.
    #[error("failed to write {what}: {source}")]
    Write {
        /// The kind that was written.
        what: &'static str,
        /// The API server's word.
        source: kube::Error,
    },
    /// The objects of a pipeline of the same name that was deleted are still there.
    #[error("the {0} of a deleted CioPipeline of this name is still there")]
    AwaitCollection(&'static str),
    /// The API server or a sidecar kept it waiting.
    #[error("gave up after {0:?}")]
    TakeTooLong(Duration),
    /// An object could not be turned into JSON.
    #[error("failed to serialize {what}: {source}")]
    Serialize {
        /// The kind.
        what: &'static str,
        /// The reason.
        source: serde_json::Error,
    },
}

impl Error {
    /// A label for metrics: few, fixed values.
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::ReadResource(_) => "invalid_resource",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::AwaitCollection(_) => "await_collection",
            Self::TakeTooLong(_) => "timeout",
            Self::Serialize { .. } => "serialize",
        }
    }

    /// The refusal in it, where trying again alone would not help: the user has to change
    /// something (the spec, a quota, a policy), so it belongs into the status.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let Self::Write {
            what,
            source: kube::Error::Api(status),
        } = self
        else {
            return None;
        };
        let message: String = status.message.chars().take(MOST_CHARACTERS).collect();
        match status.code {
            403 if lacks_a_right(&message) => Some(Refusal::Forbidden { what, message }),
            400 | 403 | 413 | 422 => Some(Refusal::Apply { what, message }),
            _ => None,
        }
    }

    /// What to do about it: the user's errors wait for the user, all others come back.
    pub(super) fn action(&self, failures: u32) -> Action {
        match self {
            Self::ReadResource(_) => Action::await_change(),
            Self::Read { .. }
            | Self::Write { .. }
            | Self::AwaitCollection(_)
            | Self::TakeTooLong(_)
            | Self::Serialize { .. } => Action::requeue(BACKOFF.delay(failures)),
        }
    }
}

/// Whether it was RBAC that refused, not a quota, a policy or a webhook: those have the same code, and
/// only RBAC says who may not what (`ForbiddenStatusError` of k8s.io/apiserver).
fn lacks_a_right(message: &str) -> bool {
    message.contains(" is forbidden: User \"") && message.contains(" cannot ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_resource_waits_for_its_user() {
        let error = Error::ReadResource("spec.queue is missing".to_owned());
        assert_eq!(error.action(1), Action::await_change());
        assert_eq!(error.category(), "invalid_resource");
    }

    #[test]
    fn a_right_that_is_missing_is_the_operators_and_a_quota_the_users() {
        let refusal = |message: &str| {
            let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
            let source = kube::Error::Api(Box::new(status));
            let error = Error::Write {
                what: "HorizontalPodAutoscaler",
                source,
            };
            error.refusal().expect("a refusal")
        };
        for (message, reason) in [
            (
                "horizontalpodautoscalers.autoscaling \"events-worker\" is forbidden: User \
                 \"system:serviceaccount:cio-system:cio-operator\" cannot patch resource \
                 \"horizontalpodautoscalers\" in API group \"autoscaling\" in the namespace \"shop\"",
                "OperatorForbidden",
            ),
            (
                "horizontalpodautoscalers.autoscaling \"events-worker\" is forbidden: exceeded quota: \
                 few, requested: count/horizontalpodautoscalers.autoscaling=1, used: \
                 count/horizontalpodautoscalers.autoscaling=1, limited: \
                 count/horizontalpodautoscalers.autoscaling=1",
                "ApplyRefused",
            ),
        ] {
            assert_eq!(refusal(message).reason(), reason);
        }
    }

    #[test]
    fn anything_else_comes_back() {
        let source = kube::Error::LinesCodecMaxLineLengthExceeded;
        let error = Error::Write {
            what: "Deployment",
            source,
        };
        assert_ne!(error.action(1), Action::await_change());
        assert_eq!(error.category(), "write");
    }
}
