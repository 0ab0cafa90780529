//! ORC's group, held against what is known of ORC itself: what it accepts and refuses, its fields,
//! and the defects that its users have and ours must not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

mod acceptance;
mod defects;
mod fields;
mod places;
mod silence;
#[path = "../sim/mod.rs"]
mod sim;
