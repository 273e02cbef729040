//! Why something was not delivered, in the parts that logs and failed jobs need.

use std::fmt;

use super::refusal::Refusal;

/// Characters of Customer.io's text that are kept: enough to act on, small beside a job.
pub(super) const MAX_MESSAGE: usize = 1_000;

/// Why an operation was not delivered. `Display` is the full sentence, for the job's
/// `failedReason`; logs show only class, field and status, which hold no user's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The kind of reason, one of a few fixed words.
    pub class: &'static str,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The field at fault, where it is known.
    pub field: Option<String>,
    /// The sentence, Customer.io's own where it sent one.
    pub message: String,
}

impl Reason {
    /// A reason without status and field.
    pub(super) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            field: None,
            message: shortened(message.into()),
        }
    }

    /// The same with the status of an answer.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self {
            field: Some(refusal.field().to_owned()),
            ..Self::new("invalid", refusal.to_string())
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "Customer.io answered {status}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let reason = Reason::new("rejected", "ü".repeat(MAX_MESSAGE + 5));
        assert_eq!(reason.message.chars().count(), MAX_MESSAGE + 1);
    }

    #[test]
    fn the_sentence_names_the_status() {
        let reason = Reason::new("rejected", "name cannot be blank").with_status(400);
        let text = reason.to_string();
        assert_eq!(text, "Customer.io answered 400: name cannot be blank");
    }
}
