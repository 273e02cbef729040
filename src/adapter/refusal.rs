//! Why a request gets no answer, and the `Status` object that says so to Kubernetes clients.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A request that is not answered. Each has the HTTP code and the reason that Kubernetes gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The query cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// Nobody knows who is asking.
    #[error("Unauthorized")]
    Unauthorized,
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// No such page, metric or pod.
    #[error("{0}")]
    NotFound(String),
    /// Metrics are read only.
    #[error("{0} is not possible here: metrics can only be read, with GET")]
    MethodNotAllowed(String),
    /// This server cannot answer now; the caller keeps what it has.
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    /// The HTTP status code.
    pub(super) fn code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `Status` object, as `k8s.io/apimachinery` defines it (`meta/v1` types.go, `StatusReason`).
    pub(super) fn document(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.to_string(),
            "reason": self.reason(),
            "code": self.code().as_u16(),
        })
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound(_) => "NotFound",
            Self::MethodNotAllowed(_) => "MethodNotAllowed",
            Self::Unavailable(_) => "ServiceUnavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_object_has_the_code_reason_and_message_of_kubernetes() {
        let text = || "why".to_owned();
        for (refusal, code, reason) in [
            (Refusal::BadRequest(text()), 400, "BadRequest"),
            (Refusal::Unauthorized, 401, "Unauthorized"),
            (Refusal::Forbidden(text()), 403, "Forbidden"),
            (Refusal::NotFound(text()), 404, "NotFound"),
            (Refusal::MethodNotAllowed(text()), 405, "MethodNotAllowed"),
            (Refusal::Unavailable(text()), 503, "ServiceUnavailable"),
        ] {
            let expected = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": refusal.to_string(), "reason": reason, "code": code,
            });
            assert_eq!(refusal.document(), expected);
        }
    }
}
