//! Tests with real parts; one binary, because linking a second one costs more than any test in it.

mod adapter;
