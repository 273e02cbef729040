//! The controller: a `CioPipeline` becomes a Deployment, an HPA and the rest.
//!
//! In: watch events. Out: objects by server-side apply, and status. `reconcile` lists the six
//! steps, one file a step. It reads no Secret, and no Redis.
