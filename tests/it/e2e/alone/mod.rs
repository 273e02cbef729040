//! What disturbs the whole cluster, or counts how fast it is: `tests/e2e` runs these one at a time,
//! after all others.

mod adapter;
mod certificate;
mod control_plane;
mod hundred;
mod namespaces;
mod upgrade;
