//! The `CioPipeline` resource: its type, defaults and rules. No IO.
