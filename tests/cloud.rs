//! The OpenStack client against small servers that answer as a test says: in the process with a paused
//! clock, and over sockets where TLS, connections or bodies are what is looked at.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it saw"
)]

#[path = "cloud/calls.rs"]
mod calls;
#[path = "cloud/endpoints.rs"]
mod endpoints;
#[path = "cloud/fake.rs"]
mod fake;
#[path = "cloud/lists.rs"]
mod lists;
#[path = "cloud/live.rs"]
mod live;
#[path = "cloud/logins.rs"]
mod logins;
#[path = "cloud/profiles.rs"]
mod profiles;
#[path = "cloud/tls.rs"]
mod tls;
#[path = "cloud/uploads.rs"]
mod uploads;
