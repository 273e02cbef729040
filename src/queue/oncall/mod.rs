//! What a person on call does with a queue: look at it, bring failed jobs back, stop it, empty it.
//!
//! Equal in effect to what BullMQ's own calls do, but for what those lose: docs/queue-commands.md says
//! where. Everything is done in chunks of bounded size, so that workers go on between them.
//!
//! In reading order: [`overview`] (a queue at a glance) → [`peek`] (single jobs, redacted by [`redact`])
//! → [`failed`] (the failed set by [`groups`] and by pages, reasons without people by [`mask`]) → [`retry`] → [`pause`] → [`drain`].

pub mod drain;
pub mod failed;
pub mod groups;
pub mod mask;
pub mod overview;
pub mod pause;
pub mod peek;
pub mod redact;
pub mod retry;
