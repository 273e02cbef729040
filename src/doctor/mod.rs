//! What is wrong with a pipeline or its surroundings, and the command that mends it.
//!
//! In: where to look, with the rights of the person who asks. Out: a list of [`check::Check`]s. It
//! changes nothing anywhere, shows no Secret's value, and touches no metrics API but asks whose it is.
//!
//! In reading order: [`check`] (a finding) → [`examination`] (all of it) → `gather/` (thin: what is
//! there) → `checks/` (pure: facts → findings). [`resolve`] reads what a pipeline's pods are given.

pub mod check;
mod checks;
pub mod examination;
mod found;
mod gather;
pub mod resolve;
