//! What an answer means, and what becomes of an operation: the one place that decides it. Pure.
//!
//! | answer | what happens |
//! |---|---|
//! | 2xx | done, but for the items that `errors[]` names: each is rejected alone |
//! | 400, 422 | a batch is split until the bad item is alone; that one is rejected. With a body that is no JSON object it is a proxy's: as any other status |
//! | 413 | likewise |
//! | 401, 403, a redirect | no use to ask again now; who is at fault, the circuit decides |
//! | 408, 5xx, no answer | again, after what Retry-After asks for; then likewise |
//! | 429 | again, after what Retry-After asks for |
//! | any other status | the job has failed once; many in a row, and the circuit opens |

mod answer;

use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;

use self::answer::{is_an_answer, item_errors, message, retry_after};
use super::reason::Reason;
use crate::runtime::http_client::{Answer, TransportError};

/// What an answer means for the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Customer.io has it, except for these items (by index), which it will never take.
    Accepted {
        /// Index and reason of each rejected item; each index once.
        rejected: Vec<(usize, Reason)>,
    },
    /// One of several items is at fault and the answer does not say which.
    Split,
    /// The only item is at fault and will never be taken.
    Reject(Reason),
    /// Credentials or address are wrong, or so it seems.
    Hold(Reason),
    /// It may go well the next time.
    Retry {
        /// What the answer asks to wait, at least.
        after: Option<Duration>,
        /// The workspace's rate was exceeded.
        throttled: bool,
        /// Why it did not go well.
        reason: Reason,
    },
    /// It did not go well, and asking again at once would be no better.
    Fail(Reason),
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Customer.io has it.
    Delivered,
    /// It will never be taken as it is.
    Rejected(Reason),
    /// It was not taken, and this counts as an attempt.
    Failed(Reason),
    /// It was not taken, as far as is known through no fault of its own: others are tried before
    /// it, and so it stays aside for so long.
    Held(Duration),
    /// It was not sent, or not taken through no fault of its own.
    Returned,
}

impl Outcome {
    /// The label value in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected(_) => "rejected",
            Self::Failed(_) => "failed",
            Self::Held(_) => "held",
            Self::Returned => "returned",
        }
    }
}

/// Decides what `reply` to a request with `items` items means. `now` is needed for a Retry-After
/// that is a date.
pub fn decide(items: usize, reply: Result<&Answer, &TransportError>, now: Timestamp) -> Verdict {
    match reply {
        Ok(answer) => of_answer(items, answer, now),
        Err(error) => Verdict::Retry {
            after: None,
            throttled: false,
            reason: Reason::new(
                transport_class(error),
                format!("Customer.io cannot be reached: {error}"),
            ),
        },
    }
}

fn of_answer(items: usize, answer: &Answer, now: Timestamp) -> Verdict {
    let status = answer.status;
    let because = |class| Reason::new(class, message(answer)).with_status(status.as_u16());
    match status.as_u16() {
        200..=299 if !is_an_answer(&answer.body) => Verdict::Retry {
            after: None,
            throttled: false,
            reason: because("unavailable"),
        },
        200..=299 => accepted(items, answer),
        300..=399 => Verdict::Hold(redirected(answer)),
        401 | 403 => Verdict::Hold(because("unauthorized")),
        400 | 422 if !is_an_answer(&answer.body) => Verdict::Fail(because("unexpected")),
        400 | 413 | 422 if items > 1 => Verdict::Split,
        400 | 422 => Verdict::Reject(with_field(because("rejected"), answer)),
        413 => Verdict::Reject(because("too_large")),
        408 | 429 | 500.. => Verdict::Retry {
            after: retry_after(&answer.headers, now),
            throttled: status == StatusCode::TOO_MANY_REQUESTS,
            reason: because(retry_class(status)),
        },
        _ => Verdict::Fail(because("unexpected")),
    }
}

fn retry_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "throttled",
        408 => "timeout",
        _ => "unavailable",
    }
}

fn transport_class(error: &TransportError) -> &'static str {
    match error {
        TransportError::Timeout(_) => "timeout",
        _ => "transport",
    }
}

/// 207 says that some items were refused, in which case it has to name them; 200 is looked at all
/// the same.
fn accepted(items: usize, answer: &Answer) -> Verdict {
    if answer.status == StatusCode::MULTI_STATUS && item_errors(&answer.body).next().is_none() {
        return unnamed(items, answer);
    }
    let mut rejected: Vec<(usize, Reason)> = Vec::new();
    for error in item_errors(&answer.body) {
        let index = match error.index {
            Some(index) if index < items => index,
            _ if items == 1 => 0,
            // It names no item of ours. Those it took are recognised when they come again.
            _ => return Verdict::Split,
        };
        if rejected.iter().all(|(other, _)| *other != index) {
            let reason = Reason::new("rejected", error.message).with_status(answer.status.as_u16());
            rejected.push((
                index,
                Reason {
                    field: error.field,
                    ..reason
                },
            ));
        }
    }
    Verdict::Accepted { rejected }
}

/// Something was refused, and nothing says what: alone, each item shows whether it is that.
fn unnamed(items: usize, answer: &Answer) -> Verdict {
    if items > 1 {
        return Verdict::Split;
    }
    let reason = Reason::new("rejected", message(answer));
    Verdict::Reject(reason.with_status(answer.status.as_u16()))
}

fn with_field(reason: Reason, answer: &Answer) -> Reason {
    let field = item_errors(&answer.body).find_map(|error| error.field);
    Reason { field, ..reason }
}

fn redirected(answer: &Answer) -> Reason {
    Reason::new(
        "redirected",
        "the account is in another region: set CUSTOMERIO_REGION (spec.workspace.region) to us or eu",
    )
    .with_status(answer.status.as_u16())
}

#[cfg(test)]
mod tests;
