//! One log line for each change of what is in force, and none for each request.

use super::script::Reply;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Notice {
    lowest: Option<u32>,
    permille: Option<u32>,
    /// What Redis said, since it does not answer.
    failing: Option<String>,
}

impl Notice {
    /// Redis did not answer.
    pub(super) fn failed(&mut self, failures: &mut u32, error: &str) {
        *failures += 1;
        if self.failing.replace(error.to_owned()).is_none() {
            tracing::error!(
                error,
                "Redis does not answer for the rate limit; nothing is sent until it does"
            );
        }
    }

    /// Redis answered.
    pub(super) fn answered(&mut self, failures: &mut u32) {
        *failures = 0;
        if self.failing.take().is_some() {
            tracing::info!("Redis answers for the rate limit again");
        }
    }

    /// Why there are no turns, while there are none.
    pub(super) fn error(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// What is in force, for a process that is set to `own`.
    pub(super) fn rate(&mut self, own: u32, reply: &Reply) {
        let rate = reply.rate();
        let lowest = self.lowest.replace(reply.lowest).unwrap_or(own);
        if reply.lowest < lowest {
            tracing::warn!(
                limit.own = own,
                limit.rate = rate,
                "another worker of this workspace has a lower limit; it holds for all"
            );
        } else if reply.lowest > lowest {
            tracing::info!(
                limit.own = own,
                limit.rate = rate,
                "the lowest limit of this workspace's workers is higher now"
            );
        }
        let permille = self.permille.replace(reply.permille).unwrap_or(1000);
        if reply.permille < permille {
            tracing::warn!(
                limit.rate = rate,
                "Customer.io answered 429; the rate is lowered for the whole workspace"
            );
        } else if reply.permille > permille {
            tracing::info!(
                limit.rate = rate,
                "no more answers 429; the rate is raised a step"
            );
        }
    }
}
