//! From a volume to a tier, a capacity, a manifest, and what the HPA will do with it.
//!
//! In: numbers, and a `CioPipeline`. Out: values to print. Pure: no IO, no clock. It must not guess
//! what was measured: each constant says where it is from, and docs/capacity.md has the arithmetic.

pub mod capacity;
pub mod forecast;
pub mod hpa;
pub mod manifest;
pub mod plot;
pub mod profile;
pub mod tier;
