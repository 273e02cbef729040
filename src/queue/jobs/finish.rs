//! What became of a job, in BullMQ's terms.

use std::time::Duration;

use redis::ScriptInvocation;

use super::policy::Keep;
use super::taken::Ticket;

/// What becomes of a job that a worker had in hand.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// It is done. Its result is `null`: readers of BullMQ's event stream stop at anything that is
    /// not JSON, and there is nothing else to say.
    Completed,
    /// It has failed. It is tried again if it has attempts left and `retry` allows it.
    Failed {
        /// Its `failedReason`.
        reason: String,
        /// Whether trying again can be of use.
        retry: bool,
    },
    /// It goes back to the front of the queue, and no attempt is counted.
    PutBack,
    /// It waits for so long, and no attempt is counted.
    PutAside(Duration),
}

/// A job and its ending.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The job.
    pub ticket: Ticket,
    /// What became of it.
    pub ending: Ending,
}

/// How many finished jobs are kept where a job says nothing of it.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Completed ones.
    pub completed: usize,
    /// Failed ones.
    pub failed: usize,
}

/// Why a job was not finished as it should have been: it stays where it is, and another worker
/// delivers it (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not in the queue any more.
    Gone,
    /// Its lock had run out: Redis or this worker had stopped for longer than a lock lasts.
    LockExpired,
    /// Another worker has it.
    Taken,
}

impl Refused {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Gone, Self::LockExpired, Self::Taken];

    /// From a code of `finish.lua`.
    pub(super) fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => None,
            -1 => Some(Self::Gone),
            -6 => Some(Self::Taken),
            // -3, not active, is what is left of a job whose lock had run out.
            _ => Some(Self::LockExpired),
        }
    }

    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::LockExpired => "lock-expired",
            Self::Taken => "taken",
        }
    }
}

/// What `finish.lua` is told of a job.
#[derive(Debug, Default)]
struct Words {
    outcome: &'static str,
    text: String,
    stack: String,
    pause_ms: u64,
    keep: Option<Keep>,
    in_front: bool,
}

impl Finished {
    /// Adds what `finish.lua` reads of a job. `chance`, from 0 to 1, decides its jitter.
    pub(super) fn tell(&self, invocation: &mut ScriptInvocation<'_>, kept: Retention, chance: f64) {
        let words = self.words(kept, chance);
        let number = |it: Option<u64>| it.map_or("-1".to_owned(), |it| it.to_string());
        let count = words.keep.and_then(|keep| keep.count).map(|it| it as u64);
        invocation
            .arg(words.outcome)
            .arg(&self.ticket.id)
            .arg(&*self.ticket.token)
            .arg(words.text)
            .arg(words.stack)
            .arg(words.pause_ms)
            .arg(self.ticket.policy.attempts)
            .arg(number(count))
            .arg(number(words.keep.and_then(|keep| keep.age)))
            .arg(u8::from(words.in_front));
    }

    fn words(&self, kept: Retention, chance: f64) -> Words {
        let Ticket {
            policy,
            attempts_made,
            ..
        } = &self.ticket;
        let of = |count| {
            Some(Keep {
                count: Some(count),
                age: None,
            })
        };
        match &self.ending {
            Ending::Completed => Words {
                outcome: "complete",
                text: "null".to_owned(),
                keep: policy.keep_completed.or(of(kept.completed)),
                ..Words::default()
            },
            Ending::Failed { reason, retry } if *retry && !policy.is_last(*attempts_made) => {
                Words {
                    outcome: "retry",
                    text: reason.clone(),
                    stack: self.stacks(reason),
                    pause_ms: milliseconds(policy.backoff.pause(attempts_made + 1, chance)),
                    in_front: policy.lifo,
                    keep: None,
                }
            }
            Ending::Failed { reason, .. } => Words {
                outcome: "fail",
                text: reason.clone(),
                stack: self.stacks(reason),
                keep: policy.keep_failed.or(of(kept.failed)),
                ..Words::default()
            },
            Ending::PutBack => Words {
                outcome: "put_back",
                ..Words::default()
            },
            Ending::PutAside(pause) => Words {
                outcome: "put_aside",
                pause_ms: milliseconds(*pause).max(1),
                ..Words::default()
            },
        }
    }

    /// The stack traces with this failure's: there is no stack here, so its sentence stands in.
    fn stacks(&self, reason: &str) -> String {
        let earlier = self.ticket.stacks.as_deref().unwrap_or("[]");
        let mut stacks: Vec<String> = serde_json::from_str(earlier).unwrap_or_default();
        stacks.push(reason.to_owned());
        let beyond = stacks
            .len()
            .saturating_sub(self.ticket.policy.stacks.unwrap_or(usize::MAX));
        serde_json::json!(stacks[beyond..]).to_string()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::policy::Policy;
    use super::*;

    const KEPT: Retention = Retention {
        completed: 7,
        failed: 9,
    };

    fn finished(opts: &str, attempts_made: u32, ending: Ending) -> Finished {
        let ticket = Ticket {
            id: "1".to_owned(),
            token: "t".into(),
            timestamp_ms: 0,
            attempts_made,
            policy: Policy::read(opts.as_bytes()),
            stacks: Some(r#"["first"]"#.to_owned()),
        };
        Finished { ticket, ending }
    }

    fn failed(retry: bool) -> Ending {
        Ending::Failed {
            reason: "second".to_owned(),
            retry,
        }
    }

    #[test]
    fn a_failed_job_is_tried_again_while_it_has_attempts_and_it_can_be_of_use() {
        let opts = r#"{"attempts":3,"backoff":100,"lifo":true}"#;
        for (made, retry, outcome) in [
            (0, true, "retry"),
            (1, true, "retry"),
            (2, true, "fail"),
            (0, false, "fail"),
        ] {
            let words = finished(opts, made, failed(retry)).words(KEPT, 0.0);
            assert_eq!(words.outcome, outcome, "{made} {retry}");
            assert_eq!(words.stack, r#"["first","second"]"#);
        }
        let words = finished(opts, 0, failed(true)).words(KEPT, 0.0);
        assert_eq!((words.pause_ms, words.in_front), (100, true));
    }

    #[test]
    fn the_worker_s_retention_holds_where_the_job_says_nothing() {
        let keep = |opts, ending| {
            finished(opts, 0, ending)
                .words(KEPT, 0.0)
                .keep
                .unwrap()
                .count
        };
        assert_eq!(keep("{}", Ending::Completed), Some(7));
        assert_eq!(keep("{}", failed(true)), Some(9));
        assert_eq!(
            keep(r#"{"removeOnComplete":2}"#, Ending::Completed),
            Some(2)
        );
        assert_eq!(keep(r#"{"removeOnFail":false}"#, failed(true)), None);
    }

    #[test]
    fn the_latest_stack_traces_are_kept() {
        let stack = |opts| finished(opts, 0, failed(false)).words(KEPT, 0.0).stack;
        assert_eq!(stack(r#"{"stackTraceLimit":1}"#), r#"["second"]"#);
        assert_eq!(stack(r#"{"stackTraceLimit":0}"#), "[]");
    }
}
