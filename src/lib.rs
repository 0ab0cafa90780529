//! stackward: GitOps for OpenStack in one binary, without Kubernetes.
//!
//! A pure engine decides, a thin shell acts: events in, effects out.
//!
//! ```text
//!  manifests dir ──> manifest ─> Desired ─┐                     ┌─> Call   (one HTTP request to OpenStack)
//!  cloud lists  ───> kinds ────> Listing ─┼─> Engine::handle ─>─┼─> List   (read one collection)
//!  call results ───────────────> Called ──┤   (event, now)      ├─> Record (write to the journal, before the Call)
//!  clock ──────────────────────> Alarm ───┘   pure, no await    └─> Publish (status, metrics, command line)
//! ```
//!
//! | module | what it is | I/O |
//! |---|---|---|
//! | [`manifest`] | text to desired objects, with the place of every field | no |
//! | [`kinds`] | one file per OpenStack resource: its shape, its rules, its requests as data | no |
//! | [`engine`] | the brain: world in, effects out | no |
//! | [`files`] | a directory as (path, text) pairs, opened beneath its root | yes |
//! | [`cloud`] | OpenStack over HTTP: clouds.yaml, tokens, catalog, paging, uploads | yes |
//! | [`config`] | flags, environment and file to settings | yes |
//! | [`store`] | where the journal lives | yes |
//! | [`daemon`] | the loop, the directory watch, the HTTP endpoint, telemetry | yes |
//! | [`cli`] | one file per subcommand | yes |
//! | [`sandbox`] | a simulated OpenStack over HTTP; shares no code with the rest | yes |
//!
//! Dependencies point down only: cli -> daemon -> {engine, cloud, store, files}; engine -> kinds ->
//! manifest; cloud -> kinds::call only; sandbox -> nothing of ours.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod cli;
#[expect(
    clippy::disallowed_methods,
    reason = "settings, certificates and images are files; tokens age by the clock"
)]
pub mod cloud;
pub mod config;
pub mod daemon;
pub mod engine;
#[expect(
    clippy::disallowed_methods,
    reason = "this is where manifests are read"
)]
pub mod files;
pub mod kinds;
pub mod manifest;
#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, on a clock of its own"
)]
pub mod sandbox;
pub mod store;
#[doc(hidden)]
pub mod zoo;
