//! One file per OpenStack resource.

pub mod call;
