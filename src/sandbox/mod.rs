//! A simulated OpenStack: Keystone v3 and v2.0, Glance v2, Cinder v3, Nova v2.1, Neutron v2.0, Manila v2.
//!
//! For trials without a cloud, for tests, and for deterministic simulation. [`World`] is the pure core: a request
//! and the time in, a response out; all state is plain data and may be cloned as a snapshot. [`Sandbox`] puts it
//! behind HTTP. The judge of every answer here is the real service, never the client: this module shares no code
//! with the rest of the crate, so that a wrong reading of an API cannot be mirrored on both sides.
//!
//! Not for: guests that boot, packets that flow, bytes that are kept. An image is its size and its digests.

mod compute;
mod fault;
mod http;
mod identity;
mod image;
mod json;
mod network;
mod options;
mod pace;
mod quota;
mod request;
mod response;
mod share;
mod volume;
mod world;

pub use fault::{Effect, Faults, Omission, Rule};
pub use http::{Running, Sandbox, router};
pub use options::{Clock, Microversions, Options, Pages, Quotas};
pub use pace::{Pace, Spread};
pub use request::{Payload, Request, Upload};
pub use response::{Body, Delivery, Response};
pub use world::{Account, RequestCount, World};
