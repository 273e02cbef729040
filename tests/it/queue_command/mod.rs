//! `cio queue` with BullMQ, both majors, on the other side of the queue.

mod drain;
mod failed;
mod look;
mod pause;
mod pipeline;
mod reasons;
mod scene;
