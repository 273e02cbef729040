//! Names that BullMQ accepts, and the keys this program reads by itself.
//!
//! The key layout is BullMQ's: `{prefix}:{queue}:{part}`.

use std::fmt;
use std::str::FromStr;

/// A queue's name: not empty and without a colon, because BullMQ's own constructors refuse both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueName(String);

/// What all keys of a set of queues begin with; BullMQ's default is `bull`. It may hold colons.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// Why a name cannot be used, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The queue's name is empty.
    #[error("a queue's name is empty: set CIO_QUEUE (spec.queue.name), for example to cio-events")]
    EmptyQueue,
    /// The queue's name has a colon.
    #[error(
        "queue name {name:?} has a colon, which BullMQ refuses: \
         set CIO_QUEUE (spec.queue.name) to {instead:?}"
    )]
    Colon {
        /// What was given.
        name: String,
        /// The same with a dash for each colon.
        instead: String,
    },
    /// The prefix is empty.
    #[error(
        "the key prefix is empty: set CIO_QUEUE_PREFIX (spec.queue.prefix), for example to bull"
    )]
    EmptyPrefix,
}

impl QueueName {
    /// The name as BullMQ takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::EmptyQueue);
        }
        if name.contains(':') {
            return Err(NameError::Colon {
                name: name.to_owned(),
                instead: name.replace(':', "-"),
            });
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// The prefix as BullMQ takes it, without the colon that follows it in a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = NameError;

    fn from_str(prefix: &str) -> Result<Self, NameError> {
        if prefix.is_empty() {
            return Err(NameError::EmptyPrefix);
        }
        Ok(Self(prefix.to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keys of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueKeys {
    base: String,
}

impl QueueKeys {
    /// The keys of `queue` under `prefix`.
    pub fn new(prefix: &Prefix, queue: &QueueName) -> Self {
        Self {
            base: format!("{prefix}:{queue}:"),
        }
    }

    /// What every key of the queue begins with; a job's key is this and its id.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key of one part, such as `wait` or `delayed`.
    pub fn part(&self, part: &str) -> String {
        format!("{}{part}", self.base)
    }

    /// Whether all keys fall into one slot of a Redis Cluster: there is something between the
    /// first `{` and the next `}`, as the cluster specification asks.
    pub fn has_hash_tag(&self) -> bool {
        self.base
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .is_some_and(|(tag, _)| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_in_the_queue_name_is_refused_with_the_name_to_use_instead() {
        let error = QueueName::from_str("cio:events").unwrap_err().to_string();
        assert!(error.contains("CIO_QUEUE"), "{error}");
        assert!(error.contains("spec.queue.name"), "{error}");
        assert!(error.contains("\"cio-events\""), "{error}");
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(QueueName::from_str(""), Err(NameError::EmptyQueue));
        assert_eq!(Prefix::from_str(""), Err(NameError::EmptyPrefix));
    }

    #[test]
    fn keys_are_those_of_bullmq() {
        let keys = keys("bull", "cio-events");
        assert_eq!(keys.part("wait"), "bull:cio-events:wait");
        assert_eq!(keys.base(), "bull:cio-events:");
    }

    #[test]
    fn a_hash_tag_may_be_in_the_prefix_or_in_the_name() {
        for (prefix, queue, tagged) in [
            ("bull", "cio-events", false),
            ("{bull}", "cio-events", true),
            ("bull", "{cio}", true),
            ("bull", "{}cio", false),
            ("bull", "cio}{", false),
        ] {
            assert_eq!(
                keys(prefix, queue).has_hash_tag(),
                tagged,
                "{prefix} {queue}"
            );
        }
    }

    fn keys(prefix: &str, queue: &str) -> QueueKeys {
        QueueKeys::new(&prefix.parse().unwrap(), &queue.parse().unwrap())
    }
}
