//! One spelling for each address block and each MAC address, so that equal ones are equal.

use std::net::IpAddr;

use ipnet::IpNet;

/// An address is a block of one.
pub(super) fn block(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// One spelling for each block: host bits are zero, and a block of one is an address.
pub(super) fn canonical_block(text: &str) -> String {
    match block(text) {
        Some(block) if block.prefix_len() == block.max_prefix_len() => block.addr().to_string(),
        Some(block) => block.trunc().to_string(),
        None => text.to_owned(),
    }
}

pub(super) fn canonical_mac(text: &str) -> String {
    text.to_ascii_lowercase().replace('-', ":")
}

pub(super) fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let is_byte = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(is_byte)
}
